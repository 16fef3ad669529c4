//! What is looked at before a command is started: whether it may run, and as what.

use gururmm_shared::Command;

use super::interpreter::{CLAUDE_TASK_REFUSAL, Invocation};
use super::job::Job;
use super::running::COMMAND_ID;
use crate::config::CommandSettings;
use crate::platform;

/// The program of a command.
///
/// # Errors
/// Why the command is refused.
pub fn prepare(command: &Command, settings: &CommandSettings) -> Result<Job, String> {
    let invocation = Invocation::new(&command.command_type, &command.command, settings)
        .ok_or(CLAUDE_TASK_REFUSAL)?;
    if command.command.trim().is_empty() {
        return Err("the command is empty".to_owned());
    }
    if command.elevated && !platform::is_administrator() {
        return Err("the agent does not run as administrator".to_owned());
    }
    Ok(Job {
        invocation,
        environment: vec![(COMMAND_ID, command.id.to_string())],
        directory: None,
        timeout: settings.timeout(command.timeout_seconds),
    })
}
