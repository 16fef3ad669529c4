//! SQLite: a copy of the file while others write to it, and the way back.

use std::fs;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};

use crate::archive::folder_of;
use crate::{BackupError, Table};

/// The name of the copy in a backup.
pub(crate) const COPY: &str = "database/gururmm.db";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Opens a file that is there; it is made by nobody here.
fn open(path: &Path) -> Result<SqliteConnection, BackupError> {
    let found = fs::metadata(path);
    found.map_err(|error| BackupError::file(path, error))?;
    let absolute = std::path::absolute(path).map_err(|error| BackupError::file(path, error))?;
    let mut connection = SqliteConnection::establish(&absolute.to_string_lossy())
        .map_err(|error| BackupError::Database(format!("{}: {error}", path.display())))?;
    connection.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

/// Copies a database as it stands in one moment into a new file.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut connection = open(from)?;
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(|error| BackupError::file(folder, error))?;
    sql_query("VACUUM INTO ?")
        .bind::<Text, _>(to.to_string_lossy().into_owned())
        .execute(&mut connection)?;
    Ok(())
}

/// The migrations and the tables of a copy, after a look at every page of it.
pub(crate) fn describe(path: &Path) -> Result<(Vec<String>, Vec<Table>), BackupError> {
    let mut connection = open(path)?;
    let faults: Vec<Name> = sql_query("SELECT integrity_check AS name FROM pragma_integrity_check")
        .load(&mut connection)?;
    if let Some(fault) = faults.iter().find(|fault| fault.name != "ok") {
        return Err(BackupError::Damaged(fault.name.clone()));
    }
    let schema: Vec<Name> =
        sql_query("SELECT version AS name FROM __diesel_schema_migrations ORDER BY version")
            .load(&mut connection)?;
    let names: Vec<Name> = sql_query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name <> '__diesel_schema_migrations' ORDER BY name",
    )
    .load(&mut connection)?;
    let mut tables = Vec::new();
    for Name { name } in names {
        let rows = count(&mut connection, &name)?;
        tables.push(Table {
            name,
            rows,
            columns: Vec::new(),
        });
    }
    let schema = schema.into_iter().map(|one| one.name).collect();
    Ok((schema, tables))
}

fn count(connection: &mut SqliteConnection, table: &str) -> Result<i64, BackupError> {
    let name = table.replace('"', "\"\"");
    let counted: Count =
        sql_query(format!("SELECT count(*) AS count FROM \"{name}\"")).get_result(connection)?;
    Ok(counted.count)
}

/// Whether people, places or machines are known to a database; what a server writes down at its first start is
/// nothing that could be lost.
pub(crate) fn is_in_use(path: &Path) -> Result<bool, BackupError> {
    if !path.exists() || fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Ok(false);
    }
    let mut connection = open(path)?;
    let names: Vec<Name> = sql_query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('users', 'clients', 'agents')",
    )
    .load(&mut connection)?;
    for Name { name } in names {
        if count(&mut connection, &name)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts a copy into its place; what was there goes to names with this ending, and stays a database.
pub(crate) fn put(from: &Path, to: &Path, aside: &str) -> Result<Option<PathBuf>, BackupError> {
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(|error| BackupError::file(folder, error))?;
    let with = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let old = with(to, aside);
    let mut had_one = false;
    for ending in ["-wal", "-shm", ""] {
        let (is, becomes) = (with(to, ending), with(&old, ending));
        match fs::rename(&is, &becomes) {
            Ok(()) => had_one = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(BackupError::file(&is, error)),
        }
    }
    place(from, to)?;
    Ok(had_one.then_some(old))
}

/// Moves a file; over the border of two disks by a copy beside its place.
fn place(from: &Path, to: &Path) -> Result<(), BackupError> {
    if fs::rename(from, to).is_err() {
        let beside = to.with_extension("restoring");
        let copied = || -> std::io::Result<()> {
            fs::copy(from, &beside)?;
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, to)
        };
        copied().map_err(|error| BackupError::file(to, error))?;
    }
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(folder_of(to)) {
        folder
            .sync_all()
            .map_err(|error| BackupError::file(to, error))?;
    }
    Ok(())
}
