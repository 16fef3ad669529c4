//! Which program runs a command of which type.

use gururmm_shared::CommandType;

use crate::config::CommandSettings;
use crate::platform;

/// What is said where a Claude task is asked for.
pub const CLAUDE_TASK_REFUSAL: &str = "claude_task is not enabled on this agent";

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program; one without a slash is looked for in the path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Invocation {
    /// How `command` is run as `kind`; none for a Claude task, which has an executor of its own.
    #[must_use]
    pub fn new(kind: &CommandType, command: &str, settings: &CommandSettings) -> Option<Self> {
        let (program, options): (&str, &[&str]) = match kind {
            CommandType::Shell => platform::shell(),
            CommandType::Powershell => (
                &settings.powershell,
                &["-NoProfile", "-NonInteractive", "-Command"],
            ),
            CommandType::Python => (&settings.python, &["-c"]),
            CommandType::Script => (&settings.script_interpreter, &["-c"]),
            CommandType::ClaudeTask { .. } => return None,
        };
        let options = options.iter().map(|option| (*option).to_owned());
        Some(Self {
            program: program.to_owned(),
            arguments: options.chain([command.to_owned()]).collect(),
        })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_run_as_the_reference_says() {
        let settings = CommandSettings::default();
        let line = |kind: CommandType| {
            let invocation = Invocation::new(&kind, "x", &settings).unwrap();
            format!("{} {}", invocation.program, invocation.arguments.join(" "))
        };
        assert_eq!(line(CommandType::Shell), "/bin/sh -c x");
        assert_eq!(line(CommandType::Python), "python3 -c x");
        assert_eq!(line(CommandType::Script), "/bin/sh -c x");
        assert_eq!(
            line(CommandType::Powershell),
            "pwsh -NoProfile -NonInteractive -Command x"
        );
    }
}
