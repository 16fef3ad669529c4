//! What any machine of the fleet is made of, entry by entry: hardware, system, disks, network, services,
//! users, and each machine's software.

use diesel::prelude::*;
use gururmm_shared::AgentId;
use serde_json::Value;

use super::EntryRow;
use crate::page::{lower, pattern};
use crate::schema::{agents, inventory, inventory_entries, inventory_software, sites};
use crate::types::Bind;
use crate::{Db, DbError};
use gururmm_domain::inventory::Entry;
use gururmm_domain::scope::Scope;

/// What to look for.
#[derive(Debug, Clone)]
pub struct EntrySearch {
    /// Where.
    pub scope: Scope,
    /// A part of the name or the detail, whatever its case.
    pub words: String,
    /// Only in this section.
    pub section: Option<String>,
    /// Only on this machine.
    pub agent_id: Option<AgentId>,
    /// Only what comes after this.
    pub after: Option<FoundEntry>,
    /// At most so many.
    pub limit: i64,
}

/// Something that a machine has.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct FoundEntry {
    /// The machine.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// In which section of its inventory.
    pub section: String,
    /// What it is called.
    pub name: String,
    /// What is known of it.
    pub detail: String,
}

/// Lists what holds the words beside software, by section, name and machine.
pub async fn entries(db: &Db, search: EntrySearch) -> Result<Vec<FoundEntry>, DbError> {
    query!(db, |conn| {
        let mut found = inventory_entries::table
            .inner_join(agents::table.left_join(sites::table))
            .select((
                agents::id,
                agents::hostname,
                inventory_entries::section,
                inventory_entries::name,
                inventory_entries::detail,
            ))
            .into_boxed();
        within_joined_sites!(found, &search.scope);
        if let Some(section) = &search.section {
            found = found.filter(inventory_entries::section.eq(section.clone()));
        }
        if let Some(id) = search.agent_id {
            found = found.filter(inventory_entries::agent_id.eq(Bind(id)));
        }
        let name = lower(inventory_entries::name).like(lower(pattern(&search.words)));
        let detail = lower(inventory_entries::detail).like(lower(pattern(&search.words)));
        found = found.filter(name.escape('\\').or(detail.escape('\\')));
        if let Some(after) = &search.after {
            let id = Bind(after.agent_id);
            let section = || inventory_entries::section.eq(after.section.clone());
            let name = || inventory_entries::name.eq(after.name.clone());
            let later = inventory_entries::section.gt(after.section.clone());
            let by_name = section().and(inventory_entries::name.gt(after.name.clone()));
            let by_agent = section()
                .and(name())
                .and(inventory_entries::agent_id.gt(id));
            let by_detail = section()
                .and(name())
                .and(inventory_entries::agent_id.eq(id))
                .and(inventory_entries::detail.gt(after.detail.clone()));
            found = found.filter(later.or(by_name).or(by_agent).or(by_detail));
        }
        let found = found
            .order((
                inventory_entries::section,
                inventory_entries::name,
                inventory_entries::agent_id,
                inventory_entries::detail,
            ))
            .limit(search.limit.max(0));
        diesel_async::RunQueryDsl::load::<FoundEntry>(found, conn).await
    })
}

/// Lists the software that holds the words, by name and machine; its detail is its version.
pub async fn installed(db: &Db, search: EntrySearch) -> Result<Vec<FoundEntry>, DbError> {
    type Row = (AgentId, String, String, String);
    let rows: Vec<Row> = query!(db, |conn| {
        let mut found = inventory_software::table
            .inner_join(agents::table.left_join(sites::table))
            .select((
                agents::id,
                agents::hostname,
                inventory_software::name,
                inventory_software::version,
            ))
            .into_boxed();
        within_joined_sites!(found, &search.scope);
        if let Some(id) = search.agent_id {
            found = found.filter(inventory_software::agent_id.eq(Bind(id)));
        }
        let name = lower(inventory_software::name).like(lower(pattern(&search.words)));
        found = found.filter(name.escape('\\'));
        if let Some(after) = &search.after {
            let id = Bind(after.agent_id);
            let name = || inventory_software::name.eq(after.name.clone());
            let later = inventory_software::name.gt(after.name.clone());
            let by_agent = name().and(inventory_software::agent_id.gt(id));
            let by_version = name()
                .and(inventory_software::agent_id.eq(id))
                .and(inventory_software::version.gt(after.detail.clone()));
            found = found.filter(later.or(by_agent).or(by_version));
        }
        let found = found
            .order((
                inventory_software::name,
                inventory_software::agent_id,
                inventory_software::version,
            ))
            .limit(search.limit.max(0));
        diesel_async::RunQueryDsl::load::<Row>(found, conn).await
    })?;
    let found = rows
        .into_iter()
        .map(|(agent_id, hostname, name, version)| FoundEntry {
            agent_id,
            hostname,
            section: "software".to_owned(),
            name,
            detail: version,
        });
    Ok(found.collect())
}

/// Inventories whose entries are not rows yet: those that came before there were any.
pub async fn unindexed(db: &Db, limit: i64) -> Result<Vec<(AgentId, Value)>, DbError> {
    query!(db, |conn| diesel_async::RunQueryDsl::load(
        inventory::table
            .filter(inventory::indexed.eq(false))
            .order(inventory::agent_id)
            .limit(limit.max(0))
            .select((inventory::agent_id, inventory::data)),
        conn
    )
    .await)
}

/// Writes the entries of such an inventory, unless another has come meanwhile.
pub async fn index(db: &Db, id: AgentId, entries: Vec<Entry>) -> Result<(), DbError> {
    let rows = EntryRow::of(id, entries);
    transact!(db, |conn| {
        let waiting = inventory::table
            .find(Bind(id))
            .filter(inventory::indexed.eq(false));
        let marked = diesel::update(waiting).set(inventory::indexed.eq(true));
        if diesel_async::RunQueryDsl::execute(marked, conn).await? > 0 {
            for row in &rows {
                let insert = diesel::insert_into(inventory_entries::table).values(row);
                diesel_async::RunQueryDsl::execute(insert, conn).await?;
            }
        }
        Ok(())
    })
}
