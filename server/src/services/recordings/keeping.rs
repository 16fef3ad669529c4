//! Recordings after their terminals: what a crash left is ended, what is old is deleted.

use serde_json::json;

use super::ending::{Ending, entry_about, hex};
use super::mending::{Mended, mend};
use super::{Recordings, blocking, files};
use crate::db::DbError;
use crate::db::audit_log::NewEntry;
use crate::db::recordings::{self, Ended, Recording};
use crate::domain::recording::RecordingState;
use crate::domain::text::tame;
use crate::services::audit;

/// Rows that are looked at in one go.
const BATCH: i64 = 100;

impl Recordings {
    /// Ends as `interrupted` what nobody writes any more, as after a crash; tells how many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end_left_open(&self) -> Result<usize, DbError> {
        let mut after = None;
        let mut count = 0;
        loop {
            let rows = recordings::unfinished(&self.inner.db, after, BATCH).await?;
            let Some(last) = rows.last() else {
                return Ok(count);
            };
            after = Some(last.id);
            for row in rows {
                if !self.inner.live.contains(row.id) {
                    count += usize::from(self.end_one(row).await?);
                }
            }
        }
    }

    async fn end_one(&self, row: Recording) -> Result<bool, DbError> {
        let (root, path) = (self.inner.root.clone(), row.path.clone());
        let mended = blocking(move || mend(&root, &path)).await;
        let ended = Ended {
            state: RecordingState::Interrupted,
            ended_at: audit::now(),
            duration_ms: 0,
            bytes: 0,
            sha256: None,
            gap_from_ms: None,
            problem: None,
        };
        let ended = match mended {
            Ok(Some(Mended {
                bytes,
                sha256,
                duration,
            })) => Ended {
                duration_ms: i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
                bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
                sha256: Some(sha256),
                ..ended
            },
            Ok(None) => Ended {
                problem: Some("its file was never made, or is gone".to_owned()),
                ..ended
            },
            Err(error) => Ended {
                state: RecordingState::Failed,
                gap_from_ms: Some(0),
                problem: Some(tame(&format!("its file cannot be read: {error}"), 500)),
                ..ended
            },
        };
        Ending::of_row(&self.inner.db, &row).write(ended).await
    }

    /// Deletes some of those whose time is over; tells how many rows were looked at and how many went.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn delete_expired(&self) -> Result<(usize, usize), DbError> {
        let rows = recordings::expired(&self.inner.db, audit::now(), BATCH).await?;
        let (looked_at, mut deleted) = (rows.len(), 0);
        for row in rows {
            let detail =
                json!({"sha256": row.sha256.as_deref().map(hex), "keep_until": row.keep_until});
            let entry = NewEntry {
                user_id: None,
                user_email: String::new(),
                detail: detail.to_string(),
                outcome: Some("ok".to_owned()),
                ..entry_about(&row, "recording.expired")
            };
            match self.delete(&row, Some(entry)).await {
                Ok(done) => deleted += usize::from(done),
                Err(DeleteError::Database(error)) => return Err(error),
                Err(DeleteError::Disk(error)) => {
                    tracing::error!(recording.id = %row.id, error, "an old recording cannot be deleted");
                }
            }
        }
        Ok((looked_at, deleted))
    }

    /// Deletes a recording's files, then notes it: a crash in between leaves it to be deleted again.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub async fn delete(
        &self,
        row: &Recording,
        entry: Option<NewEntry>,
    ) -> Result<bool, DeleteError> {
        let (root, path) = (self.inner.root.clone(), row.path.clone());
        let removed = blocking(move || files::remove(&root, &path)).await;
        removed.map_err(DeleteError::Disk)?;
        Ok(recordings::mark_deleted(&self.inner.db, row.id, entry).await?)
    }
}

/// Why a recording was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Its files cannot be removed.
    #[error("the recording's files cannot be removed: {0}")]
    Disk(String),
    /// Its row cannot be changed.
    #[error(transparent)]
    Database(#[from] DbError),
}
