//! Updates of agents' own program: what was to be installed, and how that ended.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use super::schema::agent_updates;
use super::types::{Bind, now};
use super::{Db, DbError};

/// Records how an update ended: on the one that is under way to that version, or as a new row where
/// there is none. [`DbError::ForeignKey`] where the agent is gone.
pub async fn record_result(
    db: &Db,
    agent_id: AgentId,
    from: Option<String>,
    to: String,
    success: bool,
    error: Option<String>,
) -> Result<(), DbError> {
    let at = Bind(now());
    let status = if success { "completed" } else { "failed" };
    transact!(db, |conn| {
        let under_way = agent_updates::table
            .filter(agent_updates::agent_id.eq(Bind(agent_id)))
            .filter(agent_updates::to_version.eq(&to))
            .filter(
                agent_updates::status
                    .eq("pending")
                    .or(agent_updates::status.eq("sent")),
            );
        let ended = diesel::update(under_way)
            .set((
                agent_updates::status.eq(status),
                agent_updates::error.eq(error.as_deref()),
                agent_updates::finished_at.eq(Some(at)),
            ))
            .execute(conn)
            .await?;
        if ended == 0 {
            diesel::insert_into(agent_updates::table)
                .values((
                    agent_updates::agent_id.eq(Bind(agent_id)),
                    agent_updates::from_version.eq(from.as_deref()),
                    agent_updates::to_version.eq(&to),
                    agent_updates::status.eq(status),
                    agent_updates::error.eq(error.as_deref()),
                    agent_updates::created_at.eq(at),
                    agent_updates::finished_at.eq(Some(at)),
                ))
                .execute(conn)
                .await?;
        }
        Ok(())
    })
}
