//! All agents of a scope at once, a few columns of each: what counts and sums are made of.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde_json::Value;

use crate::schema::{agent_approvals, agent_state, agents, clients, sites};
use crate::types::Bind;
use crate::{Db, DbError};
use gururmm_domain::scope::Scope;

/// What kind of machine an agent is on.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct AgentKind {
    /// Which agent.
    pub id: AgentId,
    /// Its site.
    pub site_id: Option<SiteId>,
    /// `linux`, `windows`.
    pub os_family: String,
    /// The agent's version.
    pub agent_version: Option<String>,
}

/// An agent's place and load.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct AgentLoad {
    /// Which agent.
    pub id: AgentId,
    /// Its site.
    pub site_id: Option<SiteId>,
    /// Its site's name.
    pub site_name: Option<String>,
    /// Its client.
    pub client_id: Option<ClientId>,
    /// Its client's name.
    pub client_name: Option<String>,
    /// Load of all CPUs, 0 to 100.
    pub cpu_percent: Option<f64>,
    /// Memory in use.
    pub memory_used_bytes: Option<i64>,
    /// Memory there is.
    pub memory_total_bytes: Option<i64>,
    /// Space in use on all disks.
    pub disk_used_bytes: Option<i64>,
    /// Space there is on all disks.
    pub disk_total_bytes: Option<i64>,
}

/// Which program an agent runs, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct AgentBuild {
    /// Which agent.
    pub id: AgentId,
    /// Its site.
    pub site_id: Option<SiteId>,
    /// Its client.
    pub client_id: Option<ClientId>,
    /// `linux`, `windows`.
    pub os_family: String,
    /// As `x86_64`.
    pub os_arch: String,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// What it can do beyond its protocol: a JSON array of strings.
    pub capabilities: Value,
}

/// Lists what the agents that are let in run: all of them, or this one.
pub async fn builds(db: &Db, id: Option<AgentId>) -> Result<Vec<AgentBuild>, DbError> {
    query!(db, |conn| {
        let mut rows = agents::table
            .left_join(sites::table)
            .filter(agents::id.ne_all(agent_approvals::table.select(agent_approvals::agent_id)))
            .select((
                agents::id,
                agents::site_id,
                sites::client_id.nullable(),
                agents::os_family,
                agents::os_arch,
                agents::agent_version,
                agents::capabilities,
            ))
            .into_boxed();
        if let Some(id) = id {
            rows = rows.filter(agents::id.eq(Bind(id)));
        }
        rows.load(conn).await
    })
}

/// Lists the kinds of all agents within a scope.
pub async fn kinds(db: &Db, scope: Scope) -> Result<Vec<AgentKind>, DbError> {
    query!(db, |conn| {
        let mut rows = agents::table
            .left_join(sites::table)
            .select((
                agents::id,
                agents::site_id,
                agents::os_family,
                agents::agent_version,
            ))
            .into_boxed();
        within!(rows, &scope, sites::client_id.nullable(), agents::site_id);
        rows.load(conn).await
    })
}

/// Lists the latest load of all agents within a scope.
pub async fn loads(db: &Db, scope: Scope) -> Result<Vec<AgentLoad>, DbError> {
    query!(db, |conn| {
        let mut rows = agents::table
            .left_join(sites::table.left_join(clients::table))
            .left_join(agent_state::table)
            .select((
                agents::id,
                agents::site_id,
                sites::name.nullable(),
                clients::id.nullable(),
                clients::name.nullable(),
                agent_state::cpu_percent.nullable(),
                agent_state::memory_used_bytes.nullable(),
                agent_state::memory_total_bytes.nullable(),
                agent_state::disk_used_bytes.nullable(),
                agent_state::disk_total_bytes.nullable(),
            ))
            .into_boxed();
        within!(rows, &scope, sites::client_id.nullable(), agents::site_id);
        rows.load(conn).await
    })
}
