//! Keys of requests that must not be carried out twice, and their answers.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::UserId;

use super::schema::idempotency_keys as keys;
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::idempotency::{Fingerprint, Known, Run, Subject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = keys)]
struct Row {
    fingerprint: Vec<u8>,
    subject: Subject,
    run: Run,
    created_at: DateTime<Utc>,
    status: Option<i32>,
    body: Option<String>,
}

/// A key that a request takes.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose key it is.
    pub user_id: UserId,
    /// The key.
    pub key: String,
    /// What is asked for.
    pub fingerprint: Fingerprint,
    /// The id of what it makes.
    pub subject: Subject,
    /// This run of the server.
    pub run: Run,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Takes a key; what is known of it where somebody has it.
pub async fn take(db: &Db, claim: Claim) -> Result<Option<Known>, DbError> {
    transact!(db, |conn| {
        let inserted = diesel::insert_into(keys::table)
            .values((
                keys::user_id.eq(Bind(claim.user_id)),
                keys::key.eq(&claim.key),
                keys::fingerprint.eq(claim.fingerprint.as_slice()),
                keys::subject.eq(Bind(claim.subject)),
                keys::run.eq(Bind(claim.run)),
                keys::created_at.eq(Bind(claim.created_at)),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        if inserted > 0 {
            return Ok(None);
        }
        let row: Row = keys::table
            .find((Bind(claim.user_id), &claim.key))
            .select(Row::as_select())
            .first(conn)
            .await?;
        Ok(Some(Known {
            fingerprint: row.fingerprint,
            subject: row.subject,
            run: row.run,
            created_at: row.created_at,
            status: row.status,
            body: row.body,
        }))
    })
}

/// Takes a key over from a claim that was given up or is too old; `false` where somebody was faster.
pub async fn take_over(db: &Db, known: Known, claim: Claim) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::update(
        keys::table
            .find((Bind(claim.user_id), &claim.key))
            .filter(keys::run.eq(Bind(known.run)))
            .filter(keys::created_at.eq(Bind(known.created_at)))
    )
    .set((
        keys::fingerprint.eq(claim.fingerprint.as_slice()),
        keys::subject.eq(Bind(claim.subject)),
        keys::run.eq(Bind(claim.run)),
        keys::created_at.eq(Bind(claim.created_at)),
        keys::status.eq(None::<i32>),
        keys::body.eq(None::<String>),
    ))
    .execute(conn)
    .await)
    .map(|taken| taken > 0)
}

/// Keeps the answer of what was done under a claim.
pub async fn keep(db: &Db, claim: Claim, status: i32, body: Option<String>) -> Result<(), DbError> {
    exec!(db, |conn| diesel::update(
        keys::table
            .find((Bind(claim.user_id), &claim.key))
            .filter(keys::subject.eq(Bind(claim.subject)))
    )
    .set((keys::status.eq(Some(status)), keys::body.eq(body)))
    .execute(conn)
    .await)
    .map(|_| ())
}

/// Leaves a claim to the next who comes with its key: nobody knows how far this one came.
pub async fn give_up(db: &Db, claim: Claim) -> Result<(), DbError> {
    let nobody = Run(uuid::Uuid::nil());
    exec!(db, |conn| diesel::update(
        keys::table
            .find((Bind(claim.user_id), &claim.key))
            .filter(keys::subject.eq(Bind(claim.subject)))
            .filter(keys::run.eq(Bind(claim.run)))
            .filter(keys::status.is_null())
    )
    .set(keys::run.eq(Bind(nobody)))
    .execute(conn)
    .await)
    .map(|_| ())
}

/// Forgets a claim under which nothing was done.
pub async fn release(db: &Db, claim: Claim) -> Result<(), DbError> {
    exec!(db, |conn| diesel::delete(
        keys::table
            .find((Bind(claim.user_id), &claim.key))
            .filter(keys::subject.eq(Bind(claim.subject)))
    )
    .execute(conn)
    .await)
    .map(|_| ())
}

/// Deletes keys taken before a time and counts them.
pub async fn delete_older(db: &Db, than: DateTime<Utc>) -> Result<usize, DbError> {
    exec!(db, |conn| diesel::delete(
        keys::table.filter(keys::created_at.lt(Bind(than)))
    )
    .execute(conn)
    .await)
}
