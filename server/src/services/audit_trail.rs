//! Writes acts and events to the audit: before they have an effect where somebody asks for them, and
//! what a crash left without an end is ended at the next start.

use serde_json::json;

use super::audit::Caller;
use crate::db::audit_log::{self, NewEntry, Stage};
use crate::db::{Db, DbError, audit_acts};
use crate::domain::text::tame;
use crate::error::AppError;

/// Ends that are written in one go at start.
const BATCH: i64 = 500;

/// An entry of somebody's.
#[must_use]
pub fn by(stage: Stage, action: &str, caller: &Caller) -> NewEntry {
    NewEntry {
        user_id: Some(caller.user_id),
        user_email: caller.email.clone(),
        key_id: caller.key_id,
        remote_addr: caller.remote_addr.clone(),
        request_id: caller.request_id.clone(),
        ..NewEntry::new(stage, action)
    }
}

/// Something that happened, with how it ended.
#[must_use]
pub fn event(action: &str, outcome: &str) -> NewEntry {
    NewEntry {
        outcome: Some(outcome.to_owned()),
        ..NewEntry::new(Stage::Event, action)
    }
}

/// An address to log in with as somebody typed it.
#[must_use]
pub fn typed_email(email: &str) -> String {
    tame(email.trim(), 254)
}

/// Writes what must stand there before anything is done.
///
/// # Errors
/// 503: it cannot be written, so nothing may be done.
pub async fn require(db: &Db, entry: NewEntry) -> Result<(), AppError> {
    audit_log::insert(db, entry).await.map_err(|error| {
        failed(&error);
        AppError::of_full_disk(&error).unwrap_or_else(|| {
            AppError::unavailable(
                "nothing was done, for it could not be written to the audit; try again in a moment",
            )
        })
    })
}

/// Writes what has happened already; there is nothing to hold back.
pub async fn note(db: &Db, entry: NewEntry) {
    if let Err(error) = audit_log::insert(db, entry).await {
        failed(&error);
    }
}

fn failed(error: &DbError) {
    metrics::counter!("gururmm_audit_write_failures_total").increment(1);
    tracing::error!(%error, "an entry could not be written to the audit");
}

/// Ends what was asked for since the last start and has no end: whether it was done, nobody knows.
///
/// # Errors
/// The database does not answer.
pub async fn end_left_open(db: &Db) -> Result<usize, DbError> {
    let mut after = audit_log::last_of(db, STARTED).await?;
    let mut ended = 0;
    loop {
        let acts = audit_acts::without_end(db, after, BATCH).await?;
        let Some(last) = acts.last() else {
            return Ok(ended);
        };
        after = last.id;
        for act in acts {
            let entry = NewEntry {
                act_id: act.act_id,
                user_id: act.user_id,
                user_email: act.user_email,
                key_id: act.key_id,
                ..NewEntry::new(Stage::Ended, &act.action)
            };
            audit_log::insert(
                db,
                NewEntry {
                    outcome: Some("unknown".to_owned()),
                    ..entry
                },
            )
            .await?;
            ended += 1;
        }
    }
}

/// Writes down that the server starts, and what it did to the database before.
///
/// # Errors
/// The database does not answer.
pub async fn record_start(db: &Db, migrations: &[String]) -> Result<(), DbError> {
    if !migrations.is_empty() {
        audit_log::insert(db, migrated(migrations)).await?;
    }
    let started = NewEntry {
        detail: json!({ "version": env!("CARGO_PKG_VERSION") }).to_string(),
        ..event(STARTED, "ok")
    };
    audit_log::insert(db, started).await
}

/// What is written down of migrations.
#[must_use]
pub fn migrated(names: &[String]) -> NewEntry {
    NewEntry {
        detail: json!({ "applied": names }).to_string(),
        ..event("server.migrated", "ok")
    }
}

/// What is written when the server starts.
pub const STARTED: &str = "server.started";
