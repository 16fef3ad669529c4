//! The way back.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;

use crate::archive::{folder_of, unpack};
use crate::{BackupError, Database, Manifest, migrations, postgres, sqlite};

/// Where a backup is brought back to.
pub struct Target<'a> {
    /// The database.
    pub database: &'a Database,
    /// Where the server keeps its secrets.
    pub data_dir: &'a Path,
    /// Whether what is there may be put aside (files) or removed (tables of PostgreSQL).
    pub force: bool,
}

/// A backup that was brought back.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where what was there before lies now.
    pub put_aside: Vec<PathBuf>,
}

/// Brings a backup back. Nothing is touched before all of it was read and found whole; the tables of PostgreSQL
/// change in one transaction. No server may run on the target.
///
/// # Errors
/// [`BackupError`]: the backup is damaged, or newer, or for the other database; the target is in use.
pub async fn restore(target: &Target<'_>, file: &Path) -> Result<Restored, BackupError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(target.data_dir)
        .map_err(|error| BackupError::file(target.data_dir, error))?;
    let staged = tempfile::Builder::new()
        .prefix(".gururmm-restore-")
        .tempdir_in(target.data_dir)
        .map_err(|error| BackupError::file(target.data_dir, error))?;
    let folder = staged.path();
    let manifest = unpack(file, |manifest| {
        judge(target, manifest)?;
        Ok(folder.to_owned())
    })?;
    let aside = format!(".before-restore-{}", Utc::now().format("%Y%m%d-%H%M%S"));
    let mut put_aside = Vec::new();
    match target.database {
        Database::Sqlite(path) => {
            let copy = folder.join(sqlite::COPY);
            let (schema, tables) = sqlite::describe(&copy)?;
            if schema != manifest.schema || tables != manifest.tables {
                return Err(BackupError::Damaged(
                    "its database is not the one that its manifest tells of".to_owned(),
                ));
            }
            if !target.force && sqlite::is_in_use(path)? {
                return Err(occupied(&path.display().to_string()));
            }
            put_aside.extend(sqlite::put(&copy, path, &aside)?);
        }
        Database::Postgres(url) => {
            postgres::copy_in(url, folder, &manifest, target.force).await?;
        }
    }
    put_aside.extend(put_files(target.data_dir, &folder.join("data"), &aside)?);
    Ok(Restored {
        manifest,
        put_aside,
    })
}

pub(crate) fn occupied(place: &str) -> BackupError {
    BackupError::Occupied(format!(
        "{place} holds users, clients or agents already; restore into an empty one, or say --force to put them aside"
    ))
}

fn judge(target: &Target<'_>, manifest: &Manifest) -> Result<(), BackupError> {
    let kind = target.database.kind();
    if manifest.database != kind {
        return Err(BackupError::Unfit(format!(
            "the backup is of a {} database, and database.url names {kind}; set it to one of that kind",
            manifest.database
        )));
    }
    migrations::check(manifest)
}

/// Moves the files of a backup into the data directory, and what has their names out of the way.
fn put_files(data_dir: &Path, from: &Path, aside: &str) -> Result<Option<PathBuf>, BackupError> {
    let failed = |path: &Path, error| BackupError::file(path, error);
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(from, error)),
    };
    let old = data_dir.join(aside.trim_start_matches('.'));
    let mut had_some = false;
    for entry in entries {
        let entry = entry.map_err(|error| failed(from, error))?;
        let place = data_dir.join(entry.file_name());
        if fs::symlink_metadata(&place).is_ok() {
            fs::create_dir_all(&old).map_err(|error| failed(&old, error))?;
            fs::rename(&place, old.join(entry.file_name()))
                .map_err(|error| failed(&place, error))?;
            had_some = true;
        }
        fs::rename(entry.path(), &place).map_err(|error| failed(&place, error))?;
    }
    #[cfg(unix)]
    if let Ok(folder) = fs::File::open(folder_of(&old)) {
        folder.sync_all().map_err(|error| failed(data_dir, error))?;
    }
    Ok(had_some.then_some(old))
}
