//! Keeps recordings in order while the server runs: ends what a crash left, deletes what is old.

use std::time::Duration;

use actix::prelude::*;

use crate::db::DbError;
use crate::services::recordings::Recordings;

/// How often it looks.
const INTERVAL: Duration = Duration::from_mins(5);
/// Between two batches of what is much.
const PAUSE: Duration = Duration::from_millis(50);

/// The actor.
pub struct RecordingKeeper {
    recordings: Recordings,
    working: bool,
}

impl RecordingKeeper {
    /// One for these recordings.
    #[must_use]
    pub fn new(recordings: Recordings) -> Self {
        Self {
            recordings,
            working: false,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.working {
            return;
        }
        self.working = true;
        let recordings = self.recordings.clone();
        let work = async move { work(&recordings).await };
        ctx.spawn(work.into_actor(self).map(|result, act, _| {
            act.working = false;
            if let Err(error) = result {
                tracing::error!(%error, "recordings could not be looked after; the next look tries again");
            }
        }));
    }
}

async fn work(recordings: &Recordings) -> Result<(), DbError> {
    let ended = recordings.end_left_open().await?;
    if ended > 0 {
        tracing::warn!(count = ended, "recordings that a crash left were ended");
    }
    loop {
        let (looked_at, deleted) = recordings.delete_expired().await?;
        // What cannot be deleted now is not tried again before the next look.
        if looked_at == 0 || deleted == 0 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Actor for RecordingKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(INTERVAL, Self::look);
    }
}

impl Supervised for RecordingKeeper {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.working = false;
    }
}
