//! How a connection to the SQLite file is opened: its pragmas, its rights, and the file itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bb8::ManageConnection;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use super::DbError;
use super::pools::{LiteConn, Slot};

/// `foreign_keys` and `query_only` follow by role.
const PRAGMAS: &str = "\
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
    PRAGMA mmap_size = 268435456;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA trusted_schema = OFF;";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Reads only.
    Reader,
    /// The one that writes.
    Writer,
    /// Runs migrations. A table rebuilt with foreign keys on would cascade away its children, and
    /// they cannot be turned off inside a transaction.
    Migration,
}

/// Opens a connection; blocks.
pub(super) fn open(path: &Path, role: Role) -> Result<SqliteConnection, DbError> {
    let text = path
        .to_str()
        .ok_or_else(|| DbError::Constraint("the database's path must be UTF-8".to_owned()))?;
    let by_role = match role {
        Role::Reader => "PRAGMA foreign_keys = ON; PRAGMA query_only = ON;",
        Role::Writer => "PRAGMA foreign_keys = ON;",
        Role::Migration => "PRAGMA foreign_keys = OFF;",
    };
    let unavailable = |error: &dyn std::fmt::Display| DbError::Unavailable(error.to_string());
    let mut conn = SqliteConnection::establish(text).map_err(|error| unavailable(&error))?;
    conn.batch_execute(PRAGMAS)
        .map_err(|error| unavailable(&error))?;
    conn.batch_execute(by_role)
        .map_err(|error| unavailable(&error))?;
    Ok(conn)
}

/// Makes the file and its directory where they are missing, for the owner alone. SQLite gives the
/// files it puts beside it the same rights.
pub(super) fn create_file(path: &Path) -> Result<(), DbError> {
    let make = || -> io::Result<()> {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(directory)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map(drop)
    };
    make().map_err(|error| DbError::Unavailable(error.to_string()))
}

/// Makes connections to one SQLite file.
pub(super) struct LiteManager {
    path: PathBuf,
    role: Role,
}

impl LiteManager {
    pub(super) fn new(path: PathBuf, role: Role) -> Self {
        Self { path, role }
    }
}

impl ManageConnection for LiteManager {
    type Connection = Slot<LiteConn>;
    type Error = DbError;

    async fn connect(&self) -> Result<Self::Connection, DbError> {
        let (path, role) = (self.path.clone(), self.role);
        let conn = tokio::task::spawn_blocking(move || open(&path, role))
            .await
            .map_err(|error| DbError::Other(error.to_string()))??;
        Ok(Slot::new(LiteConn::new(conn)))
    }

    async fn is_valid(&self, slot: &mut Self::Connection) -> Result<(), DbError> {
        if slot.is_broken() {
            return Err(DbError::Unavailable(
                "the connection to the database is broken".to_owned(),
            ));
        }
        Ok(())
    }

    fn has_broken(&self, slot: &mut Self::Connection) -> bool {
        slot.is_broken()
    }
}
