//! Ends a recording in the database and the audit.

use std::time::Duration;

use gururmm_shared::RecordingId;
use serde_json::json;

use super::writer::Outcome;
use crate::db::audit_log::{NewEntry, Stage};
use crate::db::recordings::{self, Ended, NewRecording, Recording};
use crate::db::{Db, DbError};
use crate::domain::recording::RecordingState;
use crate::domain::text::tame;
use crate::services::audit;

/// Tries of writing an end while the database does not answer; later the server's look at what is left
/// does it.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const PROBLEM_CHARS: usize = 500;

/// What an end needs to know of its recording.
#[derive(Clone)]
pub(super) struct Ending {
    db: Db,
    id: RecordingId,
    channel_id: String,
    path: String,
    entry: NewEntry,
}

impl Ending {
    pub(super) fn of_new(db: &Db, new: &NewRecording) -> Self {
        let entry = NewEntry {
            user_id: Some(new.tech_id),
            user_email: new.tech_email.clone(),
            agent_id: Some(new.agent_id),
            agent_hostname: Some(new.agent_hostname.clone()),
            client_id: new.place.client_id,
            site_id: new.place.site_id,
            session_id: Some(new.session_id),
            target: new.id.to_string(),
            ..NewEntry::new(Stage::Event, "recording.finished")
        };
        Self {
            db: db.clone(),
            id: new.id,
            channel_id: new.channel_id.clone(),
            path: new.path.clone(),
            entry,
        }
    }

    pub(super) fn of_row(db: &Db, row: &Recording) -> Self {
        Self {
            db: db.clone(),
            id: row.id,
            channel_id: row.channel_id.clone(),
            path: row.path.clone(),
            entry: entry_about(row, "recording.finished"),
        }
    }

    /// Writes the end down, from the writer's thread.
    pub(super) fn conclude(self, outcome: Outcome) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.write_with_patience(outcome)),
            Err(error) => tracing::error!(%error, "no runtime to end a recording with"),
        }
    }

    async fn write_with_patience(self, outcome: Outcome) {
        let ended = ended(outcome);
        for attempt in 1..=TRIES {
            let Err(error) = self.write(ended.clone()).await else {
                return;
            };
            let retries = matches!(error, DbError::Unavailable(_)) && attempt < TRIES;
            if !retries {
                tracing::error!(
                    recording.id = %self.id, %error,
                    "the end of a recording could not be written down; it is done later"
                );
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// It could not even begin.
    pub(super) async fn failed_at_once(&self, problem: &str) {
        let ended = Ended {
            state: RecordingState::Failed,
            ended_at: audit::now(),
            duration_ms: 0,
            bytes: 0,
            sha256: None,
            gap_from_ms: Some(0),
            problem: Some(tame(problem, PROBLEM_CHARS)),
        };
        if let Err(error) = self.write(ended).await {
            tracing::error!(recording.id = %self.id, %error, "a recording that failed could not be noted");
        }
    }

    pub(super) async fn write(&self, ended: Ended) -> Result<bool, DbError> {
        let sha256 = ended.sha256.as_ref().map(|hash| hex(hash));
        let mut detail = json!({
            "channel_id": self.channel_id,
            "path": self.path,
            "bytes": ended.bytes,
            "duration_ms": ended.duration_ms,
            "sha256": sha256,
        });
        if let Some(problem) = &ended.problem {
            detail["problem"] = json!(problem);
            tracing::warn!(recording.id = %self.id, problem, "a recording is not whole");
        }
        let entry = NewEntry {
            at: ended.ended_at,
            detail: detail.to_string(),
            outcome: Some(ended.state.name().to_owned()),
            ..self.entry.clone()
        };
        recordings::finish(&self.db, self.id, ended, entry).await
    }
}

fn ended(outcome: Outcome) -> Ended {
    let duration_ms = i64::try_from(outcome.duration.as_millis()).unwrap_or(i64::MAX);
    Ended {
        state: outcome.state,
        ended_at: audit::now(),
        duration_ms,
        bytes: i64::try_from(outcome.bytes).unwrap_or(i64::MAX),
        sha256: Some(outcome.sha256),
        gap_from_ms: (outcome.state == RecordingState::Failed).then_some(duration_ms),
        problem: outcome.problem.map(|why| tame(&why, PROBLEM_CHARS)),
    }
}

/// An entry of the audit about a recording, by whose terminal it was.
pub(super) fn entry_about(row: &Recording, action: &str) -> NewEntry {
    NewEntry {
        user_id: Some(row.tech_id),
        user_email: row.tech_email.clone(),
        agent_id: Some(row.agent_id),
        agent_hostname: Some(row.agent_hostname.clone()),
        client_id: row.client_id,
        site_id: row.site_id,
        session_id: Some(row.session_id),
        target: row.id.to_string(),
        ..NewEntry::new(Stage::Event, action)
    }
}

/// Bytes in hexadecimal, as `sha256sum` prints them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
