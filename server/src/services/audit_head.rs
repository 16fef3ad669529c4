//! Where the chain ends, kept in a file beside the database: rows that are cut off at the end leave no
//! gap behind, but this file still knows them. It may lag behind the database after a crash and is
//! never ahead of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::audit_chain::{BEGINNING, ChainKey, Hash, hex, unhex};
use super::secret_file;

/// What a person took as it was: nothing before it is looked at any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The last seal that was there.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// The last entry that was there.
    pub entry_id: i64,
    /// When that was.
    pub at: DateTime<Utc>,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last seal; 0 where there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// From where on the chain is looked at.
    pub accepted: Option<Accepted>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            seq: 0,
            hash: BEGINNING,
            accepted: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    seq: i64,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<StoredAccepted>,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct StoredAccepted {
    seq: i64,
    hash: String,
    entry_id: i64,
    at: DateTime<Utc>,
}

/// Where a chain's key and head are kept.
#[derive(Debug, Clone)]
pub struct ChainFiles {
    /// The key.
    pub key: PathBuf,
    /// The head.
    pub head: PathBuf,
}

/// Bytes of a head's file at most.
const MOST_BYTES: u64 = 4096;

impl ChainFiles {
    /// Those of a data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self {
            key: data_dir.join("audit-key"),
            head: data_dir.join("audit-head"),
        }
    }

    /// The key; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, or others may read it.
    pub fn read_key(&self) -> io::Result<Option<ChainKey>> {
        if !self.key.try_exists()? {
            return Ok(None);
        }
        let secret = secret_file::read_or_create(&self.key, String::new)?;
        Ok(Some(ChainKey::new(&secret)))
    }

    /// The head; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, or the key did not make it.
    pub fn read_head(&self, key: &ChainKey) -> io::Result<Option<Head>> {
        let text = match File::open(&self.head) {
            Ok(file) => io::read_to_string(io::Read::take(file, MOST_BYTES))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let foreign = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} was not made with this audit key", self.head.display()),
            )
        };
        let stored: Stored = serde_json::from_str(&text).map_err(|_| foreign())?;
        let accepted = match stored.accepted {
            None => None,
            Some(accepted) => Some(Accepted {
                seq: accepted.seq,
                hash: unhex(&accepted.hash).ok_or_else(foreign)?,
                entry_id: accepted.entry_id,
                at: accepted.at,
            }),
        };
        let head = Head {
            seq: stored.seq,
            hash: unhex(&stored.hash).ok_or_else(foreign)?,
            accepted,
        };
        let mac = unhex(&stored.mac).ok_or_else(foreign)?;
        if bool::from(mac.ct_eq(&mac_of(key, &head))) {
            Ok(Some(head))
        } else {
            Err(foreign())
        }
    }

    /// Puts a head in the place of the one before, whole or not at all, and on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_head(&self, key: &ChainKey, head: &Head) -> io::Result<()> {
        let stored = Stored {
            seq: head.seq,
            hash: hex(&head.hash),
            accepted: head.accepted.as_ref().map(|accepted| StoredAccepted {
                seq: accepted.seq,
                hash: hex(&accepted.hash),
                entry_id: accepted.entry_id,
                at: accepted.at,
            }),
            mac: hex(&mac_of(key, head)),
        };
        let text = serde_json::to_string(&stored).map_err(io::Error::other)?;
        let temporary = self.head.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.head)?;
        // The new name is on the disk once its directory is.
        #[cfg(unix)]
        if let Some(directory) = self.head.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

fn mac_of(key: &ChainKey, head: &Head) -> Hash {
    let mut bytes = b"gururmm-audit-head-1".to_vec();
    bytes.extend_from_slice(&head.seq.to_be_bytes());
    bytes.extend_from_slice(&head.hash);
    if let Some(accepted) = &head.accepted {
        bytes.extend_from_slice(&accepted.seq.to_be_bytes());
        bytes.extend_from_slice(&accepted.hash);
        bytes.extend_from_slice(&accepted.entry_id.to_be_bytes());
        bytes.extend_from_slice(&accepted.at.timestamp_micros().to_be_bytes());
    }
    key.mac(&[&bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_with_its_own_key_and_with_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let files = ChainFiles::of(dir.path());
        let key = ChainKey::new("one");
        assert_eq!(files.read_head(&key).unwrap(), None);
        let accepted = Accepted {
            seq: 3,
            hash: [3; 32],
            entry_id: 4,
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        };
        let head = Head {
            seq: 9,
            hash: [9; 32],
            accepted: Some(accepted),
        };
        files.write_head(&key, &head).unwrap();
        assert_eq!(files.read_head(&key).unwrap(), Some(head));
        assert!(files.read_head(&ChainKey::new("two")).is_err());
        let text = fs::read_to_string(&files.head).unwrap();
        fs::write(&files.head, text.replace("\"seq\":9", "\"seq\":8")).unwrap();
        assert!(files.read_head(&key).is_err(), "written by hand");
    }
}
