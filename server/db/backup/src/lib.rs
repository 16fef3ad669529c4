//! Backups of the server: one file with the database and what the data directory keeps secret, made while the
//! server runs, and the way back. Knows the tables of no release: it copies what is there.
//!
//! The file is a tar archive, compressed with gzip: `manifest.json` first, then `data/…` and `database/…`, at the
//! end `sha256.json` with the size and hash of each. It is for command lines: reading and writing blocks.

mod archive;
mod data_files;
mod error;
mod manifest;
mod migrations;
mod place;
mod postgres;
mod restore;
mod sqlite;
mod write;

pub use error::BackupError;
pub use manifest::{Manifest, Table};
pub use place::Database;
pub use restore::{Restored, Target, restore};
pub use write::{Source, Written, write};
