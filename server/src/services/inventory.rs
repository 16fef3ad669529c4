//! Keeps inventories: what came is compared with what was, and stored with the difference.

use std::sync::Arc;

use gururmm_shared::{AgentId, Inventory};
use tokio::sync::{Semaphore, TryAcquireError};

use crate::db::inventory::{self, NewInventory};
use crate::db::{Db, DbError};
use crate::domain::inventory::{diff, pairs, searchable, tamed};
use crate::domain::text::tame;
use crate::services::audit;

/// Inventories that are stored or wait for it at once; each may take some megabytes.
const MOST_WAITING: usize = 64;
/// Inventories that are compared and written at once.
const AT_ONCE: usize = 2;
/// Old inventories that are read at once.
const OLD_AT_ONCE: i64 = 50;

/// The places of inventories that are on their way into the database.
#[derive(Debug, Clone)]
pub struct InventoryDesk {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for InventoryDesk {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// Too many inventories wait; the agent is to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl InventoryDesk {
    /// Takes an inventory to be stored; the future does it.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn take(
        &self,
        db: Db,
        agent_id: AgentId,
        told: Inventory,
    ) -> Result<impl Future<Output = ()> + 'static, Busy> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Err(Busy),
        };
        let turns = Arc::clone(&self.turns);
        Ok(async move {
            let turn = turns.acquire().await;
            match store(&db, agent_id, told).await {
                // Deleted meanwhile: there is nothing to keep.
                Ok(()) | Err(DbError::ForeignKey) => {}
                Err(error) => {
                    tracing::error!(%error, agent.id = %agent_id, "an inventory could not be written");
                }
            }
            drop((turn, place));
        })
    }
}

async fn store(db: &Db, agent_id: AgentId, told: Inventory) -> Result<(), DbError> {
    let hash = tame(&told.hash, 128);
    let at = audit::now();
    let known = inventory::of_agent(db, agent_id).await?;
    if known.as_ref().is_some_and(|known| known.hash == hash) {
        return inventory::confirm(db, agent_id, at).await;
    }
    // A megabyte takes a moment: not on a thread that serves sockets.
    let prepared = tokio::task::spawn_blocking(move || {
        let data = tamed(&told.sections);
        NewInventory {
            agent_id,
            hash,
            received_at: at,
            changes: known.map_or_else(Vec::new, |known| diff(&known.data, &data)),
            software: pairs(&data, "software", "version"),
            users: pairs(&data, "users", "terminal"),
            entries: searchable(&data),
            data,
        }
    });
    let prepared = prepared
        .await
        .map_err(|error| DbError::Other(format!("an inventory could not be compared: {error}")))?;
    inventory::store(db, prepared).await
}

/// Takes inventories apart that came before their entries were rows, a few at once, until there are none.
pub async fn index_old(db: Db) {
    loop {
        let old = match inventory::unindexed(&db, OLD_AT_ONCE).await {
            Ok(old) if old.is_empty() => return,
            Ok(old) => old,
            Err(error) => {
                tracing::error!(%error, "old inventories cannot be searched until the next start");
                return;
            }
        };
        for (agent_id, data) in old {
            let entries = tokio::task::spawn_blocking(move || searchable(&data)).await;
            let indexed = inventory::index(&db, agent_id, entries.unwrap_or_default()).await;
            match indexed {
                // Deleted meanwhile.
                Ok(()) | Err(DbError::ForeignKey) => {}
                Err(error) => {
                    tracing::error!(%error, agent.id = %agent_id, "an old inventory cannot be searched until the next start");
                    return;
                }
            }
        }
    }
}
