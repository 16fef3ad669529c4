//! Makes minutes and hours of the samples while the server runs, and deletes what is old, of these and
//! of all else that is kept for a time: what is due and nothing else, in small steps, so that agents' reports come in between.

use std::time::Duration;

use actix::prelude::*;

use crate::db::metrics_rollups::{Keep, Step, delete_old, make_next};
use crate::db::{Db, DbError, idempotency_keys, retention};
use crate::domain::idempotency::KEPT;
use crate::services::audit;
use crate::services::retention::whose;

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
    figures: Keep,
    rest: retention::Keep,
    looks: u64,
    working: bool,
}

impl Rollups {
    /// One that keeps figures, where no policy says otherwise, and the rest so long.
    #[must_use]
    pub fn new(db: Db, figures: Keep, rest: retention::Keep) -> Self {
        Self {
            db,
            figures,
            rest,
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
        let (db, figures, rest) = (self.db.clone(), self.figures, self.rest);
        let work = async move {
            work(&db, figures, seldom).await?;
            if seldom {
                delete_rest(&db, rest).await?;
            }
            Ok::<_, DbError>(())
        };
        ctx.spawn(work.into_actor(self).map(|result, act, _| {
            act.working = false;
            if let Err(error) = result {
                tracing::error!(%error, "minutes and hours could not be made, or what is old not be deleted; the next look tries again");
            }
        }));
    }
}

async fn work(db: &Db, figures: Keep, seldom: bool) -> Result<(), DbError> {
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
    for of in whose(db, figures).await? {
        while delete_old(db, &of, audit::now(), BATCH).await? >= BATCH as usize {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn delete_rest(db: &Db, keep: retention::Keep) -> Result<(), DbError> {
    while retention::delete_old(db, keep, audit::now(), BATCH).await? >= BATCH as usize {
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
