//! The guard of a session, or of the commands outside of sessions. It is no process of its own here: a job
//! object does what one does elsewhere. The agent holds the only handle of each job, so however the
//! agent ends, the system ends what is in its jobs.
//!
//! A session has a job around those of its programs, which takes all of them with it; the commands outside
//! have one each, and what a command that has ended left running stays.

use std::io;
use std::os::windows::io::BorrowedHandle;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::job::Job;
use crate::platform::Remains;

/// Between two looks whether all of a job has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// The agent's end of a guard; dropping it, with its starters, ends what is left.
#[derive(Debug)]
pub struct Guard {
    starter: Starter,
}

impl Guard {
    /// Makes a guard; `_program` is what other platforms start one from.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn start(_program: &Path, remains: Remains) -> io::Result<Self> {
        let around = match remains {
            Remains::End => Some(Arc::new(Job::new()?)),
            Remains::Stay => None,
        };
        Ok(Self {
            starter: Starter { around },
        })
    }

    /// What starts programs under this guard.
    #[must_use]
    pub fn starter(&self) -> Starter {
        self.starter.clone()
    }

    /// Whether the guard is gone: it cannot be.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        false
    }

    /// Has everything ended that is to be ended, and waits for it at most `patience`: how many processes
    /// that were. None: they are not gone yet.
    pub async fn end(self, patience: Duration) -> Option<usize> {
        let Some(job) = &self.starter.around else {
            // Each program's job ends with who runs it.
            return Some(0);
        };
        let killed = job.count().unwrap_or(0);
        let deadline = Instant::now() + patience;
        loop {
            job.end();
            match job.count() {
                Ok(0) => return Some(killed),
                _ if Instant::now() >= deadline => return None,
                _ => sleep(PAUSE).await,
            }
        }
    }
}

/// Starts programs under a guard.
#[derive(Debug, Clone)]
pub struct Starter {
    around: Option<Arc<Job>>,
}

impl Starter {
    /// Takes a program that has not begun to run yet.
    ///
    /// # Errors
    /// What the operating system said.
    pub(super) fn take(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        match &self.around {
            Some(job) => job.take(process),
            None => Ok(()),
        }
    }
}

/// Says that there is no such process here.
///
/// # Errors
/// Always.
pub fn guard_main(_remains: Remains) -> Result<(), String> {
    Err("there is no guard process on Windows".to_owned())
}
