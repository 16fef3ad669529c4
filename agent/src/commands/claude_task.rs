//! Claude tasks: what is asked of the Claude Code CLI, where it may work, and how often. It is run
//! without a shell, and nothing of the task can be taken for an option of it.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gururmm_shared::{Command, CommandId, CommandResult, CommandType, EndReason};
use tokio::time::Instant;

use super::interpreter::{CLAUDE_TASK_REFUSAL, Invocation};
use super::job::Job;
use super::running::COMMAND_ID;
use super::verdict::NO_EXIT_CODE;
use crate::config::CommandSettings;

/// Tasks that may begin within [`WINDOW`].
const AN_HOUR: usize = 10;

/// The sliding window of that limit.
const WINDOW: Duration = Duration::from_secs(3600);

/// Tasks that may run at once.
const AT_ONCE: usize = 2;

/// How long a task may run that does not say so itself, and how long any.
const TIMEOUT_SECONDS: (u64, u64) = (300, 600);

/// What a task's text may not hold: it would mean something to a shell.
const FORBIDDEN: [char; 11] = ['&', '|', ';', '$', '(', ')', '<', '>', '\\', '\n', '\r'];

/// Files that a task may name to be read first.
const CONTEXT_FILES: usize = 32;

/// How often tasks are run.
#[derive(Debug, Default)]
pub struct Allowance {
    begun: VecDeque<Instant>,
    running: HashSet<CommandId>,
}

impl Allowance {
    /// Takes a place for a task that begins at `now`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn begin(&mut self, id: CommandId, now: Instant) -> Result<(), String> {
        while self
            .begun
            .front()
            .is_some_and(|begun| now.duration_since(*begun) >= WINDOW)
        {
            self.begun.pop_front();
        }
        if self.running.len() >= AT_ONCE {
            return Err(format!(
                "{AT_ONCE} Claude tasks are running already: send it again when one has ended"
            ));
        }
        if self.begun.len() >= AN_HOUR {
            return Err(format!(
                "{AN_HOUR} Claude tasks have begun within an hour: send it again later"
            ));
        }
        self.begun.push_back(now);
        self.running.insert(id);
        Ok(())
    }

    /// Gives the place back of what was a task.
    pub fn end(&mut self, id: CommandId) {
        self.running.remove(&id);
    }
}

/// The program of a task. Looks at the file system, and so may block its thread.
///
/// # Errors
/// Why the task is refused.
pub fn prepare(command: &Command, settings: &CommandSettings) -> Result<Job, String> {
    let CommandType::ClaudeTask {
        task,
        working_directory,
        context_files,
    } = &command.command_type
    else {
        return Err("it is no Claude task".to_owned());
    };
    let Some(root) = &settings.claude_task_root else {
        return Err(CLAUDE_TASK_REFUSAL.to_owned());
    };
    check_text(task)?;
    let root = root.canonicalize().map_err(|error| {
        format!(
            "commands.claude_task_root {} cannot be used: {error}",
            root.display()
        )
    })?;
    let directory = match working_directory {
        Some(wanted) => inside(&root, &root, wanted)?,
        None => root.clone(),
    };
    if !directory.is_dir() {
        return Err(format!("{} is no directory", directory.display()));
    }
    if context_files.len() > CONTEXT_FILES {
        return Err(format!(
            "a task may name at most {CONTEXT_FILES} context files"
        ));
    }
    let files: Vec<PathBuf> = context_files
        .iter()
        .map(|file| inside(&root, &directory, file))
        .collect::<Result<_, _>>()?;
    let (default, longest) = TIMEOUT_SECONDS;
    let seconds = command.timeout_seconds.unwrap_or(default).clamp(1, longest);
    Ok(Job {
        invocation: Invocation {
            program: settings.claude_task_program.clone(),
            arguments: vec!["--print".to_owned(), prompt(task, &files)],
        },
        environment: vec![(COMMAND_ID.to_owned(), command.id.to_string())],
        directory: Some(directory),
        timeout: Duration::from_secs(seconds),
    })
}

/// The result as the contract has it: 0 done, 1 failed, 124 timed out, -1 for all else.
#[must_use]
pub fn translate(mut result: CommandResult) -> CommandResult {
    let code = match (result.reason, result.exit_code) {
        (Some(EndReason::TimedOut), _) => 124,
        (Some(EndReason::Cancelled | EndReason::Interrupted | EndReason::Refused), _) => {
            NO_EXIT_CODE
        }
        (_, Some(0)) => 0,
        (Some(EndReason::Signalled) | None, _) => 1,
    };
    result.exit_code = Some(code);
    result
}

fn check_text(task: &str) -> Result<(), String> {
    if task.trim().is_empty() {
        return Err("the task is empty".to_owned());
    }
    if task.trim_start().starts_with('-') {
        return Err("the task begins with a dash, which would make it an option".to_owned());
    }
    match task.chars().find(|one| FORBIDDEN.contains(one)) {
        Some(one) => Err(format!("the task holds {one:?}: say it without")),
        None => Ok(()),
    }
}

/// `path`, seen from `from`, with every link followed; it must exist and lie under `root`.
fn inside(root: &Path, from: &Path, path: &str) -> Result<PathBuf, String> {
    let found = from
        .join(path)
        .canonicalize()
        .map_err(|error| format!("{path:?} cannot be used: {error}"))?;
    if !found.starts_with(root) {
        return Err(format!(
            "{path:?} is outside of commands.claude_task_root, {}",
            root.display()
        ));
    }
    Ok(found)
}

fn prompt(task: &str, files: &[PathBuf]) -> String {
    if files.is_empty() {
        return task.to_owned();
    }
    let files: Vec<String> = files
        .iter()
        .map(|file| format!("- {}", file.display()))
        .collect();
    format!("{task}\n\nRead these files first:\n{}", files.join("\n"))
}

#[cfg(test)]
#[cfg(unix)]
#[path = "claude_task_tests.rs"]
mod tests;
