//! Commands of agents that ask for them instead of keeping a connection.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, CommandId};

use super::Command;
use super::clearance::{RefusalSteps, Refused};
use crate::schema::commands;
use crate::types::Bind;
use crate::{Db, DbError};

/// A poll, and what it may be answered.
#[derive(Debug)]
pub struct Poll {
    /// Who polls.
    pub agent_id: AgentId,
    /// The poll's number, where it has one.
    pub number: Option<String>,
    /// Commands that may run at once.
    pub most: i64,
    /// The waiting commands that may be sent.
    pub allowed: Vec<CommandId>,
    /// Those that may not.
    pub refused: Vec<Refused>,
}

/// The oldest waiting commands that a poll can be answered with, at most so many.
pub async fn pending_for_poll(
    db: &Db,
    agent_id: AgentId,
    most: i64,
    at: DateTime<Utc>,
) -> Result<Vec<Command>, DbError> {
    query!(db, |conn| commands::table
        .filter(commands::agent_id.eq(Bind(agent_id)))
        .filter(commands::status.eq("pending"))
        .filter(commands::expires_at.gt(Some(Bind(at))))
        // A poll's answer carries no variables: without them a script would do something else.
        .filter(commands::arguments.is_null())
        .order(commands::id)
        .limit(most.max(0))
        .select(Command::as_select())
        .load(conn)
        .await)
}

/// Answers a poll: the allowed commands, at most so many that no more than `most` run, which are marked
/// as running; and, where the poll has a number, those again that an earlier answer to it carried.
pub async fn poll(db: &Db, poll: Poll, at: DateTime<Utc>) -> Result<Vec<Command>, DbError> {
    transact!(db, |conn| {
        conn.refuse(poll.refused, "pending", at).await?;
        let running: i64 = commands::table
            .filter(commands::agent_id.eq(Bind(poll.agent_id)))
            .filter(commands::status.eq("running"))
            .count()
            .get_result(conn)
            .await?;
        let mut answer: Vec<Command> = match &poll.number {
            None => Vec::new(),
            Some(number) => {
                commands::table
                    .filter(commands::agent_id.eq(Bind(poll.agent_id)))
                    .filter(commands::status.eq("running"))
                    .filter(commands::sent_in_poll.eq(Some(number)))
                    .select(Command::as_select())
                    .load(conn)
                    .await?
            }
        };
        let next: Vec<CommandId> = commands::table
            .filter(commands::id.eq_any(poll.allowed.into_iter().map(Bind)))
            .filter(commands::status.eq("pending"))
            .filter(commands::expires_at.gt(Some(Bind(at))))
            .order(commands::id)
            .limit((poll.most - running).max(0))
            .select(commands::id)
            .load(conn)
            .await?;
        let sent: Vec<Command> = diesel::update(
            commands::table
                .filter(commands::id.eq_any(next.into_iter().map(Bind)))
                .filter(commands::status.eq("pending")),
        )
        .set((
            commands::status.eq("running"),
            commands::sent_at.eq(Some(Bind(at))),
            commands::attempts.eq(commands::attempts + 1),
            commands::sent_in_poll.eq(Some(poll.number.unwrap_or_default())),
        ))
        .returning(Command::as_returning())
        .get_results(conn)
        .await?;
        answer.extend(sent);
        answer.sort_unstable_by_key(|command| command.id);
        Ok(answer)
    })
}

/// The commands that a poll carried and that should have ended `margin` ago, at most 1,000.
pub async fn overdue_polled(
    db: &Db,
    at: DateTime<Utc>,
    margin: chrono::Duration,
) -> Result<Vec<CommandId>, DbError> {
    // No time-out is shorter than nothing: the rest is decided here, alike for both databases.
    let rows: Vec<(CommandId, Option<DateTime<Utc>>, i32)> = query!(db, |conn| commands::table
        .filter(commands::status.eq("running"))
        .filter(commands::sent_in_poll.is_not_null())
        .filter(commands::sent_at.lt(Some(Bind(at - margin))))
        .order(commands::sent_at)
        .limit(1000)
        .select((commands::id, commands::sent_at, commands::timeout_seconds))
        .load(conn)
        .await)?;
    Ok(rows
        .into_iter()
        .filter(|(_, sent_at, timeout)| {
            let limit = chrono::Duration::seconds(i64::from(*timeout)) + margin;
            sent_at.is_some_and(|sent_at| sent_at + limit < at)
        })
        .map(|(id, _, _)| id)
        .collect())
}
