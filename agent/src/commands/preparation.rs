//! What is looked at before a command is started: whether it may run, and as what.

use std::sync::Arc;
use std::time::Duration;

use gururmm_shared::environment::check_environment;
use gururmm_shared::{Command, CommandType};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::claude_task;
use super::interpreter::{CLAUDE_TASK_REFUSAL, Invocation};
use super::job::Job;
use super::lists::CommandLists;
use super::running::COMMAND_ID;
use crate::config::CommandSettings;
use crate::platform;

/// How long a file system may take to tell where a directory is; others wait behind it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The program of a command.
///
/// # Errors
/// Why the command is refused.
pub async fn prepare(
    command: &Command,
    settings: &Arc<CommandSettings>,
    lists: &CommandLists,
) -> Result<Job, String> {
    lists.check_order(command)?;
    check_rights(command, platform::is_administrator())?;
    check_environment(&command.environment)?;
    let mut job = program(command, settings).await?;
    let parameters = command.environment.clone().into_iter();
    // What the agent itself says comes last, and wins.
    job.environment.splice(0..0, parameters);
    Ok(job)
}

fn check_rights(command: &Command, administrator: bool) -> Result<(), String> {
    if command.elevated && !administrator {
        return Err("the agent does not run as administrator".to_owned());
    }
    Ok(())
}

async fn program(command: &Command, settings: &Arc<CommandSettings>) -> Result<Job, String> {
    if matches!(command.command_type, CommandType::ClaudeTask { .. }) {
        let (command, settings) = (command.clone(), Arc::clone(settings));
        let prepared = spawn_blocking(move || claude_task::prepare(&command, &settings));
        return timeout(PATIENCE, prepared)
            .await
            .map_err(|_| "the file system of commands.claude_task_root does not answer")?
            .map_err(|error| format!("the task cannot be prepared: {error}"))?;
    }
    if command.command.trim().is_empty() {
        return Err("the command is empty".to_owned());
    }
    let invocation = Invocation::new(&command.command_type, &command.command, settings)
        .ok_or(CLAUDE_TASK_REFUSAL)?;
    Ok(Job {
        invocation,
        environment: vec![(COMMAND_ID.to_owned(), command.id.to_string())],
        directory: None,
        timeout: settings.timeout(command.timeout_seconds),
    })
}

#[cfg(test)]
mod tests {
    use gururmm_shared::CommandId;

    use super::*;

    #[test]
    fn an_elevated_command_is_refused_where_the_agent_is_not_root() {
        let mut command = Command {
            id: CommandId::generate(),
            command_type: CommandType::Shell,
            command: "true".to_owned(),
            timeout_seconds: None,
            elevated: true,
            environment: Default::default(),
        };
        let refusal = check_rights(&command, false).unwrap_err();
        assert!(refusal.contains("administrator"), "{refusal}");
        assert_eq!(check_rights(&command, true), Ok(()));
        command.elevated = false;
        assert_eq!(check_rights(&command, false), Ok(()));
    }
}
