//! Minutes and hours made of samples, and the end of what is old. Making them again changes nothing,
//! so a window that may still be late is simply made again.

use chrono::{DateTime, Duration, DurationRound, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use super::schema::{metrics, metrics_rollups};
use super::types::{Bind, Timestamptz};
use super::{DatabaseKind, Db, DbError};

/// How late a sample may be written after it came: the writer holds them while the database is away.
const LATE: Duration = Duration::minutes(5);

/// The width of what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::Hour => "1h",
        }
    }

    fn width(self) -> Duration {
        match self {
            Self::Minute => Duration::minutes(1),
            Self::Hour => Duration::hours(1),
        }
    }

    /// How much is made in one transaction.
    fn chunk(self) -> Duration {
        match self {
            Self::Minute => Duration::hours(1),
            Self::Hour => Duration::hours(6),
        }
    }

    /// The statement that makes a window; the width stands in its text, for neither database groups
    /// by a bound value.
    fn statement(self, kind: DatabaseKind, of: Option<AgentId>) -> String {
        let name = self.name();
        let seconds = self.width().num_seconds();
        let bucket = match kind {
            DatabaseKind::Sqlite => {
                format!("recorded_at / {seconds}000000 * {seconds}000000")
            }
            DatabaseKind::Postgres => format!(
                "date_bin('{seconds} seconds', recorded_at, timestamptz '1970-01-01 00:00:00+00')"
            ),
        };
        let span = |to: &str, from: &str| {
            (
                format!("{to}_avg, {to}_min, {to}_max"),
                format!("CAST(avg({from}) AS double precision), min({from}), max({from})"),
            )
        };
        let parts = [
            span("cpu", "cpu_percent"),
            span("memory_used", "memory_used_bytes"),
            span("disk_used", "disk_used_bytes"),
            span("network_rx", "network_rx_bytes"),
            span("network_tx", "network_tx_bytes"),
        ];
        let columns = parts
            .each_ref()
            .map(|(columns, _)| columns.as_str())
            .join(", ");
        let values = parts
            .each_ref()
            .map(|(_, values)| values.as_str())
            .join(", ");
        let whose = of.map_or_else(String::new, |agent| {
            format!(" AND agent_id = {}", literal(kind, agent))
        });
        let columns = format!("samples, memory_total_bytes, disk_total_bytes, {columns}");
        let updates: Vec<_> = columns
            .split(", ")
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        format!(
            "INSERT INTO metrics_{name} (agent_id, at, {columns}) \
             SELECT agent_id, {bucket}, count(*), max(memory_total_bytes), max(disk_total_bytes), \
             {values} FROM metrics WHERE recorded_at >= $1 AND recorded_at < $2{whose} \
             GROUP BY agent_id, {bucket} \
             ON CONFLICT (agent_id, at) DO UPDATE SET {}",
            updates.join(", ")
        )
    }
}

fn floor(at: DateTime<Utc>, step: Step) -> DateTime<Utc> {
    // Fails for years beyond 2262 only, where it does not matter.
    at.duration_trunc(step.width()).unwrap_or(at)
}

/// Makes the next window up to `until`; `true` while there is more to make.
pub async fn make_next(db: &Db, step: Step, until: DateTime<Utc>) -> Result<bool, DbError> {
    let statement = step.statement(db.kind(), None);
    transact!(db, |conn| {
        let done: Option<DateTime<Utc>> = metrics_rollups::table
            .find(step.name())
            .select(metrics_rollups::done_until)
            .first(conn)
            .await
            .optional()?;
        // Where nothing came, as while the server stood still, there is nothing to make.
        let begin = done.map_or(DateTime::UNIX_EPOCH, |done| floor(done - LATE, step));
        let first: Option<DateTime<Utc>> = metrics::table
            .filter(metrics::recorded_at.ge(Bind(begin)))
            .order(metrics::recorded_at.asc())
            .select(metrics::recorded_at)
            .first(conn)
            .await
            .optional()?;
        let from = first.map_or(until, |first| floor(first, step));
        let to = until.min(from + step.chunk());
        diesel::sql_query(&statement)
            .bind::<Timestamptz, _>(Bind(from))
            .bind::<Timestamptz, _>(Bind(floor(to, step) + step.width()))
            .execute(conn)
            .await?;
        diesel::insert_into(metrics_rollups::table)
            .values((
                metrics_rollups::step.eq(step.name()),
                metrics_rollups::done_until.eq(Bind(to)),
            ))
            .on_conflict(metrics_rollups::step)
            .do_update()
            .set(metrics_rollups::done_until.eq(excluded(metrics_rollups::done_until)))
            .execute(conn)
            .await?;
        Ok(to < until)
    })
}

/// Makes an agent's minutes and hours anew where they have samples from `first` to `last`: such that came later than
/// [`make_next`] waits for.
pub async fn make_again(
    db: &Db,
    agent: AgentId,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> Result<(), DbError> {
    for step in [Step::Minute, Step::Hour] {
        let statement = step.statement(db.kind(), Some(agent));
        exec!(db, |conn| diesel::sql_query(&statement)
            .bind::<Timestamptz, _>(Bind(floor(first, step)))
            .bind::<Timestamptz, _>(Bind(floor(last, step) + step.width()))
            .execute(conn)
            .await)?;
    }
    Ok(())
}

/// How long each is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Keep {
    /// Samples as they came.
    pub samples: Duration,
    /// Minutes.
    pub minutes: Duration,
    /// Hours.
    pub hours: Duration,
}

/// Whose rows are kept how long.
#[derive(Debug, Clone)]
pub struct KeepOf {
    /// How long.
    pub keep: Keep,
    /// Whose; nothing means everybody's.
    pub agents: Option<Vec<AgentId>>,
}

/// An id as SQL writes it: as many as are needed here could not be bound.
fn literal(kind: DatabaseKind, id: AgentId) -> String {
    match kind {
        DatabaseKind::Sqlite => format!("X'{}'", id.0.simple()),
        DatabaseKind::Postgres => format!("'{}'::uuid", id.0),
    }
}

/// Deletes at most `most` rows of each kind that are older than that; the largest number of rows that one
/// of them lost.
pub async fn delete_old(
    db: &Db,
    of: &KeepOf,
    now: DateTime<Utc>,
    most: u32,
) -> Result<usize, DbError> {
    let whose = match &of.agents {
        None => String::new(),
        Some(agents) if agents.is_empty() => return Ok(0),
        Some(agents) => {
            let ids: Vec<_> = agents.iter().map(|id| literal(db.kind(), *id)).collect();
            format!(" AND agent_id IN ({})", ids.join(", "))
        }
    };
    let mut largest = 0;
    for (table, key, time, age) in [
        ("metrics", "id", "recorded_at", of.keep.samples),
        ("metrics_1m", "agent_id, at", "at", of.keep.minutes),
        ("metrics_1h", "agent_id, at", "at", of.keep.hours),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN \
             (SELECT {key} FROM {table} WHERE {time} < $1{whose} ORDER BY {time} LIMIT {most})"
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
