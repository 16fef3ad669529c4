//! The heartbeat file in the state directory: that the agent lives, and how it is. `status` reads it, and so may any
//! other program that watches the agent. It is replaced as a whole, so nobody ever reads half of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::link::LinkState;
use crate::platform;

/// Its name.
pub const FILE_NAME: &str = "heartbeat";

/// More than it ever has.
const MOST_BYTES: u64 = 64 * 1024;

/// A file that is older is one of an agent that hangs or is gone.
const STALE: Duration = Duration::from_secs(120);

/// What it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When it was written, by the machine's clock.
    pub time: DateTime<Utc>,
    /// The same as time since the machine's start, which nobody can set.
    pub uptime_seconds: u64,
    /// Which start of the machine that was, where it is known.
    pub boot_id: Option<String>,
    /// The agent's process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The server's address.
    pub server: String,
    /// Whether the agent was stopped, and has not ended otherwise.
    pub stopped: bool,
    /// How the connection is.
    #[serde(flatten)]
    pub link: LinkState,
    /// Samples that wait for the server, with those that it has not confirmed yet.
    pub waiting_samples: usize,
    /// Events that do.
    pub waiting_events: usize,
    /// Both, that were given up since the start because too many waited.
    pub dropped: u64,
    /// Commands that run, or whose results wait for the server; missing where that is not known.
    pub unfinished_commands: Option<usize>,
    /// Why the agent runs with the last good configuration, where it does.
    pub config_problem: Option<String>,
}

/// Whether the agent that wrote it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It is.
    Running,
    /// Its process is there and has not written for long.
    Hanging,
    /// It was stopped.
    Stopped,
    /// It has ended without having been stopped.
    Dead,
}

impl Heartbeat {
    /// Replaces the file in this folder.
    ///
    /// # Errors
    /// What the operating system said; the old file is then still whole.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let temporary = folder.join(format!(".{FILE_NAME}.new"));
        let written = write_new(&temporary, &text)
            .and_then(|()| fs::rename(&temporary, folder.join(FILE_NAME)));
        if written.is_err() {
            // What is left of it is in the way of nobody.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Reads the file of this folder; nothing where no agent ever ran.
    ///
    /// # Errors
    /// A line for the operator.
    pub fn read(folder: &Path) -> Result<Option<Self>, String> {
        let path: PathBuf = folder.join(FILE_NAME);
        let told = |problem: String| format!("{}: {problem}", path.display());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error.to_string())),
        };
        let text = io::read_to_string(io::Read::take(file, MOST_BYTES))
            .map_err(|error| told(error.to_string()))?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| told(format!("is damaged ({error}); the agent writes it anew")))
    }

    /// Whether the agent that wrote it is there.
    #[must_use]
    pub fn life(&self) -> Life {
        let now = System::uptime().unwrap_or_default();
        let same_boot = self.boot_id == platform::boot_id() && now >= self.uptime_seconds;
        if self.stopped {
            return Life::Stopped;
        }
        if !same_boot || !is_alive(self.pid) {
            return Life::Dead;
        }
        if now - self.uptime_seconds > STALE.as_secs() {
            return Life::Hanging;
        }
        Life::Running
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = platform::open_private(&mut options, path)?;
    file.write_all(text)
}

fn is_alive(pid: u32) -> bool {
    let Ok(mut system) = System::new() else {
        return false;
    };
    let pid = Pid::from_u32(pid);
    let kind = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    system.process(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            time: Utc::now(),
            uptime_seconds: System::uptime().unwrap(),
            boot_id: platform::boot_id(),
            pid: std::process::id(),
            version: "1".to_owned(),
            server: "wss://rmm.example.com/ws".to_owned(),
            stopped: false,
            link: LinkState::default(),
            waiting_samples: 1,
            waiting_events: 2,
            dropped: 0,
            unfinished_commands: Some(3),
            config_problem: None,
        }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Heartbeat::read(folder.path()), Ok(None));
        let written = heartbeat();
        written.write(folder.path()).unwrap();
        written.write(folder.path()).unwrap();
        assert_eq!(Heartbeat::read(folder.path()), Ok(Some(written)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        assert!(
            Heartbeat::read(folder.path())
                .unwrap_err()
                .contains("damaged")
        );
        assert!(heartbeat().write(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn who_is_gone_hangs_or_was_stopped_is_told_apart_whatever_the_clock_says() {
        let mut beat = heartbeat();
        beat.time = DateTime::UNIX_EPOCH;
        assert_eq!(beat.life(), Life::Running, "the clock was set");
        let dead = Heartbeat {
            // No process has this number.
            pid: u32::MAX >> 1,
            ..beat.clone()
        };
        assert_eq!(dead.life(), Life::Dead);
        let other_boot = Heartbeat {
            uptime_seconds: beat.uptime_seconds + 1000,
            ..beat.clone()
        };
        assert_eq!(other_boot.life(), Life::Dead);
        let hanging = Heartbeat {
            uptime_seconds: beat.uptime_seconds.saturating_sub(STALE.as_secs() + 1),
            ..beat.clone()
        };
        assert_eq!(hanging.life(), Life::Hanging);
        beat.stopped = true;
        assert_eq!(beat.life(), Life::Stopped);
    }
}
