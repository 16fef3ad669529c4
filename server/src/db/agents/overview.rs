//! Agents as a list shows them: the machine, its place and its latest state, in one query.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};

use super::Agent;
use crate::db::agent_state::AgentState;
use crate::db::schema::{agent_state, agents, clients, sites};
use crate::db::types::Bind;
use crate::db::{Db, DbError};

/// An agent with its place and its latest state.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct AgentOverview {
    /// The agent.
    pub agent: Agent,
    /// Its site's name.
    pub site_name: Option<String>,
    /// Its client.
    pub client_id: Option<ClientId>,
    /// Its client's name.
    pub client_name: Option<String>,
    /// The latest it reported; nothing before its first report.
    pub state: Option<AgentState>,
}

/// Which agents to list.
#[derive(Debug, Clone)]
pub struct AgentFilter {
    /// Only those of this site.
    pub site_id: Option<SiteId>,
    /// Only those of this client.
    pub client_id: Option<ClientId>,
    /// At most so many.
    pub limit: i64,
    /// Only those that come after this one.
    pub after: Option<AgentId>,
}

macro_rules! overviews {
    () => {
        agents::table
            .left_join(sites::table.left_join(clients::table))
            .left_join(agent_state::table)
            .select((
                Agent::as_select(),
                sites::name.nullable(),
                clients::id.nullable(),
                clients::name.nullable(),
                Option::<AgentState>::as_select(),
            ))
    };
}

/// Lists agents in the order of their ids, which is that of their enrolment.
pub async fn list(db: &Db, filter: AgentFilter) -> Result<Vec<AgentOverview>, DbError> {
    query!(db, |conn| {
        let mut agents = overviews!()
            .order(agents::id)
            .limit(filter.limit.max(0))
            .into_boxed();
        if let Some(site_id) = filter.site_id {
            agents = agents.filter(agents::site_id.eq(Bind(site_id)));
        }
        if let Some(client_id) = filter.client_id {
            agents = agents.filter(sites::client_id.nullable().eq(Bind(client_id)));
        }
        if let Some(after) = filter.after {
            agents = agents.filter(agents::id.gt(Bind(after)));
        }
        agents.load::<AgentOverview>(conn).await
    })
}

/// Finds one agent with its place and its latest state.
pub async fn overview(db: &Db, id: AgentId) -> Result<Option<AgentOverview>, DbError> {
    query!(db, |conn| overviews!()
        .filter(agents::id.eq(Bind(id)))
        .first::<AgentOverview>(conn)
        .await
        .optional())
}
