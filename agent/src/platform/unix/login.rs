//! The agent's user as the machine's list of users has it: home directory and log-in shell.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

/// Shells that let nobody in, as users of services have them.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];

/// Who the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub name: String,
    /// Where a log-in begins.
    pub home: PathBuf,
    /// The shell; `/bin/sh` where the user has none that can be used.
    pub shell: PathBuf,
}

impl Login {
    /// Looks up the agent's user. May ask the network: blocks its thread.
    #[must_use]
    pub fn of_agent() -> Self {
        let uid = geteuid();
        let user = User::from_uid(uid).ok().flatten();
        let (name, home, shell) = match user {
            Some(user) => (user.name, user.dir, user.shell),
            None => (uid.to_string(), PathBuf::new(), PathBuf::new()),
        };
        Self {
            name,
            home: Some(home)
                .filter(|home| home.is_absolute() && home.is_dir())
                .unwrap_or_else(super::home_directory),
            shell: Some(shell)
                .filter(|shell| lets_in(shell) && is_program(shell))
                .unwrap_or_else(|| PathBuf::from("/bin/sh")),
        }
    }
}

/// Whether a path is that of a file that may be executed by somebody.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn lets_in(shell: &Path) -> bool {
    shell
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !NO_SHELLS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_user_has_a_home_and_a_shell_that_can_be_used() {
        let login = Login::of_agent();
        assert!(login.home.is_dir());
        assert!(is_program(&login.shell), "{:?}", login.shell);
    }

    #[test]
    fn a_shell_that_lets_nobody_in_is_none() {
        assert!(!lets_in(Path::new("/usr/sbin/nologin")));
        assert!(!lets_in(Path::new("/bin/false")));
        assert!(!lets_in(Path::new("")));
        assert!(lets_in(Path::new("/bin/bash")));
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("sh")));
    }
}
