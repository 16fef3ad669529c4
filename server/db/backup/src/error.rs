//! Why there is no backup, or no way back.

use std::io;
use std::path::Path;

/// One line with the way out.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The database does not do what is asked.
    #[error("the database: {0}")]
    Database(String),
    /// The file is no backup, or not as it was written.
    #[error("the backup is damaged: {0}; take another one")]
    Damaged(String),
    /// It was made for something else.
    #[error("{0}")]
    Unfit(String),
    /// There is something already, or a server runs on it.
    #[error("{0}")]
    Occupied(String),
}

impl BackupError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        Self::File { path, source }
    }
}

impl From<tokio_postgres::Error> for BackupError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(match error.as_db_error() {
            Some(told) => told.message().to_owned(),
            None => error.to_string(),
        })
    }
}

impl From<diesel::result::Error> for BackupError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.to_string())
    }
}
