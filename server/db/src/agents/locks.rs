//! Agents' rows held by a batch: always in the order of their ids, so that two batches cannot
//! deadlock, and so that an agent is not deleted between the look and the insert.

use std::collections::HashSet;

use diesel::prelude::*;
use gururmm_shared::AgentId;

use crate::pools::{LiteConn, PgConn, ROWS_PER_STATEMENT};
use crate::schema::agents;
use crate::types::Bind;

/// Each agent once, in the order of their ids.
pub(crate) fn distinct(ids: impl Iterator<Item = AgentId>) -> Vec<AgentId> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Locks agents in the order of their ids, so that two batches cannot deadlock.
pub(super) async fn lock(conn: &mut PgConn, ids: Vec<AgentId>) -> QueryResult<()> {
    let locked = agents::table
        .filter(agents::id.eq_any(ids.into_iter().map(Bind)))
        .order(agents::id)
        .select(agents::id)
        .for_no_key_update();
    diesel_async::RunQueryDsl::load::<AgentId>(locked, conn)
        .await
        .map(|_| ())
}

/// Holds agents' rows in the order of their ids until the transaction ends.
pub(crate) trait AgentsLock {
    async fn lock_agents(&mut self, ids: Vec<AgentId>) -> QueryResult<()>;
}

impl AgentsLock for PgConn {
    async fn lock_agents(&mut self, ids: Vec<AgentId>) -> QueryResult<()> {
        lock(self, ids).await
    }
}

impl AgentsLock for LiteConn {
    async fn lock_agents(&mut self, _: Vec<AgentId>) -> QueryResult<()> {
        // An immediate transaction has the database to itself.
        Ok(())
    }
}

/// Which of these agents exist, and keeps them from being deleted until the transaction ends.
pub(crate) async fn alive(conn: &mut PgConn, ids: Vec<AgentId>) -> QueryResult<HashSet<AgentId>> {
    let alive = agents::table
        .filter(agents::id.eq_any(ids.into_iter().map(Bind)))
        .order(agents::id)
        .select(agents::id)
        .for_key_share();
    diesel_async::RunQueryDsl::load::<AgentId>(alive, conn)
        .await
        .map(|ids| ids.into_iter().collect())
}

/// Which of these agents exist; on SQLite the transaction has the database to itself.
pub(crate) fn alive_blocking(
    conn: &mut SqliteConnection,
    ids: &[AgentId],
) -> QueryResult<HashSet<AgentId>> {
    let mut alive = HashSet::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_PER_STATEMENT) {
        alive.extend(
            agents::table
                .filter(agents::id.eq_any(chunk.iter().copied().map(Bind)))
                .select(agents::id)
                .load::<AgentId>(conn)?,
        );
    }
    Ok(alive)
}
