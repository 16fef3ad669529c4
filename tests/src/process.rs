//! A child process whose output is kept and that never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::eventually;

/// A running child; killed when dropped, and its output is shown when the test fails.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `command` with its output kept.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: Command) -> Self {
        Self::start_with_input(name, command, Stdio::null())
    }

    /// Starts `command` with its output kept and this input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with_input(name: &str, mut command: Command, input: Stdio) -> Self {
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().expect("piped"), Arc::clone(&lines));
        keep(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self {
            name: name.to_owned(),
            child,
            lines,
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// How it ended, where it has.
    pub fn exit(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child of ours can be waited for")
    }

    /// Sends it a signal; one that is gone already gets none.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(pid(self.pid()), signal);
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended by the deadline.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, deadline, || {
            let exit = self.exit();
            async move { exit }
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- output of {} ---\n{}\n---", self.name, self.log());
        }
    }
}

/// The child gets SIGKILL when the thread that starts it ends.
#[allow(
    unsafe_code,
    reason = "one async-signal-safe call between fork and exec"
)]
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// A process id as nix has it.
#[must_use]
pub fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("process ids are small"))
}

fn keep(stream: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            lines.lock().unwrap().push(line);
        }
    });
}
