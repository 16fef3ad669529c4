//! Commands outside tunnels. A command and its audit row are written together; each change of status is
//! one statement guarded by the status it expects, so that two who race cannot both win.

mod clearance;
mod delivery;
mod output;
mod polls;

pub use clearance::{Refused, pending, refuse_sent};
pub use delivery::{
    Cancelled, Finish, Settled, expire, finish, give_up, overdue, put_back, request_cancel,
    sent_to, take_pending,
};
pub use output::{Output, Piece, append, output_of};
pub use polls::{Poll, overdue_polled, pending_for_poll, poll};

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ApiKeyId, ClientId, CommandId, JobId, SiteId, UserId};
use serde_json::Value;

use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::{agents, commands, sites};
use super::tunnel_audit::{AuditSteps, NewAudit};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A command without what it wrote.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = commands)]
pub struct Command {
    /// Its id, by whose order commands are sent.
    pub id: CommandId,
    /// For which agent.
    pub agent_id: AgentId,
    /// Who gave it, while there is such a user.
    pub created_by: Option<UserId>,
    /// The API key that they came with, be there such a key still or not.
    pub key_id: Option<ApiKeyId>,
    /// The name of its type.
    pub command_type: String,
    /// The command line; of a Claude task the task.
    pub command: String,
    /// The type as the wire writes it, where its name does not say everything.
    pub parameters: Option<Value>,
    /// How long it may run.
    pub timeout_seconds: i32,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// `pending`, `running`, `completed` or `failed`.
    pub status: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// How long it ran.
    pub duration_ms: Option<i64>,
    /// When it was given.
    pub created_at: DateTime<Utc>,
    /// When it was first sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// When its end became known.
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when it may wait for its agent.
    pub expires_at: Option<DateTime<Utc>>,
    /// The job it belongs to.
    pub job_id: Option<JobId>,
    /// How often it was sent.
    pub attempts: i32,
    /// When its end was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// The script that it was made of.
    pub script: Option<Value>,
    /// What the script was given.
    pub arguments: Option<Value>,
}

/// What a new command is made of; the fields are those of [`Command`].
#[derive(Debug, Clone)]
pub struct NewCommand {
    /// Its id.
    pub id: CommandId,
    /// For which agent.
    pub agent_id: AgentId,
    /// Who gives it.
    pub created_by: UserId,
    /// The API key that they came with.
    pub key_id: Option<ApiKeyId>,
    /// The name of its type.
    pub command_type: String,
    /// The command line.
    pub command: String,
    /// The type as the wire writes it, where its name does not say everything.
    pub parameters: Option<Value>,
    /// How long it may run.
    pub timeout_seconds: i32,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// When it is given.
    pub created_at: DateTime<Utc>,
    /// Until when it may wait for its agent.
    pub expires_at: DateTime<Utc>,
    /// The job it belongs to.
    pub job_id: Option<JobId>,
    /// The script that it is made of.
    pub script: Option<Value>,
    /// What the script is given.
    pub arguments: Option<Value>,
}

sorts! {
    /// The orders of a list of commands.
    CommandSort, newest first: true {
        /// By the time they were given.
        Created = "created" (time),
    }
}

impl Command {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, _: CommandSort) -> (SortValue, uuid::Uuid) {
        (SortValue::Time(self.created_at), self.id.0)
    }
}

/// Which commands to list.
#[derive(Debug, Clone, Default)]
pub struct CommandFilter {
    /// Only those of agents within.
    pub scope: Scope,
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those of this site's agents.
    pub site_id: Option<SiteId>,
    /// Only those of this client's agents.
    pub client_id: Option<ClientId>,
    /// Only those of this job.
    pub job_id: Option<JobId>,
    /// Only those that this user gave.
    pub created_by: Option<UserId>,
    /// Only those with this status.
    pub status: Option<String>,
    /// Only those that failed so.
    pub reason: Option<String>,
    /// Only those whose line, or whose agent's name, holds this.
    pub words: Option<String>,
    /// Given not before.
    pub from: Option<DateTime<Utc>>,
    /// Given before.
    pub to: Option<DateTime<Utc>>,
}

ops! {
    /// Steps with commands inside of others' transactions.
    trait CommandSteps {
        /// Inserts a command that waits for its agent.
        async fn insert_command(&mut conn, new: NewCommand) -> QueryResult<()> {
            diesel::insert_into(commands::table)
                .values((
                    commands::id.eq(Bind(new.id)),
                    commands::agent_id.eq(Bind(new.agent_id)),
                    commands::created_by.eq(Some(Bind(new.created_by))),
                    commands::key_id.eq(new.key_id.map(Bind)),
                    commands::command_type.eq(new.command_type),
                    commands::command.eq(new.command),
                    commands::parameters.eq(new.parameters.map(Bind)),
                    commands::timeout_seconds.eq(new.timeout_seconds),
                    commands::elevated.eq(new.elevated),
                    commands::status.eq("pending"),
                    commands::created_at.eq(Bind(new.created_at)),
                    commands::expires_at.eq(Some(Bind(new.expires_at))),
                    commands::job_id.eq(new.job_id.map(Bind)),
                    commands::script.eq(new.script.map(Bind)),
                    commands::arguments.eq(new.arguments.map(Bind)),
                ))
                .execute(conn)
                .await
                .map(|_| ())
        }
    }
}

/// Inserts commands, each with its audit row, or none; [`DbError::ForeignKey`] where an agent is gone.
pub async fn insert(db: &Db, new: Vec<(NewCommand, NewAudit)>) -> Result<(), DbError> {
    transact!(db, |conn| {
        for (command, audit) in new {
            conn.insert_command(command).await?;
            conn.insert_audit(audit).await?;
        }
        Ok(())
    })
}

/// Lists commands.
pub async fn list(
    db: &Db,
    filter: CommandFilter,
    page: PageOf<CommandSort>,
) -> Result<Vec<Command>, DbError> {
    query!(db, |conn| {
        let mut rows = commands::table
            .inner_join(agents::table.left_join(sites::table))
            .select(Command::as_select())
            .into_boxed();
        within!(
            rows,
            &filter.scope,
            sites::client_id.nullable(),
            agents::site_id
        );
        if let Some(id) = filter.agent_id {
            rows = rows.filter(commands::agent_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(agents::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(sites::client_id.nullable().eq(Bind(id)));
        }
        if let Some(id) = filter.job_id {
            rows = rows.filter(commands::job_id.eq(Bind(id)));
        }
        if let Some(id) = filter.created_by {
            rows = rows.filter(commands::created_by.eq(Bind(id)));
        }
        if let Some(status) = &filter.status {
            rows = rows.filter(commands::status.eq(status.clone()));
        }
        if let Some(reason) = &filter.reason {
            rows = rows.filter(commands::reason.eq(reason.clone()));
        }
        if let Some(words) = &filter.words {
            let line = lower(commands::command).like(lower(pattern(words)));
            let hostname = lower(agents::hostname).like(lower(pattern(words)));
            rows = rows.filter(line.escape('\\').or(hostname.escape('\\')));
        }
        if let Some(from) = filter.from {
            rows = rows.filter(commands::created_at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(commands::created_at.lt(Bind(to)));
        }
        keyset!(
            rows,
            page,
            commands::created_at,
            commands::id,
            CommandId,
            time
        );
        rows.load(conn).await
    })
}

/// Finds a command by id.
pub async fn by_id(db: &Db, id: CommandId) -> Result<Option<Command>, DbError> {
    query!(db, |conn| commands::table
        .find(Bind(id))
        .select(Command::as_select())
        .first(conn)
        .await
        .optional())
}

/// How many commands wait for each of these agents, where any do.
pub async fn waiting(db: &Db, agents: Vec<AgentId>) -> Result<HashMap<AgentId, i64>, DbError> {
    let rows: Vec<(AgentId, i64)> = query!(db, |conn| commands::table
        .filter(commands::agent_id.eq_any(agents.into_iter().map(Bind)))
        .filter(commands::status.eq("pending"))
        .group_by(commands::agent_id)
        .select((commands::agent_id, diesel::dsl::count_star()))
        .load(conn)
        .await)?;
    Ok(rows.into_iter().collect())
}
