//! Client organisations of the MSP. A name is taken whatever its case.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::ClientId;

use super::schema::clients;
use super::types::{Bind, now};
use super::{Db, DbError};

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

/// Lists all clients by name.
pub async fn list(db: &Db) -> Result<Vec<Client>, DbError> {
    query!(db, |conn| clients::table
        .order((clients::name, clients::id))
        .select(Client::as_select())
        .load(conn)
        .await)
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
