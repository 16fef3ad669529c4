//! One CPU for everything that takes part in a round trip.
//!
//! A wake-up across cores costs more than the work that is measured, so both ends and everything
//! between share a CPU. Processes are pinned after their start: they keep as many threads as they
//! have in real life.

use anyhow::{Context, Result};
use gururmm_tests::process::pid;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// This process is pinned as long as this lives.
pub struct Pinned {
    before: CpuSet,
    cpu: usize,
}

impl Pinned {
    /// Pins the calling thread to the last CPU that it may use; what it starts inherits that.
    pub fn new() -> Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        let cpu = (0..CpuSet::count())
            .rev()
            .find(|cpu| before.is_set(*cpu).unwrap_or(false))
            .context("a thread may run somewhere")?;
        pin(Pid::from_raw(0), cpu)?;
        Ok(Self { before, cpu })
    }

    /// Pins all threads of another process to the same CPU.
    pub fn add(&self, process: u32) -> Result<()> {
        for entry in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let name = entry?.file_name();
            let thread = name
                .to_str()
                .context("a thread's id is a number")?
                .parse()?;
            pin(pid(thread), self.cpu)?;
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed again.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

fn pin(thread: Pid, cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(thread, &only)?;
    Ok(())
}
