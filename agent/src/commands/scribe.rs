//! Keeps the journal for the dispatcher: on threads that may block, and made whole again after it
//! could not be written for a while.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::journal::{Journal, LIMIT_BYTES};
use super::record::Record;

/// The one who writes.
#[derive(Debug)]
pub struct Scribe {
    directory: PathBuf,
    journal: Option<Arc<Mutex<Journal>>>,
    /// Why it is not open.
    closed: String,
    /// Whether something is missing in the file that the ledger holds.
    behind: bool,
}

impl Scribe {
    /// A scribe whose journal is in `directory` and not open yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            journal: None,
            closed: "it is not open yet".to_owned(),
            behind: false,
        }
    }

    /// Whether the journal is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.journal.is_some()
    }

    /// Whether the file lacks something, so that it should be written anew.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Opens the journal and tells what it holds.
    ///
    /// # Errors
    /// A text for people: why it cannot be used, and what helps.
    pub async fn open(&mut self) -> Result<Vec<Record>, String> {
        let directory = self.directory.clone();
        let opened = blocking(move || Journal::open(&directory, LIMIT_BYTES)).await;
        let (journal, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.closed = error.to_string();
                return Err(self.complaint(&error));
            }
        };
        if found.torn > 0 || found.damaged > 0 {
            let (torn_bytes, damaged_lines) = (found.torn, found.damaged);
            tracing::error!(
                torn_bytes,
                damaged_lines,
                "the journal of commands was damaged: what could be read is kept"
            );
        }
        self.behind = found.damaged > 0;
        self.journal = Some(Arc::new(Mutex::new(journal)));
        Ok(found.records)
    }

    /// Writes records; `all` tells everything that the file is to hold, with these among it, for when
    /// it has to be written anew.
    ///
    /// # Errors
    /// A text for people: why it cannot be written, and what helps.
    pub async fn write(
        &mut self,
        records: Vec<Record>,
        durable: bool,
        all: impl Fn() -> Vec<Record>,
    ) -> Result<(), String> {
        if self.behind {
            return self.rewrite(all()).await;
        }
        let has_grown = self
            .with(move |journal| {
                journal.append(&records, durable)?;
                Ok(journal.has_grown())
            })
            .await;
        match has_grown {
            Ok(false) => Ok(()),
            Ok(true) => {
                // What was appended is safe, whatever comes of this.
                if let Err(reason) = self.with_all(all()).await {
                    tracing::warn!(%reason, "the journal of commands could not be made smaller");
                }
                Ok(())
            }
            Err(reason) => {
                self.behind = true;
                Err(reason)
            }
        }
    }

    /// Writes the whole file anew.
    ///
    /// # Errors
    /// As [`Scribe::write`].
    pub async fn rewrite(&mut self, all: Vec<Record>) -> Result<(), String> {
        self.with_all(all).await?;
        self.behind = false;
        Ok(())
    }

    async fn with_all(&self, all: Vec<Record>) -> Result<(), String> {
        self.with(move |journal| journal.rewrite(&all)).await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let Some(journal) = self.journal.clone() else {
            return Err(self.complaint(&self.closed));
        };
        let done =
            blocking(move || work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(|error| self.complaint(&error))
    }

    fn complaint(&self, error: &dyn std::fmt::Display) -> String {
        format!(
            "the agent's journal of commands in {} cannot be written ({error}): \
             make room or make the directory writable, then send the command again",
            self.directory.display()
        )
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(std::io::Error::other)?
}
