//! How programs are started: by the agent itself, or by a guard.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use tokio::net::unix::pipe::{self, Receiver};
use tokio::process::{Child, Command};

use super::foreground;
use super::group::ProcessGroup;
use super::guard::{Guarded, Starter};
use crate::platform::{Leader, Order};

/// Who starts a program.
#[derive(Debug, Clone)]
pub enum Launcher {
    /// The agent: what the program leaves behind stays.
    Agent,
    /// A guard: what outlives it is its own affair.
    Guard(Starter),
}

/// The read end of what a program writes.
pub type Output = Receiver;

/// A program that was started, and the read ends of its output.
#[derive(Debug)]
pub struct Launched {
    /// The program.
    pub running: Running,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
}

/// A program that was started.
#[derive(Debug)]
pub struct Running(Control);

#[derive(Debug)]
enum Control {
    Own(Child, Option<ProcessGroup>),
    Guarded(Guarded),
}

impl Launcher {
    /// Starts a program.
    ///
    /// # Errors
    /// What the operating system said, or that the guard is gone.
    pub async fn launch(&self, order: Order) -> io::Result<Launched> {
        let (stdout, to_stdout) = output()?;
        let (stderr, to_stderr) = output()?;
        let control = match self {
            Self::Agent => {
                let child = start(&order, to_stdout, to_stderr)?;
                let group = ProcessGroup::of(&child);
                Control::Own(child, group)
            }
            Self::Guard(starter) => {
                Control::Guarded(starter.start(order, [to_stdout, to_stderr]).await?)
            }
        };
        Ok(Launched {
            running: Running(control),
            stdout,
            stderr,
        })
    }
}

impl Launcher {
    /// Starts a program that has `terminal` as its controlling terminal and as all three of its streams.
    ///
    /// # Errors
    /// What the operating system said, or that the guard is gone.
    pub async fn launch_on_terminal(&self, order: Order, terminal: OwnedFd) -> io::Result<Running> {
        let control = match self {
            Self::Agent => {
                let child = Command::from(foreground::command(&order, terminal)?).spawn()?;
                let group = ProcessGroup::of(&child);
                Control::Own(child, group)
            }
            Self::Guard(starter) => {
                Control::Guarded(starter.start_on_terminal(order, terminal).await?)
            }
        };
        Ok(Running(control))
    }
}

impl Running {
    /// Waits for the program's end. Cancel safe; not to be called again after its answer.
    ///
    /// # Errors
    /// What the operating system said, or that the guard is gone.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.0 {
            Control::Own(child, _) => child.wait().await,
            Control::Guarded(guarded) => guarded.wait().await,
        }
    }

    /// The program's first process; none if it has ended already.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        let pid = match &self.0 {
            Control::Own(child, _) => i32::try_from(child.id()?).ok()?,
            Control::Guarded(guarded) => guarded.pid(),
        };
        Leader::of(pid)
    }

    /// The number of the program's first process; none if it has ended already and that is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.0 {
            Control::Own(child, _) => child.id(),
            Control::Guarded(guarded) => u32::try_from(guarded.pid()).ok(),
        }
    }

    /// Tells all of the session that the program leads that its terminal is gone (SIGHUP).
    pub fn hang_up(&self) {
        match &self.0 {
            Control::Own(_, group) => group.iter().for_each(|group| group.hang_up()),
            Control::Guarded(guarded) => guarded.hang_up(),
        }
    }

    /// Ends all of the session that the program leads (SIGKILL).
    pub fn kill_session(&self) {
        match &self.0 {
            Control::Own(_, group) => group.iter().for_each(|group| group.kill()),
            Control::Guarded(guarded) => guarded.kill_session(),
        }
    }

    /// Asks all of the program's group to end (SIGTERM).
    pub fn terminate(&self) {
        match &self.0 {
            Control::Own(_, group) => group.iter().for_each(|group| group.terminate()),
            Control::Guarded(guarded) => guarded.terminate(),
        }
    }

    /// Ends all of the program's group (SIGKILL).
    pub fn kill(&self) {
        match &self.0 {
            Control::Own(_, group) => group.iter().for_each(|group| group.kill()),
            Control::Guarded(guarded) => guarded.kill(),
        }
    }
}

fn output() -> io::Result<(Output, OwnedFd)> {
    let (writer, reader) = pipe::pipe()?;
    Ok((reader, writer.into_blocking_fd()?))
}

/// This keeps the fast way of starting a process (posix_spawn); a hook between fork and exec would
/// not, and costs more the larger the agent is.
fn start(order: &Order, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Child> {
    Command::new(&order.program)
        .args(&order.arguments)
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.directory)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()
}
