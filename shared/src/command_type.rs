//! How a command is to be run.

use serde::{Deserialize, Serialize};

/// The interpreter of a command.
///
/// Both wire forms of the original are accepted: a plain string (`"shell"`) and an object
/// (`{"claude_task": {…}}`; `{"shell": null}` too).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommandType {
    /// `cmd.exe` on Windows, `/bin/sh` elsewhere.
    #[default]
    Shell,
    /// `powershell -NoProfile -NonInteractive -Command`.
    #[serde(alias = "power_shell")]
    Powershell,
    /// `python -c`.
    Python,
    /// The interpreter that the agent's configuration names for scripts.
    Script,
    /// The Claude Code CLI, by its own executor.
    ClaudeTask {
        /// What is to be done.
        task: String,
        /// Where; it must lie under the agent's configured root.
        #[serde(default)]
        working_directory: Option<String>,
        /// Files to be read first.
        #[serde(default)]
        context_files: Vec<String>,
    },
}

impl CommandType {
    /// The name as the wire and the database write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Powershell => "powershell",
            Self::Python => "python",
            Self::Script => "script",
            Self::ClaudeTask { .. } => "claude_task",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_string_form_is_understood() {
        let plain: CommandType = serde_json::from_str(r#""powershell""#).unwrap();
        assert_eq!(plain, CommandType::Powershell);
    }

    #[test]
    fn the_object_form_is_understood() {
        let object: CommandType = serde_json::from_str(
            r#"{"claude_task":{"task":"tidy","working_directory":"/srv","context_files":["a"]}}"#,
        )
        .unwrap();
        assert!(matches!(object, CommandType::ClaudeTask { ref task, .. } if task == "tidy"));
        let unit: CommandType = serde_json::from_str(r#"{"shell":null}"#).unwrap();
        assert_eq!(unit, CommandType::Shell);
    }

    #[test]
    fn the_plain_form_is_what_is_sent() {
        assert_eq!(
            serde_json::to_string(&CommandType::Shell).unwrap(),
            r#""shell""#
        );
    }
}
