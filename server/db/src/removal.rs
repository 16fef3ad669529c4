//! Taking places away together with what is in them: refused where something is, unless all of it
//! is to go.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, SiteId};

use super::agents::AgentsLock;
use super::schema::{agents, clients, sites};
use super::types::Bind;
use super::{Db, DbError};

/// How an attempt to remove a place ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, and these agents with it.
    Removed(Vec<AgentId>),
    /// So many things are in it; nothing was removed.
    NotEmpty(i64),
    /// There is no such place.
    Missing,
    /// It was changed since it was read; nothing was removed.
    Changed,
}

/// Lists a client's agents.
pub async fn agents_of_client(db: &Db, id: ClientId) -> Result<Vec<AgentId>, DbError> {
    query!(db, |conn| agents::table
        .inner_join(sites::table)
        .filter(sites::client_id.eq(Bind(id)))
        .order(agents::id)
        .select(agents::id)
        .load(conn)
        .await)
}

/// Lists a site's agents.
pub async fn agents_of_site(db: &Db, id: SiteId) -> Result<Vec<AgentId>, DbError> {
    query!(db, |conn| agents::table
        .filter(agents::site_id.eq(Bind(id)))
        .order(agents::id)
        .select(agents::id)
        .load(conn)
        .await)
}

/// Removes a client, unless it was changed since `unchanged`; one that has sites only where `cascade` says
/// that they and their agents go too.
///
/// # Errors
///
/// [`DbError::ForeignKey`] where something came into it meanwhile.
pub async fn remove_client(
    db: &Db,
    id: ClientId,
    cascade: bool,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Removal, DbError> {
    transact!(db, |conn| {
        if let Some(version) = unchanged {
            // Holds the row: nobody changes it between this and its end.
            let same = diesel::update(
                clients::table
                    .find(Bind(id))
                    .filter(clients::updated_at.eq(Bind(version))),
            )
            .set(clients::updated_at.eq(clients::updated_at))
            .execute(conn)
            .await?;
            if same == 0 {
                return Ok(Removal::Changed);
            }
        }
        let inside: Vec<SiteId> = sites::table
            .filter(sites::client_id.eq(Bind(id)))
            .select(sites::id)
            .load(conn)
            .await?;
        if !inside.is_empty() && !cascade {
            let count = i64::try_from(inside.len()).unwrap_or(i64::MAX);
            return Ok(Removal::NotEmpty(count));
        }
        let mut gone = Vec::new();
        for site_id in inside {
            gone.extend(conn.remove_site_and_agents(site_id).await?);
        }
        let removed = diesel::delete(clients::table.find(Bind(id)))
            .execute(conn)
            .await?;
        Ok(if removed == 0 {
            Removal::Missing
        } else {
            Removal::Removed(gone)
        })
    })
}

/// Removes a site, unless it was changed since `unchanged`; one that has agents only where `cascade` says
/// that they go too.
///
/// # Errors
///
/// [`DbError::ForeignKey`] where an agent came into it meanwhile.
pub async fn remove_site(
    db: &Db,
    id: SiteId,
    cascade: bool,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Removal, DbError> {
    transact!(db, |conn| {
        if let Some(version) = unchanged {
            // As with a client.
            let same = diesel::update(
                sites::table
                    .find(Bind(id))
                    .filter(sites::updated_at.eq(Bind(version))),
            )
            .set(sites::updated_at.eq(sites::updated_at))
            .execute(conn)
            .await?;
            if same == 0 {
                return Ok(Removal::Changed);
            }
        }
        let known: i64 = sites::table
            .filter(sites::id.eq(Bind(id)))
            .count()
            .get_result(conn)
            .await?;
        if known == 0 {
            return Ok(Removal::Missing);
        }
        let inside: i64 = agents::table
            .filter(agents::site_id.eq(Bind(id)))
            .count()
            .get_result(conn)
            .await?;
        if inside > 0 && !cascade {
            return Ok(Removal::NotEmpty(inside));
        }
        conn.remove_site_and_agents(id).await.map(Removal::Removed)
    })
}

ops! {
    /// Steps of a removal.
    trait RemovalSteps {
        /// Removes a site and its agents, and names these.
        async fn remove_site_and_agents(&mut conn, id: SiteId) -> Result<Vec<AgentId>, DbError> {
            let inside: Vec<AgentId> = agents::table
                .filter(agents::site_id.eq(Bind(id)))
                .order(agents::id)
                .select(agents::id)
                .load(conn)
                .await?;
            conn.lock_agents(inside.clone()).await?;
            diesel::delete(agents::table.filter(agents::site_id.eq(Bind(id))))
                .execute(conn)
                .await?;
            diesel::delete(sites::table.find(Bind(id)))
                .execute(conn)
                .await?;
            Ok(inside)
        }
    }
}
