//! The agent as a service of systemd: its unit is written, and systemd told. Needs root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sd_notify::NotifyState;

use super::stops::Stops;

/// The service's name.
pub const NAME: &str = "gururmm-agent";

/// Where systemd looks for units that an administrator has written.
const UNIT_FOLDER: &str = "/etc/systemd/system";

/// An agent that has not said for so long that it lives hangs.
const WATCHDOG_SECONDS: u32 = 180;

/// Writes the unit, starts the service and lets it start with the machine.
///
/// # Errors
/// A line for the operator.
pub fn install(config: &Path) -> Result<(), String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    Systemd::OF_MACHINE.install(&program, config)
}

/// Ends the service and removes its unit.
///
/// # Errors
/// A line for the operator.
pub fn uninstall() -> Result<(), String> {
    Systemd::OF_MACHINE.uninstall()
}

/// Starts the service.
///
/// # Errors
/// A line for the operator.
pub fn start() -> Result<(), String> {
    Systemd::OF_MACHINE.tell(&["start", NAME])
}

/// Ends the service.
///
/// # Errors
/// A line for the operator.
pub fn stop() -> Result<(), String> {
    Systemd::OF_MACHINE.tell(&["stop", NAME])
}

/// How the service is, in a word: `running`, `stopped`, `not installed` or what systemd says.
///
/// # Errors
/// A line for the operator.
pub fn status() -> Result<String, String> {
    Systemd::OF_MACHINE.status()
}

/// Says that systemd needs no such thing.
///
/// # Errors
/// Always.
pub fn serve(
    _body: impl FnOnce(Stops) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    Err("only the service manager of Windows starts this: use `run`".to_owned())
}

/// Tells systemd, where it has started the agent, that it has begun.
pub fn tell_started() {
    tell_manager(NotifyState::Ready);
}

/// Tells systemd that the agent lives: who does not for [`WATCHDOG_SECONDS`] is started again.
pub fn tell_alive() {
    tell_manager(NotifyState::Watchdog);
}

fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// A systemd, by its program and the folder of its units.
struct Systemd<'a> {
    program: &'a str,
    units: &'a str,
}

impl Systemd<'_> {
    const OF_MACHINE: Self = Self {
        program: "systemctl",
        units: UNIT_FOLDER,
    };

    fn unit(&self) -> PathBuf {
        Path::new(self.units).join(format!("{NAME}.service"))
    }

    fn install(&self, program: &Path, config: &Path) -> Result<(), String> {
        let path = self.unit();
        std::fs::write(&path, unit(program, config)?)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        self.tell(&["daemon-reload"])?;
        self.tell(&["enable", "--now", NAME])
    }

    fn uninstall(&self) -> Result<(), String> {
        let path = self.unit();
        if !path.exists() {
            return Err("the service is not installed".to_owned());
        }
        self.tell(&["disable", "--now", NAME])?;
        std::fs::remove_file(&path)
            .map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
        self.tell(&["daemon-reload"])
    }

    fn status(&self) -> Result<String, String> {
        if !self.unit().exists() {
            return Ok("not installed".to_owned());
        }
        let asked = self.ask(&["is-active", NAME])?;
        Ok(match String::from_utf8_lossy(&asked.stdout).trim() {
            "active" => "running".to_owned(),
            "inactive" => "stopped".to_owned(),
            other => other.to_owned(),
        })
    }

    fn tell(&self, arguments: &[&str]) -> Result<(), String> {
        let asked = self.ask(arguments)?;
        if asked.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&asked.stderr);
        let line = told.lines().find(|line| !line.trim().is_empty());
        Err(format!(
            "systemctl {}: {}",
            arguments.join(" "),
            line.unwrap_or("it has failed without a word")
        ))
    }

    fn ask(&self, arguments: &[&str]) -> Result<Output, String> {
        Command::new(self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("systemctl cannot be run: {error}"))
    }
}

/// `KillMode=process`: what ended commands have left running stays, as it does without systemd, and the
/// agent's guards end the rest themselves.
fn unit(program: &Path, config: &Path) -> Result<String, String> {
    Ok(format!(
        "[Unit]\nDescription=GuruRMM agent\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=notify\nWatchdogSec={WATCHDOG_SECONDS}\nExecStart={} run --config {}\nRestart=always\nRestartSec=5\nKillMode=process\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        quoted(program)?,
        quoted(config)?
    ))
}

/// A word of a unit's command line (systemd.service(5)).
fn quoted(path: &Path) -> Result<String, String> {
    let text = path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| format!("{} cannot stand in a unit", path.display()))?;
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    Ok(format!("\"{escaped}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_names_program_and_configuration_whatever_is_in_their_paths() {
        let text = unit(
            Path::new("/opt/a b/agent"),
            Path::new("/etc/100%\"$x\".toml"),
        )
        .unwrap();
        let line = r#"ExecStart="/opt/a b/agent" run --config "/etc/100%%\"$$x\".toml""#;
        assert!(text.contains(line), "{text}");
        assert!(unit(Path::new("/opt/a\nb"), Path::new("/etc/a.toml")).is_err());
    }

    #[test]
    fn a_service_is_installed_asked_for_and_removed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (asked, program) = (folder.path().join("asked"), folder.path().join("systemctl"));
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{}'\ncase $1 in is-active) echo active;; stop) echo no >&2; exit 1;; esac\n",
            asked.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let systemd = Systemd {
            program: program.to_str().unwrap(),
            units: folder.path().to_str().unwrap(),
        };
        assert_eq!(systemd.status().unwrap(), "not installed");
        assert!(systemd.uninstall().is_err());
        systemd
            .install(Path::new("/opt/agent"), Path::new("/etc/agent.toml"))
            .unwrap();
        assert!(systemd.unit().is_file());
        assert_eq!(systemd.status().unwrap(), "running");
        assert_eq!(
            systemd.tell(&["stop", NAME]).unwrap_err(),
            "systemctl stop gururmm-agent: no"
        );
        systemd.uninstall().unwrap();
        assert!(!systemd.unit().exists());
        let told = std::fs::read_to_string(asked).unwrap();
        let expected = [
            "daemon-reload",
            "enable --now gururmm-agent",
            "is-active gururmm-agent",
            "stop gururmm-agent",
            "disable --now gururmm-agent",
            "daemon-reload",
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }
}
