//! How a program has ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The exit code that stands for the signal that has ended a program; none where none has.
#[must_use]
pub fn signal_code(status: ExitStatus) -> Option<i32> {
    status.signal().map(|signal| 128 + signal)
}

/// The end of a program of which nothing is known but that it has to be over.
#[must_use]
pub fn unknown_end() -> ExitStatus {
    ExitStatus::from_raw(libc::SIGKILL)
}
