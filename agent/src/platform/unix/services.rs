//! Services by systemd: listed, looked at, started, stopped, and when they start. Each change answers how
//! the service was before, so that it can be put back.
//!
//! | start type | systemd | set by |
//! | --- | --- | --- |
//! | automatic | enabled | unmask, enable |
//! | manual | disabled, static, indirect, … | unmask, disable |
//! | disabled | masked | mask: nothing starts it, and what it was is there again after `unmask` |

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use gururmm_shared::{
    ErrorCode, Operation, OperationError, Reply, ServiceAction, ServiceState, StartType,
};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::systemd::{self, LIST_FILES, LIST_UNITS, PROGRAM, SHOW};

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a service may take to start or to end.
const CONTROL_PATIENCE: Duration = Duration::from_secs(100);
/// Bytes of an answer that are read.
const MOST_OUTPUT: u64 = 8 * 1024 * 1024;
/// Characters of a description that are told.
const MOST_DESCRIPTION: usize = 200;
/// The longest name.
const MOST_NAME: usize = 255;

/// Does what is asked of services; a list is told whole.
///
/// # Errors
/// Why it was not done.
pub async fn perform(operation: Operation) -> Result<Reply, OperationError> {
    Systemd { program: PROGRAM }.perform(operation).await
}

/// The machine's systemd, by its program.
struct Systemd<'a> {
    program: &'a str,
}

impl Systemd<'_> {
    async fn perform(&self, operation: Operation) -> Result<Reply, OperationError> {
        match operation {
            Operation::ServiceStat { name } => Ok(Reply::Services {
                services: vec![self.stat(&checked(&name)?).await?],
            }),
            Operation::ServiceControl { name, action } => {
                let name = checked(&name)?;
                let before = self.stat(&name).await?;
                let verb = match action {
                    ServiceAction::Start => "start",
                    ServiceAction::Stop => "stop",
                    ServiceAction::Restart => "restart",
                };
                self.change(&[verb], &name).await?;
                Ok(replaced(&before))
            }
            Operation::ServiceStartType { name, start_type } => {
                let name = checked(&name)?;
                let before = self.stat(&name).await?;
                self.set_start_type(&name, start_type, &before).await?;
                Ok(replaced(&before))
            }
            _ => Ok(Reply::Services {
                services: self.list().await?,
            }),
        }
    }

    async fn list(&self) -> Result<Vec<ServiceState>, OperationError> {
        let (units, files) = tokio::try_join!(
            self.ask(&LIST_UNITS, None, PATIENCE),
            self.ask(&LIST_FILES, None, PATIENCE)
        )?;
        Ok(merged(&units, &files))
    }

    async fn stat(&self, name: &str) -> Result<ServiceState, OperationError> {
        let told = self.ask(&SHOW, Some(name), PATIENCE).await?;
        let property = |key| systemd::property(&told, key);
        let file = property("UnitFileState").unwrap_or_default();
        if property("LoadState") == Some("not-found") {
            let text = format!("there is no service {name}");
            return Err(OperationError::new(ErrorCode::NotFound, text));
        }
        let (active, sub) = (property("ActiveState"), property("SubState"));
        Ok(ServiceState {
            name: property("Id").unwrap_or(name).to_owned(),
            description: plain(property("Description").unwrap_or_default()),
            state: state(active.unwrap_or_default(), sub.unwrap_or_default()),
            start_type: start_type(file),
            pid: property("MainPID")
                .and_then(|pid| pid.parse().ok())
                .filter(|pid| *pid > 0),
        })
    }

    async fn set_start_type(
        &self,
        name: &str,
        wanted: StartType,
        before: &ServiceState,
    ) -> Result<(), OperationError> {
        if wanted == StartType::Disabled {
            return self.change(&["mask"], name).await;
        }
        if before.start_type == Some(StartType::Disabled) {
            self.change(&["unmask"], name).await?;
        }
        let verb = match wanted {
            StartType::Automatic => "enable",
            StartType::Manual | StartType::Disabled => "disable",
        };
        self.change(&[verb], name).await
    }

    async fn change(&self, verb: &[&str], name: &str) -> Result<(), OperationError> {
        let options = ["--no-ask-password", "--no-pager", "--quiet", "--"];
        let arguments: Vec<&str> = verb.iter().chain(&options).copied().collect();
        self.ask(&arguments, Some(name), CONTROL_PATIENCE).await?;
        Ok(())
    }

    /// What the program prints, where it ends well and in time.
    async fn ask(
        &self,
        arguments: &[&str],
        name: Option<&str>,
        patience: Duration,
    ) -> Result<String, OperationError> {
        let mut child = Command::new(self.program)
            .args(arguments)
            .args(name)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| not_started(&error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let all = async {
            let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
            Ok((stdout, stderr, child.wait().await?))
        };
        match timeout(patience, all).await {
            Ok(Ok((stdout, _, status))) if status.success() => Ok(stdout),
            Ok(Ok((_, stderr, _))) => Err(refused(&stderr)),
            Ok(Err(error)) => Err(not_started(&error)),
            Err(_) => Err(OperationError::new(
                ErrorCode::TimedOut,
                format!(
                    "systemd has not answered within {} s; it may go on with what it was asked",
                    patience.as_secs()
                ),
            )),
        }
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe
        && let Err(error) = pipe.take(MOST_OUTPUT).read_to_end(&mut bytes).await
    {
        tracing::debug!(%error, "an answer of systemd's cannot be read");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is loaded, and what only has a file; by name.
fn merged(units: &str, files: &str) -> Vec<ServiceState> {
    let mut services = BTreeMap::new();
    for (name, file) in systemd::files(files) {
        let service = ServiceState {
            name: plain(name),
            description: String::new(),
            state: state("inactive", "dead"),
            start_type: start_type(file),
            pid: None,
        };
        services.insert(service.name.clone(), service);
    }
    for unit in systemd::units(units) {
        let name = plain(unit.name);
        let start_type = services.get(&name).and_then(|service| service.start_type);
        let service = ServiceState {
            name: name.clone(),
            description: plain(&unit.description),
            state: state(unit.active, unit.sub),
            start_type,
            pid: None,
        };
        services.insert(name, service);
    }
    services.into_values().collect()
}

fn state(active: &str, sub: &str) -> String {
    let word = match (active, sub) {
        ("active", "running") => "running",
        ("active", other) if !other.is_empty() => other,
        ("active", _) => "running",
        ("inactive", _) => "stopped",
        ("activating", _) => "starting",
        ("deactivating", _) => "stopping",
        (other, _) => other,
    };
    plain(word)
}

fn start_type(file: &str) -> Option<StartType> {
    match file {
        "enabled" | "enabled-runtime" => Some(StartType::Automatic),
        "masked" | "masked-runtime" => Some(StartType::Disabled),
        "" | "bad" => None,
        // Static, indirect, generated, …: something else starts it.
        _ => Some(StartType::Manual),
    }
}

fn replaced(before: &ServiceState) -> Reply {
    Reply::Replaced {
        before: serde_json::to_string(before).ok(),
    }
}

/// A service's name, with `.service`.
///
/// # Errors
/// It is none.
pub fn checked(name: &str) -> Result<String, OperationError> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '_' | ':' | '\\' | '-');
    let bad = |text: &str| Err(OperationError::new(ErrorCode::BadName, text));
    if !(1..=MOST_NAME).contains(&name.len()) || !name.chars().all(allowed) {
        return bad("a service's name is 1 to 255 of a-z, A-Z, 0-9 and @ . _ : \\ -");
    }
    if name.starts_with(['-', '.']) {
        return bad("a service's name does not begin with - or .");
    }
    const OTHERS: [&str; 10] = [
        ".socket",
        ".target",
        ".timer",
        ".mount",
        ".automount",
        ".swap",
        ".path",
        ".slice",
        ".scope",
        ".device",
    ];
    if OTHERS.iter().any(|other| name.ends_with(other)) {
        return bad("only services are changed here, no other units of systemd");
    }
    if name.ends_with(".service") {
        return Ok(name.to_owned());
    }
    Ok(format!("{name}.service"))
}

/// Services choose these texts: they are not to move anybody's cursor.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MOST_DESCRIPTION)
        .collect()
}

fn no_systemd() -> OperationError {
    OperationError::new(
        ErrorCode::Unsupported,
        "there is no systemd on this machine, and nothing else is known to the agent",
    )
}

fn not_started(error: &std::io::Error) -> OperationError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return no_systemd();
    }
    OperationError::new(
        ErrorCode::Failed,
        format!("systemctl cannot be run: {error}"),
    )
}

/// What systemd said against it.
fn refused(stderr: &str) -> OperationError {
    let says = |text: &str| stderr.contains(text);
    if says("not been booted with systemd") || says("Failed to connect to bus") {
        return no_systemd();
    }
    let code = if says("Access denied") || says("authentication required") {
        ErrorCode::PermissionDenied
    } else if says("not found") || says("does not exist") || says("not loaded") {
        ErrorCode::NotFound
    } else {
        ErrorCode::Failed
    };
    let line = stderr.lines().find(|line| !line.trim().is_empty());
    let text = plain(line.unwrap_or("systemctl has failed without a word"));
    OperationError::new(code, text)
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
