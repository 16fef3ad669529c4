//! A terminal as its master side sees it: bytes both ways without blocking, its size, and signals for what
//! runs in it.
//!
//! A pseudo-console never says that its program has ended: who reads waits for the program, and then until
//! nothing comes any more.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::sync::Arc;

use gururmm_shared::{SignalName, TerminalSize};
use tokio::net::windows::named_pipe::NamedPipeServer;

use super::console::{Console, Process};
use super::job::Job;
use super::pipes;
use crate::platform::Order;

/// The master side of a terminal.
#[derive(Debug)]
pub struct Pty {
    // In this order: with its pipes gone nothing keeps the console from closing.
    output: NamedPipeServer,
    input: NamedPipeServer,
    job: Arc<Job>,
    console: Arc<Console>,
}

/// The side for the program.
#[derive(Debug)]
pub struct Slave {
    console: Arc<Console>,
    job: Arc<Job>,
}

impl Pty {
    /// Opens a terminal; the second is the side for the program.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(size: TerminalSize) -> io::Result<(Self, Slave)> {
        let (output, to_output) = pipes::from_program()?;
        let (input, from_input) = pipes::to_program()?;
        let console = Arc::new(Console::new(size, &from_input, &to_output)?);
        let job = Arc::new(Job::new()?);
        let slave = Slave {
            console: Arc::clone(&console),
            job: Arc::clone(&job),
        };
        let pty = Self {
            output,
            input,
            job,
            console,
        };
        Ok((pty, slave))
    }

    /// Waits until [`Pty::read`] may find something. Cancel safe.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn readable(&self) -> io::Result<()> {
        self.output.readable().await
    }

    /// Reads what is there; 0 where nothing is.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.output.try_read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It comes again, once there is nothing else to be told.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Writes some of `bytes` as soon as there is room; tells how many. Cancel safe.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.input.writable().await?;
            match self.input.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// Sets the size.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        self.console.resize(size)
    }

    /// Presses the key that stands for a signal; what stands for none ends all that runs in the terminal.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn signal(&self, signal: SignalName) -> io::Result<()> {
        let key = match signal {
            SignalName::Interrupt => b"\x03",
            SignalName::Quit => b"\x1c",
            SignalName::Hangup | SignalName::Terminate | SignalName::Kill => {
                self.job.end();
                return Ok(());
            }
        };
        self.input.try_write(key).map(drop)
    }
}

impl Slave {
    /// The job of what will run in the terminal.
    pub(super) fn job(&self) -> Arc<Job> {
        Arc::clone(&self.job)
    }

    /// Starts a program; `wake` lets it run.
    ///
    /// # Errors
    /// What the operating system said.
    pub(super) fn start(
        &self,
        order: &Order,
        wake: impl FnOnce(BorrowedHandle<'_>) -> io::Result<()>,
    ) -> io::Result<Process> {
        let process = self.console.start(order)?;
        if let Err(error) = wake(process.handle.as_handle()) {
            self.job.end();
            return Err(error);
        }
        Ok(process)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::platform::Launcher;

    /// Under Wine a program has to be given its console by name.
    fn shell() -> Order {
        let arguments = ["/d", "/c", r#""cmd.exe <CON >CON 2>&1""#];
        Order {
            program: r"C:\Windows\System32\cmd.exe".to_owned(),
            name: None,
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: Vec::new(),
            directory: r"C:\".into(),
        }
    }

    async fn write(pty: &Pty, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = pty.write(bytes).await.unwrap();
            bytes = &bytes[count..];
        }
    }

    async fn read_until(pty: &Pty, text: &str) -> String {
        let mut read = String::new();
        let mut buffer = [0; 4096];
        let reading = async {
            while !read.contains(text) {
                pty.readable().await.unwrap();
                let count = pty.read(&mut buffer).unwrap();
                read += &String::from_utf8_lossy(&buffer[..count]);
            }
        };
        let done = timeout(Duration::from_secs(20), reading).await;
        assert!(done.is_ok(), "no {text:?} in {read:?}");
        read
    }

    #[tokio::test]
    async fn a_shell_takes_keys_shows_what_it_does_and_tells_its_exit_code() {
        let (pty, slave) = Pty::open(TerminalSize { cols: 80, rows: 24 }).unwrap();
        let mut running = Launcher::Agent
            .launch_on_terminal(shell(), slave)
            .await
            .unwrap();
        write(&pty, b"set /a 6*7\r").await;
        read_until(&pty, "42").await;
        write(&pty, b"exit 3\r").await;
        let status = timeout(Duration::from_secs(20), running.wait()).await;
        assert_eq!(status.expect("it ends").unwrap().code(), Some(3));
    }

    #[tokio::test]
    async fn to_close_a_terminal_ends_what_runs_in_it() {
        let (pty, slave) = Pty::open(TerminalSize { cols: 80, rows: 24 }).unwrap();
        let mut running = Launcher::Agent
            .launch_on_terminal(shell(), slave)
            .await
            .unwrap();
        read_until(&pty, ">").await;
        running.hang_up();
        let status = timeout(Duration::from_secs(20), running.wait()).await;
        assert!(status.expect("it ends").is_ok());
    }
}
