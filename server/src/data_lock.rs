//! Who uses a data directory: servers share it, a restore has it for itself. The system gives the lock back when the
//! process ends, in whatever way.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::Context as _;

/// A lock that is held.
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// The lock of a server that runs.
    ///
    /// # Errors
    /// A restore is on its way, or the file cannot be used.
    pub fn of_server(data_dir: &Path) -> anyhow::Result<Self> {
        Self::take(data_dir, |file| file.try_lock_shared())?.with_context(|| {
            format!(
                "a backup is being brought back into {}; start the server when that is done",
                data_dir.display()
            )
        })
    }

    /// The lock of a restore.
    ///
    /// # Errors
    /// A server runs there, or the file cannot be used.
    pub fn of_restore(data_dir: &Path) -> anyhow::Result<Self> {
        Self::take(data_dir, |file| file.try_lock())?.with_context(|| {
            format!(
                "a server uses the data directory {}; stop it first",
                data_dir.display()
            )
        })
    }

    fn take(
        data_dir: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join("server.lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(&path);
        let file = opened.with_context(|| format!("cannot use {}", path.display()))?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_share_a_data_directory_and_a_restore_has_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let one = DataLock::of_server(dir.path()).unwrap();
        let two = DataLock::of_server(dir.path()).unwrap();
        drop(one);
        let error = DataLock::of_restore(dir.path()).err().unwrap().to_string();
        assert!(error.contains("stop it first"), "{error}");
        drop(two);
        let restore = DataLock::of_restore(dir.path()).unwrap();
        let error = DataLock::of_server(dir.path()).err().unwrap().to_string();
        assert!(error.contains("brought back"), "{error}");
        drop(restore);
        DataLock::of_server(dir.path()).unwrap();
    }
}
