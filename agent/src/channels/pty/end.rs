//! How a terminal ends: by itself, or told to and then by force.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use gururmm_shared::{Closed, EndReason, ErrorCode, OperationError};
use tokio::time::Instant;

use crate::platform::{self, Running};

/// Between the hang-up and the end by force.
const GRACE: Duration = Duration::from_secs(1);

/// After the end by force the terminal is given up, whatever its program does.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// Output that comes after the end of a program that was told to end is waited for so long.
const LAST_OUTPUT: Duration = Duration::from_millis(100);

/// What is known of a terminal's end.
#[derive(Debug, Default)]
pub struct End {
    /// How its program ended, once it has.
    pub status: Option<ExitStatus>,
    /// Why it was told to end, if it was.
    pub told: Option<OperationError>,
    /// When it is ended by force.
    pub killed_at: Option<Instant>,
    /// When it is not waited for any longer.
    pub given_up_at: Option<Instant>,
    /// Whether nothing is left to be done to its program.
    pub finished: bool,
}

impl End {
    /// Tells the program to end, and remembers why; only the first reason counts.
    pub fn tell(&mut self, running: &Running, why: OperationError) {
        if self.told.is_some() {
            return;
        }
        self.told = Some(why);
        let now = Instant::now();
        if self.status.is_some() {
            self.given_up_at = Some(now + LAST_OUTPUT);
            return;
        }
        running.hang_up();
        self.killed_at = Some(now + GRACE);
        self.given_up_at = Some(now + GRACE + LAST_GRACE);
    }

    /// Takes note of the program's end.
    pub fn note_status(&mut self, status: io::Result<ExitStatus>) {
        self.killed_at = None;
        self.status = Some(status.unwrap_or_else(|error| {
            tracing::error!(%error, "the end of a terminal's program cannot be waited for");
            platform::unknown_end()
        }));
        if self.told.is_some() {
            self.given_up_at = Some(Instant::now() + LAST_OUTPUT);
        }
    }

    /// What the server is told.
    pub fn closed(&self) -> Closed {
        let by_signal = self.status.and_then(platform::signal_code);
        let code = self.status.and_then(|status| status.code()).or(by_signal);
        let reason = match (&self.told, by_signal) {
            (Some(_), _) => Some(EndReason::Cancelled),
            (None, Some(_)) => Some(EndReason::Signalled),
            (None, None) => None,
        };
        Closed {
            exit_code: code,
            reason,
            error: self
                .told
                .clone()
                .filter(|error| error.code != ErrorCode::Cancelled),
            ..Closed::default()
        }
    }
}
