//! The machine's processes, as /proc tells them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::wait::eventually;

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A `sleep` that nobody else runs, to be found again in the list of processes.
#[derive(Debug, Clone)]
pub struct Marker(String);

impl Default for Marker {
    fn default() -> Self {
        Self::new()
    }
}

impl Marker {
    /// Makes a new one.
    #[must_use]
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("98765.{}{number:04}", std::process::id()))
    }

    /// The command: `sleep` for more than a day.
    #[must_use]
    pub fn sleep(&self) -> String {
        format!("sleep {}", self.0)
    }

    /// The processes that sleep so: not the shells that hold the text of the command.
    #[must_use]
    pub fn running(&self) -> Vec<u32> {
        running(|arguments| {
            arguments
                .first()
                .is_some_and(|name| name.ends_with("sleep"))
                && arguments.get(1) == Some(&self.0)
        })
    }

    /// Waits until `count` of them run.
    pub async fn wait_running(&self, count: usize, deadline: Duration) {
        let what = format!("{count} processes run `{}`", self.sleep());
        eventually(&what, deadline, || async {
            (self.running().len() == count).then_some(())
        })
        .await;
    }

    /// Waits until none runs any more.
    pub async fn wait_gone(&self, deadline: Duration) {
        self.wait_running(0, deadline).await;
    }
}

impl Drop for Marker {
    /// Ends what a failed test left behind, so that it does not disturb another.
    fn drop(&mut self) {
        for id in self.running() {
            let _ =
                nix::sys::signal::kill(crate::process::pid(id), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// The ids of the processes whose arguments satisfy `matches`.
pub fn running(matches: impl Fn(&[String]) -> bool) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|id| {
            let Ok(line) = std::fs::read(format!("/proc/{id}/cmdline")) else {
                return false;
            };
            let arguments: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|part| String::from_utf8_lossy(part).into_owned())
                .collect();
            matches(&arguments)
        })
        .collect()
}

/// Resident memory of a process in KiB.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .expect("a running process has resident memory")
}
