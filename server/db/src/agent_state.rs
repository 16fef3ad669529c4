//! The latest of each agent: one row with its last metrics and its network. `metrics` writes the
//! former together with their history.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;
use serde_json::Value;

use super::schema::agent_state;
use super::types::{Bind, now};
use super::{Db, DbError};

/// The latest that an agent reported; what it does not report is `None`.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = agent_state)]
pub struct AgentState {
    /// Which agent.
    pub agent_id: AgentId,
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
    /// When the metrics came, by the server's clock.
    pub metrics_at: Option<DateTime<Utc>>,
    /// The network interfaces as the agent tells them.
    pub network: Option<Value>,
    /// Their hash, as the agent tells it.
    pub network_hash: Option<String>,
    /// When they came.
    pub network_at: Option<DateTime<Utc>>,
    /// When the row last changed.
    pub updated_at: DateTime<Utc>,
}

/// Stores an agent's network; [`DbError::ForeignKey`] where the agent is gone.
pub async fn store_network(
    db: &Db,
    agent_id: AgentId,
    network: Value,
    hash: Option<String>,
    at: DateTime<Utc>,
) -> Result<(), DbError> {
    let updated_at = Bind(now());
    exec!(db, |conn| {
        let values = (
            agent_state::network.eq(Bind(&network)),
            agent_state::network_hash.eq(hash.as_deref()),
            agent_state::network_at.eq(Bind(at)),
            agent_state::updated_at.eq(updated_at),
        );
        diesel::insert_into(agent_state::table)
            .values((agent_state::agent_id.eq(Bind(agent_id)), values))
            .on_conflict(agent_state::agent_id)
            .do_update()
            .set(values)
            .execute(conn)
            .await
    })
    .map(|_| ())
}
