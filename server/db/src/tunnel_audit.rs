//! The audit of tunnels: one row for every open, command, stream, request, close and refusal, written before
//! the act and finished after it. It has no foreign keys: it outlives what it speaks of.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ApiKeyId, AuditId, CommandId, SessionId, UserId};

use super::schema::{agents, sites, tunnel_audit};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = tunnel_audit)]
pub struct Audit {
    /// Its id.
    pub id: AuditId,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// `open`, `command`, `terminal`, `tcp`, `file`, `service`, `process`, `registry`, `watch`, `close` or `refused`.
    pub action: String,
    /// Who asked, where known.
    pub user_id: Option<UserId>,
    /// Who asked, by e-mail address; empty where unknown.
    pub user_email: String,
    /// Which agent.
    pub agent_id: Option<AgentId>,
    /// The agent's name at that time.
    pub agent_hostname: Option<String>,
    /// Which session.
    pub session_id: Option<SessionId>,
    /// Which command.
    pub command_id: Option<CommandId>,
    /// The command's channel.
    pub channel_id: Option<String>,
    /// The command line, or what was refused and why.
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
    /// What a write replaced.
    pub before: Option<String>,
    /// What a stream carried, both ways together.
    pub bytes: Option<i64>,
}

/// How an act ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// In a word.
    pub outcome: String,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// What a write replaced.
    pub before: Option<String>,
    /// What a stream carried, both ways together.
    pub bytes: Option<i64>,
}

/// What a new row of the audit is made of; the fields are those of [`Audit`].
#[derive(Debug, Clone)]
pub struct NewAudit {
    /// Its id, chosen by the caller, who finishes the row by it.
    pub id: AuditId,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// `open`, `command`, `terminal`, `tcp`, `file`, `service`, `process`, `registry`, `watch`, `close` or `refused`.
    pub action: String,
    /// Who asked, where known.
    pub user_id: Option<UserId>,
    /// Who asked, by e-mail address; empty where unknown.
    pub user_email: String,
    /// With which API key, if not with a log-in.
    pub key_id: Option<ApiKeyId>,
    /// Which agent.
    pub agent_id: Option<AgentId>,
    /// The agent's name.
    pub agent_hostname: Option<String>,
    /// Which session.
    pub session_id: Option<SessionId>,
    /// Which command.
    pub command_id: Option<CommandId>,
    /// The command's channel.
    pub channel_id: Option<String>,
    /// The command line, or what was refused and why.
    pub detail: String,
    /// From which address.
    pub remote_addr: String,
    /// In which HTTP request.
    pub request_id: String,
    /// How it ended, where that is known at once.
    pub outcome: Option<String>,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only those of agents that are within.
    pub scope: Scope,
    /// Only those of this session.
    pub session_id: Option<SessionId>,
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// At most so many.
    pub limit: i64,
}

ops! {
    /// Steps of the audit inside of others' transactions.
    trait AuditSteps {
        /// Inserts a row.
        async fn insert_audit(&mut conn, audit: NewAudit) -> QueryResult<()> {
            diesel::insert_into(tunnel_audit::table)
                .values((
                    tunnel_audit::id.eq(Bind(audit.id)),
                    tunnel_audit::at.eq(Bind(audit.at)),
                    tunnel_audit::action.eq(audit.action),
                    tunnel_audit::user_id.eq(audit.user_id.map(Bind)),
                    tunnel_audit::user_email.eq(audit.user_email),
                    tunnel_audit::key_id.eq(audit.key_id.map(Bind)),
                    tunnel_audit::agent_id.eq(audit.agent_id.map(Bind)),
                    tunnel_audit::agent_hostname.eq(audit.agent_hostname),
                    tunnel_audit::session_id.eq(audit.session_id.map(Bind)),
                    tunnel_audit::command_id.eq(audit.command_id.map(Bind)),
                    tunnel_audit::channel_id.eq(audit.channel_id),
                    tunnel_audit::detail.eq(audit.detail),
                    tunnel_audit::remote_addr.eq(audit.remote_addr),
                    tunnel_audit::request_id.eq(audit.request_id),
                    tunnel_audit::outcome.eq(audit.outcome),
                    tunnel_audit::exit_code.eq(audit.exit_code),
                    tunnel_audit::ended_at.eq(audit.ended_at.map(Bind)),
                ))
                .execute(conn)
                .await
                .map(|_| ())
        }

        /// Finishes all rows of sessions that are not finished.
        async fn finish_audit_of(
            &mut conn,
            session_ids: Vec<SessionId>,
            outcome: &str,
            at: DateTime<Utc>,
        ) -> QueryResult<usize> {
            let mut finished = 0;
            for session_id in session_ids {
                finished += diesel::update(
                    tunnel_audit::table
                        .filter(tunnel_audit::session_id.eq(Bind(session_id)))
                        .filter(tunnel_audit::outcome.is_null()),
                )
                .set((tunnel_audit::outcome.eq(Some(outcome)), tunnel_audit::ended_at.eq(Bind(at))))
                .execute(conn)
                .await?;
            }
            Ok(finished)
        }
    }
}

/// Inserts a row; [`DbError::Duplicate`] where the command is in the audit already.
pub async fn insert(db: &Db, audit: NewAudit) -> Result<(), DbError> {
    exec!(db, |conn| conn.insert_audit(audit).await)
}

/// Writes how a row's act ended; `false` where that is written already or there is no such row.
pub async fn finish(
    db: &Db,
    id: AuditId,
    outcome: String,
    exit_code: Option<i32>,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let ending = Ending {
        outcome,
        exit_code,
        ..Ending::default()
    };
    finish_with(db, id, ending, at).await
}

/// As [`finish`], with all that is known of the end.
pub async fn finish_with(
    db: &Db,
    id: AuditId,
    ending: Ending,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::update(
        tunnel_audit::table
            .find(Bind(id))
            .filter(tunnel_audit::outcome.is_null())
    )
    .set((
        tunnel_audit::outcome.eq(Some(&ending.outcome)),
        tunnel_audit::exit_code.eq(ending.exit_code),
        tunnel_audit::before.eq(&ending.before),
        tunnel_audit::bytes.eq(ending.bytes),
        tunnel_audit::ended_at.eq(Bind(at)),
    ))
    .execute(conn)
    .await)
    .map(|finished| finished > 0)
}

/// Finishes every row of a session that is not, as after a crash, and counts them. Commands outside of
/// sessions go on, and so do the sessions in `kept`.
pub async fn finish_left_open(
    db: &Db,
    outcome: String,
    at: DateTime<Utc>,
    kept: Vec<SessionId>,
) -> Result<usize, DbError> {
    let kept: Vec<_> = kept.into_iter().map(Bind).collect();
    exec!(db, |conn| diesel::update(
        tunnel_audit::table
            .filter(tunnel_audit::outcome.is_null())
            .filter(tunnel_audit::session_id.is_not_null())
            .filter(tunnel_audit::session_id.ne_all(kept.clone()))
    )
    .set((
        tunnel_audit::outcome.eq(Some(&outcome)),
        tunnel_audit::ended_at.eq(Bind(at))
    ))
    .execute(conn)
    .await)
}

/// Lists rows, the newest first.
pub async fn list(db: &Db, filter: AuditFilter) -> Result<Vec<Audit>, DbError> {
    query!(db, |conn| {
        let mut rows = tunnel_audit::table
            .order((tunnel_audit::at.desc(), tunnel_audit::id.desc()))
            .limit(filter.limit.max(0))
            .select(Audit::as_select())
            .into_boxed();
        if let Some(session_id) = filter.session_id {
            rows = rows.filter(tunnel_audit::session_id.eq(Bind(session_id)));
        }
        if let Some(agent_id) = filter.agent_id {
            rows = rows.filter(tunnel_audit::agent_id.eq(Bind(agent_id)));
        }
        if let Scope::Only {
            clients,
            sites: own,
        } = &filter.scope
        {
            let clients: Vec<_> = clients.iter().copied().map(Bind).collect();
            let own: Vec<_> = own.iter().copied().map(Bind).collect();
            let inside = agents::table
                .inner_join(sites::table)
                .filter(sites::client_id.eq_any(clients).or(sites::id.eq_any(own)))
                .select(agents::id.nullable());
            rows = rows.filter(tunnel_audit::agent_id.eq_any(inside));
        }
        rows.load(conn).await
    })
}
