//! What is said to the one who brings releases to agents.

use actix::Message;
use gururmm_shared::AgentId;

/// An agent has connected.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AgentCame {
    /// Which agent.
    pub agent_id: AgentId,
    /// What it runs.
    pub version: Option<String>,
}

/// A rollout, an update or a policy is another one now: look at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LookAtUpdates;
