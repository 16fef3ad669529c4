//! Seals what was written to the audit, in batches: reads what waits, links it to the end of the chain,
//! commits the seals and then the new end to its file.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::audit_chain::{ChainKey, Hash};
use super::audit_head::{ChainFiles, Head};
use super::secret_file;
use crate::db::audit_chain::{self, Seal};
use crate::db::{Db, DbError};
use crate::domain::credentials::generate_token;

/// Entries that are sealed in one commit.
const BATCH: i64 = 500;

/// Why nothing could be sealed; the next try begins anew.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The file of the head.
    #[error("the audit's head cannot be kept: {0}")]
    Head(#[from] io::Error),
}

/// Seals entries; clones seal the same chain.
#[derive(Clone)]
pub struct Sealer {
    db: Db,
    key: ChainKey,
    files: ChainFiles,
    /// Whether a fault was logged: once is enough, `audit verify` tells the rest.
    told: Arc<AtomicBool>,
    /// One batch at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Sealer {
    /// One for the chain of these files.
    #[must_use]
    pub fn new(db: Db, key: ChainKey, files: ChainFiles) -> Self {
        Self {
            db,
            key,
            files,
            told: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// One for the chain of a data directory; its key is made at the first start.
    ///
    /// # Errors
    /// The key cannot be read or kept, or others may read it.
    pub fn open(db: &Db, data_dir: &Path) -> anyhow::Result<Self> {
        let files = ChainFiles::of(data_dir);
        let secret =
            secret_file::read_or_create(&files.key, || generate_token(&mut rand::rng()))
                .with_context(|| format!("cannot use the audit's key {}", files.key.display()))?;
        Ok(Self::new(db.clone(), ChainKey::new(&secret), files))
    }

    /// Seals one batch; whether it was a full one, so that more may wait.
    ///
    /// # Errors
    /// [`SealError`]; what was not sealed waits.
    pub async fn step(&self) -> Result<bool, SealError> {
        let _turn = self.turn.lock().await;
        let waiting = audit_chain::unsealed(&self.db, BATCH).await?;
        if waiting.is_empty() {
            metrics::gauge!("gururmm_audit_unsealed").set(0.0);
            return Ok(false);
        }
        let full = i64::try_from(waiting.len()).is_ok_and(|count| count == BATCH);
        let entries = audit_chain::to_seal(&self.db, waiting.clone()).await?;
        let mut head = self.head().await?;
        let mut seals = Vec::with_capacity(entries.len());
        for entry in &entries {
            head.seq = head.seq.saturating_add(1);
            head.hash = self.key.seal(&head.hash, head.seq, entry);
            seals.push(Seal {
                seq: head.seq,
                entry_id: entry.id,
                hash: head.hash.to_vec(),
            });
        }
        audit_chain::seal(&self.db, seals, waiting).await?;
        #[allow(clippy::cast_precision_loss, reason = "a figure")]
        metrics::gauge!("gururmm_audit_sealed_seq").set(head.seq as f64);
        // After the commit: a head ahead of its table would look like rows that were cut off.
        let (files, key) = (self.files.clone(), self.key.clone());
        let written = tokio::task::spawn_blocking(move || files.write_head(&key, &head)).await;
        written.map_err(io::Error::other)??;
        let left = audit_chain::count_unsealed(&self.db).await?;
        #[allow(clippy::cast_precision_loss, reason = "a figure")]
        metrics::gauge!("gururmm_audit_unsealed").set(left as f64);
        Ok(full)
    }

    /// Where the next seal is to go. Where file and table do not agree, the chain goes on behind
    /// both, so that what is missing stays missing and is found.
    async fn head(&self) -> Result<Head, SealError> {
        let tail = audit_chain::tail(&self.db).await?;
        let kept = match self.files.read_head(&self.key) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.tell(&error.to_string());
                None
            }
            Err(error) => return Err(error.into()),
        };
        let Some(mut head) = kept else {
            if tail.is_some() {
                self.tell("the audit's head is missing in the data directory; it begins anew");
            }
            return Ok(tail.map_or_else(Head::default, |tail| Head {
                seq: tail.seq,
                hash: hash_of(&tail),
                accepted: None,
            }));
        };
        let end = tail.map_or(0, |tail| tail.seq);
        if end < head.seq {
            self.tell(&format!(
                "the audit ends at {end} and ended at {} before",
                head.seq
            ));
            return Ok(head);
        }
        // A server that was killed between its commit and its file left some; they prove themselves.
        while head.seq < end {
            let page = audit_chain::after(&self.db, head.seq, BATCH).await?;
            for (seal, entry) in page {
                let expected = entry.map(|entry| self.key.seal(&head.hash, seal.seq, &entry));
                if seal.seq != head.seq + 1
                    || expected.as_ref().map(Hash::as_slice) != Some(&seal.hash)
                {
                    self.tell(&format!(
                        "the seal {} of the audit is not one of ours",
                        seal.seq
                    ));
                    head.seq = end;
                    return Ok(head);
                }
                (head.seq, head.hash) = (seal.seq, hash_of(&seal));
            }
        }
        Ok(head)
    }

    fn tell(&self, what: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            metrics::counter!("gururmm_audit_faults_total").increment(1);
            tracing::error!("{what}; run gururmm-server audit verify");
        }
    }
}

/// A seal's hash; one of a wrong length is nobody's.
fn hash_of(seal: &Seal) -> Hash {
    seal.hash.as_slice().try_into().unwrap_or([0; 32])
}
