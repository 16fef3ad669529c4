//! What a backup says of itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The shape of the file; another one is another number.
pub(crate) const FORMAT: u32 = 1;

/// The first thing in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The shape of the file.
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// The migrations that the database had, oldest first.
    pub schema: Vec<String>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// With PostgreSQL: the last number of each sequence that was used.
    pub sequences: BTreeMap<String, i64>,
    /// Whether recordings of terminals are in it.
    pub recordings: bool,
    /// Whether the key that signs log-ins is in it; otherwise it stands in the configuration.
    pub signing_key: bool,
}

impl Manifest {
    /// How many rows all tables have together.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// How many rows it had.
    pub rows: i64,
    /// With PostgreSQL: its columns in the order of the copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// A file in a backup, as it stands in `sha256.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}
