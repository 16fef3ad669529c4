//! Acts as they are read: what was asked for together with how it ended, newest first.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ApiKeyId, AuditId, ClientId, CommandId, SessionId, SiteId, UserId};

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::audit_acts;
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// An act.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_acts)]
pub struct Act {
    /// Its id.
    pub act_id: AuditId,
    /// The number of its first entry.
    pub id: i64,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// What was done.
    pub action: String,
    /// Who.
    pub user_id: Option<UserId>,
    /// Who, by e-mail address; empty where it was no user.
    pub user_email: String,
    /// With which API key.
    pub key_id: Option<ApiKeyId>,
    /// To which agent.
    pub agent_id: Option<AgentId>,
    /// The agent's name at that time.
    pub agent_hostname: Option<String>,
    /// The client it was in at that time.
    pub client_id: Option<ClientId>,
    /// The site it was in at that time.
    pub site_id: Option<SiteId>,
    /// In which session.
    pub session_id: Option<String>,
    /// Which command.
    pub command_id: Option<CommandId>,
    /// The thing it was done to.
    pub target: String,
    /// What was asked for.
    pub detail: String,
    /// From which address.
    pub remote_addr: String,
    /// In which HTTP request.
    pub request_id: String,
    /// How it ended; nothing while it goes on.
    pub outcome: Option<String>,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its place in the chain.
    pub seq: Option<i64>,
    /// The place of its end in the chain.
    pub last_seq: Option<i64>,
}

/// The orders of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActSort {
    /// By the time it was asked for.
    Time,
}

impl SortKey for ActSort {
    const KEYS: &'static [(&'static str, Self)] = &[("time", Self::Time)];
    const NEWEST_FIRST: bool = true;

    fn is_time(self) -> bool {
        true
    }
}

impl Act {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, _: ActSort) -> (SortValue, uuid::Uuid) {
        (SortValue::Time(self.at), self.act_id.0)
    }
}

/// Which acts.
#[derive(Debug, Clone, Default)]
pub struct ActFilter {
    /// Only those at places within.
    pub scope: Scope,
    /// Whose own acts are shown whatever the scope.
    pub reader: Option<UserId>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Who.
    pub user_id: Option<UserId>,
    /// To which agent.
    pub agent_id: Option<AgentId>,
    /// In which client.
    pub client_id: Option<ClientId>,
    /// In which site.
    pub site_id: Option<SiteId>,
    /// In which session.
    pub session_id: Option<SessionId>,
    /// Which command.
    pub command_id: Option<CommandId>,
    /// The action; all that begin with it where it ends with a dot.
    pub action: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What is in the detail, the target, the address or the agent's name.
    pub words: Option<String>,
}

/// Lists acts.
pub async fn list(db: &Db, filter: ActFilter, page: PageOf<ActSort>) -> Result<Vec<Act>, DbError> {
    query!(db, |conn| {
        let mut rows = audit_acts::table.select(Act::as_select()).into_boxed();
        if let Scope::Only { clients, sites } = &filter.scope {
            let clients: Vec<_> = clients.iter().copied().map(Bind).collect();
            let sites: Vec<_> = sites.iter().copied().map(Bind).collect();
            let own: Vec<_> = filter.reader.into_iter().map(Bind).collect();
            rows = rows.filter(
                audit_acts::client_id
                    .eq_any(clients)
                    .assume_not_null()
                    .or(audit_acts::site_id.eq_any(sites).assume_not_null())
                    .or(audit_acts::user_id.eq_any(own).assume_not_null()),
            );
        }
        if let Some(from) = filter.from {
            rows = rows.filter(audit_acts::at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(audit_acts::at.lt(Bind(to)));
        }
        if let Some(id) = filter.user_id {
            rows = rows.filter(audit_acts::user_id.eq(Bind(id)));
        }
        if let Some(id) = filter.agent_id {
            rows = rows.filter(audit_acts::agent_id.eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(audit_acts::client_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(audit_acts::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.session_id {
            rows = rows.filter(audit_acts::session_id.eq(id.to_string()));
        }
        if let Some(id) = filter.command_id {
            rows = rows.filter(audit_acts::command_id.eq(Bind(id)));
        }
        if let Some(action) = &filter.action {
            if action.ends_with('.') {
                let prefix = pattern(action).trim_start_matches('%').to_owned();
                rows = rows.filter(audit_acts::action.like(prefix).escape('\\'));
            } else {
                rows = rows.filter(audit_acts::action.eq(action.clone()));
            }
        }
        if let Some(outcome) = &filter.outcome {
            rows = rows.filter(audit_acts::outcome.eq(outcome.clone()));
        }
        if let Some(words) = &filter.words {
            let name = audit_acts::agent_hostname.assume_not_null();
            rows = rows.filter(
                lower(audit_acts::detail)
                    .like(lower(pattern(words)))
                    .escape('\\')
                    .or(lower(audit_acts::target)
                        .like(lower(pattern(words)))
                        .escape('\\'))
                    .or(lower(audit_acts::user_email)
                        .like(lower(pattern(words)))
                        .escape('\\'))
                    .or(lower(name).like(lower(pattern(words))).escape('\\')),
            );
        }
        keyset!(
            rows,
            page,
            audit_acts::at,
            audit_acts::act_id,
            AuditId,
            time
        );
        rows.load(conn).await
    })
}

/// What flows in from tunnels and commands.
const OF_TUNNELS: [&str; 10] = [
    "command.run",
    "tunnel.command",
    "tunnel.file",
    "tunnel.open",
    "tunnel.process",
    "tunnel.registry",
    "tunnel.service",
    "tunnel.tcp",
    "tunnel.terminal",
    "tunnel.watch",
];

/// Acts of users' that were asked for after an entry and have no end, the oldest first. What flows
/// in from tunnels and commands is ended by them.
pub async fn without_end(db: &Db, after: i64, limit: i64) -> Result<Vec<Act>, DbError> {
    query!(db, |conn| audit_acts::table
        .filter(audit_acts::id.gt(after))
        .filter(audit_acts::ended_at.is_null())
        .filter(audit_acts::action.ne_all(OF_TUNNELS))
        .order(audit_acts::id.asc())
        .limit(limit.max(0))
        .select(Act::as_select())
        .load(conn)
        .await)
}
