//! The agent's program as a file: its name, the names beside it, and how it is started again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::rehearsal::fail_point;
use crate::platform;

/// The running program and how it was started.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    config: PathBuf,
    as_service: bool,
}

impl Program {
    /// The running program, which serves with the configuration `config`; `as_service` where the service manager of
    /// Windows has started it.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn running(config: &Path, as_service: bool) -> io::Result<Self> {
        let config = std::path::absolute(config)?;
        let path = std::env::current_exe()?;
        Ok(Self {
            path,
            config,
            as_service,
        })
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration's file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Where a new program is written, beside this one: on the same disk, and where programs may be run.
    #[must_use]
    pub fn new_path(&self) -> PathBuf {
        platform::beside_program(&self.path, "new")
    }

    /// Where the program is kept that a new one has taken the place of.
    #[must_use]
    pub fn previous_path(&self) -> PathBuf {
        platform::beside_program(&self.path, "previous")
    }

    /// Where a program goes that has failed, where it cannot be replaced while it runs.
    fn failed_path(&self) -> PathBuf {
        platform::beside_program(&self.path, "failed")
    }

    /// Whether a restart is the service manager's business.
    #[must_use]
    pub fn is_restarted_by_a_service_manager(&self) -> bool {
        self.as_service
    }

    /// Keeps this program beside itself, so that it can come back.
    ///
    /// # Errors
    /// What the operating system said; nothing has changed then.
    pub fn keep(&self) -> io::Result<()> {
        remove(&self.previous_path())?;
        platform::keep_program(&self.path, &self.previous_path())
    }

    /// Gives the new program this one's name.
    ///
    /// # Errors
    /// What the operating system said; nothing has changed then.
    pub fn put_new(&self) -> io::Result<()> {
        platform::put_program(&self.new_path(), &self.path, &self.previous_path())
    }

    /// Gives the previous program its name back.
    ///
    /// # Errors
    /// What the operating system said; nothing has changed then.
    pub fn put_back(&self) -> io::Result<()> {
        if !self.previous_path().is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Only where it is in the way, and then it says so.
        let _ = remove(&self.failed_path());
        platform::put_program(&self.previous_path(), &self.path, &self.failed_path())?;
        fail_point("put_back");
        Ok(())
    }

    /// Removes what updates have left beside the program.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn clear(&self) -> io::Result<()> {
        for path in [self.new_path(), self.previous_path(), self.failed_path()] {
            remove(&path)?;
        }
        self.clear_entering()
    }

    /// Removes a program that was about to get this one's name when its update was cut off: a system that still means to
    /// give it the name then finds nothing.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn clear_entering(&self) -> io::Result<()> {
        remove(&platform::beside_program(&self.path, platform::ENTERING))
    }

    /// Starts the program that has this name now, in the place of this process and with its arguments. On Linux it does
    /// not return where that can be done.
    ///
    /// # Errors
    /// A text: the process has to end with a failure, so that a service manager starts it again.
    pub fn restart(&self) -> Result<(), String> {
        platform::restart(&self.path, self.as_service)
    }
}

/// Removes a file, where there is one.
///
/// # Errors
/// What the operating system said.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &Path) -> Program {
        Program {
            path: path.to_owned(),
            config: PathBuf::new(),
            as_service: false,
        }
    }

    #[test]
    fn a_program_gives_its_name_to_the_new_one_and_gets_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(&folder.path().join("agent"));
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        fs::write(program.path(), "old").unwrap();
        fs::write(program.new_path(), "new").unwrap();
        // What an earlier update has left is in nobody's way.
        fs::write(program.previous_path(), "older").unwrap();
        program.keep().unwrap();
        assert_eq!(text(program.path()), "old");
        program.put_new().unwrap();
        assert_eq!(text(program.path()), "new");
        assert_eq!(text(&program.previous_path()), "old");
        assert!(!program.new_path().exists());
        program.put_back().unwrap();
        assert_eq!(text(program.path()), "old");
        assert!(!program.previous_path().exists());
        assert!(program.put_back().is_err(), "there is none");
        assert_eq!(text(program.path()), "old");
        program.clear().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
