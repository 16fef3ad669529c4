//! Making a backup.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;

use crate::archive::{Writer, folder_of};
use crate::manifest::FORMAT;
use crate::{BackupError, Database, Manifest, data_files, postgres, sqlite};

/// What is backed up.
pub struct Source<'a> {
    /// The database.
    pub database: &'a Database,
    /// Where the server keeps its secrets.
    pub data_dir: &'a Path,
    /// The version of this program.
    pub program: &'a str,
    /// Whether recordings of terminals come along.
    pub recordings: bool,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Written {
    /// What it says of itself.
    pub manifest: Manifest,
    /// How large it is.
    pub size_bytes: u64,
}

/// Writes a backup to a file that its owner alone reads; it is there whole or not at all. The server may run: the
/// database is copied as it stands in one moment.
///
/// # Errors
/// [`BackupError`]: then there is no new file.
pub async fn write(source: &Source<'_>, target: &Path) -> Result<Written, BackupError> {
    let folder = folder_of(target);
    let staged = tempfile::Builder::new()
        .prefix(".gururmm-backup-")
        .tempdir_in(folder)
        .map_err(|error| BackupError::file(folder, error))?;
    let staged = staged.path();
    let secrets = data_files::secrets(source.data_dir)?;
    for path in &secrets {
        stage(&source.data_dir.join(path), &staged.join("data").join(path))?;
    }
    let (mut manifest, copies) = copy_database(source, staged).await?;
    manifest.signing_key = secrets
        .iter()
        .any(|path| path == Path::new(data_files::SIGNING_KEY));
    let mut writer = Writer::create(target, &manifest)?;
    for path in &secrets {
        let name = Path::new("data").join(path);
        writer.append(&name, &staged.join(&name))?;
    }
    for name in &copies {
        writer.append(name, &staged.join(name))?;
    }
    for path in data_files::large(source.data_dir, source.recordings)? {
        writer.append(&Path::new("data").join(&path), &source.data_dir.join(&path))?;
    }
    let size_bytes = writer.finish()?;
    Ok(Written {
        manifest,
        size_bytes,
    })
}

async fn copy_database(
    source: &Source<'_>,
    staged: &Path,
) -> Result<(Manifest, Vec<PathBuf>), BackupError> {
    let mut manifest = Manifest {
        format: FORMAT,
        program: source.program.to_owned(),
        made_at: Utc::now(),
        database: source.database.kind().to_owned(),
        schema: Vec::new(),
        tables: Vec::new(),
        sequences: std::collections::BTreeMap::new(),
        recordings: source.recordings,
        signing_key: false,
    };
    let copies = match source.database {
        Database::Sqlite(path) => {
            let copy = staged.join(sqlite::COPY);
            sqlite::copy(path, &copy)?;
            (manifest.schema, manifest.tables) = sqlite::describe(&copy)?;
            vec![PathBuf::from(sqlite::COPY)]
        }
        Database::Postgres(url) => {
            postgres::copy_out(url, staged, &mut manifest).await?;
            manifest.tables.iter().map(postgres::copy_of).collect()
        }
    };
    Ok((manifest, copies))
}

/// Copies a file that may be replaced meanwhile; one that is gone is left out.
fn stage(from: &Path, to: &Path) -> Result<(), BackupError> {
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(|error| BackupError::file(folder, error))?;
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::file(from, error)),
    }
}
