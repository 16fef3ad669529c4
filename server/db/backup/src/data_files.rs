//! What of a data directory belongs into a backup.

use std::fs;
use std::path::{Path, PathBuf};

use crate::BackupError;

/// Small files and folders that are read before the database: the end of the audit's chain must not be ahead of its
/// table.
const SECRETS: [&str; 5] = [
    "audit-head",
    "audit-key",
    "signing-key",
    "setup-token",
    "tls",
];
/// Folders of large files, which are read after the database: its rows name them.
const RELEASES: &str = "releases";
const RECORDINGS: &str = "recordings";

/// Folders in folders at most.
const MOST_DEPTH: usize = 8;
/// Files at most.
const MOST_FILES: usize = 1_000_000;

/// The name of the key that signs log-ins.
pub(crate) const SIGNING_KEY: &str = "signing-key";

/// Those that are read first, relative to the data directory.
pub(crate) fn secrets(data_dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = Vec::new();
    for name in SECRETS {
        collect(data_dir, Path::new(name), 0, &mut found)?;
    }
    Ok(found)
}

/// Those that are read last.
pub(crate) fn large(data_dir: &Path, recordings: bool) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = Vec::new();
    collect(data_dir, Path::new(RELEASES), 0, &mut found)?;
    if recordings {
        collect(data_dir, Path::new(RECORDINGS), 0, &mut found)?;
    }
    Ok(found)
}

/// Whether a path from a backup may stand in a data directory: the first part is one of ours, and none leads out.
pub(crate) fn is_ours(path: &Path) -> bool {
    use std::path::Component;
    let mut parts = path.components();
    let first = parts.next();
    let known = first.is_some_and(|first| {
        let name = first.as_os_str();
        SECRETS.iter().any(|secret| *secret == name) || name == RELEASES || name == RECORDINGS
    });
    known
        && path.components().count() <= MOST_DEPTH + 1
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Regular files alone: a link could lead anywhere.
fn collect(
    data_dir: &Path,
    path: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), BackupError> {
    let whole = data_dir.join(path);
    let kind = match fs::symlink_metadata(&whole) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::file(&whole, error)),
    };
    if kind.is_file() {
        if found.len() >= MOST_FILES {
            return Err(BackupError::Unfit(format!(
                "the data directory holds more than {MOST_FILES} files; leave recordings out"
            )));
        }
        found.push(path.to_owned());
    } else if kind.is_dir() && depth < MOST_DEPTH {
        let entries = fs::read_dir(&whole).map_err(|error| BackupError::file(&whole, error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| BackupError::file(&whole, error))?;
            names.push(entry.file_name());
        }
        names.sort();
        for name in names {
            collect(data_dir, &path.join(name), depth + 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_data_directory() {
        for (path, expected) in [
            ("signing-key", true),
            ("tls/acme/cached", true),
            ("recordings/a/b.cast", true),
            ("tls/../../etc/passwd", false),
            ("/etc/passwd", false),
            ("../x", false),
            ("gururmm.db", false),
            ("", false),
            ("tls/a/b/c/d/e/f/g/h/i/j", false),
        ] {
            assert_eq!(is_ours(Path::new(path)), expected, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_left_out_and_secrets_come_with_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("tls/acme")).unwrap();
        fs::create_dir(at("recordings")).unwrap();
        for name in [
            "signing-key",
            "tls/ca.pem",
            "tls/acme/x",
            "recordings/r",
            "other",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", at("audit-key")).unwrap();
        let texts = |found: Vec<PathBuf>| -> Vec<String> {
            found
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        let secrets = texts(secrets(dir.path()).unwrap());
        assert_eq!(secrets, ["signing-key", "tls/acme/x", "tls/ca.pem"]);
        assert_eq!(texts(large(dir.path(), true).unwrap()), ["recordings/r"]);
        assert!(large(dir.path(), false).unwrap().is_empty());
    }
}
