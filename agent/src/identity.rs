//! Who this agent is to its server: `identity.json`, kept for its owner only and replaced
//! as a whole, so that a crash leaves the old or the new one, never half of it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gururmm_shared::AgentId;
use serde::{Deserialize, Serialize};

use crate::device;
use crate::platform::{self, Exposure};

const FILE_NAME: &str = "identity.json";

/// What the agent keeps of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A secret from before the first enrolment, so that one whose answer was lost can be repeated.
    pub enrollment_nonce: String,
    /// Who the agent is, once the server told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The agent's own key, once the server told; from then on the only one that is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// A made-up device id, where the hardware has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("agent_id", &self.agent_id)
            .finish_non_exhaustive()
    }
}

/// Why the identity cannot be used; one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others than its owner may read or write the file.
    #[error("{} may be read by others ({}): run `{}`", path.display(), exposure.what, exposure.mend)]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What lets them, and what to do about it.
        exposure: Exposure,
    },
    /// The file is not what the agent wrote.
    #[error("{} is damaged ({source}): restore it, or remove it to enrol this machine anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Inaccessible {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The place where an identity is kept.
#[derive(Debug, Clone)]
pub struct IdentityStore {
    directory: PathBuf,
}

impl IdentityStore {
    /// A store in `directory`, which is made when the identity is first written.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// The file of the identity.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }

    /// Reads the identity; makes and keeps one where there is none yet.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn load_or_create(&self) -> Result<Identity, IdentityError> {
        if let Some(identity) = self.load()? {
            return Ok(identity);
        }
        let identity = Identity {
            enrollment_nonce: device::random_hex::<32>(),
            agent_id: None,
            api_key: None,
            device_id: None,
        };
        self.store(&identity)?;
        Ok(identity)
    }

    /// Reads the identity, where there is one.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let path = self.path();
        let read = || -> io::Result<(Option<Exposure>, String)> {
            let file = File::open(&path)?;
            let exposure = platform::exposure(&file, &path)?;
            Ok((exposure, io::read_to_string(file)?))
        };
        let (exposure, text) = match read() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(IdentityError::Inaccessible {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        if let Some(exposure) = exposure {
            return Err(IdentityError::Exposed { path, exposure });
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| IdentityError::Damaged { path, source })
    }

    /// Replaces what is kept; when this returns it survives a loss of power.
    ///
    /// # Errors
    /// [`IdentityError::Inaccessible`]; the old file is then still whole.
    pub fn store(&self, identity: &Identity) -> Result<(), IdentityError> {
        let path = self.path();
        self.replace(&path, identity)
            .map_err(|source| IdentityError::Inaccessible {
                action: "write",
                path,
                source,
            })
    }

    fn replace(&self, path: &Path, identity: &Identity) -> io::Result<()> {
        platform::make_state_folder(&self.directory)?;
        let temporary = self.directory.join(".identity.json.new");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = platform::open_private(&mut options, &temporary)?;
        file.write_all(&serde_json::to_vec_pretty(identity)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        platform::sync_names(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(store: &IdentityStore) -> Option<Exposure> {
        let path = store.path();
        platform::exposure(&File::open(&path).unwrap(), &path).unwrap()
    }

    #[test]
    fn a_new_identity_has_a_nonce_is_kept_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let store = IdentityStore::new(&directory.path().join("made"));
        let made = store.load_or_create().unwrap();
        assert_eq!(made.enrollment_nonce.len(), 64);
        assert_eq!(exposure(&store), None);
        assert_eq!(store.load_or_create().unwrap(), made);
    }

    #[test]
    fn a_key_replaces_the_file_as_a_whole_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = IdentityStore::new(directory.path());
        let mut identity = store.load_or_create().unwrap();
        // What a crash in the middle of an earlier write would leave must neither stop nor taint this one.
        let stale = directory.path().join(".identity.json.new");
        fs::write(&stale, "half").unwrap();
        platform::expose(&stale);
        identity.api_key = Some("grmm_x".to_owned());
        store.store(&identity).unwrap();
        assert_eq!(store.load_or_create().unwrap(), identity);
        assert_eq!(exposure(&store), None);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let store = IdentityStore::new(directory.path());
        store.load_or_create().unwrap();
        platform::expose(&store.path());
        let error = store.load_or_create().unwrap_err().to_string();
        let mend = exposure(&store).unwrap().mend;
        assert!(error.contains(&mend), "{error}");
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let store = IdentityStore::new(directory.path());
        store.load_or_create().unwrap();
        fs::write(store.path(), "{").unwrap();
        assert!(
            store
                .load_or_create()
                .unwrap_err()
                .to_string()
                .contains("damaged")
        );
        assert_eq!(fs::read_to_string(store.path()).unwrap(), "{");
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity {
            enrollment_nonce: "nonce-secret".to_owned(),
            agent_id: None,
            api_key: Some("grmm_secret".to_owned()),
            device_id: None,
        };
        assert!(!format!("{identity:?}").contains("secret"));
    }
}
