//! Makes minutes and hours of the samples while the server runs, and deletes what is old: what is
//! due and nothing else, in small steps, so that agents' reports come in between.

use std::time::Duration;

use actix::prelude::*;

use crate::db::metrics_rollups::{Keep, Step, delete_old, make_next};
use crate::db::{Db, DbError, idempotency_keys};
use crate::domain::idempotency::KEPT;
use crate::services::audit;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(15);
/// Hours are made, and old rows deleted, every so many looks.
const SELDOM: u64 = 20;
/// Rows that are deleted at once.
const BATCH: u32 = 5000;
/// Between two steps of what is much, as after a long stop.
const PAUSE: Duration = Duration::from_millis(50);

/// The actor.
pub struct Rollups {
    db: Db,
    keep: Keep,
    looks: u64,
    working: bool,
}

impl Rollups {
    /// One that keeps rows so long.
    #[must_use]
    pub fn new(db: Db, keep: Keep) -> Self {
        Self {
            db,
            keep,
            looks: 0,
            working: false,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.working {
            return;
        }
        self.working = true;
        let seldom = self.looks.is_multiple_of(SELDOM);
        self.looks += 1;
        let (db, keep) = (self.db.clone(), self.keep);
        let work = async move { work(&db, keep, seldom).await };
        ctx.spawn(work.into_actor(self).map(|result, act, _| {
            act.working = false;
            if let Err(error) = result {
                tracing::error!(%error, "minutes and hours of samples could not be made; the next look tries again");
            }
        }));
    }
}

async fn work(db: &Db, keep: Keep, seldom: bool) -> Result<(), DbError> {
    while make_next(db, Step::Minute, audit::now()).await? {
        tokio::time::sleep(PAUSE).await;
    }
    if !seldom {
        return Ok(());
    }
    while make_next(db, Step::Hour, audit::now()).await? {
        tokio::time::sleep(PAUSE).await;
    }
    // Only what has been made into hours may go.
    while delete_old(db, keep, audit::now(), BATCH).await? >= BATCH as usize {
        tokio::time::sleep(PAUSE).await;
    }
    idempotency_keys::delete_older(db, audit::now() - KEPT).await?;
    Ok(())
}

impl Actor for Rollups {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(INTERVAL, Self::look);
    }
}

impl Supervised for Rollups {}
