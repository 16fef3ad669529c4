//! Agents as a list shows them: the machine, its place and its latest state, in one query.

use chrono::DateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};

use super::Agent;
use super::last_seen::LastSeen;
use crate::agent_state::AgentState;
use crate::page::{PageOf, SortKey, SortValue, lower, pattern};
use crate::schema::{agent_state, agents, clients, sites};
use crate::types::Bind;
use crate::{Db, DbError};
use gururmm_domain::scope::{Place, Scope};

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

impl AgentOverview {
    /// Where the agent is.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            client_id: self.client_id,
            site_id: self.agent.site_id,
        }
    }

    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: AgentSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            AgentSort::Name => SortValue::Text(self.agent.hostname.clone()),
            AgentSort::LastSeen => {
                SortValue::Time(self.agent.last_seen_at.unwrap_or(DateTime::UNIX_EPOCH))
            }
            AgentSort::Created => SortValue::Time(self.agent.created_at),
        };
        (value, self.agent.id.0)
    }
}

/// The orders of a list of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentSort {
    /// By host name.
    Name,
    /// By the time they last said something; those that never did are the first.
    LastSeen,
    /// By the time they were enrolled.
    Created,
}

impl SortKey for AgentSort {
    const KEYS: &'static [(&'static str, Self)] = &[
        ("name", Self::Name),
        ("last_seen", Self::LastSeen),
        ("created", Self::Created),
    ];

    fn is_time(self) -> bool {
        self != Self::Name
    }
}

/// Which agents to list.
#[derive(Debug, Clone, Default)]
pub struct AgentFilter {
    /// Only those within.
    pub scope: Scope,
    /// Only those of this site.
    pub site_id: Option<SiteId>,
    /// Only those of this client.
    pub client_id: Option<ClientId>,
    /// Only those whose row says this.
    pub status: Option<String>,
    /// Only those of this family.
    pub os_family: Option<String>,
    /// Only those whose host name or device id holds this.
    pub words: Option<String>,
    /// Only those that have no site.
    pub unassigned: bool,
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

/// Lists agents.
pub async fn list(
    db: &Db,
    filter: AgentFilter,
    page: PageOf<AgentSort>,
) -> Result<Vec<AgentOverview>, DbError> {
    query!(db, |conn| {
        let mut rows = overviews!().into_boxed();
        within!(
            rows,
            &filter.scope,
            sites::client_id.nullable(),
            agents::site_id
        );
        if let Some(site_id) = filter.site_id {
            rows = rows.filter(agents::site_id.eq(Bind(site_id)));
        }
        if let Some(client_id) = filter.client_id {
            rows = rows.filter(sites::client_id.nullable().eq(Bind(client_id)));
        }
        if let Some(status) = &filter.status {
            rows = rows.filter(agents::status.eq(status.clone()));
        }
        if let Some(family) = &filter.os_family {
            rows = rows.filter(agents::os_family.eq(family.clone()));
        }
        if filter.unassigned {
            rows = rows.filter(agents::site_id.is_null());
        }
        if let Some(words) = &filter.words {
            let hostname = lower(agents::hostname).like(lower(pattern(words)));
            let device = lower(agents::device_id).like(lower(pattern(words)));
            rows = rows.filter(hostname.escape('\\').or(device.escape('\\')));
        }
        match page.sort {
            AgentSort::Name => keyset!(rows, page, agents::hostname, agents::id, AgentId, text),
            AgentSort::LastSeen => keyset!(rows, page, LastSeen, agents::id, AgentId, time),
            AgentSort::Created => {
                keyset!(rows, page, agents::created_at, agents::id, AgentId, time);
            }
        }
        rows.load::<AgentOverview>(conn).await
    })
}

/// Finds these agents, at most 1,000, with their places and their latest states; those that are gone
/// are missing.
pub async fn overviews_of(db: &Db, ids: Vec<AgentId>) -> Result<Vec<AgentOverview>, DbError> {
    query!(db, |conn| overviews!()
        .filter(agents::id.eq_any(ids.into_iter().map(Bind)))
        .order(agents::id)
        .load::<AgentOverview>(conn)
        .await)
}

/// Finds one agent with its place and its latest state.
pub async fn overview(db: &Db, id: AgentId) -> Result<Option<AgentOverview>, DbError> {
    query!(db, |conn| overviews!()
        .filter(agents::id.eq(Bind(id)))
        .first::<AgentOverview>(conn)
        .await
        .optional())
}
