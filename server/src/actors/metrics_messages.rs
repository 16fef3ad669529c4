//! What agents report and is written to the database in batches.

use actix::{Message, Recipient};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, Metrics, NetworkState, UpdateResult, WatchdogEvent};

use super::alert_messages::Observed;
use crate::db::agents::AgentConnected;

/// Something to be written soon.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Report {
    /// An agent has connected.
    Connected(AgentConnected),
    /// An agent's connection has ended.
    Disconnected(AgentId, DateTime<Utc>),
    /// A sign of life.
    Seen(AgentId, DateTime<Utc>),
    /// A sample of load.
    Sample(AgentId, DateTime<Utc>, Metrics),
    /// The network interfaces.
    Network(AgentId, DateTime<Utc>, NetworkState),
    /// Something happened to a watched service.
    Watchdog(AgentId, DateTime<Utc>, WatchdogEvent),
    /// An update has ended.
    Update(AgentId, UpdateResult),
}

/// Tell this one what is seen of agents.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchReports(pub Recipient<Observed>);

/// Write what waits; answered when it is written.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;
