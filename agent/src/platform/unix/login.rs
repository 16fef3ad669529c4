//! The agent's user as the machine's list of users has it: home directory and log-in shell.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gururmm_shared::{ErrorCode, OperationError};
use nix::unistd::{User, geteuid};

/// Shells that let nobody in, as users of services have them.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];

/// Where `bash` and `pwsh` are looked for.
const PROGRAM_FOLDERS: [&str; 4] = [
    "/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/opt/microsoft/powershell/7",
];

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

impl Login {
    /// The program that a technician asks for by this word or path; without one, the user's own shell.
    ///
    /// # Errors
    /// It is not there, or not on this platform.
    pub fn program(&self, shell: Option<&str>) -> Result<PathBuf, OperationError> {
        let asked = match shell {
            None => return Ok(self.shell.clone()),
            Some("sh") => return Ok(PathBuf::from("/bin/sh")),
            Some("bash") => return found("bash"),
            Some("powershell") => return found("pwsh"),
            Some("cmd") => {
                return Err(OperationError::new(
                    ErrorCode::Unsupported,
                    "cmd is there on Windows only, take sh or bash",
                ));
            }
            Some(path) => Path::new(path),
        };
        if !asked.is_absolute() {
            let text = "the shell is no absolute path";
            return Err(OperationError::new(ErrorCode::BadName, text));
        }
        if !is_program(asked) {
            return Err(OperationError::new(
                ErrorCode::NotFound,
                format!("{} is no program", asked.display()),
            ));
        }
        Ok(asked.to_owned())
    }

    /// What a log-in would set and the agent, as a service, may not have.
    #[must_use]
    pub fn environment(&self, program: &Path) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let usual = [
            ("HOME", text(&self.home)),
            ("USER", self.name.clone()),
            ("LOGNAME", self.name.clone()),
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            ),
        ];
        let missing = usual
            .into_iter()
            .filter(|(name, _)| std::env::var_os(name).is_none());
        missing
            .chain([("SHELL", text(program))])
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// By what name a shell knows that it is a log-in's: its own with a dash in front of it (login(1)).
    #[must_use]
    pub fn name_of(&self, program: &str) -> Option<String> {
        let name = program.rsplit('/').next().unwrap_or(program);
        Some(format!("-{name}"))
    }
}

fn found(name: &str) -> Result<PathBuf, OperationError> {
    PROGRAM_FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| is_program(path))
        .ok_or_else(|| {
            OperationError::new(
                ErrorCode::NotFound,
                format!("{name} is not installed on this machine, take sh"),
            )
        })
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
