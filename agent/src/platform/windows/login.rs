//! The agent's user and the programs that a terminal may run.

use std::path::{Path, PathBuf};

use gururmm_shared::{ErrorCode, OperationError};

/// Where PowerShell is, below the system's own folder: that of every Windows, and none that was installed.
const POWERSHELL: &str = r"WindowsPowerShell\v1.0\powershell.exe";

/// Who the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Where a log-in begins.
    pub home: PathBuf,
    /// The shell: the command interpreter, as for who comes by other remote shells.
    pub shell: PathBuf,
}

impl Login {
    /// Looks up the agent's user.
    #[must_use]
    pub fn of_agent() -> Self {
        Self {
            home: home_directory(),
            shell: system_folder().join("cmd.exe"),
        }
    }

    /// The program that a technician asks for by this word or path; without one, the command interpreter.
    ///
    /// # Errors
    /// It is not there, or not on this platform.
    pub fn program(&self, shell: Option<&str>) -> Result<PathBuf, OperationError> {
        let asked = match shell {
            None | Some("cmd") => return Ok(self.shell.clone()),
            Some("powershell") => system_folder().join(POWERSHELL),
            Some(name @ ("sh" | "bash")) => {
                return Err(OperationError::new(
                    ErrorCode::Unsupported,
                    format!("{name} is not a part of Windows, take cmd or powershell"),
                ));
            }
            Some(path) => PathBuf::from(path),
        };
        if !asked.is_absolute() {
            let text = "the shell is no absolute path";
            return Err(OperationError::new(ErrorCode::BadName, text));
        }
        if !is_program(&asked) {
            return Err(OperationError::new(
                ErrorCode::NotFound,
                format!("{} is no program", asked.display()),
            ));
        }
        Ok(asked)
    }

    /// What a log-in would set: nothing that the agent, as a service, does not have.
    #[must_use]
    pub fn environment(&self, _program: &Path) -> Vec<(String, String)> {
        Vec::new()
    }

    /// By what name a shell knows that it is a log-in's: there is none.
    #[must_use]
    pub fn name_of(&self, _program: &str) -> Option<String> {
        None
    }
}

/// Where commands start: the agent's user's own folder, or that of the system.
#[must_use]
pub fn home_directory() -> PathBuf {
    std::env::var_os("USERPROFILE")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute() && home.is_dir())
        .unwrap_or_else(system_folder)
}

/// Whether a path is that of a program.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_absolute()
        && path.is_file()
        && extension.is_some_and(|extension| extension.eq_ignore_ascii_case("exe"))
}

/// The folder of the system's own programs.
pub(super) fn system_folder() -> PathBuf {
    let root = std::env::var_os("SystemRoot").map(PathBuf::from);
    root.filter(|root| root.is_absolute())
        .unwrap_or_else(|| PathBuf::from(r"C:\Windows"))
        .join("System32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_interpreter_is_the_shell_and_starts_at_home() {
        let login = Login::of_agent();
        assert!(login.home.is_dir(), "{:?}", login.home);
        assert!(is_program(&login.program(None).unwrap()));
        assert_eq!(login.program(Some("cmd")), login.program(None));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let login = Login::of_agent();
        let code = |shell| login.program(Some(shell)).unwrap_err().code;
        assert_eq!(code("bash"), ErrorCode::Unsupported);
        assert_eq!(code("cmd.exe"), ErrorCode::BadName);
        assert_eq!(code(r"C:\nowhere.exe"), ErrorCode::NotFound);
        assert_eq!(code(r"C:\Windows"), ErrorCode::NotFound);
    }
}
