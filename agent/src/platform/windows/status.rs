//! How a program has ended.

use std::os::windows::process::ExitStatusExt;
use std::process::ExitStatus;

/// What a program that was ended by force leaves as its exit code.
pub(super) const ENDED_BY_FORCE: u32 = 1;

/// There are no signals here.
#[must_use]
pub fn signal_code(_status: ExitStatus) -> Option<i32> {
    None
}

/// The end of a program of which nothing is known but that it has to be over.
#[must_use]
pub fn unknown_end() -> ExitStatus {
    ExitStatus::from_raw(ENDED_BY_FORCE)
}
