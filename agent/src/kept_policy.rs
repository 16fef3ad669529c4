//! The server's policy, kept in the state directory: an agent that starts without a connection goes on with what held
//! when it ended. With the first connection the file and what the server says then take its place.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gururmm_shared::ConfigUpdate;
use tokio::task::spawn_blocking;

use crate::platform;

const FILE_NAME: &str = "policy.json";

/// More than any policy has.
const MOST_BYTES: u64 = 1024 * 1024;

/// A server that has a policy tells it at once: one that is silent for so long has none.
const SILENCE: Duration = Duration::from_secs(10);

/// The place where it is kept; clones are the same.
#[derive(Debug, Clone)]
pub struct KeptPolicy {
    path: PathBuf,
    silence: Duration,
    wanted: Arc<Mutex<Wanted>>,
}

#[derive(Debug, Default)]
struct Wanted {
    policy: Option<ConfigUpdate>,
    connection: u64,
    heard: bool,
}

impl KeptPolicy {
    /// The place in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE_NAME),
            silence: SILENCE,
            wanted: Arc::default(),
        }
    }

    /// What is kept, if it can be read and nobody else can have written it.
    #[must_use]
    pub fn load(&self) -> Option<ConfigUpdate> {
        let file = fs::File::open(&self.path).ok()?;
        if platform::exposure(&file, &self.path).ok()?.is_some() {
            return None;
        }
        let text = io::read_to_string(io::Read::take(file, MOST_BYTES)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// A connection has begun; if nothing is said on it, there is no policy any more. Inside of a runtime.
    pub fn begin_connection(&self) {
        let connection = {
            let mut wanted = self.lock();
            wanted.connection += 1;
            wanted.heard = false;
            wanted.connection
        };
        let kept = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(kept.silence).await;
            let is_silent = {
                let mut wanted = kept.lock();
                let is_silent = wanted.connection == connection && !wanted.heard;
                if is_silent {
                    wanted.policy = None;
                }
                is_silent
            };
            if is_silent {
                kept.write_soon();
            }
        });
    }

    /// The server has said this. Inside of a runtime.
    pub fn keep(&self, policy: &ConfigUpdate) {
        {
            let mut wanted = self.lock();
            wanted.policy = Some(policy.clone());
            wanted.heard = true;
        }
        self.write_soon();
    }

    /// However many of these run, the last one writes what is wanted last.
    fn write_soon(&self) {
        let kept = self.clone();
        spawn_blocking(move || {
            let wanted = kept.lock();
            if let Err(error) = write(&kept.path, wanted.policy.as_ref()) {
                tracing::warn!(%error, "the policy cannot be kept for the next start");
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(path: &Path, policy: Option<&ConfigUpdate>) -> io::Result<()> {
    let Some(policy) = policy else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let temporary = path.with_extension("json.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = platform::open_private(&mut options, &temporary)?;
    file.write_all(&serde_json::to_vec_pretty(policy)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use gururmm_shared::InventoryConfig;

    use super::*;

    fn policy(seconds: u64) -> ConfigUpdate {
        ConfigUpdate {
            inventory: Some(InventoryConfig {
                interval_seconds: Some(seconds),
            }),
            ..ConfigUpdate::default()
        }
    }

    async fn until(kept: &KeptPolicy, wanted: Option<ConfigUpdate>) {
        while kept.load() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_the_server_said_last_is_kept_until_a_connection_on_which_it_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = KeptPolicy::new(folder.path());
        kept.silence = Duration::from_millis(200);
        assert_eq!(kept.load(), None);
        kept.begin_connection();
        kept.keep(&policy(100));
        kept.keep(&policy(200));
        until(&kept, Some(policy(200))).await;
        // Long enough for the connection to be taken as silent, if it were.
        tokio::time::sleep(kept.silence * 2).await;
        assert_eq!(kept.load(), Some(policy(200)));
        kept.begin_connection();
        until(&kept, None).await;
    }

    #[test]
    fn one_that_others_can_read_or_that_is_damaged_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptPolicy::new(folder.path());
        write(&kept.path, Some(&policy(100))).unwrap();
        assert_eq!(kept.load(), Some(policy(100)));
        platform::expose(&kept.path);
        assert_eq!(kept.load(), None);
        write(&kept.path, Some(&policy(100))).unwrap();
        fs::write(&kept.path, "{").unwrap();
        assert_eq!(kept.load(), None);
    }
}
