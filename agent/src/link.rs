//! How the connection to the server is, for whoever wants to know. Only the keeper changes it.

use chrono::{DateTime, Utc};
use gururmm_shared::AgentId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkState {
    /// Since when there is one, where there is.
    pub connected_since: Option<DateTime<Utc>>,
    /// Who the agent is to the server, once it told.
    pub agent_id: Option<AgentId>,
    /// The agent's clock less the server's, at the last connection.
    pub clock_off_seconds: Option<i64>,
    /// Why the last connection, or the last attempt to get one, ended.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<DateTime<Utc>>,
}

/// The keeper's side; clones are the same.
#[derive(Debug, Clone)]
pub struct Link(watch::Sender<LinkState>);

impl Default for Link {
    fn default() -> Self {
        Self(watch::channel(LinkState::default()).0)
    }
}

impl Link {
    /// How it is, and a word when that changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<LinkState> {
        self.0.subscribe()
    }

    /// There is a connection; `server_time` is the server's clock at this moment.
    pub fn connected(&self, agent_id: Option<AgentId>, server_time: Option<DateTime<Utc>>) {
        let now = Utc::now();
        self.0.send_modify(|state| {
            state.connected_since = Some(now);
            state.agent_id = agent_id;
            state.clock_off_seconds =
                server_time.map(|server| now.timestamp().saturating_sub(server.timestamp()));
        });
    }

    /// There is none.
    pub fn lost(&self, reason: String) {
        self.0.send_modify(|state| {
            state.connected_since = None;
            state.last_error = Some(reason);
            state.last_error_at = Some(Utc::now());
        });
    }
}
