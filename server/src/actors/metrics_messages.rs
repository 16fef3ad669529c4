//! What agents report and is written to the database in batches.

use actix::{Message, Recipient};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, Metrics, NetworkState, UpdateResult, WatchdogEvent};

use super::alert_messages::Observed;
use super::event_messages::Happened;
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

/// Tell these what is seen of agents.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WatchReports {
    /// Who watches for alerts.
    pub alerts: Recipient<Observed>,
    /// Who tells of load.
    pub events: Recipient<Happened>,
}

/// Write what waits; answered when it is written.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// How many rows wait to be written?
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct Backlog;
