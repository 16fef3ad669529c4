//! What is read before commands are handed out, and how those end that may not be sent any more.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, CommandId};

use super::Command;
use super::delivery::DeliverySteps;
use crate::schema::commands;
use crate::tunnel_audit::{AuditSteps, NewAudit};
use crate::types::Bind;
use crate::{Db, DbError};

/// A command that may not be sent.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Which command.
    pub id: CommandId,
    /// Why, for the one who gave it.
    pub why: String,
    /// The audit's row of the refusal.
    pub audit: NewAudit,
}

ops! {
    /// Steps with commands that may not be sent.
    trait RefusalSteps {
        /// Ends commands that still have the status `from`, each with its reason and an audit row of its
        /// own; counts them.
        async fn refuse(
            &mut conn,
            refused: Vec<Refused>,
            from: &str,
            at: DateTime<Utc>,
        ) -> QueryResult<usize> {
            let mut count = 0;
            for one in refused {
                let ended = conn.fail(vec![one.id], from, "refused", at).await?;
                if ended.is_empty() {
                    continue;
                }
                diesel::update(commands::table.find(Bind(one.id)))
                    .set((
                        commands::stdout.eq(Some("")),
                        commands::stderr.eq(Some(one.why)),
                    ))
                    .execute(conn)
                    .await?;
                conn.insert_audit(one.audit).await?;
                count += 1;
            }
            Ok(count)
        }
    }
}

/// The waiting commands, of each agent at most as many as it has room for, the oldest first.
pub async fn pending(
    db: &Db,
    room: Vec<(AgentId, i64)>,
    at: DateTime<Utc>,
) -> Result<Vec<Command>, DbError> {
    query!(db, |conn| {
        let mut found = Vec::new();
        for (agent_id, room) in room {
            let next: Vec<Command> = commands::table
                .filter(commands::agent_id.eq(Bind(agent_id)))
                .filter(commands::status.eq("pending"))
                .filter(commands::expires_at.gt(Some(Bind(at))))
                .order(commands::id)
                .limit(room.max(0))
                .select(Command::as_select())
                .load(conn)
                .await?;
            found.extend(next);
        }
        Ok::<_, diesel::result::Error>(found)
    })
}

/// Ends commands that were sent, never arrived and may not be sent again; counts them.
pub async fn refuse_sent(
    db: &Db,
    refused: Vec<Refused>,
    at: DateTime<Utc>,
) -> Result<usize, DbError> {
    transact!(db, |conn| Ok(conn.refuse(refused, "running", at).await?))
}
