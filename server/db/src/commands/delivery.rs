//! How a command moves on: taken to be sent, ended by a result, given up, cancelled, expired.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, CommandId};

use super::Command;
use super::clearance::{RefusalSteps, Refused};
use crate::schema::{command_output, commands, tunnel_audit};
use crate::types::Bind;
use crate::{Db, DbError};

/// The end of a command as its agent tells it.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which command.
    pub id: CommandId,
    /// Which agent says so.
    pub agent_id: AgentId,
    /// `completed` or `failed`.
    pub status: &'static str,
    /// Why it failed.
    pub reason: Option<&'static str>,
    /// The word of the audit.
    pub outcome: &'static str,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub duration_ms: i64,
}

/// What became of a told end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is the command's end.
    Ended,
    /// The command had ended before; what it wrote was kept if nothing was.
    Late,
    /// This agent has no such command.
    Unknown,
}

/// What became of a wish to end a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not been sent and never will be.
    Never,
    /// It was sent: the agent is to be told.
    Asked,
    /// It had ended.
    Over,
}

ops! {
    /// Steps of a command's way inside of a transaction.
    trait DeliverySteps {
        /// Finishes the audit row of a command.
        async fn finish_command_audit(
            &mut conn,
            id: CommandId,
            outcome: &str,
            exit_code: Option<i32>,
            at: DateTime<Utc>,
        ) -> QueryResult<()> {
            diesel::update(
                tunnel_audit::table
                    .filter(tunnel_audit::command_id.eq(Some(Bind(id))))
                    .filter(tunnel_audit::outcome.is_null()),
            )
            .set((
                tunnel_audit::outcome.eq(Some(outcome)),
                tunnel_audit::exit_code.eq(exit_code),
                tunnel_audit::ended_at.eq(Some(Bind(at))),
            ))
            .execute(conn)
            .await
            .map(|_| ())
        }

        /// Ends commands without a result that still have the status `from`; tells which.
        async fn fail(
            &mut conn,
            ids: Vec<CommandId>,
            from: &str,
            reason: &str,
            at: DateTime<Utc>,
        ) -> QueryResult<Vec<CommandId>> {
            let mut failed = Vec::new();
            for id in ids {
                let changed = diesel::update(
                    commands::table.find(Bind(id)).filter(commands::status.eq(from)),
                )
                .set((
                    commands::status.eq("failed"),
                    commands::reason.eq(Some(reason)),
                    commands::finished_at.eq(Some(Bind(at))),
                ))
                .execute(conn)
                .await?;
                if changed > 0 {
                    conn.finish_command_audit(id, reason, None, at).await?;
                    failed.push(id);
                }
            }
            Ok(failed)
        }
    }
}

/// Marks waiting commands as running and hands them out, of each agent in the order in which they are to
/// be sent; ends those that are refused, and counts them.
pub async fn take_pending(
    db: &Db,
    ids: Vec<CommandId>,
    refused: Vec<Refused>,
    at: DateTime<Utc>,
) -> Result<(HashMap<AgentId, Vec<Command>>, usize), DbError> {
    transact!(db, |conn| {
        let refused = conn.refuse(refused, "pending", at).await?;
        let mut taken: HashMap<AgentId, Vec<Command>> = HashMap::new();
        if ids.is_empty() {
            return Ok((taken, refused));
        }
        let mut sent: Vec<Command> = diesel::update(
            commands::table
                .filter(commands::id.eq_any(ids.into_iter().map(Bind)))
                .filter(commands::status.eq("pending"))
                .filter(commands::expires_at.gt(Some(Bind(at)))),
        )
        .set((
            commands::status.eq("running"),
            commands::sent_at.eq(Some(Bind(at))),
            commands::attempts.eq(commands::attempts + 1),
        ))
        .returning(Command::as_returning())
        .get_results(conn)
        .await?;
        sent.sort_unstable_by_key(|command| command.id);
        for command in sent {
            taken.entry(command.agent_id).or_default().push(command);
        }
        Ok((taken, refused))
    })
}

/// Lets commands wait again that were taken but could not be sent.
pub async fn put_back(db: &Db, ids: Vec<CommandId>) -> Result<usize, DbError> {
    exec!(db, |conn| diesel::update(
        commands::table
            .filter(commands::id.eq_any(ids.into_iter().map(Bind)))
            .filter(commands::status.eq("running"))
    )
    .set((
        commands::status.eq("pending"),
        commands::sent_at.eq(None::<Bind<DateTime<Utc>>>),
    ))
    .execute(conn)
    .await)
}

/// The commands that were sent to an agent and have not ended, in the order in which they were given.
pub async fn sent_to(db: &Db, agent_id: AgentId) -> Result<Vec<Command>, DbError> {
    query!(db, |conn| commands::table
        .filter(commands::agent_id.eq(Bind(agent_id)))
        .filter(commands::status.eq("running"))
        .order(commands::id)
        .select(Command::as_select())
        .load(conn)
        .await)
}

/// Writes ends that agents told, all or none, and what became of each.
pub async fn finish(
    db: &Db,
    ends: Vec<Finish>,
    at: DateTime<Utc>,
) -> Result<Vec<Settled>, DbError> {
    transact!(db, |conn| {
        let mut settled = Vec::with_capacity(ends.len());
        for end in ends {
            let of_agent = commands::table
                .find(Bind(end.id))
                .filter(commands::agent_id.eq(Bind(end.agent_id)));
            let written = (
                commands::exit_code.eq(end.exit_code),
                commands::stdout.eq(Some(&end.stdout)),
                commands::stderr.eq(Some(&end.stderr)),
                commands::duration_ms.eq(Some(end.duration_ms)),
            );
            let ended = diesel::update(of_agent.filter(commands::finished_at.is_null()))
                .set((
                    commands::status.eq(end.status),
                    commands::reason.eq(end.reason),
                    commands::finished_at.eq(Some(Bind(at))),
                    written,
                ))
                .execute(conn)
                .await?;
            if ended > 0 {
                diesel::delete(
                    command_output::table.filter(command_output::command_id.eq(Bind(end.id))),
                )
                .execute(conn)
                .await?;
                conn.finish_command_audit(end.id, end.outcome, end.exit_code, at)
                    .await?;
                settled.push(Settled::Ended);
                continue;
            }
            let late = diesel::update(of_agent.filter(commands::stdout.is_null()))
                .set(written)
                .execute(conn)
                .await?;
            let known = late > 0
                || of_agent
                    .select(commands::id)
                    .first::<CommandId>(conn)
                    .await
                    .optional()?
                    .is_some();
            settled.push(if known {
                Settled::Late
            } else {
                Settled::Unknown
            });
        }
        Ok(settled)
    })
}

/// Ends commands that were sent and of which nothing is heard any more; tells which.
pub async fn give_up(
    db: &Db,
    ids: Vec<CommandId>,
    reason: &'static str,
    at: DateTime<Utc>,
) -> Result<Vec<CommandId>, DbError> {
    transact!(db, |conn| Ok(conn.fail(ids, "running", reason, at).await?))
}

/// Ends the waiting commands whose time to wait is over, at most 1,000 at once; tells which.
pub async fn expire(db: &Db, at: DateTime<Utc>) -> Result<Vec<CommandId>, DbError> {
    transact!(db, |conn| {
        let ids = commands::table
            .filter(commands::status.eq("pending"))
            .filter(commands::expires_at.le(Some(Bind(at))))
            .limit(1000)
            .select(commands::id)
            .load(conn)
            .await?;
        Ok(conn.fail(ids, "pending", "expired", at).await?)
    })
}

/// The sent commands whose time to wait is over, and their agents.
pub async fn overdue(db: &Db, at: DateTime<Utc>) -> Result<Vec<(CommandId, AgentId)>, DbError> {
    query!(db, |conn| commands::table
        .filter(commands::status.eq("running"))
        .filter(commands::expires_at.le(Some(Bind(at))))
        .limit(1000)
        .select((commands::id, commands::agent_id))
        .load(conn)
        .await)
}

/// Ends a command that was not sent, or notes that the agent is to end it.
pub async fn request_cancel(
    db: &Db,
    id: CommandId,
    at: DateTime<Utc>,
) -> Result<Cancelled, DbError> {
    transact!(db, |conn| {
        if !conn
            .fail(vec![id], "pending", "cancelled", at)
            .await?
            .is_empty()
        {
            return Ok(Cancelled::Never);
        }
        let asked = diesel::update(
            commands::table
                .find(Bind(id))
                .filter(commands::status.eq("running")),
        )
        .set(commands::cancel_requested_at.eq(Some(Bind(at))))
        .execute(conn)
        .await?;
        Ok(if asked > 0 {
            Cancelled::Asked
        } else {
            Cancelled::Over
        })
    })
}
