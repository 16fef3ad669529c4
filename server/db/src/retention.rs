//! The end of what is over and old, in small steps: each deletes at most so many rows.

use chrono::{DateTime, Duration, Utc};
use diesel_async::RunQueryDsl;

use super::types::{Bind, Timestamptz};
use super::{Db, DbError};

/// How long each is kept; nothing means for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// Commands that have ended, and jobs that have no command any more.
    pub commands: Option<Duration>,
    /// Alerts that are resolved.
    pub alerts: Option<Duration>,
    /// What watchdogs reported, and how updates ended.
    pub events: Option<Duration>,
    /// Sessions that are closed.
    pub sessions: Option<Duration>,
    /// Rows of the tunnels' audit that are finished; what was sealed of them stays.
    pub audit: Option<Duration>,
}

/// What may go of a table: its key, what must be so, and by what it is ordered.
const RULES: [(&str, &str, &str, &str); 7] = [
    (
        "commands",
        "id",
        "created_at < $1 AND finished_at < $1",
        "created_at",
    ),
    (
        "jobs",
        "id",
        "created_at < $1 AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.job_id = jobs.id)",
        "created_at",
    ),
    (
        "alerts",
        "id",
        "opened_at < $1 AND resolved_at < $1",
        "opened_at",
    ),
    ("watchdog_events", "id", "recorded_at < $1", "recorded_at"),
    // Without them an open rollout would begin anew with its agents.
    (
        "agent_updates",
        "id",
        "created_at < $1 AND finished_at < $1 AND NOT EXISTS (SELECT 1 FROM rollouts \
         WHERE rollouts.id = agent_updates.rollout_id AND rollouts.ended_at IS NULL)",
        "created_at",
    ),
    ("tech_sessions", "id", "closed_at < $1", "closed_at"),
    ("tunnel_audit", "id", "at < $1 AND ended_at < $1", "at"),
];

impl Keep {
    fn of(&self, table: &str) -> Option<Duration> {
        match table {
            "commands" | "jobs" => self.commands,
            "alerts" => self.alerts,
            "watchdog_events" | "agent_updates" => self.events,
            "tech_sessions" => self.sessions,
            _ => self.audit,
        }
    }
}

/// Deletes at most `most` rows of each table that are over and older than that; the largest number of
/// rows that one of them lost.
pub async fn delete_old(
    db: &Db,
    keep: Keep,
    now: DateTime<Utc>,
    most: u32,
) -> Result<usize, DbError> {
    let mut largest = 0;
    for (table, key, over, order) in RULES {
        let Some(age) = keep.of(table) else {
            continue;
        };
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE {over} ORDER BY {order} LIMIT {most})"
        );
        let before = Bind(now - age);
        let deleted = exec!(db, |conn| diesel::sql_query(&sql)
            .bind::<Timestamptz, _>(before)
            .execute(conn)
            .await)?;
        largest = largest.max(deleted);
    }
    Ok(largest)
}
