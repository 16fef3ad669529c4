//! An agent's past: its samples as they came, or by minute and by hour.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use super::metrics::Metrics;
use super::page::{PageOf, SortKey, SortValue};
use super::schema::{metrics, metrics_1h, metrics_1m};
use super::types::Bind;
use super::{Db, DbError};

/// The order of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistorySort {
    /// By time.
    Time,
}

impl SortKey for HistorySort {
    const KEYS: &'static [(&'static str, Self)] = &[("time", Self::Time)];

    fn is_time(self) -> bool {
        true
    }
}

/// Which part of whose past.
#[derive(Debug, Clone)]
pub struct Past {
    /// Which agent.
    pub agent_id: AgentId,
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until before when.
    pub to: DateTime<Utc>,
}

/// An agent's samples of a minute or an hour, put together.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Rollup {
    /// Which agent.
    pub agent_id: AgentId,
    /// When the minute or the hour begins.
    pub at: DateTime<Utc>,
    /// How many samples there were.
    pub samples: i64,
    /// Load of all CPUs: mean, least, most.
    pub cpu: Span<f64>,
    /// Memory in use.
    pub memory_used: Span<i64>,
    /// Memory there is.
    pub memory_total_bytes: Option<i64>,
    /// Space in use on all disks.
    pub disk_used: Span<i64>,
    /// Space there is on all disks.
    pub disk_total_bytes: Option<i64>,
    /// Bytes received between two samples.
    pub network_rx: Span<i64>,
    /// Bytes sent between two samples.
    pub network_tx: Span<i64>,
}

/// Mean, least and most of a figure; nothing where the agent does not collect it.
pub type Span<T> = (Option<f64>, Option<T>, Option<T>);

impl Metrics {
    /// Where it stands in a history.
    #[must_use]
    pub fn position(&self, _: HistorySort) -> (SortValue, uuid::Uuid) {
        let number = u64::try_from(self.id).unwrap_or(0);
        let id = uuid::Uuid::from_u64_pair(0, number);
        (SortValue::Time(self.recorded_at), id)
    }
}

impl Rollup {
    /// Where it stands in a history.
    #[must_use]
    pub fn position(&self, _: HistorySort) -> (SortValue, uuid::Uuid) {
        (SortValue::Time(self.at), uuid::Uuid::nil())
    }
}

/// Lists an agent's samples.
pub async fn samples(
    db: &Db,
    past: Past,
    page: PageOf<HistorySort>,
) -> Result<Vec<Metrics>, DbError> {
    query!(db, |conn| {
        let mut rows = metrics::table
            .filter(metrics::agent_id.eq(Bind(past.agent_id)))
            .filter(metrics::recorded_at.ge(Bind(past.from)))
            .filter(metrics::recorded_at.lt(Bind(past.to)))
            .select(Metrics::as_select())
            .limit(page.limit.max(0))
            .into_boxed();
        let after = page.after.map(|(value, id)| {
            let number = i64::try_from(id.as_u64_pair().1).unwrap_or(i64::MAX);
            (Bind(value.time()), number)
        });
        if page.descending {
            rows = rows.order((metrics::recorded_at.desc(), metrics::id.desc()));
            if let Some((at, number)) = after {
                rows = rows
                    .filter(metrics::recorded_at.le(at))
                    .filter(metrics::recorded_at.lt(at).or(metrics::id.lt(number)));
            }
        } else {
            rows = rows.order((metrics::recorded_at.asc(), metrics::id.asc()));
            if let Some((at, number)) = after {
                rows = rows
                    .filter(metrics::recorded_at.ge(at))
                    .filter(metrics::recorded_at.gt(at).or(metrics::id.gt(number)));
            }
        }
        rows.load(conn).await
    })
}

macro_rules! rollups {
    ($db:expr, $table:ident, $past:expr, $page:expr) => {{
        let (past, page) = ($past, $page);
        query!($db, |conn| {
            let mut rows = $table::table
                .filter($table::agent_id.eq(Bind(past.agent_id)))
                .filter($table::at.ge(Bind(past.from)))
                .filter($table::at.lt(Bind(past.to)))
                .select((
                    $table::agent_id,
                    $table::at,
                    $table::samples,
                    ($table::cpu_avg, $table::cpu_min, $table::cpu_max),
                    (
                        $table::memory_used_avg,
                        $table::memory_used_min,
                        $table::memory_used_max,
                    ),
                    $table::memory_total_bytes,
                    (
                        $table::disk_used_avg,
                        $table::disk_used_min,
                        $table::disk_used_max,
                    ),
                    $table::disk_total_bytes,
                    (
                        $table::network_rx_avg,
                        $table::network_rx_min,
                        $table::network_rx_max,
                    ),
                    (
                        $table::network_tx_avg,
                        $table::network_tx_min,
                        $table::network_tx_max,
                    ),
                ))
                .limit(page.limit.max(0))
                .into_boxed();
            let after = page.after.map(|(value, _)| Bind(value.time()));
            if page.descending {
                rows = rows.order($table::at.desc());
                if let Some(at) = after {
                    rows = rows.filter($table::at.lt(at));
                }
            } else {
                rows = rows.order($table::at.asc());
                if let Some(at) = after {
                    rows = rows.filter($table::at.gt(at));
                }
            }
            rows.load::<Rollup>(conn).await
        })
    }};
}

/// Lists an agent's minutes.
pub async fn minutes(
    db: &Db,
    past: Past,
    page: PageOf<HistorySort>,
) -> Result<Vec<Rollup>, DbError> {
    rollups!(db, metrics_1m, past, page)
}

/// Lists an agent's hours.
pub async fn hours(db: &Db, past: Past, page: PageOf<HistorySort>) -> Result<Vec<Rollup>, DbError> {
    rollups!(db, metrics_1h, past, page)
}
