//! The chain over the audit's entries: what waits for its seal, and the seals.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::audit_log::Entry;
use super::schema::{audit_log, audit_seals, audit_unsealed};
use super::{Db, DbError};

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
pub struct Seal {
    /// Its number; the first is 1 and none is left out.
    pub seq: i64,
    /// The entry it seals.
    pub entry_id: i64,
    /// The HMAC over the seal before, the number and the entry.
    pub hash: Vec<u8>,
}

/// What waits for a seal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many entries.
    pub waiting: i64,
    /// The time of the oldest of them.
    pub oldest: Option<DateTime<Utc>>,
    /// Entries that are gone although they wait.
    pub gone: Vec<i64>,
}

/// The first entries that wait for a seal, by number. What is gone goes on waiting: it is a fault that
/// stays.
pub async fn unsealed(db: &Db, limit: i64) -> Result<Vec<i64>, DbError> {
    query!(db, |conn| audit_unsealed::table
        .inner_join(audit_log::table.on(audit_log::id.eq(audit_unsealed::entry_id)))
        .order(audit_unsealed::entry_id)
        .limit(limit)
        .select(audit_unsealed::entry_id)
        .load(conn)
        .await)
}

/// How many entries wait for a seal.
pub async fn count_unsealed(db: &Db) -> Result<i64, DbError> {
    query!(db, |conn| audit_unsealed::table
        .count()
        .get_result(conn)
        .await)
}

/// Those of the entries that have no seal, by number.
pub async fn to_seal(db: &Db, ids: Vec<i64>) -> Result<Vec<Entry>, DbError> {
    query!(db, |conn| audit_log::table
        .left_join(audit_seals::table.on(audit_seals::entry_id.eq(audit_log::id)))
        .filter(audit_log::id.eq_any(ids))
        .filter(audit_seals::seq.nullable().is_null())
        .order(audit_log::id)
        .select(Entry::as_select())
        .load(conn)
        .await)
}

/// The last seal.
pub async fn tail(db: &Db) -> Result<Option<Seal>, DbError> {
    query!(db, |conn| audit_seals::table
        .order(audit_seals::seq.desc())
        .select(Seal::as_select())
        .first(conn)
        .await
        .optional())
}

/// The seals after a number with their entries, in order.
pub async fn after(db: &Db, seq: i64, limit: i64) -> Result<Vec<(Seal, Option<Entry>)>, DbError> {
    query!(db, |conn| audit_seals::table
        .left_join(audit_log::table.on(audit_log::id.eq(audit_seals::entry_id)))
        .filter(audit_seals::seq.gt(seq))
        .order(audit_seals::seq)
        .limit(limit)
        .select((Seal::as_select(), Option::<Entry>::as_select()))
        .load(conn)
        .await)
}

/// Adds seals and takes what was looked at from the queue, in one commit.
pub async fn seal(db: &Db, seals: Vec<Seal>, done: Vec<i64>) -> Result<(), DbError> {
    batch!(
        db,
        postgres | conn | {
            let insert = diesel::insert_into(audit_seals::table).values(&seals);
            diesel_async::RunQueryDsl::execute(insert, conn).await?;
            let done = audit_unsealed::table.filter(audit_unsealed::entry_id.eq_any(done));
            diesel_async::RunQueryDsl::execute(diesel::delete(done), conn).await?;
            Ok(())
        },
        sqlite | conn | {
            for seal in &seals {
                let insert = diesel::insert_into(audit_seals::table).values(seal);
                diesel::RunQueryDsl::execute(insert, conn)?;
            }
            for id in done {
                diesel::RunQueryDsl::execute(diesel::delete(audit_unsealed::table.find(id)), conn)?;
            }
            Ok(())
        },
    )
}

/// Lets what is gone wait no longer.
pub async fn forget_gone(db: &Db) -> Result<usize, DbError> {
    exec!(db, |conn| diesel::delete(audit_unsealed::table.filter(
        audit_unsealed::entry_id.ne_all(audit_log::table.select(audit_log::id))
    ))
    .execute(conn)
    .await)
}

/// Entries of a range of numbers that have no seal and wait for none.
pub async fn foreign(db: &Db, from: i64, to: i64) -> Result<Vec<i64>, DbError> {
    query!(db, |conn| audit_log::table
        .left_join(audit_seals::table.on(audit_seals::entry_id.eq(audit_log::id)))
        .left_join(audit_unsealed::table.on(audit_unsealed::entry_id.eq(audit_log::id)))
        .filter(audit_log::id.ge(from))
        .filter(audit_log::id.lt(to))
        .filter(audit_seals::seq.nullable().is_null())
        .filter(audit_unsealed::entry_id.nullable().is_null())
        .order(audit_log::id)
        .select(audit_log::id)
        .load(conn)
        .await)
}

/// What waits for a seal; of what is gone at most `limit`.
pub async fn queue(db: &Db, limit: i64) -> Result<Queue, DbError> {
    query!(db, |conn| {
        let waiting = audit_unsealed::table
            .count()
            .get_result::<i64>(conn)
            .await?;
        let oldest = audit_unsealed::table
            .inner_join(audit_log::table.on(audit_log::id.eq(audit_unsealed::entry_id)))
            .order(audit_unsealed::entry_id)
            .select(audit_log::at)
            .first(conn)
            .await
            .optional()?;
        let gone = audit_unsealed::table
            .left_join(audit_log::table.on(audit_log::id.eq(audit_unsealed::entry_id)))
            .filter(audit_log::id.nullable().is_null())
            .order(audit_unsealed::entry_id)
            .limit(limit)
            .select(audit_unsealed::entry_id)
            .load(conn)
            .await?;
        QueryResult::Ok(Queue {
            waiting,
            oldest,
            gone,
        })
    })
}
