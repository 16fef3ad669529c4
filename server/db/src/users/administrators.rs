//! The first administrator and the last: operations that count users, and so exclude each other.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use gururmm_shared::UserId;

use super::account::ScopeSteps;
use super::{Account, NewUser, Row, User, UserChange};
use crate::api_keys::KeySteps;
use crate::pools::{LiteConn, PgConn};
use crate::schema::users;
use crate::types::{Bind, now};
use crate::{Db, DbError};
use gururmm_domain::role::Role;
use gururmm_domain::scope::Scope;

/// What [`update`] says where the user was changed since it was read.
pub const CHANGED: &str = "changed meanwhile";

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

ops! {
    /// What holds an administrator in place, inside of a transaction that has the users' lock.
    trait LastAdministrator {
        /// Refuses where nobody but this user governs.
        async fn forbid_last_administrator(&mut conn, id: UserId) -> Result<(), DbError> {
            let others: i64 = users::table
                .filter(users::role.eq(ADMINISTRATOR))
                .filter(users::disabled.eq(false))
                .filter(users::scoped.eq(false))
                .filter(users::id.ne(Bind(id)))
                .count()
                .get_result(conn)
                .await?;
            if others == 0 {
                return Err(DbError::Constraint("last administrator".to_owned()));
            }
            Ok(())
        }

        /// Whether there is such a user; refuses where nobody but it governs.
        async fn check_deletable(&mut conn, id: UserId) -> Result<bool, DbError> {
            let user = users::table
                .find(Bind(id))
                .select(User::as_select())
                .first(conn)
                .await
                .optional()?;
            let Some(user) = user else {
                return Ok(false);
            };
            if governs(&user.role, user.disabled, user.scoped) {
                conn.forbid_last_administrator(id).await?;
            }
            Ok(true)
        }
    }
}

/// Deletes a user with all that is its own but the audit; `false` where there is none.
///
/// # Errors
///
/// [`DbError::Constraint`] `last administrator`, as [`update`].
pub async fn delete(db: &Db, id: UserId) -> Result<bool, DbError> {
    transact!(db, |conn| {
        conn.lock_users().await?;
        if !conn.check_deletable(id).await? {
            return Ok(false);
        }
        diesel::delete(users::table.find(Bind(id)))
            .execute(conn)
            .await?;
        Ok(true)
    })
}

/// Whether [`delete`] would delete a user; `false` where there is none.
///
/// # Errors
///
/// As [`delete`].
pub async fn is_deletable(db: &Db, id: UserId) -> Result<bool, DbError> {
    transact!(db, |conn| conn.check_deletable(id).await)
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

/// Whether somebody may set right whatever is wrong: an administrator of everything who may log in.
fn governs(role: &str, disabled: bool, scoped: bool) -> bool {
    role == ADMINISTRATOR && !disabled && !scoped
}

/// Changes a user; its tokens become void where its role, its scope or its being disabled changes.
///
/// # Errors
///
/// [`DbError::Constraint`] `last administrator` where no enabled administrator of everything would
/// be left and [`CHANGED`] where it was changed meanwhile, [`DbError::ForeignKey`] where the scope names what does not exist.
pub async fn update(db: &Db, id: UserId, change: UserChange) -> Result<Option<Account>, DbError> {
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
        if change.unchanged.is_some_and(|at| at != user.updated_at) {
            return Err(DbError::Constraint(CHANGED.to_owned()));
        }
        let role = change.role.unwrap_or_else(|| user.role.clone());
        let disabled = change.disabled.unwrap_or(user.disabled);
        let before = conn.read_scope(user.clone()).await?;
        let scope = change.scope.unwrap_or_else(|| before.clone());
        let scoped = scope != Scope::Everything;
        if governs(&user.role, user.disabled, user.scoped) && !governs(&role, disabled, scoped) {
            conn.forbid_last_administrator(id).await?;
        }
        if scope != before {
            conn.write_scope(id, scope.clone()).await?;
        }
        let allowed = match role.parse::<Role>() {
            Ok(role) if !disabled => Role::ALL
                .into_iter()
                .filter(|one| role.includes(*one))
                .collect(),
            _ => Vec::new(),
        };
        let allowed = allowed.into_iter().map(Role::name).collect();
        conn.revoke_keys_beyond(id, allowed).await?;
        let raise = i64::from(role != user.role || disabled != user.disabled || scope != before);
        let user = diesel::update(users::table.find(Bind(id)))
            .set((
                users::role.eq(role),
                users::disabled.eq(disabled),
                users::name.eq(change.name.unwrap_or(user.name)),
                users::scoped.eq(scoped),
                users::token_version.eq(users::token_version + raise.into_sql::<BigInt>()),
                users::updated_at.eq(at),
            ))
            .returning(User::as_returning())
            .get_result(conn)
            .await?;
        Ok(Some(Account { user, scope }))
    })
}
