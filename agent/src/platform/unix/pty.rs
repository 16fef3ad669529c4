//! A pseudo-terminal as its master side sees it: bytes both ways without blocking, its size, and
//! signals for what is in its foreground.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use gururmm_shared::{SignalName, TerminalSize};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{read, tcgetpgrp, write};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A read that gives less has emptied the terminal for now, as a rule: one more would only find that out.
const SHORT_READ_BYTES: usize = 512;

/// The master side of a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    master: AsyncFd<OwnedFd>,
}

impl Pty {
    /// Opens a pseudo-terminal; the second is the side for the program.
    ///
    /// No other program that is started meanwhile inherits either side: one that held the master would
    /// keep the terminal from being hung up.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(size: TerminalSize) -> io::Result<(Self, OwnedFd)> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let master = posix_openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(ptsname_r(&master)?)?;
        // SAFETY: the descriptor is ours alone, given up by its former owner in the same expression.
        #[allow(unsafe_code)]
        let master = unsafe { OwnedFd::from_raw_fd(master.into_raw_fd()) };
        // SAFETY: the descriptor is owned, and neither closed nor replaced while the reactor knows it.
        #[allow(unsafe_code)]
        let master = unsafe { AsyncFd::register(master) }?;
        let pty = Self { master };
        pty.resize(size)?;
        Ok((pty, slave.into()))
    }

    /// Waits until [`Pty::read`] may find something. Cancel safe.
    ///
    /// # Errors
    /// What the operating system said.
    pub async fn readable(&self) -> io::Result<()> {
        self.master.readable().await.map(drop)
    }

    /// Reads what is there; 0 where nothing is.
    ///
    /// # Errors
    /// What the operating system said: EIO where no program has the terminal open any more and all was
    /// read.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let result = self.master.try_io(Interest::READABLE, |master| {
                read(master, &mut buffer[filled..]).map_err(io::Error::from)
            });
            match result {
                Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    filled += count;
                    if count < SHORT_READ_BYTES {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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
        self.master
            .async_io(Interest::WRITABLE, |master| {
                write(master, bytes).map_err(io::Error::from)
            })
            .await
    }

    /// Sets the size; the foreground hears of it (SIGWINCH).
    ///
    /// # Errors
    /// What the operating system said.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let size = libc::winsize {
            ws_row: size.rows,
            ws_col: size.cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let master = self.master.as_raw_fd();
        // SAFETY: the descriptor is open, and the request reads the structure that it is given.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(master, libc::TIOCSWINSZ, &raw const size) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Signals the process group in the foreground, where there is one.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn signal(&self, signal: SignalName) -> io::Result<()> {
        let group = tcgetpgrp(self.master.get_ref())?;
        // 0 would be the agent's own group, 1 everything.
        if group.as_raw() <= 1 {
            return Ok(());
        }
        let signal = match signal {
            SignalName::Interrupt => Signal::SIGINT,
            SignalName::Hangup => Signal::SIGHUP,
            SignalName::Quit => Signal::SIGQUIT,
            SignalName::Terminate => Signal::SIGTERM,
            SignalName::Kill => Signal::SIGKILL,
        };
        match killpg(group, signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
