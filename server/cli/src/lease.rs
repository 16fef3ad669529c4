//! Who on this machine uses a session: the last one closes it, if the tool has opened it.
//!
//! Each user holds a shared lock on a file named after the session. A lock ends with its process, however that
//! ends, so a session whose opener was killed is closed by the next one that uses it.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use gururmm_shared::SessionId;

use crate::credentials::private_folder;
use crate::platform;

/// What the file of a session says that the tool has opened.
const OPENED: &[u8] = b"opened";

/// A use of a session.
#[derive(Debug)]
pub(crate) struct Lease {
    file: File,
    path: PathBuf,
}

impl Lease {
    /// Uses a session; `opened` says that it was just opened for this.
    pub fn take(folder: &Path, session: SessionId, opened: bool) -> std::io::Result<Self> {
        let folder = folder.join("sessions");
        private_folder(&folder)?;
        let path = folder.join(session.to_string());
        let mut file = platform::private()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        file.lock_shared()?;
        if opened {
            file.write_all(OPENED)?;
        }
        Ok(Self { file, path })
    }

    /// Ends the use; tells whether the session is to be closed.
    pub fn end(mut self) -> bool {
        // Nothing is lost by a lock that fails: the session ends when it is idle.
        if self.file.unlock().is_err() {
            return false;
        }
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
        }
        let _ = std::fs::remove_file(&self.path);
        let mut said = Vec::new();
        let read =
            std::io::Seek::rewind(&mut self.file).and_then(|()| self.file.read_to_end(&mut said));
        read.is_ok() && said.starts_with(OPENED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_closes_what_the_tool_has_opened() {
        let folder = tempfile::tempdir().unwrap();
        let session = SessionId::generate();
        let opener = Lease::take(folder.path(), session, true).unwrap();
        let other = Lease::take(folder.path(), session, false).unwrap();
        assert!(!opener.end());
        assert!(other.end());
    }

    #[test]
    fn what_somebody_else_has_opened_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Lease::take(folder.path(), SessionId::generate(), false).unwrap();
        assert!(!lease.end());
    }
}
