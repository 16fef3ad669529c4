//! The migrations that this program knows, as texts: a backup of an older one is brought back with the schema it
//! had, and the server migrates it as it would have done with the database itself.

use rust_embed::RustEmbed;

use crate::BackupError;
use crate::manifest::Manifest;

#[derive(RustEmbed)]
#[folder = "../../../migrations/sqlite"]
struct Sqlite;

#[derive(RustEmbed)]
#[folder = "../../../migrations/postgres"]
struct Postgres;

/// One migration of PostgreSQL.
pub(crate) struct Migration {
    pub version: String,
    pub up: String,
    pub down: String,
}

/// The version that diesel makes of a folder's name.
fn version(path: &str) -> Option<String> {
    let folder = path.split('/').next()?;
    let (version, _) = folder.split_once('_')?;
    Some(version.replace('-', ""))
}

/// All of PostgreSQL's, oldest first.
pub(crate) fn postgres() -> Vec<Migration> {
    let text = |path: &str| {
        let file = Postgres::get(path).map(|file| file.data.into_owned());
        String::from_utf8(file.unwrap_or_default()).unwrap_or_default()
    };
    let mut paths: Vec<String> = Postgres::iter()
        .filter(|path| path.ends_with("/up.sql"))
        .map(|path| path.to_string())
        .collect();
    paths.sort();
    let one = |path: &String| {
        Some(Migration {
            version: version(path)?,
            up: text(path),
            down: text(&path.replace("/up.sql", "/down.sql")),
        })
    };
    paths.iter().filter_map(one).collect()
}

fn known(database: &str) -> Vec<String> {
    if database == "postgres" {
        return postgres().into_iter().map(|one| one.version).collect();
    }
    let paths = Sqlite::iter();
    let ups = paths.filter(|path| path.ends_with("/up.sql"));
    ups.filter_map(|path| version(&path)).collect()
}

/// Refuses a backup of a newer program.
pub(crate) fn check(manifest: &Manifest) -> Result<(), BackupError> {
    let known = known(&manifest.database);
    if let Some(newer) = manifest.schema.iter().find(|one| !known.contains(one)) {
        return Err(BackupError::Unfit(format!(
            "the backup was made by a newer version of this program ({}, migration {newer}); bring it back with that version",
            manifest.program
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations_in_their_order() {
        let postgres = known("postgres");
        let mut sqlite = known("sqlite");
        sqlite.sort();
        assert!(postgres.len() >= 15 && postgres.is_sorted());
        assert_eq!(postgres, sqlite);
        assert_eq!(postgres[0], "20261121000001");
        for migration in super::postgres() {
            assert!(!migration.up.is_empty() && !migration.down.is_empty());
        }
    }
}
