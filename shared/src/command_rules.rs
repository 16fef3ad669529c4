//! Which commands may run: patterns that are allowed and patterns that are denied.
//!
//! A deny list keeps from mistakes, not from malice: a shell finds many spellings of one command.
//! What must not happen needs an allow list; there a glob's `*` stops at what a shell would take as
//! the beginning of another command. That is so in shells only: with an allow list nothing runs in other
//! languages, where a text that looks like an allowed command may do anything.

use regex::{Regex, RegexBuilder};

use crate::{CommandPattern, CommandsConfig};

/// Bytes of one pattern.
pub const PATTERN_BYTES: usize = 512;
/// Bytes that a compiled pattern may take.
const COMPILED_BYTES: usize = 256 * 1024;
/// What begins another command, or another file, in a shell's line.
const OPERATORS: &str = r";&|<>$()`\\\r\n";

/// Whether what a pattern matches is to run or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Allow,
    Deny,
}

impl CommandPattern {
    /// Tells what is wrong with the pattern.
    ///
    /// # Errors
    /// A sentence for the one who wrote it.
    pub fn check(&self) -> Result<(), String> {
        self.compile(Purpose::Allow).map(drop)
    }

    fn compile(&self, purpose: Purpose) -> Result<Regex, String> {
        let text = self.text();
        if text.trim().is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.len() > PATTERN_BYTES {
            return Err(format!("must have at most {PATTERN_BYTES} bytes"));
        }
        let source = match self {
            Self::Glob(glob) => glob_source(glob, purpose),
            Self::Regex(regex) => regex.clone(),
        };
        RegexBuilder::new(&source)
            .size_limit(COMPILED_BYTES)
            .dfa_size_limit(COMPILED_BYTES)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "takes too much memory; write it shorter".to_owned()
                }
                other => format!("is no pattern: {other}"),
            })
    }
}

fn glob_source(glob: &str, purpose: Purpose) -> String {
    let any = match purpose {
        Purpose::Allow => format!("[^{OPERATORS}]"),
        Purpose::Deny => "(?s:.)".to_owned(),
    };
    let mut source = String::from(r"\A");
    for c in glob.chars() {
        match c {
            '*' => source.push_str(&format!("{any}*")),
            '?' => source.push_str(&any),
            other => source.push_str(&regex::escape(&other.to_string())),
        }
    }
    source.push_str(r"\z");
    source
}

/// Why a command may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A pattern denies it.
    #[error("the policy denies this command (pattern {0:?}); ask an administrator")]
    Denied(String),
    /// No pattern allows it.
    #[error("the policy allows only listed commands, and this is none; ask an administrator")]
    NotAllowed,
    /// Some are allowed, and they are a shell's.
    #[error(
        "the policy allows only listed commands of a shell, and {0} is none; ask an administrator"
    )]
    NoShell(String),
}

/// The kinds of commands whose text a shell reads, as [`crate::CommandType::name`] says.
const SHELLS: [&str; 3] = ["shell", "powershell", "script"];

/// The compiled lists.
#[derive(Debug, Clone, Default)]
pub struct CommandRules {
    allow: Option<Vec<Regex>>,
    deny: Vec<(String, Regex)>,
}

impl CommandRules {
    /// Compiles what an agent is told of its policy.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn told(config: &CommandsConfig) -> Result<Self, String> {
        let deny = config.deny.as_deref().unwrap_or_default();
        Self::compile(config.allow.as_deref(), deny)
    }

    /// Compiles the lists; without an allow list all is allowed that is not denied.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn compile(
        allow: Option<&[CommandPattern]>,
        deny: &[CommandPattern],
    ) -> Result<Self, String> {
        let allow = allow
            .map(|patterns| {
                let compiled = patterns.iter().map(|p| p.compile(Purpose::Allow));
                compiled.collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        let deny = deny
            .iter()
            .map(|p| Ok((p.text().to_owned(), p.compile(Purpose::Deny)?)))
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self { allow, deny })
    }

    /// Whether a command of a kind ([`crate::CommandType::name`]) may run. A denial counts for the whole and for
    /// each line of it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, kind: &str, command: &str) -> Result<(), Refusal> {
        let command = command.trim();
        for (text, pattern) in &self.deny {
            let denied = pattern.is_match(command)
                || command.lines().any(|line| pattern.is_match(line.trim()));
            if denied {
                return Err(Refusal::Denied(text.clone()));
            }
        }
        match &self.allow {
            Some(_) if !SHELLS.contains(&kind) => Err(Refusal::NoShell(kind.to_owned())),
            Some(allow) if !allow.iter().any(|pattern| pattern.is_match(command)) => {
                Err(Refusal::NotAllowed)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Vec<CommandPattern> {
        texts
            .iter()
            .map(|t| CommandPattern::Glob((*t).to_owned()))
            .collect()
    }

    fn rules(allow: Option<&[&str]>, deny: &[&str]) -> CommandRules {
        CommandRules::compile(allow.map(globs).as_deref(), &globs(deny)).unwrap()
    }

    #[test]
    fn without_lists_everything_is_allowed() {
        assert_eq!(rules(None, &[]).check("shell", "rm -rf /"), Ok(()));
    }

    #[test]
    fn a_denial_wins_over_an_allowance() {
        let rules = rules(Some(&["systemctl *"]), &["*poweroff*"]);
        assert_eq!(rules.check("shell", "systemctl status nginx"), Ok(()));
        let denied = Err(Refusal::Denied("*poweroff*".to_owned()));
        assert_eq!(rules.check("shell", "systemctl poweroff"), denied);
        assert_eq!(rules.check("shell", "uptime"), Err(Refusal::NotAllowed));
    }

    #[test]
    fn an_empty_allow_list_allows_nothing() {
        assert_eq!(
            rules(Some(&[]), &[]).check("shell", "true"),
            Err(Refusal::NotAllowed)
        );
    }

    #[test]
    fn an_allowed_command_cannot_bring_another_one_along() {
        let rules = rules(Some(&["systemctl status *"]), &[]);
        for command in [
            "systemctl status a; reboot",
            "systemctl status a && reboot",
            "systemctl status a | sh",
            "systemctl status $(reboot)",
            "systemctl status `reboot`",
            "systemctl status a\nreboot",
            "systemctl status a > /etc/passwd",
        ] {
            assert_eq!(
                rules.check("shell", command),
                Err(Refusal::NotAllowed),
                "{command}"
            );
        }
    }

    #[test]
    fn an_allow_list_for_the_shell_allows_nothing_in_python_or_by_claude() {
        let rules = rules(Some(&["systemctl *"]), &[]);
        assert_eq!(rules.check("powershell", "systemctl status"), Ok(()));
        for kind in ["python", "claude_task", "ruby"] {
            let refused = Err(Refusal::NoShell(kind.to_owned()));
            assert_eq!(rules.check(kind, "systemctl = exec"), refused);
        }
        assert_eq!(CommandRules::default().check("python", "print(1)"), Ok(()));
    }

    #[test]
    fn a_denied_line_is_found_in_a_script() {
        let rules = rules(None, &["reboot*"]);
        assert!(rules.check("shell", "echo bye\n  reboot now\n").is_err());
        assert!(rules.check("shell", "echo reboot").is_ok());
    }

    #[test]
    fn a_pattern_that_costs_too_much_or_is_none_is_refused() {
        for regex in ["(", "(a{1000}){1000}", "", " "] {
            assert!(
                CommandPattern::Regex(regex.to_owned()).check().is_err(),
                "{regex}"
            );
        }
        assert!(CommandPattern::Glob("x".repeat(513)).check().is_err());
        assert!(CommandPattern::Glob("a.b[c".to_owned()).check().is_ok());
    }

    #[test]
    fn a_hostile_command_costs_no_more_than_its_length() {
        let rules =
            CommandRules::compile(None, &[CommandPattern::Regex("(a+)+b".to_owned())]).unwrap();
        assert_eq!(rules.check("shell", &"a".repeat(32 * 1024)), Ok(()));
    }
}
