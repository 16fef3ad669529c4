//! An agent as the API shows it: its row, and what the registry knows better.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::agent_state::AgentState;
use crate::db::agents::{Agent, AgentOverview};
use crate::services::audit;

/// What a machine runs.
#[derive(Serialize, ToSchema)]
#[schema(as = Os)]
struct OsView {
    family: String,
    name: String,
    version: String,
    arch: String,
}

/// The site of an agent.
#[derive(Serialize, ToSchema)]
struct SiteOfAgent {
    id: SiteId,
    name: Option<String>,
}

/// The client of an agent.
#[derive(Serialize, ToSchema)]
struct ClientOfAgent {
    id: ClientId,
    name: Option<String>,
}

/// A sample of a machine's load; what was not collected is null.
#[derive(Serialize, ToSchema)]
#[schema(as = Load)]
pub struct LoadView {
    /// When it came.
    pub at: DateTime<Utc>,
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

/// An agent as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentView {
    id: AgentId,
    hostname: String,
    device_id: String,
    status: &'static str,
    os: OsView,
    agent_version: Option<String>,
    protocol: i32,
    last_seen_at: Option<DateTime<Utc>>,
    site: Option<SiteOfAgent>,
    client: Option<ClientOfAgent>,
    metrics: Option<LoadView>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

impl AgentView {
    /// Whether its status is this.
    pub fn is(&self, status: &str) -> bool {
        self.status == status
    }

    /// The same, with the agent's own key, which is shown when it was just made.
    pub fn with_key(self, api_key: String) -> Self {
        Self {
            api_key: Some(api_key),
            ..self
        }
    }
}

/// The connected ones among some agents, each with the age of its last sign of life.
pub type OnlineAgents = HashMap<AgentId, Duration>;

/// What is connected is online, whatever a row says.
pub fn status(id: AgentId, online: &OnlineAgents) -> &'static str {
    if online.contains_key(&id) {
        "online"
    } else {
        "offline"
    }
}

/// The row's time lags behind by a batch; of what is connected the registry knows better.
pub fn last_seen(agent: &Agent, online: &OnlineAgents) -> Option<DateTime<Utc>> {
    let live = online.get(&agent.id).map(|age| audit::now() - *age);
    agent.last_seen_at.max(live)
}

/// The newest sample of an agent, if there is one.
pub fn metrics(state: &AgentState) -> Option<LoadView> {
    state.metrics_at.map(|at| LoadView {
        at,
        cpu_percent: state.cpu_percent,
        memory_used_bytes: state.memory_used_bytes,
        memory_total_bytes: state.memory_total_bytes,
        disk_used_bytes: state.disk_used_bytes,
        disk_total_bytes: state.disk_total_bytes,
        network_rx_bytes: state.network_rx_bytes,
        network_tx_bytes: state.network_tx_bytes,
        uptime_seconds: state.uptime_seconds,
    })
}

/// Puts it together.
pub fn view(overview: AgentOverview, online: &OnlineAgents) -> AgentView {
    let AgentOverview {
        agent,
        site_name,
        client_id,
        client_name,
        state,
    } = overview;
    let seen = last_seen(&agent, online);
    AgentView {
        id: agent.id,
        hostname: agent.hostname,
        device_id: agent.device_id,
        status: status(agent.id, online),
        os: OsView {
            family: agent.os_family,
            name: agent.os_name,
            version: agent.os_version,
            arch: agent.os_arch,
        },
        agent_version: agent.agent_version,
        protocol: agent.protocol,
        last_seen_at: seen,
        site: agent.site_id.map(|id| SiteOfAgent {
            id,
            name: site_name,
        }),
        client: client_id.map(|id| ClientOfAgent {
            id,
            name: client_name,
        }),
        metrics: state.as_ref().and_then(metrics),
        created_at: agent.created_at,
        api_key: None,
    }
}
