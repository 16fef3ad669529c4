//! Results that no program wrote: why a command was not started, or what is known of one that nobody
//! saw end.

use gururmm_shared::{CommandId, CommandResult, EndReason};

use super::record::Summary;

/// The exit code where no program has one to tell.
pub const NO_EXIT_CODE: i32 = -1;

/// What stands in the error output of a command that the end of the agent has cut off.
pub const INTERRUPTED: &str = "the agent ended while this command ran";

/// What stands in place of output that is kept no more.
const OUTPUT_GONE: &str = "[the agent has not kept the output of this command]\n";

/// The command was not started, for this reason.
#[must_use]
pub fn refused(id: CommandId, reason: impl Into<String>) -> CommandResult {
    verdict(id, EndReason::Refused, reason)
}

/// The command was cancelled before it was started.
#[must_use]
pub fn cancelled(id: CommandId) -> CommandResult {
    verdict(
        id,
        EndReason::Cancelled,
        "the command was cancelled before it was started",
    )
}

/// The agent ended while the command ran.
#[must_use]
pub fn interrupted(id: CommandId) -> CommandResult {
    verdict(id, EndReason::Interrupted, INTERRUPTED)
}

/// A result of which only the summary is known.
#[must_use]
pub fn without_output(id: CommandId, summary: Summary) -> CommandResult {
    CommandResult {
        id,
        exit_code: summary.exit_code,
        stdout: String::new(),
        stderr: OUTPUT_GONE.to_owned(),
        duration_ms: summary.duration_ms,
        reason: summary.reason,
    }
}

fn verdict(id: CommandId, reason: EndReason, text: impl Into<String>) -> CommandResult {
    CommandResult {
        id,
        exit_code: Some(NO_EXIT_CODE),
        stdout: String::new(),
        stderr: text.into(),
        duration_ms: 0,
        reason: Some(reason),
    }
}
