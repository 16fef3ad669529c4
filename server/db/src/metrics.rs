//! Metrics: every sample of every agent, and the newest copied into `agent_state`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use super::schema::{agent_state, metrics};
use super::types::{Bind, clamped};
use super::{Db, DbError};

/// One sample as the server received it; what the agent does not collect is `None`.
#[derive(Debug, Clone)]
pub struct MetricsSample {
    /// Which agent.
    pub agent_id: AgentId,
    /// When it came, by the server's clock.
    pub recorded_at: DateTime<Utc>,
    /// When it was measured, by the agent's clock.
    pub reported_at: Option<DateTime<Utc>>,
    /// Load of all CPUs, 0 to 100.
    pub cpu_percent: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Memory there is.
    pub memory_total_bytes: Option<u64>,
    /// Space in use on all disks.
    pub disk_used_bytes: Option<u64>,
    /// Space there is on all disks.
    pub disk_total_bytes: Option<u64>,
    /// Bytes received since the sample before.
    pub network_rx_bytes: Option<u64>,
    /// Bytes sent since the sample before.
    pub network_tx_bytes: Option<u64>,
    /// Time since the machine started.
    pub uptime_seconds: Option<u64>,
}

/// A stored sample.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = metrics)]
pub struct Metrics {
    /// Its number.
    pub id: i64,
    /// Which agent.
    pub agent_id: AgentId,
    /// When it came, by the server's clock.
    pub recorded_at: DateTime<Utc>,
    /// When it was measured, by the agent's clock.
    pub reported_at: Option<DateTime<Utc>>,
    /// Load of all CPUs, 0 to 100.
    pub cpu_percent: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<i64>,
    /// Memory there is.
    pub memory_total_bytes: Option<i64>,
    /// Space in use on all disks.
    pub disk_used_bytes: Option<i64>,
    /// Space there is on all disks.
    pub disk_total_bytes: Option<i64>,
    /// Bytes received since the sample before.
    pub network_rx_bytes: Option<i64>,
    /// Bytes sent since the sample before.
    pub network_tx_bytes: Option<i64>,
    /// Time since the machine started.
    pub uptime_seconds: Option<i64>,
}

#[derive(Insertable)]
#[diesel(table_name = metrics, treat_none_as_default_value = false)]
struct Row {
    agent_id: Bind<AgentId>,
    recorded_at: Bind<DateTime<Utc>>,
    reported_at: Option<Bind<DateTime<Utc>>>,
    cpu_percent: Option<f64>,
    memory_used_bytes: Option<i64>,
    memory_total_bytes: Option<i64>,
    disk_used_bytes: Option<i64>,
    disk_total_bytes: Option<i64>,
    network_rx_bytes: Option<i64>,
    network_tx_bytes: Option<i64>,
    uptime_seconds: Option<i64>,
}

impl From<MetricsSample> for Row {
    fn from(sample: MetricsSample) -> Self {
        Self {
            agent_id: Bind(sample.agent_id),
            recorded_at: Bind(sample.recorded_at),
            reported_at: sample.reported_at.map(Bind),
            cpu_percent: sample.cpu_percent.filter(|percent| percent.is_finite()),
            memory_used_bytes: clamped(sample.memory_used_bytes),
            memory_total_bytes: clamped(sample.memory_total_bytes),
            disk_used_bytes: clamped(sample.disk_used_bytes),
            disk_total_bytes: clamped(sample.disk_total_bytes),
            network_rx_bytes: clamped(sample.network_rx_bytes),
            network_tx_bytes: clamped(sample.network_tx_bytes),
            uptime_seconds: clamped(sample.uptime_seconds),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = agent_state, treat_none_as_default_value = false)]
struct Latest {
    agent_id: Bind<AgentId>,
    cpu_percent: Option<f64>,
    memory_used_bytes: Option<i64>,
    memory_total_bytes: Option<i64>,
    disk_used_bytes: Option<i64>,
    disk_total_bytes: Option<i64>,
    network_rx_bytes: Option<i64>,
    network_tx_bytes: Option<i64>,
    uptime_seconds: Option<i64>,
    metrics_at: Option<Bind<DateTime<Utc>>>,
    updated_at: Bind<DateTime<Utc>>,
}

impl From<&Row> for Latest {
    fn from(row: &Row) -> Self {
        Self {
            agent_id: row.agent_id,
            cpu_percent: row.cpu_percent,
            memory_used_bytes: row.memory_used_bytes,
            memory_total_bytes: row.memory_total_bytes,
            disk_used_bytes: row.disk_used_bytes,
            disk_total_bytes: row.disk_total_bytes,
            network_rx_bytes: row.network_rx_bytes,
            network_tx_bytes: row.network_tx_bytes,
            uptime_seconds: row.uptime_seconds,
            metrics_at: Some(row.recorded_at),
            updated_at: row.recorded_at,
        }
    }
}

/// The newest of each agent, in the order of their ids.
fn latest(rows: &[Row]) -> Vec<Latest> {
    let mut newest: BTreeMap<AgentId, &Row> = BTreeMap::new();
    for row in rows {
        let known = newest.entry(row.agent_id.0).or_insert(row);
        if row.recorded_at.0 >= known.recorded_at.0 {
            *known = row;
        }
    }
    newest.into_values().map(Latest::from).collect()
}

macro_rules! upsert {
    ($values:expr) => {
        // `QueryDsl`'s filter is for tables; an upsert's has to be named.
        diesel::query_dsl::methods::FilterDsl::filter(
            diesel::insert_into(agent_state::table)
                .values($values)
                .on_conflict(agent_state::agent_id)
                .do_update()
                .set((
                    agent_state::cpu_percent.eq(excluded(agent_state::cpu_percent)),
                    agent_state::memory_used_bytes.eq(excluded(agent_state::memory_used_bytes)),
                    agent_state::memory_total_bytes.eq(excluded(agent_state::memory_total_bytes)),
                    agent_state::disk_used_bytes.eq(excluded(agent_state::disk_used_bytes)),
                    agent_state::disk_total_bytes.eq(excluded(agent_state::disk_total_bytes)),
                    agent_state::network_rx_bytes.eq(excluded(agent_state::network_rx_bytes)),
                    agent_state::network_tx_bytes.eq(excluded(agent_state::network_tx_bytes)),
                    agent_state::uptime_seconds.eq(excluded(agent_state::uptime_seconds)),
                    agent_state::metrics_at.eq(excluded(agent_state::metrics_at)),
                    agent_state::updated_at.eq(excluded(agent_state::updated_at)),
                )),
            // A batch that comes late must not hide a newer sample.
            agent_state::metrics_at
                .is_null()
                .or(agent_state::metrics_at.le(excluded(agent_state::metrics_at))),
        )
    };
}

/// Stores a batch of samples and the newest of each agent, all or none, and counts what was stored:
/// samples of agents that are gone are left out.
pub async fn store_samples(db: &Db, samples: Vec<MetricsSample>) -> Result<usize, DbError> {
    let rows: Vec<Row> = samples.into_iter().map(Row::from).collect();
    insert_batch!(db, metrics::table, rows, then latest, |values| upsert!(values))
}

/// The newest samples of an agent, the newest first.
pub async fn recent(db: &Db, agent_id: AgentId, limit: i64) -> Result<Vec<Metrics>, DbError> {
    query!(db, |conn| metrics::table
        .filter(metrics::agent_id.eq(Bind(agent_id)))
        .order((metrics::recorded_at.desc(), metrics::id.desc()))
        .limit(limit.max(0))
        .select(Metrics::as_select())
        .load(conn)
        .await)
}
