//! Where things are: the client and the site of a site or of an agent.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};

use super::schema::{agent_approvals, agents, sites};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Place;

/// The place of a site; nothing where there is no such site.
pub async fn of_site(db: &Db, id: SiteId) -> Result<Option<Place>, DbError> {
    let client: Option<ClientId> = query!(db, |conn| sites::table
        .find(Bind(id))
        .select(sites::client_id)
        .first(conn)
        .await
        .optional())?;
    Ok(client.map(|client_id| Place::site(client_id, id)))
}

/// The place of an agent; nothing where there is no such agent.
pub async fn of_agent(db: &Db, id: AgentId) -> Result<Option<Place>, DbError> {
    let found: Option<(Option<SiteId>, Option<ClientId>)> = query!(db, |conn| agents::table
        .left_join(sites::table)
        .filter(agents::id.eq(Bind(id)))
        .select((agents::site_id, sites::client_id.nullable()))
        .first(conn)
        .await
        .optional())?;
    Ok(found.map(|(site_id, client_id)| Place { client_id, site_id }))
}

/// The places of these agents, and their names; what is gone is left out.
pub async fn of_named(
    db: &Db,
    ids: Vec<AgentId>,
) -> Result<HashMap<AgentId, (Place, String)>, DbError> {
    type Found = (AgentId, Option<SiteId>, Option<ClientId>, String);
    let found: Vec<Found> = query!(db, |conn| agents::table
        .left_join(sites::table)
        .filter(agents::id.eq_any(ids.into_iter().map(Bind)))
        .select((
            agents::id,
            agents::site_id,
            sites::client_id.nullable(),
            agents::hostname
        ))
        .load(conn)
        .await)?;
    Ok(found
        .into_iter()
        .map(|(id, site_id, client_id, hostname)| (id, (Place { client_id, site_id }, hostname)))
        .collect())
}

/// The places of all agents.
pub async fn of_all(db: &Db) -> Result<Vec<(AgentId, Place)>, DbError> {
    let found: Vec<(AgentId, Option<SiteId>, Option<ClientId>)> = query!(db, |conn| agents::table
        .left_join(sites::table)
        .select((agents::id, agents::site_id, sites::client_id.nullable()))
        .load(conn)
        .await)?;
    Ok(found
        .into_iter()
        .map(|(id, site_id, client_id)| (id, Place { client_id, site_id }))
        .collect())
}

/// The places of all agents that speak at least this protocol and are let in.
pub async fn of_agents(db: &Db, protocol: i32) -> Result<Vec<(AgentId, Place)>, DbError> {
    let found: Vec<(AgentId, Option<SiteId>, Option<ClientId>)> = query!(db, |conn| agents::table
        .left_join(sites::table)
        .filter(agents::protocol.ge(protocol))
        .filter(agents::id.ne_all(agent_approvals::table.select(agent_approvals::agent_id)))
        .select((agents::id, agents::site_id, sites::client_id.nullable()))
        .load(conn)
        .await)?;
    Ok(found
        .into_iter()
        .map(|(id, site_id, client_id)| (id, Place { client_id, site_id }))
        .collect())
}
