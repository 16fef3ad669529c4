//! Agents that wait for a person's word: a row here means that the agent may do nothing yet.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};

use super::schema::{agent_approvals, agents, sites};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// An agent that waits.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Waiting {
    /// Which.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// Its device.
    pub device_id: String,
    /// Where it wants to be.
    pub site_id: Option<SiteId>,
    /// Since when.
    pub requested_at: DateTime<Utc>,
}

/// Whether an agent waits.
pub async fn is_waiting(db: &Db, id: AgentId) -> Result<bool, DbError> {
    let found: Option<AgentId> = query!(db, |conn| agent_approvals::table
        .find(Bind(id))
        .select(agent_approvals::agent_id)
        .first(conn)
        .await
        .optional())?;
    Ok(found.is_some())
}

/// Lists who waits, the oldest first.
pub async fn list(db: &Db, scope: Scope) -> Result<Vec<Waiting>, DbError> {
    query!(db, |conn| {
        let mut found = agent_approvals::table
            .inner_join(agents::table.left_join(sites::table))
            .select((
                agents::id,
                agents::hostname,
                agents::device_id,
                agents::site_id,
                agent_approvals::requested_at,
            ))
            .into_boxed();
        within_joined_sites!(found, &scope);
        found
            .order((agent_approvals::requested_at, agents::id))
            .limit(1000)
            .load::<Waiting>(conn)
            .await
    })
}

/// Lets an agent in; `false` where it does not wait.
pub async fn approve(db: &Db, id: AgentId) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(
        agent_approvals::table.find(Bind(id))
    )
    .execute(conn)
    .await)
    .map(|deleted| deleted > 0)
}

/// Deletes an agent that waits; `false` where it does not.
pub async fn reject(db: &Db, id: AgentId) -> Result<bool, DbError> {
    exec!(db, |conn| {
        let waiting = agent_approvals::table
            .filter(agent_approvals::agent_id.eq(Bind(id)))
            .select(agent_approvals::agent_id);
        diesel::delete(agents::table.filter(agents::id.eq_any(waiting)))
            .execute(conn)
            .await
    })
    .map(|deleted| deleted > 0)
}

/// One of several agents with the same device.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Twin {
    /// The device.
    pub device_id: String,
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// Where it is.
    pub site_id: Option<SiteId>,
    /// Whose site that is.
    pub client_id: Option<ClientId>,
    /// When it last said something.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// Devices that are enrolled more than once, at most so many of them.
const MOST_DEVICES: i64 = 500;

/// Lists agents whose device is enrolled more than once, by device.
pub async fn twins(db: &Db) -> Result<Vec<Twin>, DbError> {
    let devices: Vec<String> = query!(db, |conn| agents::table
        .group_by(agents::device_id)
        .having(diesel::dsl::count_star().gt(1))
        .select(agents::device_id)
        .order(agents::device_id)
        .limit(MOST_DEVICES)
        .load(conn)
        .await)?;
    query!(db, |conn| agents::table
        .left_join(sites::table)
        .filter(agents::device_id.eq_any(&devices))
        .select((
            agents::device_id,
            agents::id,
            agents::hostname,
            agents::site_id,
            sites::client_id.nullable(),
            agents::last_seen_at,
        ))
        .order((agents::device_id, agents::id))
        .load::<Twin>(conn)
        .await)
}
