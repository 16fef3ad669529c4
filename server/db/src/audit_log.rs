//! The audit's entries: what was asked for, how it ended, what happened. Triggers see to it that
//! rows are added and never changed, that what tunnels, commands and machines write down flows in,
//! and that every entry waits for its seal.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ApiKeyId, AuditId, ClientId, CommandId, SessionId, SiteId, UserId};

use super::schema::audit_log;
use super::types::{Bind, now};
use super::{Db, DbError};

/// Which part of an act an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was asked for; the end has a row of its own.
    Asked,
    /// How it ended.
    Ended,
    /// Both in one.
    Event,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Ended => "ended",
            Self::Event => "event",
        }
    }
}

/// A row as the chain seals it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// Of which act.
    pub act_id: AuditId,
    /// `asked`, `ended` or `event`.
    pub stage: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What was done.
    pub action: String,
    /// Who.
    pub user_id: Option<UserId>,
    /// Who, by e-mail address.
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
    /// How it ended.
    pub outcome: Option<String>,
    /// The command's exit code.
    pub exit_code: Option<i32>,
}

/// What a new entry is made of; the fields are those of [`Entry`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "they are those of Entry")]
pub struct NewEntry {
    pub act_id: AuditId,
    pub stage: Stage,
    pub at: DateTime<Utc>,
    pub action: String,
    pub user_id: Option<UserId>,
    pub user_email: String,
    pub key_id: Option<ApiKeyId>,
    pub agent_id: Option<AgentId>,
    pub agent_hostname: Option<String>,
    pub client_id: Option<ClientId>,
    pub site_id: Option<SiteId>,
    pub session_id: Option<SessionId>,
    pub command_id: Option<CommandId>,
    pub target: String,
    pub detail: String,
    pub remote_addr: String,
    pub request_id: String,
    pub outcome: Option<String>,
}

impl NewEntry {
    /// An entry of an act of its own, now.
    #[must_use]
    pub fn new(stage: Stage, action: &str) -> Self {
        Self {
            act_id: AuditId::generate(),
            stage,
            at: now(),
            action: action.to_owned(),
            user_id: None,
            user_email: String::new(),
            key_id: None,
            agent_id: None,
            agent_hostname: None,
            client_id: None,
            site_id: None,
            session_id: None,
            command_id: None,
            target: String::new(),
            detail: String::new(),
            remote_addr: String::new(),
            request_id: String::new(),
            outcome: None,
        }
    }

    /// The end of what this entry asks for, now. Its detail stands in the first row alone.
    #[must_use]
    pub fn ended(&self, outcome: &str) -> Self {
        Self {
            stage: Stage::Ended,
            at: now(),
            target: String::new(),
            detail: String::new(),
            outcome: Some(outcome.to_owned()),
            ..self.clone()
        }
    }
}

ops! {
    /// Steps of the audit inside of others' transactions.
    trait EntrySteps {
        /// Adds an entry.
        async fn insert_entry(&mut conn, entry: NewEntry) -> QueryResult<()> {
            diesel::insert_into(audit_log::table)
                .values((
                    audit_log::act_id.eq(Bind(entry.act_id)),
                    audit_log::stage.eq(entry.stage.name()),
                    audit_log::at.eq(Bind(entry.at)),
                    audit_log::action.eq(entry.action),
                    audit_log::user_id.eq(entry.user_id.map(Bind)),
                    audit_log::user_email.eq(entry.user_email),
                    audit_log::key_id.eq(entry.key_id.map(Bind)),
                    audit_log::agent_id.eq(entry.agent_id.map(Bind)),
                    audit_log::agent_hostname.eq(entry.agent_hostname),
                    audit_log::client_id.eq(entry.client_id.map(Bind)),
                    audit_log::site_id.eq(entry.site_id.map(Bind)),
                    audit_log::session_id.eq(entry.session_id.map(|id| id.to_string())),
                    audit_log::command_id.eq(entry.command_id.map(Bind)),
                    audit_log::target.eq(entry.target),
                    audit_log::detail.eq(entry.detail),
                    audit_log::remote_addr.eq(entry.remote_addr),
                    audit_log::request_id.eq(entry.request_id),
                    audit_log::outcome.eq(entry.outcome),
                ))
                .execute(conn)
                .await
                .map(|_| ())
        }
    }
}

/// Adds an entry.
pub async fn insert(db: &Db, entry: NewEntry) -> Result<(), DbError> {
    exec!(db, |conn| conn.insert_entry(entry).await)
}

/// The last entry of an action, and 0 where there is none.
pub async fn last_of(db: &Db, action: &str) -> Result<i64, DbError> {
    let action = action.to_owned();
    let last: Option<i64> = query!(db, |conn| audit_log::table
        .filter(audit_log::action.eq(&action))
        .select(diesel::dsl::max(audit_log::id))
        .first(conn)
        .await)?;
    Ok(last.unwrap_or(0))
}

/// The number of the last entry, and 0 where there is none.
pub async fn last(db: &Db) -> Result<i64, DbError> {
    let last: Option<i64> = query!(db, |conn| audit_log::table
        .select(diesel::dsl::max(audit_log::id))
        .first(conn)
        .await)?;
    Ok(last.unwrap_or(0))
}
