//! Sites of clients, and what lets a new agent in: the site's code and the hash of its key.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ClientId, SiteId};

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::sites;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::{Place, Scope};

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

/// The orders of a list of sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteSort {
    /// By name.
    Name,
    /// By the time they were made.
    Created,
}

impl SortKey for SiteSort {
    const KEYS: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("created", Self::Created)];

    fn is_time(self) -> bool {
        self == Self::Created
    }
}

impl Site {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: SiteSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            SiteSort::Name => SortValue::Text(self.name.clone()),
            SiteSort::Created => SortValue::Time(self.created_at),
        };
        (value, self.id.0)
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::site(self.client_id, self.id)
    }
}

/// Lists the sites within a scope, of one client or of all, whose name or code holds `words`.
pub async fn list(
    db: &Db,
    scope: Scope,
    client_id: Option<ClientId>,
    words: Option<String>,
    page: PageOf<SiteSort>,
) -> Result<Vec<Site>, DbError> {
    query!(db, |conn| {
        let mut rows = sites::table.select(Site::as_select()).into_boxed();
        within!(rows, &scope, sites::client_id, sites::id);
        if let Some(client_id) = client_id {
            rows = rows.filter(sites::client_id.eq(Bind(client_id)));
        }
        if let Some(words) = &words {
            let name = lower(sites::name).like(lower(pattern(words)));
            let code = lower(sites::site_code).like(lower(pattern(words)));
            rows = rows.filter(name.escape('\\').or(code.escape('\\')));
        }
        match page.sort {
            SiteSort::Name => keyset!(rows, page, sites::name, sites::id, SiteId, text),
            SiteSort::Created => keyset!(rows, page, sites::created_at, sites::id, SiteId, time),
        }
        rows.load(conn).await
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

/// Names a site anew; nothing where there is none, or where it was changed since `unchanged`.
///
/// # Errors
///
/// [`DbError::Duplicate`] where its client has a site of that name.
pub async fn rename(
    db: &Db,
    id: SiteId,
    name: String,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Site>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            sites::table.find(Bind(id)).filter(
                sites::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((sites::name.eq(&name), sites::updated_at.eq(at)))
        .returning(Site::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Gives a site another key, and another code where there is one; those before stop working. Nothing where there is
/// no such site.
pub async fn replace_key(
    db: &Db,
    id: SiteId,
    api_key_hash: [u8; 32],
    site_code: Option<String>,
) -> Result<Option<Site>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| diesel::update(sites::table.find(Bind(id)))
        .set((
            sites::api_key_hash.eq(api_key_hash.as_slice()),
            site_code.as_deref().map(|code| sites::site_code.eq(code)),
            sites::updated_at.eq(at),
        ))
        .returning(Site::as_returning())
        .get_result(conn)
        .await
        .optional())
}

/// The clients of sites, without those that do not exist.
pub async fn clients_of(
    db: &Db,
    site_ids: Vec<SiteId>,
) -> Result<BTreeMap<SiteId, ClientId>, DbError> {
    let rows: Vec<(SiteId, ClientId)> = query!(db, |conn| sites::table
        .filter(sites::id.eq_any(site_ids.into_iter().map(Bind)))
        .select((sites::id, sites::client_id))
        .load(conn)
        .await)?;
    Ok(rows.into_iter().collect())
}
