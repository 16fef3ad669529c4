//! How programs are started: asleep, put into their jobs, and woken then, so that nothing they do is done
//! outside of them.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, RawHandle};
use std::os::windows::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use tokio::net::windows::named_pipe::NamedPipeServer;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, CREATE_SUSPENDED};

use super::command_line::is_cmd;
use super::guard::Starter;
use super::job::Job;
use super::pipes;
use super::processes;
use super::pty::Slave;
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
pub type Output = NamedPipeServer;

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
pub struct Running {
    control: Control,
    pid: Option<u32>,
    job: std::sync::Arc<Job>,
    exited: bool,
}

#[derive(Debug)]
enum Control {
    Child(Box<Child>),
    Terminal(oneshot::Receiver<io::Result<u32>>),
}

impl Launcher {
    /// Starts a program.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn launch(&self, order: Order) -> io::Result<Launched> {
        let (stdout, to_stdout) = pipes::from_program()?;
        let (stderr, to_stderr) = pipes::from_program()?;
        let job = Job::new()?;
        let mut child = command(&order)
            .stdin(Stdio::null())
            .stdout(to_stdout)
            .stderr(to_stderr)
            .creation_flags(CREATE_SUSPENDED | CREATE_NO_WINDOW)
            .spawn()?;
        let woken = child
            .raw_handle()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .and_then(|process| self.wake(process, &job));
        if let Err(error) = woken {
            // It has never run.
            let _ = child.start_kill();
            return Err(error);
        }
        Ok(Launched {
            running: Running {
                pid: child.id(),
                control: Control::Child(Box::new(child)),
                job: job.into(),
                exited: false,
            },
            stdout,
            stderr,
        })
    }

    /// Starts a program on a terminal.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn launch_on_terminal(&self, order: Order, terminal: Slave) -> io::Result<Running> {
        let job = terminal.job();
        let process = terminal.start(&order, |process| self.wake(process.as_raw_handle(), &job))?;
        let pid = process.pid;
        let (tell, ended) = oneshot::channel();
        // The system has no other way to wait for a process than a thread, here or in its own pool.
        std::thread::Builder::new()
            .name("terminal's end".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || {
                let status = processes::wait_for_end(&process.handle, u32::MAX)
                    .and_then(|_| processes::exit_code(&process.handle));
                // Nobody waits any more: the session is over.
                let _ = tell.send(status);
            })?;
        Ok(Running {
            control: Control::Terminal(ended),
            pid: Some(pid),
            job,
            exited: false,
        })
    }

    /// Puts a sleeping program into its jobs, the outer one first, and lets it run.
    fn wake(&self, process: RawHandle, job: &Job) -> io::Result<()> {
        // SAFETY: its owner is waiting for this function to return.
        #[allow(unsafe_code)]
        let borrowed = unsafe { BorrowedHandle::borrow_raw(process) };
        if let Self::Guard(starter) = self {
            starter.take(borrowed)?;
        }
        job.take(borrowed)?;
        // SAFETY: the handle is open, with all rights, for we have made the process.
        #[allow(unsafe_code)]
        let status = unsafe { NtResumeProcess(process) };
        if status < 0 {
            return Err(io::Error::other(format!(
                "a program cannot be woken: status {status:#x}"
            )));
        }
        Ok(())
    }
}

// The opposite of what CREATE_SUSPENDED asks for, for whom has a process and not its thread.
#[link(name = "ntdll")]
#[allow(unsafe_code)]
unsafe extern "system" {
    fn NtResumeProcess(process: RawHandle) -> i32;
}

impl Running {
    /// Waits for the program's end. Cancel safe; not to be called again after its answer.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = match &mut self.control {
            Control::Child(child) => child.wait().await,
            Control::Terminal(ended) => {
                let lost = || io::Error::other("who waited for the terminal's program is gone");
                let code = ended.await.map_err(|_| lost())?;
                code.map(ExitStatus::from_raw)
            }
        };
        self.exited = true;
        status
    }

    /// The program's first process; none if it has ended already.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        Leader::of(self.pid?)
    }

    /// The number of the program's first process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Ends all that belongs to the program: there is no way here to only tell it that its terminal is gone.
    pub fn hang_up(&self) {
        self.job.end();
    }

    /// Ends all that belongs to the program.
    pub fn kill_session(&self) {
        self.job.end();
    }

    /// Ends all that belongs to the program: what has no window and no console of ours cannot be asked.
    pub fn terminate(&self) {
        self.job.end();
    }

    /// Ends all that belongs to the program.
    pub fn kill(&self) {
        self.job.end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it left running stays, or ends with its session's job.
        if self.exited {
            self.job.release();
        }
    }
}

/// What starts a program.
fn command(order: &Order) -> Command {
    let mut command = Command::new(&order.program);
    match order.arguments.split_last() {
        // Its own rules, and not those that all others follow, say where its words end: between the
        // outermost quotes it takes everything as it is.
        Some((line, options)) if is_cmd(&order.program) => {
            command.args(options).raw_arg(format!("\"{line}\""));
        }
        _ => {
            command.args(&order.arguments);
        }
    }
    command
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.directory);
    command
}
