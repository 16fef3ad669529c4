//! Users: who may log in, as what. Whatever ends a user's log-ins (password, role, disabling) raises
//! `token_version` in the same statement.

mod administrators;

pub use administrators::{insert_first, update};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::UserId;

use super::schema::users;
use super::types::{Bind, now};
use super::{Db, DbError};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The log-in name, in lower case.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// `administrator`, `technician` or `read_only`.
    pub role: String,
    /// Whether log-ins are refused.
    pub disabled: bool,
    /// Tokens of another version are void.
    pub token_version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it last logged in.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// What a new user is made of.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The log-in name; stored in lower case.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// `administrator`, `technician` or `read_only`.
    pub role: String,
}

/// What of a user is to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The new role.
    pub role: Option<String>,
    /// Whether log-ins are refused from now on.
    pub disabled: Option<bool>,
    /// The new name.
    pub name: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = users)]
struct Row {
    id: Bind<UserId>,
    email: String,
    name: String,
    password_hash: String,
    role: String,
    disabled: bool,
    token_version: i64,
    created_at: Bind<DateTime<Utc>>,
    updated_at: Bind<DateTime<Utc>>,
}

impl From<NewUser> for Row {
    fn from(new: NewUser) -> Self {
        let at = Bind(now());
        Self {
            id: Bind(UserId::generate()),
            email: lowercase(&new.email),
            name: new.name,
            password_hash: new.password_hash,
            role: new.role,
            disabled: false,
            token_version: 1,
            created_at: at,
            updated_at: at,
        }
    }
}

fn lowercase(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Inserts a user; [`DbError::Duplicate`] where the e-mail address is taken.
pub async fn insert(db: &Db, new: NewUser) -> Result<User, DbError> {
    let row = Row::from(new);
    exec!(db, |conn| diesel::insert_into(users::table)
        .values(&row)
        .returning(User::as_returning())
        .get_result(conn)
        .await)
}

/// Finds a user by its e-mail address, in whatever case.
pub async fn by_email(db: &Db, email: &str) -> Result<Option<User>, DbError> {
    let email = lowercase(email);
    query!(db, |conn| users::table
        .filter(users::email.eq(&email))
        .select(User::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds a user by id.
pub async fn by_id(db: &Db, id: UserId) -> Result<Option<User>, DbError> {
    query!(db, |conn| users::table
        .find(Bind(id))
        .select(User::as_select())
        .first(conn)
        .await
        .optional())
}

/// Lists all users by e-mail address.
pub async fn list(db: &Db) -> Result<Vec<User>, DbError> {
    query!(db, |conn| users::table
        .order(users::email)
        .select(User::as_select())
        .load(conn)
        .await)
}

/// Counts all users.
pub async fn count(db: &Db) -> Result<i64, DbError> {
    query!(db, |conn| users::table.count().get_result(conn).await)
}

/// Sets a password and voids the user's tokens; `false` where there is no such user.
pub async fn set_password(db: &Db, id: UserId, hash: String) -> Result<bool, DbError> {
    let at = Bind(now());
    exec!(db, |conn| diesel::update(users::table.find(Bind(id)))
        .set((
            users::password_hash.eq(&hash),
            users::token_version.eq(users::token_version + 1),
            users::updated_at.eq(at),
        ))
        .execute(conn)
        .await)
    .map(|changed| changed > 0)
}

/// Voids a user's tokens and answers with the version of the next.
pub async fn bump_token_version(db: &Db, id: UserId) -> Result<Option<i64>, DbError> {
    exec!(db, |conn| diesel::update(users::table.find(Bind(id)))
        .set(users::token_version.eq(users::token_version + 1))
        .returning(users::token_version)
        .get_result(conn)
        .await
        .optional())
}

/// Notes a log-in.
pub async fn record_login(db: &Db, id: UserId, at: DateTime<Utc>) -> Result<(), DbError> {
    exec!(db, |conn| diesel::update(users::table.find(Bind(id)))
        .set(users::last_login_at.eq(Bind(at)))
        .execute(conn)
        .await)
    .map(|_| ())
}
