//! Users: who may log in, as what. Whatever ends a user's log-ins (password, role, scope, disabling) raises
//! `token_version` in the same statement.

mod account;
mod administrators;

pub use account::{Account, account, accounts, with_scopes};
pub use administrators::{CHANGED, delete, insert_first, is_deletable, update};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::UserId;

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::users;
use super::types::{Bind, now};
use super::{Db, DbError};
use account::ScopeSteps;
use gururmm_domain::scope::Scope;

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
    /// Whether it sees only the places that are named for it.
    pub scoped: bool,
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
    /// The new scope.
    pub scope: Option<Scope>,
    /// Change nothing where it was changed since then.
    pub unchanged: Option<DateTime<Utc>>,
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
    scoped: bool,
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
            scoped: false,
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

/// Inserts a user with a scope, both or none; [`DbError::Duplicate`] where the e-mail address is taken,
/// [`DbError::ForeignKey`] where the scope names what does not exist.
pub async fn insert_scoped(db: &Db, new: NewUser, scope: Scope) -> Result<Account, DbError> {
    let row = Row {
        scoped: scope != Scope::Everything,
        ..Row::from(new)
    };
    transact!(db, |conn| {
        let user = diesel::insert_into(users::table)
            .values(&row)
            .returning(User::as_returning())
            .get_result(conn)
            .await?;
        conn.write_scope(user.id, scope.clone()).await?;
        Ok(Account { user, scope })
    })
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

/// The token versions of these users, of those that are there and not disabled.
pub async fn versions(db: &Db, ids: Vec<UserId>) -> Result<Vec<(UserId, i64)>, DbError> {
    query!(db, |conn| users::table
        .filter(users::id.eq_any(ids.into_iter().map(Bind)))
        .filter(users::disabled.eq(false))
        .select((users::id, users::token_version))
        .load(conn)
        .await)
}

/// The orders of a list of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserSort {
    /// By e-mail address.
    Email,
    /// By name.
    Name,
    /// By the time they were made.
    Created,
}

impl SortKey for UserSort {
    const KEYS: &'static [(&'static str, Self)] = &[
        ("email", Self::Email),
        ("name", Self::Name),
        ("created", Self::Created),
    ];

    fn is_time(self) -> bool {
        self == Self::Created
    }
}

/// Which users to list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Only those of this role.
    pub role: Option<String>,
    /// Only those that are disabled, or are not.
    pub disabled: Option<bool>,
    /// Only those whose address or name holds this.
    pub words: Option<String>,
}

impl User {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: UserSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            UserSort::Email => SortValue::Text(self.email.clone()),
            UserSort::Name => SortValue::Text(self.name.clone()),
            UserSort::Created => SortValue::Time(self.created_at),
        };
        (value, self.id.0)
    }
}

/// Lists users.
pub async fn list(
    db: &Db,
    filter: UserFilter,
    page: PageOf<UserSort>,
) -> Result<Vec<User>, DbError> {
    query!(db, |conn| {
        let mut rows = users::table.select(User::as_select()).into_boxed();
        if let Some(role) = &filter.role {
            rows = rows.filter(users::role.eq(role.clone()));
        }
        if let Some(disabled) = filter.disabled {
            rows = rows.filter(users::disabled.eq(disabled));
        }
        if let Some(words) = &filter.words {
            let email = lower(users::email).like(lower(pattern(words)));
            let name = lower(users::name).like(lower(pattern(words)));
            rows = rows.filter(email.escape('\\').or(name.escape('\\')));
        }
        match page.sort {
            UserSort::Email => keyset!(rows, page, users::email, users::id, UserId, text),
            UserSort::Name => keyset!(rows, page, users::name, users::id, UserId, text),
            UserSort::Created => keyset!(rows, page, users::created_at, users::id, UserId, time),
        }
        rows.load(conn).await
    })
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
