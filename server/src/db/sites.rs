//! Sites of clients, and what lets a new agent in: the site's code and the hash of its key.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ClientId, SiteId};

use super::schema::sites;
use super::types::{Bind, now};
use super::{Db, DbError};

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = sites)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// The client it belongs to.
    pub client_id: ClientId,
    /// Its name, unique within the client.
    pub name: String,
    /// `WORD-WORD-NUMBER`.
    pub site_code: String,
    /// SHA-256 of the site's `grmm_` key.
    pub api_key_hash: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a new site is made of.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// The client it belongs to.
    pub client_id: ClientId,
    /// Its name.
    pub name: String,
    /// `WORD-WORD-NUMBER`.
    pub site_code: String,
    /// SHA-256 of the site's `grmm_` key.
    pub api_key_hash: [u8; 32],
}

/// Inserts a site; [`DbError::Duplicate`] where the client has one of that name or the code is
/// taken (`sites_site_code_key`), [`DbError::ForeignKey`] where there is no such client.
pub async fn insert(db: &Db, new: NewSite) -> Result<Site, DbError> {
    let (id, at) = (Bind(SiteId::generate()), Bind(now()));
    exec!(db, |conn| diesel::insert_into(sites::table)
        .values((
            sites::id.eq(id),
            sites::client_id.eq(Bind(new.client_id)),
            sites::name.eq(&new.name),
            sites::site_code.eq(&new.site_code),
            sites::api_key_hash.eq(new.api_key_hash.as_slice()),
            sites::created_at.eq(at),
            sites::updated_at.eq(at),
        ))
        .returning(Site::as_returning())
        .get_result(conn)
        .await)
}

/// Lists the sites, of one client or of all, by name.
pub async fn list(db: &Db, client_id: Option<ClientId>) -> Result<Vec<Site>, DbError> {
    query!(db, |conn| {
        let mut sites = sites::table
            .order((sites::name, sites::id))
            .select(Site::as_select())
            .into_boxed();
        if let Some(client_id) = client_id {
            sites = sites.filter(sites::client_id.eq(Bind(client_id)));
        }
        sites.load(conn).await
    })
}

/// Finds a site by id.
pub async fn by_id(db: &Db, id: SiteId) -> Result<Option<Site>, DbError> {
    query!(db, |conn| sites::table
        .find(Bind(id))
        .select(Site::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds a site by its code, exactly as it is stored.
pub async fn by_code(db: &Db, code: &str) -> Result<Option<Site>, DbError> {
    let code = code.to_owned();
    query!(db, |conn| sites::table
        .filter(sites::site_code.eq(&code))
        .select(Site::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds a site by the SHA-256 of its key.
pub async fn by_key_hash(db: &Db, hash: &[u8; 32]) -> Result<Option<Site>, DbError> {
    let hash = *hash;
    query!(db, |conn| sites::table
        .filter(sites::api_key_hash.eq(hash.as_slice()))
        .select(Site::as_select())
        .first(conn)
        .await
        .optional())
}
