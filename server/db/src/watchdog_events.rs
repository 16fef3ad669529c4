//! What agents' watchdogs saw of services: stopped, restarted, given up.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use super::schema::watchdog_events;
use super::types::{Bind, clipped};
use super::{Db, DbError};

/// An event as the server received it. Text that is too long for its column is cut.
#[derive(Debug, Clone)]
pub struct NewWatchdogEvent {
    /// Which agent.
    pub agent_id: AgentId,
    /// The service.
    pub service: String,
    /// As `stopped`, `restarted`, `gave_up`.
    pub event: String,
    /// More, for a person.
    pub message: Option<String>,
    /// When, by the agent's clock.
    pub reported_at: Option<DateTime<Utc>>,
    /// When it came, by the server's clock.
    pub recorded_at: DateTime<Utc>,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = watchdog_events)]
pub struct WatchdogEvent {
    /// Its number.
    pub id: i64,
    /// Which agent.
    pub agent_id: AgentId,
    /// The service.
    pub service: String,
    /// As `stopped`, `restarted`, `gave_up`.
    pub event: String,
    /// More, for a person.
    pub message: Option<String>,
    /// When, by the agent's clock.
    pub reported_at: Option<DateTime<Utc>>,
    /// When it came, by the server's clock.
    pub recorded_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = watchdog_events, treat_none_as_default_value = false)]
struct Row {
    agent_id: Bind<AgentId>,
    service: String,
    event: String,
    message: Option<String>,
    reported_at: Option<Bind<DateTime<Utc>>>,
    recorded_at: Bind<DateTime<Utc>>,
}

impl From<NewWatchdogEvent> for Row {
    fn from(new: NewWatchdogEvent) -> Self {
        Self {
            agent_id: Bind(new.agent_id),
            service: clipped(&new.service, 255),
            event: clipped(&new.event, 64),
            message: new.message.map(|message| clipped(&message, 4000)),
            reported_at: new.reported_at.map(Bind),
            recorded_at: Bind(new.recorded_at),
        }
    }
}

/// Stores a batch of events and counts them; those of agents that are gone are left out.
pub async fn insert_batch(db: &Db, events: Vec<NewWatchdogEvent>) -> Result<usize, DbError> {
    let rows: Vec<Row> = events.into_iter().map(Row::from).collect();
    insert_batch!(db, watchdog_events::table, rows)
}

/// The newest events of an agent, the newest first.
pub async fn recent(db: &Db, agent_id: AgentId, limit: i64) -> Result<Vec<WatchdogEvent>, DbError> {
    query!(db, |conn| watchdog_events::table
        .filter(watchdog_events::agent_id.eq(Bind(agent_id)))
        .order((
            watchdog_events::recorded_at.desc(),
            watchdog_events::id.desc()
        ))
        .limit(limit.max(0))
        .select(WatchdogEvent::as_select())
        .load(conn)
        .await)
}
