//! A user together with the places it may see, read in one query.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ClientId, SiteId, UserId};

use super::User;
use crate::schema::{user_clients, user_places, user_sites, users};
use crate::types::Bind;
use crate::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A user and where it may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Where it may act.
    pub scope: Scope,
}

impl Account {
    /// Puts a user and the places it may see together.
    pub(crate) fn of(user: User, places: Vec<Place>) -> Self {
        let scope = scope_of(&user, places);
        Self { user, scope }
    }
}

/// A row of the view: one client or one site that a user may see.
type Place = (Option<ClientId>, Option<SiteId>);

/// Finds a user with its scope.
pub async fn account(db: &Db, id: UserId) -> Result<Option<Account>, DbError> {
    let rows: Vec<(User, Option<Place>)> = query!(db, |conn| users::table
        .left_join(user_places::table)
        .filter(users::id.eq(Bind(id)))
        .select((
            User::as_select(),
            (user_places::client_id, user_places::site_id).nullable(),
        ))
        .load(conn)
        .await)?;
    let mut user = None;
    let mut places = Vec::new();
    for (row, place) in rows {
        user = Some(row);
        places.extend(place);
    }
    Ok(user.map(|user| Account::of(user, places)))
}

/// Finds users with their scopes, in two queries.
pub async fn accounts(db: &Db, ids: Vec<UserId>) -> Result<Vec<Account>, DbError> {
    let found: Vec<User> = query!(db, |conn| users::table
        .filter(users::id.eq_any(ids.into_iter().map(Bind)))
        .select(User::as_select())
        .load(conn)
        .await)?;
    with_scopes(db, found).await
}

/// Adds their scopes to users, with one query for all.
pub async fn with_scopes(db: &Db, users: Vec<User>) -> Result<Vec<Account>, DbError> {
    let scoped: Vec<_> = users.iter().filter(|user| user.scoped).collect();
    let mut places: BTreeMap<UserId, Vec<Place>> = BTreeMap::new();
    if !scoped.is_empty() {
        let ids: Vec<_> = scoped.iter().map(|user| Bind(user.id)).collect();
        let rows: Vec<(UserId, Option<ClientId>, Option<SiteId>)> =
            query!(db, |conn| user_places::table
                .filter(user_places::user_id.eq_any(ids))
                .load(conn)
                .await)?;
        for (user_id, client_id, site_id) in rows {
            places
                .entry(user_id)
                .or_default()
                .push((client_id, site_id));
        }
    }
    let account = |user: User| {
        let places = places.remove(&user.id).unwrap_or_default();
        Account::of(user, places)
    };
    Ok(users.into_iter().map(account).collect())
}

fn scope_of(user: &User, places: Vec<Place>) -> Scope {
    if !user.scoped {
        return Scope::Everything;
    }
    let mut clients = BTreeSet::new();
    let mut sites = BTreeSet::new();
    for (client_id, site_id) in places {
        clients.extend(client_id);
        sites.extend(site_id);
    }
    Scope::Only { clients, sites }
}

ops! {
    /// The places of users, inside of a transaction.
    trait ScopeSteps {
        /// Reads a user's scope.
        async fn read_scope(&mut conn, user: User) -> Result<Scope, DbError> {
            let places: Vec<Place> = user_places::table
                .filter(user_places::user_id.eq(Bind(user.id)))
                .select((user_places::client_id, user_places::site_id))
                .load(conn)
                .await?;
            Ok(scope_of(&user, places))
        }

        /// Replaces a user's places by those of a scope.
        async fn write_scope(&mut conn, id: UserId, scope: Scope) -> Result<(), DbError> {
            diesel::delete(user_clients::table.filter(user_clients::user_id.eq(Bind(id))))
                .execute(conn)
                .await?;
            diesel::delete(user_sites::table.filter(user_sites::user_id.eq(Bind(id))))
                .execute(conn)
                .await?;
            let Scope::Only { clients, sites } = scope else {
                return Ok(());
            };
            for client_id in clients {
                diesel::insert_into(user_clients::table)
                    .values((
                        user_clients::user_id.eq(Bind(id)),
                        user_clients::client_id.eq(Bind(client_id)),
                    ))
                    .execute(conn)
                    .await?;
            }
            for site_id in sites {
                diesel::insert_into(user_sites::table)
                    .values((
                        user_sites::user_id.eq(Bind(id)),
                        user_sites::site_id.eq(Bind(site_id)),
                    ))
                    .execute(conn)
                    .await?;
            }
            Ok(())
        }
    }
}
