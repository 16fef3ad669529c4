//! Which software is where, over the whole fleet.

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::AgentId;

use crate::page::{lower, pattern};
use crate::schema::{agents, inventory_software, sites};
use crate::{Db, DbError};
use gururmm_domain::scope::Scope;

/// What to look for.
#[derive(Debug, Clone)]
pub struct SoftwareSearch {
    /// Where.
    pub scope: Scope,
    /// A part of the name, whatever its case.
    pub text: String,
    /// Only what comes after this name and version.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: i64,
}

/// One version of something, and on how many machines it is.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// On how many machines it is.
    pub count: i64,
}

/// A machine that has something.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct PackageAgent {
    /// Which.
    pub id: AgentId,
    /// Its name.
    pub hostname: String,
}

/// Lists what is installed by name and version, with its count.
pub async fn packages(db: &Db, search: SoftwareSearch) -> Result<Vec<Package>, DbError> {
    let pattern = pattern(&search.text.to_lowercase());
    query!(db, |conn| {
        let mut found = inventory_software::table
            .inner_join(agents::table.left_join(sites::table))
            .group_by((inventory_software::name, inventory_software::version))
            .select((
                inventory_software::name,
                inventory_software::version,
                count_star(),
            ))
            .into_boxed();
        within_joined_sites!(found, &search.scope);
        found = found.filter(lower(inventory_software::name).like(&pattern).escape('\\'));
        if let Some((name, version)) = &search.after {
            found = found.filter(
                inventory_software::name
                    .gt(name)
                    .or(inventory_software::name
                        .eq(name)
                        .and(inventory_software::version.gt(version))),
            );
        }
        found
            .order((inventory_software::name, inventory_software::version))
            .limit(search.limit.max(0))
            .load::<Package>(conn)
            .await
    })
}

/// Lists the machines that have one version of something, by their ids.
pub async fn agents_with(
    db: &Db,
    scope: Scope,
    name: String,
    version: String,
    limit: i64,
) -> Result<Vec<PackageAgent>, DbError> {
    query!(db, |conn| {
        let mut found = inventory_software::table
            .inner_join(agents::table.left_join(sites::table))
            .select((agents::id, agents::hostname))
            .into_boxed();
        within_joined_sites!(found, &scope);
        found
            .filter(inventory_software::name.eq(&name))
            .filter(inventory_software::version.eq(&version))
            .order(agents::id)
            .limit(limit.max(0))
            .load::<PackageAgent>(conn)
            .await
    })
}
