//! What is said to the one who watches for alerts.

use actix::Message;
use gururmm_shared::AgentId;

use crate::domain::alert_rules::Event;

/// Something was seen of an agent.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Observed {
    /// Which agent.
    pub agent_id: AgentId,
    /// What.
    pub event: Event,
}

/// Rules, places or maintenance windows may be others now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct RulesChanged;

/// Somebody resolved an alert; what is still bad raises a new one.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AlertResolved {
    /// Of which agent.
    pub agent_id: AgentId,
    /// Of which kind.
    pub kind: String,
}
