//! Commands outside tunnels: what may be asked for, and the rows of an order that is accepted.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chrono::{DateTime, Duration, Utc};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use gururmm_shared::{AgentId, AuditId, CommandId, CommandType, JobId, UserId};
use serde_json::{Value, json};

use super::audit::{self, Caller, now};
use crate::config::{CommandSettings, LimitSettings};
use crate::db::commands::NewCommand;
use crate::db::tunnel_audit::NewAudit;
use crate::error::AppError;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How it is to be run.
    pub command_type: CommandType,
    /// The command line.
    pub command: String,
    /// How long it may run.
    pub timeout_seconds: Option<u64>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// How long it may wait for its agent.
    pub expires_in_seconds: Option<u64>,
    /// The script that it is made of.
    pub script: Option<Used>,
}

/// A script as it is run.
#[derive(Debug, Clone)]
pub struct Used {
    /// Which, and in which version.
    pub script: Value,
    /// What it is given.
    pub arguments: BTreeMap<String, String>,
}

/// What is accepted, for any number of agents.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The name of its type.
    pub command_type: String,
    /// The command line; of a Claude task the task.
    pub command: String,
    /// The type as the wire writes it, where its name does not say everything.
    pub parameters: Option<Value>,
    /// How long it may run.
    pub timeout_seconds: i32,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// How long it may wait for its agent.
    pub expires_in: Duration,
    /// The script that it is made of.
    pub script: Option<Value>,
    /// What the script is given; none where that is nothing.
    pub arguments: Option<Value>,
    /// What it is run for, for the audit: a schedule and who owns it.
    pub on_behalf: Option<String>,
}

/// The longest script with its parameters, as JSON: an agent takes messages of 256 KiB.
const MESSAGE_BYTES: usize = 224 * 1024;
/// The longest task of a Claude task.
const TASK_BYTES: usize = 16 * 1024;

/// Refuses a command line that no agent can run.
///
/// # Errors
/// 400 that names the field.
pub fn check_line(
    limits: &LimitSettings,
    command_type: &CommandType,
    command: &str,
) -> Result<(), AppError> {
    let invalid = |detail: String| Err(AppError::invalid_field("command", detail));
    if let CommandType::ClaudeTask { task, .. } = command_type {
        if task.trim().is_empty() || task.len() > TASK_BYTES {
            let detail = format!("a task has 1 to {TASK_BYTES} bytes");
            return Err(AppError::invalid_field("command_type", detail));
        }
    } else if command.trim().is_empty() {
        return invalid("command must not be empty".to_owned());
    }
    let most = limits.command_bytes as usize;
    if command.len() > most {
        return invalid(format!(
            "command must have at most {most} bytes; send a script as a file"
        ));
    }
    if command.contains('\0') {
        return invalid("command must not hold NUL".to_owned());
    }
    Ok(())
}

impl Wanted {
    /// Checks it against the limits.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn accept(
        self,
        settings: &CommandSettings,
        limits: &LimitSettings,
    ) -> Result<Accepted, AppError> {
        check_line(limits, &self.command_type, &self.command)?;
        let timeout = within(
            "timeout_seconds",
            self.timeout_seconds,
            settings.timeout_seconds,
            settings.max_timeout_seconds,
        )?;
        let expiry = within(
            "expires_in_seconds",
            self.expires_in_seconds,
            settings.expiry_seconds,
            settings.max_expiry_seconds,
        )?;
        let name = self.command_type.name().to_owned();
        let (command, parameters) = match &self.command_type {
            CommandType::ClaudeTask { task, .. } => {
                let parameters = serde_json::to_value(&self.command_type)
                    .map_err(|error| AppError::internal(&error))?;
                (task.clone(), Some(parameters))
            }
            _ => (self.command, None),
        };
        if parameters
            .as_ref()
            .is_some_and(|parameters| parameters.to_string().contains("\\u0000"))
        {
            return Err(AppError::invalid_field(
                "command_type",
                "command_type must not hold NUL",
            ));
        }
        let (script, arguments) = match self.script {
            None => (None, None),
            Some(used) => (
                Some(used.script),
                (!used.arguments.is_empty()).then(|| json!(used.arguments)),
            ),
        };
        if let Some(arguments) = &arguments {
            let encoded = json!(command).to_string().len() + arguments.to_string().len();
            if encoded > MESSAGE_BYTES {
                let detail = "the script and its parameters are too long together";
                return Err(AppError::invalid_field("parameters", detail));
            }
        }
        Ok(Accepted {
            command_type: name,
            command,
            parameters,
            timeout_seconds: timeout,
            elevated: self.elevated,
            expires_in: Duration::seconds(expiry.into()),
            script,
            arguments,
            on_behalf: None,
        })
    }
}

fn within(field: &str, wanted: Option<u64>, usual: u32, most: u32) -> Result<i32, AppError> {
    let value = wanted.unwrap_or(usual.min(most).into());
    if !(1..=u64::from(most)).contains(&value) {
        return Err(AppError::invalid_field(
            field,
            format!("{field} is 1 to {most}"),
        ));
    }
    i32::try_from(value)
        .map_err(|_| AppError::invalid_field(field, format!("{field} is 1 to {most}")))
}

impl Accepted {
    /// The rows of this command for one agent, and its id.
    #[must_use]
    pub fn rows(
        &self,
        caller: &Caller,
        agent: (AgentId, &str),
        job_id: Option<JobId>,
    ) -> (NewCommand, NewAudit) {
        let created_at = now();
        let command = NewCommand {
            id: CommandId::generate(),
            agent_id: agent.0,
            created_by: caller.user_id,
            key_id: caller.key_id,
            command_type: self.command_type.clone(),
            command: self.command.clone(),
            parameters: self.parameters.clone(),
            timeout_seconds: self.timeout_seconds,
            elevated: self.elevated,
            created_at,
            expires_at: self.expires_at(created_at),
            job_id,
            script: self.script.clone(),
            arguments: self.arguments.clone(),
        };
        let audit = NewAudit {
            id: AuditId::generate(),
            command_id: Some(command.id),
            detail: audit::detail(&self.described()),
            ..audit::row("command", caller, Some(agent))
        };
        (command, audit)
    }

    fn expires_at(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        from + self.expires_in
    }

    /// As the audit writes it: for what it is run, as which script with what, how where that is not the
    /// shell, and the line.
    #[must_use]
    pub fn described(&self) -> String {
        let mut text = String::new();
        if let Some(on_behalf) = &self.on_behalf {
            text.push_str(&format!("[{on_behalf}] "));
        }
        if let Some(script) = &self.script {
            let name = script["name"].as_str().unwrap_or_default();
            text.push_str(&format!("[script {name:?}"));
            if let Some(arguments) = &self.arguments {
                text.push_str(&format!(" {arguments}"));
            }
            text.push_str("] ");
        }
        if self.elevated {
            text.push_str("[elevated] ");
        }
        if self.command_type != CommandType::Shell.name() {
            text.push_str(&format!("[{}] ", self.command_type));
        }
        text.push_str(&self.command);
        text
    }
}

/// Users remembered at most before those that rest are dropped.
const REMEMBERED: usize = 10_000;

/// How many commands users give.
pub struct CommandRates {
    users: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
    per_minute: u32,
}

impl CommandRates {
    /// A limit as commands a minute, also the burst.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            users: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            per_minute,
        }
    }

    /// Counts a command, or a job as one.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub fn take(&self, user_id: UserId) -> Result<(), AppError> {
        if self.users.len() > REMEMBERED {
            self.users.retain_recent();
        }
        self.users.check_key(&user_id).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now()).as_secs() + 1;
            let most = self.per_minute;
            AppError::too_many(
                "too_many_commands",
                format!("you may give {most} commands a minute; a job reaches many agents at once"),
                Some(wait),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn wanted(command: &str) -> Wanted {
        Wanted {
            command_type: CommandType::Shell,
            command: command.to_owned(),
            timeout_seconds: None,
            elevated: false,
            expires_in_seconds: None,
            script: None,
        }
    }

    fn accept(wanted: Wanted) -> Result<Accepted, Option<String>> {
        let settings = Settings::default();
        wanted
            .accept(&settings.commands, &settings.limits)
            .map_err(|error| error.field)
    }

    #[test]
    fn what_no_agent_can_run_is_refused_with_its_field() {
        let command = Err(Some("command".to_owned()));
        assert_eq!(accept(wanted(" ")).map(|_| ()), command);
        assert_eq!(accept(wanted("a\0b")).map(|_| ()), command);
        assert_eq!(
            accept(wanted(&"x".repeat(32 * 1024 + 1))).map(|_| ()),
            command
        );
        let mut late = wanted("true");
        late.timeout_seconds = Some(0);
        assert_eq!(
            accept(late).map(|_| ()),
            Err(Some("timeout_seconds".to_owned()))
        );
        let mut forever = wanted("true");
        forever.expires_in_seconds = Some(u64::MAX);
        assert_eq!(
            accept(forever).map(|_| ()),
            Err(Some("expires_in_seconds".to_owned()))
        );
        assert_eq!(accept(wanted("true")).unwrap().timeout_seconds, 300);
    }

    #[test]
    fn a_claude_task_keeps_its_whole_type_and_shows_its_task() {
        let mut claude = wanted("");
        claude.command_type = CommandType::ClaudeTask {
            task: "tidy".to_owned(),
            working_directory: Some("/srv".to_owned()),
            context_files: Vec::new(),
        };
        let accepted = accept(claude).unwrap();
        assert_eq!(accepted.described(), "[claude_task] tidy");
        let kept: CommandType = serde_json::from_value(accepted.parameters.unwrap()).unwrap();
        assert!(matches!(kept, CommandType::ClaudeTask { ref task, .. } if task == "tidy"));
    }
}
