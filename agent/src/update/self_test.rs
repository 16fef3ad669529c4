//! The trial run of a new program before it takes the old one's place: it has to load, to read this machine's configuration
//! and identity, and to say which version it is.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use semver::Version;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use crate::config::Config;
use crate::connection::LaneDialer;
use crate::identity::IdentityStore;

/// How long it may take, on a slow and busy machine too.
const LIMIT: Duration = Duration::from_secs(60);
/// What is read of its output, and of its complaints.
const MAX_OUTPUT_BYTES: u64 = 1024;
/// A process that is just being started may still hold the file open for writing: that is over at once.
const BUSY_TRIES: u32 = 20;
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// What a program does that is tested so; tells its version.
///
/// # Errors
/// A line for the operator.
pub fn perform(config: &Path) -> Result<&'static str, String> {
    let config = Config::load_or_last_good(config).map_err(|error| error.to_string())?;
    let store = IdentityStore::new(config.state_dir());
    store.load_or_create().map_err(|error| error.to_string())?;
    LaneDialer::new(&config.server)?;
    Ok(super::own_version())
}

/// Tests `program`, which is to be `version` and to serve with `config`.
///
/// # Errors
/// `self_test_failed`.
pub async fn run(program: &Path, config: &Path, version: &Version) -> Result<(), Failure> {
    let said = timeout(LIMIT, said_by(program, config)).await;
    let said = said.unwrap_or_else(|_| Err(format!("it took longer than {} s", LIMIT.as_secs())));
    let said = said.map_err(|problem| failure(&format!("does not run here: {problem}")))?;
    if said.trim() == version.to_string() {
        return Ok(());
    }
    Err(failure(&format!(
        "says it is {:?}, not {version}",
        said.trim()
    )))
}

fn failure(problem: &str) -> Failure {
    Failure::new("self_test_failed", format!("the new program {problem}"))
}

async fn said_by(program: &Path, config: &Path) -> Result<String, String> {
    let mut child = started(program, config)
        .await
        .map_err(|error| error.to_string())?;
    let said = async {
        let (output, complaint) = tokio::join!(
            beginning_of(child.stdout.take()),
            beginning_of(child.stderr.take())
        );
        child.wait().await.map(|status| (status, output, complaint))
    };
    let (status, output, complaint) = said.await.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(output);
    }
    Err(format!("{status} {}", complaint.trim()))
}

async fn started(program: &Path, config: &Path) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        let child = Command::new(program)
            .args([
                "self-test".as_ref(),
                "--config".as_ref(),
                config.as_os_str(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        match child {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tries += 1;
                if tries == BUSY_TRIES {
                    return Err(error);
                }
                sleep(BUSY_WAIT).await;
            }
            other => return other,
        }
    }
}

async fn beginning_of(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is as good as any.
        let _ = pipe.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
