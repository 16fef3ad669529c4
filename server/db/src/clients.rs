//! Client organisations of the MSP. A name is taken whatever its case.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::ClientId;

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::clients;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A client organisation.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = clients)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Inserts a client; [`DbError::Duplicate`] where the name is taken.
pub async fn insert(db: &Db, name: String) -> Result<Client, DbError> {
    let (id, at) = (Bind(ClientId::generate()), Bind(now()));
    exec!(db, |conn| diesel::insert_into(clients::table)
        .values((
            clients::id.eq(id),
            clients::name.eq(&name),
            clients::created_at.eq(at),
            clients::updated_at.eq(at),
        ))
        .returning(Client::as_returning())
        .get_result(conn)
        .await)
}

/// The orders of a list of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSort {
    /// By name.
    Name,
    /// By the time they were made.
    Created,
}

impl SortKey for ClientSort {
    const KEYS: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("created", Self::Created)];

    fn is_time(self) -> bool {
        self == Self::Created
    }
}

impl Client {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ClientSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ClientSort::Name => SortValue::Text(self.name.clone()),
            ClientSort::Created => SortValue::Time(self.created_at),
        };
        (value, self.id.0)
    }
}

/// Lists the clients within a scope whose name holds `words`.
pub async fn list(
    db: &Db,
    scope: Scope,
    words: Option<String>,
    page: PageOf<ClientSort>,
) -> Result<Vec<Client>, DbError> {
    query!(db, |conn| {
        let mut rows = clients::table.select(Client::as_select()).into_boxed();
        within!(rows, &scope, clients::id);
        if let Some(words) = &words {
            let holds = lower(clients::name).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            ClientSort::Name => {
                keyset!(rows, page, clients::name, clients::id, ClientId, text);
            }
            ClientSort::Created => {
                keyset!(rows, page, clients::created_at, clients::id, ClientId, time);
            }
        }
        rows.load(conn).await
    })
}

/// Finds a client by id.
pub async fn by_id(db: &Db, id: ClientId) -> Result<Option<Client>, DbError> {
    query!(db, |conn| clients::table
        .find(Bind(id))
        .select(Client::as_select())
        .first(conn)
        .await
        .optional())
}

/// Names a client anew; nothing where there is none, or where it was changed since `unchanged`.
///
/// # Errors
///
/// [`DbError::Duplicate`] where the name is taken.
pub async fn rename(
    db: &Db,
    id: ClientId,
    name: String,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Client>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            clients::table.find(Bind(id)).filter(
                clients::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((clients::name.eq(&name), clients::updated_at.eq(at)))
        .returning(Client::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Counts which of these clients exist.
pub async fn count_of(db: &Db, ids: Vec<ClientId>) -> Result<i64, DbError> {
    query!(db, |conn| clients::table
        .filter(clients::id.eq_any(ids.into_iter().map(Bind)))
        .count()
        .get_result(conn)
        .await)
}
