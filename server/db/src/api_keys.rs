//! Keys of users for their scripts. A key is dead when it was revoked, when it has expired, and
//! when its maker is disabled or may do less than it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ApiKeyId, ClientId, SiteId, UserId};
use serde_json::Value;

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::{api_keys, user_places, users};
use super::types::{Bind, now};
use super::users::{Account, User};
use super::{Db, DbError};

/// A key.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = api_keys)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its maker.
    pub user_id: UserId,
    /// What its maker calls it.
    pub name: String,
    /// The role it has at most.
    pub role: String,
    /// The scope it has at most; none means its maker's.
    pub scope: Option<Value>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it died with its maker's role.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What a new key is made of.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its maker.
    pub user_id: UserId,
    /// Its name.
    pub name: String,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// The role it has at most.
    pub role: String,
    /// The scope it has at most.
    pub scope: Option<Value>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The orders of a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiKeySort {
    /// By name.
    Name,
    /// By the time they were made.
    Created,
}

impl SortKey for ApiKeySort {
    const KEYS: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("created", Self::Created)];

    fn is_time(self) -> bool {
        self == Self::Created
    }
}

impl ApiKey {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ApiKeySort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ApiKeySort::Name => SortValue::Text(self.name.clone()),
            ApiKeySort::Created => SortValue::Time(self.created_at),
        };
        (value, self.id.0)
    }
}

/// Inserts a key, where its maker has fewer than `most`; nothing where it has as many.
pub async fn insert(db: &Db, new: NewApiKey, most: i64) -> Result<Option<ApiKey>, DbError> {
    let (id, at) = (Bind(ApiKeyId::generate()), Bind(now()));
    transact!(db, |conn| {
        let count: i64 = api_keys::table
            .filter(api_keys::user_id.eq(Bind(new.user_id)))
            .count()
            .get_result(conn)
            .await?;
        if count >= most {
            return Ok(None);
        }
        let key = diesel::insert_into(api_keys::table)
            .values((
                api_keys::id.eq(id),
                api_keys::user_id.eq(Bind(new.user_id)),
                api_keys::name.eq(&new.name),
                api_keys::key_hash.eq(new.key_hash.as_slice()),
                api_keys::role.eq(&new.role),
                api_keys::scope.eq(new.scope.map(Bind)),
                api_keys::created_at.eq(at),
                api_keys::expires_at.eq(new.expires_at.map(Bind)),
            ))
            .returning(ApiKey::as_returning())
            .get_result(conn)
            .await?;
        Ok(Some(key))
    })
}

/// Finds a key by its SHA-256, with its maker and the maker's scope, in one query.
pub async fn by_hash(db: &Db, hash: [u8; 32]) -> Result<Option<(ApiKey, Account)>, DbError> {
    type Place = (Option<ClientId>, Option<SiteId>);
    let rows: Vec<(ApiKey, User, Option<Place>)> = query!(db, |conn| api_keys::table
        .inner_join(users::table.left_join(user_places::table))
        .filter(api_keys::key_hash.eq(hash.as_slice()))
        .select((
            ApiKey::as_select(),
            User::as_select(),
            (user_places::client_id, user_places::site_id).nullable(),
        ))
        .load(conn)
        .await)?;
    let mut found = None;
    let mut places = Vec::new();
    for (key, user, place) in rows {
        found = Some((key, user));
        places.extend(place);
    }
    Ok(found.map(|(key, user)| (key, Account::of(user, places))))
}

/// Lists keys with their makers' addresses, of one maker or of all, whose name holds `words`.
pub async fn list(
    db: &Db,
    user_id: Option<UserId>,
    words: Option<String>,
    page: PageOf<ApiKeySort>,
) -> Result<Vec<(ApiKey, String)>, DbError> {
    query!(db, |conn| {
        let mut rows = api_keys::table
            .inner_join(users::table)
            .select((ApiKey::as_select(), users::email))
            .into_boxed();
        if let Some(user_id) = user_id {
            rows = rows.filter(api_keys::user_id.eq(Bind(user_id)));
        }
        if let Some(words) = &words {
            let holds = lower(api_keys::name).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            ApiKeySort::Name => {
                keyset!(rows, page, api_keys::name, api_keys::id, ApiKeyId, text);
            }
            ApiKeySort::Created => {
                keyset!(
                    rows,
                    page,
                    api_keys::created_at,
                    api_keys::id,
                    ApiKeyId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// Finds a key by id.
pub async fn by_id(db: &Db, id: ApiKeyId) -> Result<Option<ApiKey>, DbError> {
    query!(db, |conn| api_keys::table
        .find(Bind(id))
        .select(ApiKey::as_select())
        .first(conn)
        .await
        .optional())
}

/// These keys, as far as they are there and not revoked.
pub async fn named(db: &Db, ids: Vec<ApiKeyId>) -> Result<Vec<ApiKey>, DbError> {
    query!(db, |conn| api_keys::table
        .filter(api_keys::id.eq_any(ids.into_iter().map(Bind)))
        .filter(api_keys::revoked_at.is_null())
        .select(ApiKey::as_select())
        .load(conn)
        .await)
}

/// Which of these keys are there and not revoked.
pub async fn alive(db: &Db, ids: Vec<ApiKeyId>) -> Result<Vec<ApiKeyId>, DbError> {
    query!(db, |conn| api_keys::table
        .filter(api_keys::id.eq_any(ids.into_iter().map(Bind)))
        .filter(api_keys::revoked_at.is_null())
        .select(api_keys::id)
        .load(conn)
        .await)
}

/// Removes a key; `false` where there is none.
pub async fn delete(db: &Db, id: ApiKeyId) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(api_keys::table.find(Bind(id)))
        .execute(conn)
        .await)
    .map(|deleted| deleted > 0)
}

/// Notes that a key was used.
pub async fn mark_used(db: &Db, id: ApiKeyId, at: DateTime<Utc>) -> Result<(), DbError> {
    exec!(db, |conn| diesel::update(api_keys::table.find(Bind(id)))
        .set(api_keys::last_used_at.eq(Bind(at)))
        .execute(conn)
        .await)
    .map(|_| ())
}

ops! {
    /// What happens to keys when their maker changes, inside of that transaction.
    trait KeySteps {
        /// Revokes the keys of a user that have none of these roles.
        async fn revoke_keys_beyond(
            &mut conn,
            user_id: UserId,
            allowed: Vec<&'static str>,
        ) -> QueryResult<usize> {
            let beyond = api_keys::table
                .filter(api_keys::user_id.eq(Bind(user_id)))
                .filter(api_keys::revoked_at.is_null())
                .filter(diesel::dsl::not(api_keys::role.eq_any(allowed)));
            diesel::update(beyond)
                .set(api_keys::revoked_at.eq(Bind(now())))
                .execute(conn)
                .await
        }
    }
}
