//! What machines are made of: the present inventory of each agent and what has changed since.

mod entries;
mod search;

pub use entries::{EntrySearch, FoundEntry, entries, index, installed, unindexed};
pub use search::{Package, PackageAgent, SoftwareSearch, agents_with, packages};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use gururmm_shared::AgentId;
use serde_json::Value;

use super::schema::{
    inventory, inventory_changes, inventory_entries, inventory_software, inventory_users,
};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::inventory::{Change, Entry};

/// Changes of an agent that are kept; of more, the newest.
const CHANGES_KEPT: i64 = 10_000;

/// The present inventory of an agent.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = inventory)]
pub struct Inventory {
    /// Which agent.
    pub agent_id: AgentId,
    /// Its hash, as the agent tells it.
    pub hash: String,
    /// The sections.
    pub data: Value,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// A stored change.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = inventory_changes)]
pub struct StoredChange {
    /// Its number.
    pub id: i64,
    /// Which agent.
    pub agent_id: AgentId,
    /// When it was noticed.
    pub at: DateTime<Utc>,
    /// As `software`.
    pub section: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// What it happened to.
    pub key: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// An inventory to be stored.
#[derive(Debug, Clone)]
pub struct NewInventory {
    /// Which agent.
    pub agent_id: AgentId,
    /// Its hash.
    pub hash: String,
    /// The sections.
    pub data: Value,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// What has changed.
    pub changes: Vec<Change>,
    /// Names and versions, where packages could be listed; no two alike.
    pub software: Option<Vec<(String, String)>>,
    /// Accounts and terminals, where log-ins could be listed; no two alike.
    pub users: Option<Vec<(String, String)>>,
    /// What is searched for beside software; no two alike.
    pub entries: Vec<Entry>,
}

#[derive(Insertable)]
#[diesel(table_name = inventory_changes, treat_none_as_default_value = false)]
struct ChangeRow {
    agent_id: Bind<AgentId>,
    at: Bind<DateTime<Utc>>,
    section: &'static str,
    change: &'static str,
    key: String,
    before: Option<Bind<Value>>,
    after: Option<Bind<Value>>,
}

#[derive(Insertable)]
#[diesel(table_name = inventory_software)]
struct SoftwareRow {
    agent_id: Bind<AgentId>,
    name: String,
    version: String,
}

#[derive(Insertable)]
#[diesel(table_name = inventory_users)]
struct UserRow {
    agent_id: Bind<AgentId>,
    name: String,
    terminal: String,
}

#[derive(Insertable)]
#[diesel(table_name = inventory_entries)]
struct EntryRow {
    agent_id: Bind<AgentId>,
    section: &'static str,
    name: String,
    detail: String,
}

impl EntryRow {
    fn of(agent_id: AgentId, entries: Vec<Entry>) -> Vec<Self> {
        let rows = entries.into_iter().map(|entry| Self {
            agent_id: Bind(agent_id),
            section: entry.section,
            name: entry.name,
            detail: entry.detail,
        });
        rows.collect()
    }
}

/// Finds the present inventory of an agent.
pub async fn of_agent(db: &Db, id: AgentId) -> Result<Option<Inventory>, DbError> {
    query!(db, |conn| diesel_async::RunQueryDsl::first(
        inventory::table
            .find(Bind(id))
            .select(Inventory::as_select()),
        conn
    )
    .await
    .optional())
}

/// Notes that an inventory is still the present one.
pub async fn confirm(db: &Db, id: AgentId, at: DateTime<Utc>) -> Result<(), DbError> {
    exec!(db, |conn| diesel_async::RunQueryDsl::execute(
        diesel::update(inventory::table.find(Bind(id))).set(inventory::received_at.eq(Bind(at))),
        conn
    )
    .await)
    .map(|_| ())
}

/// Lists what has changed, the newest first, before the change with this number.
pub async fn changes(
    db: &Db,
    id: AgentId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<StoredChange>, DbError> {
    let before = before.unwrap_or(i64::MAX);
    query!(db, |conn| diesel_async::RunQueryDsl::load(
        inventory_changes::table
            .filter(inventory_changes::agent_id.eq(Bind(id)))
            .filter(inventory_changes::id.lt(before))
            .order(inventory_changes::id.desc())
            .limit(limit.max(0))
            .select(StoredChange::as_select()),
        conn
    )
    .await)
}

macro_rules! store {
    ($conn:ident, $new:ident, $rows:ident, |$statement:ident| $run:expr, |$query:ident| $first:expr) => {{
        let id = Bind($new.agent_id);
        let values = (
            inventory::hash.eq(&$new.hash),
            inventory::data.eq(Bind(&$new.data)),
            inventory::received_at.eq(Bind($new.received_at)),
            inventory::indexed.eq(true),
        );
        let $statement = diesel::insert_into(inventory::table)
            .values((inventory::agent_id.eq(id), values))
            .on_conflict(inventory::agent_id)
            .do_update()
            .set(values);
        $run;
        let own = inventory_entries::table.filter(inventory_entries::agent_id.eq(id));
        let $statement = diesel::delete(own);
        $run;
        if $rows.software.is_some() {
            let own = inventory_software::table.filter(inventory_software::agent_id.eq(id));
            let $statement = diesel::delete(own);
            $run;
        }
        if $rows.users.is_some() {
            let own = inventory_users::table.filter(inventory_users::agent_id.eq(id));
            let $statement = diesel::delete(own);
            $run;
        }
        let $query = inventory_changes::table
            .filter(inventory_changes::agent_id.eq(id))
            .order(inventory_changes::id.desc())
            .offset(CHANGES_KEPT)
            .limit(1)
            .select(inventory_changes::id);
        let oldest: Option<i64> = $first;
        if let Some(oldest) = oldest {
            let own = inventory_changes::table.filter(inventory_changes::agent_id.eq(id));
            let $statement = diesel::delete(own.filter(inventory_changes::id.le(oldest)));
            $run;
        }
    }};
}

struct Rows {
    changes: Vec<ChangeRow>,
    software: Option<Vec<SoftwareRow>>,
    users: Option<Vec<UserRow>>,
    entries: Vec<EntryRow>,
}

impl Rows {
    fn of(new: &mut NewInventory) -> Self {
        let (agent_id, at) = (Bind(new.agent_id), Bind(new.received_at));
        let changes = std::mem::take(&mut new.changes).into_iter();
        let software = new.software.take().map(|list| {
            let rows = list.into_iter().map(|(name, version)| SoftwareRow {
                agent_id,
                name,
                version,
            });
            rows.collect()
        });
        let users = new.users.take().map(|list| {
            let rows = list.into_iter().map(|(name, terminal)| UserRow {
                agent_id,
                name,
                terminal,
            });
            rows.collect()
        });
        Self {
            changes: changes
                .map(|change| ChangeRow {
                    agent_id,
                    at,
                    section: change.section,
                    change: change.kind.name(),
                    key: change.key,
                    before: change.before.map(Bind),
                    after: change.after.map(Bind),
                })
                .collect(),
            software,
            users,
            entries: EntryRow::of(new.agent_id, std::mem::take(&mut new.entries)),
        }
    }
}

/// Stores an inventory in place of the one before; [`DbError::ForeignKey`] where the agent is gone.
pub async fn store(db: &Db, mut new: NewInventory) -> Result<(), DbError> {
    let rows = Rows::of(&mut new);
    batch!(
        db,
        postgres | conn | {
            store!(
                conn,
                new,
                rows,
                |statement| diesel_async::RunQueryDsl::execute(statement, conn).await?,
                |query| diesel_async::RunQueryDsl::first(query, conn)
                    .await
                    .optional()?
            );
            for chunk in rows.changes.chunks(super::pools::ROWS_PER_STATEMENT) {
                let insert = diesel::insert_into(inventory_changes::table).values(chunk);
                diesel_async::RunQueryDsl::execute(insert, conn).await?;
            }
            let software = rows.software.unwrap_or_default();
            for chunk in software.chunks(super::pools::ROWS_PER_STATEMENT) {
                let insert = diesel::insert_into(inventory_software::table).values(chunk);
                diesel_async::RunQueryDsl::execute(insert, conn).await?;
            }
            let users = rows.users.unwrap_or_default();
            for chunk in users.chunks(super::pools::ROWS_PER_STATEMENT) {
                let insert = diesel::insert_into(inventory_users::table).values(chunk);
                diesel_async::RunQueryDsl::execute(insert, conn).await?;
            }
            for chunk in rows.entries.chunks(super::pools::ROWS_PER_STATEMENT) {
                let insert = diesel::insert_into(inventory_entries::table).values(chunk);
                diesel_async::RunQueryDsl::execute(insert, conn).await?;
            }
            Ok(())
        },
        sqlite | conn | {
            store!(
                conn,
                new,
                rows,
                |statement| diesel::RunQueryDsl::execute(statement, conn)?,
                |query| diesel::RunQueryDsl::first(query, conn).optional()?
            );
            for row in &rows.changes {
                let insert = diesel::insert_into(inventory_changes::table).values(row);
                diesel::RunQueryDsl::execute(insert, conn)?;
            }
            for row in rows.software.iter().flatten() {
                let insert = diesel::insert_into(inventory_software::table).values(row);
                diesel::RunQueryDsl::execute(insert, conn)?;
            }
            for row in rows.users.iter().flatten() {
                let insert = diesel::insert_into(inventory_users::table).values(row);
                diesel::RunQueryDsl::execute(insert, conn)?;
            }
            for row in &rows.entries {
                let insert = diesel::insert_into(inventory_entries::table).values(row);
                diesel::RunQueryDsl::execute(insert, conn)?;
            }
            Ok(())
        },
    )
}
