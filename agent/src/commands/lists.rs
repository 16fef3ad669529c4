//! Which commands the server's policy lets run here: what the agent was told, compiled once.

use std::sync::Arc;

use gururmm_shared::command_rules::CommandRules;
use gururmm_shared::{Command, CommandType, CommandsConfig};

/// The lists of a policy; without any all is allowed.
#[derive(Debug, Clone, Default)]
pub struct CommandLists {
    told: Option<CommandsConfig>,
    rules: Option<Arc<CommandRules>>,
}

impl PartialEq for CommandLists {
    fn eq(&self, other: &Self) -> bool {
        self.told == other.told
    }
}

impl Eq for CommandLists {}

impl CommandLists {
    /// Compiles what the server has told.
    #[must_use]
    pub fn of(told: &CommandsConfig) -> Self {
        let rules = CommandRules::told(told);
        if let Err(problem) = &rules {
            tracing::error!(
                problem,
                "the policy's lists of commands cannot be used: none is run"
            );
        }
        Self {
            told: Some(told.clone()),
            rules: rules.ok().map(Arc::new),
        }
    }

    /// Whether a text may run as a kind of command ([`CommandType::name`]).
    ///
    /// # Errors
    /// Why not, for the one who gave it.
    pub fn check(&self, kind: &str, line: &str) -> Result<(), String> {
        match (&self.told, &self.rules) {
            (None, _) => Ok(()),
            (Some(_), Some(rules)) => rules.check(kind, line).map_err(|refusal| refusal.to_string()),
            // What cannot be understood may forbid anything.
            (Some(_), None) => Err(
                "this agent cannot read the policy's lists of commands; update it, or mend the lists"
                    .to_owned(),
            ),
        }
    }

    /// The same for an order; of a Claude task its task counts.
    ///
    /// # Errors
    /// As [`CommandLists::check`].
    pub fn check_order(&self, command: &Command) -> Result<(), String> {
        let kind = &command.command_type;
        match kind {
            CommandType::ClaudeTask { task, .. } => self.check(kind.name(), task),
            _ => self.check(kind.name(), &command.command),
        }
    }
}

#[cfg(test)]
mod tests {
    use gururmm_shared::CommandPattern;

    use super::*;

    #[test]
    fn lists_that_cannot_be_read_let_nothing_run() {
        assert_eq!(CommandLists::default().check("shell", "true"), Ok(()));
        let broken = CommandLists::of(&CommandsConfig {
            deny: Some(vec![CommandPattern::Regex("(".to_owned())]),
            ..CommandsConfig::default()
        });
        assert!(
            broken
                .check("shell", "true")
                .unwrap_err()
                .contains("cannot read")
        );
    }
}
