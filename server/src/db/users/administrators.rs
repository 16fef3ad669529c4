//! The first administrator and the last: operations that count users, and so exclude each other.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use gururmm_shared::UserId;

use super::{NewUser, Row, User, UserChange};
use crate::db::pools::{LiteConn, PgConn};
use crate::db::schema::users;
use crate::db::types::{Bind, now};
use crate::db::{Db, DbError};

/// The role that may do everything.
const ADMINISTRATOR: &str = "administrator";

/// Makes operations that count users exclude each other.
trait UsersLock {
    async fn lock_users(&mut self) -> QueryResult<()>;
}

impl UsersLock for PgConn {
    async fn lock_users(&mut self) -> QueryResult<()> {
        // Until the end of the transaction; the number is this lock's name.
        diesel::sql_query("SELECT pg_advisory_xact_lock(7453126550113743475)")
            .execute(self)
            .await
            .map(|_| ())
    }
}

impl UsersLock for LiteConn {
    async fn lock_users(&mut self) -> QueryResult<()> {
        // An immediate transaction has the database to itself.
        Ok(())
    }
}

/// Inserts a user where there is none at all, else nothing.
pub async fn insert_first(db: &Db, new: NewUser) -> Result<Option<User>, DbError> {
    let row = Row::from(new);
    transact!(db, |conn| {
        conn.lock_users().await?;
        let count: i64 = users::table.count().get_result(conn).await?;
        if count > 0 {
            return Ok(None);
        }
        let user = diesel::insert_into(users::table)
            .values(&row)
            .returning(User::as_returning())
            .get_result(conn)
            .await?;
        Ok(Some(user))
    })
}

/// Changes a user; its tokens become void where its role or its being disabled changes.
///
/// # Errors
///
/// [`DbError::Constraint`] `last administrator` where no enabled administrator would be left.
pub async fn update(db: &Db, id: UserId, change: UserChange) -> Result<Option<User>, DbError> {
    let at = Bind(now());
    transact!(db, |conn| {
        conn.lock_users().await?;
        let Some(user) = users::table
            .find(Bind(id))
            .select(User::as_select())
            .first(conn)
            .await
            .optional()?
        else {
            return Ok(None);
        };
        let role = change.role.unwrap_or_else(|| user.role.clone());
        let disabled = change.disabled.unwrap_or(user.disabled);
        let governs = |role: &str, disabled: bool| role == ADMINISTRATOR && !disabled;
        if governs(&user.role, user.disabled) && !governs(&role, disabled) {
            let others: i64 = users::table
                .filter(users::role.eq(ADMINISTRATOR))
                .filter(users::disabled.eq(false))
                .filter(users::id.ne(Bind(id)))
                .count()
                .get_result(conn)
                .await?;
            if others == 0 {
                return Err(DbError::Constraint("last administrator".to_owned()));
            }
        }
        let raise = i64::from(role != user.role || disabled != user.disabled);
        let user = diesel::update(users::table.find(Bind(id)))
            .set((
                users::role.eq(role),
                users::disabled.eq(disabled),
                users::name.eq(change.name.unwrap_or(user.name)),
                users::token_version.eq(users::token_version + raise.into_sql::<BigInt>()),
                users::updated_at.eq(at),
            ))
            .returning(User::as_returning())
            .get_result(conn)
            .await?;
        Ok(Some(user))
    })
}
