//! A program under a pseudo-terminal, for the baselines: read and written by one thread.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::Result;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use tokio::io::unix::AsyncFd;

/// The program and its terminal; the program is killed when this is dropped.
pub struct Pty {
    master: AsyncFd<std::fs::File>,
    child: Child,
}

impl Pty {
    /// Starts `/bin/sh -c command` under a terminal of its own.
    pub fn start(command: &str) -> Result<Self> {
        let pair = openpty(None, None)?;
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let slave: OwnedFd = pair.slave;
        let mut program = Command::new("/bin/sh");
        program
            .args(["-c", command])
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave));
        // SAFETY: between fork and exec only calls that are safe there (signal-safety(7)).
        #[allow(unsafe_code)]
        unsafe {
            program.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = program.spawn()?;
        // SAFETY: a file owns its descriptor, gives the same one each time, and keeps it open as long as it lives.
        #[allow(unsafe_code)]
        let master = unsafe { AsyncFd::register(std::fs::File::from(pair.master)) }?;
        Ok(Self { child, master })
    }

    /// Reads what there is; nothing once the program has ended.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            match ready.try_io(|master| master.get_ref().read(buffer)) {
                // The other side of the terminal is closed.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => return Ok(0),
                Ok(read) => return Ok(read?),
                Err(_would_block) => {}
            }
        }
    }

    /// Writes everything.
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master.writable().await?;
            if let Ok(written) = ready.try_io(|master| master.get_ref().write(bytes)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
