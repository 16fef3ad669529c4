//! Where a database is.

use std::path::{Path, PathBuf};

/// The name of the file in a data directory.
const FILE: &str = "gururmm.db";

/// A database of a server.
#[derive(Clone)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A URL, with its password.
    Postgres(String),
}

impl Database {
    /// The one that `database.url` names; without one, the file in the data directory.
    #[must_use]
    pub fn of(url: &str, data_dir: &Path) -> Self {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::Postgres(url.to_owned());
        }
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"))
            .unwrap_or(url);
        if path.is_empty() {
            return Self::Sqlite(data_dir.join(FILE));
        }
        Self::Sqlite(PathBuf::from(path))
    }

    /// Its kind, as it stands in a manifest.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_where_the_url_says_or_in_the_data_directory() {
        let data = Path::new("/data");
        for (url, expected) in [
            ("", "/data/gururmm.db"),
            ("sqlite:///x/y.db", "/x/y.db"),
            ("sqlite:y.db", "y.db"),
        ] {
            match Database::of(url, data) {
                Database::Sqlite(path) => assert_eq!(path, Path::new(expected), "{url}"),
                Database::Postgres(_) => panic!("{url}"),
            }
        }
        assert_eq!(Database::of("postgresql://h/d", data).kind(), "postgres");
    }
}
