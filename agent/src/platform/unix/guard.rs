//! The guard: a small process beside a tunnel session that outlives the agent, were it by `kill -9`,
//! and then ends what the session started.
//!
//! It holds the read end of a pipe whose write end only the agent has. A byte says that the session
//! ended in order; the pipe's end without one says that the agent is gone, and the guard sweeps. It
//! leads a session of its own and ignores the signals that stop the agent.

use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{SigHandler, Signal, signal};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::sweep::sweep;

/// Under this name, so that the guard does not carry the session's mark itself.
const GUARDED_MARK: &str = "GURURMM_GUARDED_MARK";

/// How long the guard tries.
const PATIENCE: Duration = Duration::from_secs(10);

/// Before the second sweep: what the agent was just starting when it died has come up by then.
const LATECOMERS: Duration = Duration::from_millis(100);

/// The agent's end of a guard; dropping it makes the guard sweep.
#[derive(Debug)]
pub struct Guard {
    alive: ChildStdin,
    _child: Child,
}

impl Guard {
    /// Starts a guard (`program guard`) for the session with `mark`.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn start(program: &Path, mark: &str) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("guard")
            .env_clear()
            .env(GUARDED_MARK, mark)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let alive = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            alive,
            _child: child,
        })
    }

    /// Tells the guard that nothing is left for it to do.
    pub async fn dismiss(mut self) {
        // If the guard is gone already, so is its work.
        let _ = self.alive.write_all(b".").await;
    }
}

/// What the guard process does, from its start to its end.
///
/// # Errors
/// When it was started by something else than an agent.
pub fn guard_main() -> Result<(), String> {
    let mark = std::env::var(GUARDED_MARK)
        .ok()
        .filter(|mark| !mark.is_empty())
        .ok_or("the guard is started by the agent, not by hand")?;
    ignore_signals();
    // Fails only for a group's leader, who is then out of the agent's group anyway.
    let _ = nix::unistd::setsid();
    if told_to_go() {
        return Ok(());
    }
    let first = sweep(&mark, PATIENCE);
    std::thread::sleep(LATECOMERS);
    let second = sweep(&mark, PATIENCE);
    if second.left > 0 {
        return Err(format!(
            "{} of {} processes cannot be ended",
            second.left,
            first.killed + second.killed
        ));
    }
    Ok(())
}

/// Waits for the agent's word or its end; true for the word.
fn told_to_go() -> bool {
    let mut byte = [0];
    loop {
        match io::stdin().read(&mut byte) {
            Ok(count) => return count == 1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

fn ignore_signals() {
    for number in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        // SAFETY: to ignore a signal installs no handler, so no code of ours runs in signal context.
        #[allow(unsafe_code)]
        let result = unsafe { signal(number, SigHandler::SigIgn) };
        // Each of these may be ignored (signal(7)); a failure would only make the guard less robust.
        let _ = result;
    }
}
