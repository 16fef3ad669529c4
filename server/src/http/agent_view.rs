//! An agent as the API shows it: its row, and what the registry knows better.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gururmm_shared::AgentId;
use serde::Serialize;
use serde_json::{Value, json};

use crate::db::agent_state::AgentState;
use crate::db::agents::{Agent, AgentOverview};
use crate::services::audit;

/// An agent as the API shows it.
#[derive(Serialize)]
pub struct AgentView {
    id: AgentId,
    hostname: String,
    device_id: String,
    status: &'static str,
    os: Value,
    agent_version: Option<String>,
    protocol: i32,
    last_seen_at: Option<DateTime<Utc>>,
    site: Option<Value>,
    client: Option<Value>,
    metrics: Option<Value>,
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
pub fn metrics(state: &AgentState) -> Option<Value> {
    state.metrics_at.map(|at| {
        json!({
            "at": at,
            "cpu_percent": state.cpu_percent,
            "memory_used_bytes": state.memory_used_bytes,
            "memory_total_bytes": state.memory_total_bytes,
            "disk_used_bytes": state.disk_used_bytes,
            "disk_total_bytes": state.disk_total_bytes,
            "network_rx_bytes": state.network_rx_bytes,
            "network_tx_bytes": state.network_tx_bytes,
            "uptime_seconds": state.uptime_seconds,
        })
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
        os: json!({
            "family": agent.os_family,
            "name": agent.os_name,
            "version": agent.os_version,
            "arch": agent.os_arch,
        }),
        agent_version: agent.agent_version,
        protocol: agent.protocol,
        last_seen_at: seen,
        site: agent
            .site_id
            .map(|id| json!({ "id": id, "name": site_name })),
        client: client_id.map(|id| json!({ "id": id, "name": client_name })),
        metrics: state.as_ref().and_then(metrics),
        created_at: agent.created_at,
        api_key: None,
    }
}
