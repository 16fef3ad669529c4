//! Sessions as they are listed, with whose they are and to where.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SessionId, SiteId, UserId};

use super::TechSession;
use crate::page::{PageOf, SortValue, lower, pattern};
use crate::schema::{agents, sites, tech_sessions, users};
use crate::types::Bind;
use crate::{Db, DbError};
use gururmm_domain::scope::Scope;

sorts! {
    /// The orders of a list of sessions.
    SessionSort, newest first: true {
        /// By the time they were opened.
        Opened = "opened" (time),
        /// By the time something last happened in them.
        Activity = "activity" (time),
    }
}

/// A session with the names of its two ends.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct ListedSession {
    /// The session.
    pub session: TechSession,
    /// The machine's name.
    pub hostname: String,
    /// The technician's address.
    pub tech_email: String,
}

impl ListedSession {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: SessionSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            SessionSort::Opened => self.session.opened_at,
            SessionSort::Activity => self.session.last_activity,
        };
        (SortValue::Time(value), self.session.session_id.0)
    }
}

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only those to agents within.
    pub scope: Scope,
    /// Only those of this technician.
    pub tech_id: Option<UserId>,
    /// Only those to this agent.
    pub agent_id: Option<AgentId>,
    /// Only those to this site's agents.
    pub site_id: Option<SiteId>,
    /// Only those to this client's agents.
    pub client_id: Option<ClientId>,
    /// Only those of this status; `open` stands for two.
    pub status: Option<String>,
    /// Only those whose machine's name or technician's address holds this.
    pub words: Option<String>,
    /// Opened not before.
    pub from: Option<DateTime<Utc>>,
    /// Opened before.
    pub to: Option<DateTime<Utc>>,
}

/// Lists sessions.
pub async fn list(
    db: &Db,
    filter: SessionFilter,
    page: PageOf<SessionSort>,
) -> Result<Vec<ListedSession>, DbError> {
    query!(db, |conn| {
        let mut rows = tech_sessions::table
            .inner_join(agents::table.left_join(sites::table))
            .inner_join(users::table)
            .select((TechSession::as_select(), agents::hostname, users::email))
            .into_boxed();
        within!(
            rows,
            &filter.scope,
            sites::client_id.nullable(),
            agents::site_id
        );
        if let Some(id) = filter.tech_id {
            rows = rows.filter(tech_sessions::tech_id.eq(Bind(id)));
        }
        if let Some(id) = filter.agent_id {
            rows = rows.filter(tech_sessions::agent_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(agents::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(sites::client_id.nullable().eq(Bind(id)));
        }
        match filter.status.as_deref() {
            Some("open") => {
                rows = rows.filter(tech_sessions::status.eq_any(["active", "ready"]));
            }
            Some(status) => rows = rows.filter(tech_sessions::status.eq(status.to_owned())),
            None => {}
        }
        if let Some(words) = &filter.words {
            let hostname = lower(agents::hostname).like(lower(pattern(words)));
            let email = lower(users::email).like(lower(pattern(words)));
            rows = rows.filter(hostname.escape('\\').or(email.escape('\\')));
        }
        if let Some(from) = filter.from {
            rows = rows.filter(tech_sessions::opened_at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(tech_sessions::opened_at.lt(Bind(to)));
        }
        match page.sort {
            SessionSort::Opened => {
                keyset!(
                    rows,
                    page,
                    tech_sessions::opened_at,
                    tech_sessions::session_id,
                    SessionId,
                    time
                );
            }
            SessionSort::Activity => {
                keyset!(
                    rows,
                    page,
                    tech_sessions::last_activity,
                    tech_sessions::session_id,
                    SessionId,
                    time
                );
            }
        }
        rows.load::<ListedSession>(conn).await
    })
}
