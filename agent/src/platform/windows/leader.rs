//! The first process of a program by number and start. What a job holds ends with the agent, so there is
//! nothing to be looked for afterwards.

use std::io;
use std::time::Duration;

use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

use super::processes::{open_process, start_of};
use crate::platform::{Leader, Sweep};

impl Leader {
    /// The leader with this number; none if it has ended already.
    #[must_use]
    pub(super) fn of(pid: u32) -> Option<Self> {
        let process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
        Some(Self {
            pid: i32::try_from(pid).ok()?,
            started: start_of(&process).ok()?,
        })
    }

    /// Waits for the end of what this one leads, which its job's end brings; tells that none had to be
    /// killed here.
    #[must_use]
    pub fn end_remains(self, _entry: &str, patience: Duration) -> usize {
        let deadline = std::time::Instant::now() + patience;
        while self.lives() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        0
    }

    fn lives(self) -> bool {
        let alive = || -> io::Result<bool> {
            let pid = u32::try_from(self.pid).map_err(io::Error::other)?;
            let process = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)?;
            Ok(start_of(&process)? == self.started && super::processes::is_running(&process))
        };
        alive().unwrap_or(false)
    }
}

/// Looks for nothing: what was started ends with its job, and a job with the agent.
#[must_use]
pub fn sweep(_entry: &str, _patience: Duration) -> Sweep {
    Sweep { killed: 0, left: 0 }
}
