//! The processes of the machine as `/proc` shows them, and a signal that cannot hit a wrong one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::platform::KillError;

/// One living process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// Its process group: the number of the group's leader.
    pub group: i32,
    /// Its session: the number of the session's leader.
    pub session: i32,
    /// When it started; with the number it names a process for ever.
    pub started: u64,
}

impl Process {
    /// Reads one process; none if it has ended (a zombie has).
    pub fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads `/proc/PID/stat` (proc(5)): the fields behind the name, which may hold anything.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X" | "x") {
            return None;
        }
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether its environment holds `entry` (`NAME=value`).
    pub fn has_environment(&self, entry: &[u8]) -> bool {
        fs::read(format!("/proc/{}/environ", self.pid))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|one| one == entry))
    }

    /// Signals it; a process that took over its number in the meantime is left alone.
    pub fn signal(&self, signal: Signal) {
        let result = match open_pidfd(self.pid) {
            Ok(pidfd) if Self::read(self.pid).is_some_and(|now| now.started == self.started) => {
                signal_pidfd(&pidfd, signal)
            }
            // Linux before 5.3 has no pidfds.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                kill(Pid::from_raw(self.pid), signal).map_err(io::Error::from)
            }
            Ok(_) | Err(_) => Ok(()),
        };
        if let Err(error) = result
            && error.raw_os_error() != Some(Errno::ESRCH as i32)
        {
            tracing::warn!(process = self.pid, %signal, %error, "a process cannot be signalled");
        }
    }
}

/// Ends a process for good, where `is_it` still holds once nothing can take its number over.
///
/// # Errors
/// [`KillError`].
pub fn kill_process(pid: u32, mut is_it: impl FnMut() -> bool) -> Result<(), KillError> {
    let number = i32::try_from(pid).map_err(|_| KillError::Gone)?;
    let explained = |error: io::Error| match error.raw_os_error() {
        Some(libc::ESRCH | libc::EINVAL) => KillError::Gone,
        _ => KillError::Refused(error),
    };
    // From here on the descriptor names this process, whatever gets its number.
    match open_pidfd(number) {
        Ok(pidfd) if is_it() => signal_pidfd(&pidfd, Signal::SIGKILL).map_err(explained),
        // Linux before 5.3 has no pidfds.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && is_it() => {
            kill(Pid::from_raw(number), Signal::SIGKILL).map_err(|error| explained(error.into()))
        }
        Ok(_) => Err(KillError::Gone),
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Err(KillError::Gone),
        Err(error) => Err(explained(error)),
    }
}

/// What there was to be heard of this process's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// This one has ended, with this status (wait(2)).
    Ended(i32, i32),
    /// There are some, and they live.
    AllAlive,
    /// There are none.
    NoChildren,
}

/// Takes note of the end of one child, whoever it was; does not wait.
pub fn reap() -> Reaped {
    let mut status = 0;
    loop {
        // SAFETY: waitpid(2) writes to `status` and to nothing else of ours. (nix loses the status of
        // a child that a real-time signal has ended.)
        #[allow(unsafe_code)]
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
        match pid {
            1.. => return Reaped::Ended(pid, status),
            0 => return Reaped::AllAlive,
            _ if Errno::last() == Errno::EINTR => {}
            _ => return Reaped::NoChildren,
        }
    }
}

/// All living processes that come from this one, at whatever distance.
pub fn descendants() -> Vec<Process> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let all = all();
    let mut found = HashSet::from([own]);
    loop {
        let before = found.len();
        let children = all.iter().filter(|process| found.contains(&process.parent));
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        found.extend(children);
        if found.len() == before {
            found.remove(&own);
            let known = all.iter().filter(|process| found.contains(&process.pid));
            return known.copied().collect();
        }
    }
}

/// All living processes.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and touches no memory of ours.
    #[allow(unsafe_code)]
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else owns it.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn signal_pidfd(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    // SAFETY: the descriptor is open while it is borrowed; a null siginfo asks for that of kill(2).
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as i32,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = all()
            .into_iter()
            .find(|process| process.pid == own)
            .unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert_eq!(Process::read(own), Some(found));
    }

    #[test]
    fn a_name_with_brackets_and_spaces_confuses_nothing() {
        let rest = "S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0";
        let process = Process::parse(9, &format!("9 (a) R 5 (b) {rest}")).unwrap();
        assert_eq!(
            process,
            Process {
                pid: 9,
                parent: 1,
                group: 2,
                session: 3,
                started: 77
            }
        );
        assert_eq!(
            Process::parse(9, &format!("9 (a) {}", rest.replacen('S', "Z", 1))),
            None
        );
    }
}
