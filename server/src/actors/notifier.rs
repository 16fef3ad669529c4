//! Sends what waits in the queue of deliveries: a few at once, again and again with longer pauses,
//! for a day. The queue is a table, so that a restart loses nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use gururmm_shared::NotificationId;

use crate::config::NotificationSettings;
use crate::db::deliveries::Delivery;
use crate::db::{Db, DbError, deliveries, notifications};
use crate::domain::delivery::pause;
use crate::services::audit;
use crate::services::deliveries::send;

/// How often the queue is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Deliveries that are under way at once, each by a channel of its own: one that hangs holds up no other.
const AT_ONCE: usize = 32;
/// Rows that are looked at for them.
const LOOKED_AT: i64 = 256;
/// How long the log of deliveries is kept.
const KEPT_DAYS: i64 = 30;
/// How often the log is cut.
const PRUNE: Duration = Duration::from_secs(3600);

/// The actor.
pub struct Notifier {
    db: Db,
    settings: Arc<NotificationSettings>,
    looking: bool,
    busy: HashSet<NotificationId>,
}

impl Notifier {
    /// An actor with nothing under way.
    #[must_use]
    pub fn new(db: Db, settings: Arc<NotificationSettings>) -> Self {
        Self {
            db,
            settings,
            looking: false,
            busy: HashSet::new(),
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.busy.len() >= AT_ONCE {
            return;
        }
        self.looking = true;
        let db = self.db.clone();
        let busy = self.busy.iter().copied().collect();
        let look = async move { deliveries::due(&db, audit::now(), busy, LOOKED_AT).await };
        ctx.spawn(look.into_actor(self).map(|due, act, ctx| {
            act.looking = false;
            match due {
                Ok(due) => due
                    .into_iter()
                    .for_each(|delivery| act.start(delivery, ctx)),
                Err(error) => tracing::error!(%error, "notifications cannot be read"),
            }
        }));
    }

    /// Sends the next one of a channel; what else there is of it waits for that.
    fn start(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        let channel = delivery.channel_id;
        if self.busy.len() >= AT_ONCE || !self.busy.insert(channel) {
            return;
        }
        let (db, settings) = (self.db.clone(), self.settings.clone());
        let attempt = async move { attempt(&db, &settings, delivery).await };
        ctx.spawn(attempt.into_actor(self).map(move |done, act, ctx| {
            act.busy.remove(&channel);
            match done {
                Ok(()) => act.tick(ctx),
                // It is tried again with the next tick, and not at once for ever.
                Err(error) => tracing::error!(%error, "a notification cannot be written down"),
            }
        }));
    }

    fn prune(&mut self, ctx: &mut Context<Self>) {
        let db = self.db.clone();
        let before = audit::now() - chrono::Duration::days(KEPT_DAYS);
        let prune = async move { deliveries::prune(&db, before).await };
        ctx.spawn(prune.into_actor(self).map(|pruned, _, _| {
            if let Err(error) = pruned {
                tracing::error!(%error, "the log of notifications cannot be cut");
            }
        }));
    }
}

async fn attempt(
    db: &Db,
    settings: &NotificationSettings,
    delivery: Delivery,
) -> Result<(), DbError> {
    let channel = notifications::by_id(db, delivery.channel_id).await?;
    let Some(channel) = channel else {
        return Ok(());
    };
    let result = send(&channel, &delivery, settings).await;
    let now = audit::now();
    let (error, again_at) = match result {
        Ok(()) => (None, None),
        Err(error) => {
            let age = (now - delivery.created_at).num_seconds();
            let attempts = u32::try_from(delivery.attempts).unwrap_or(0);
            let wait = pause(settings.retry_seconds, attempts, age);
            tracing::warn!(channel.id = %channel.id, delivery.id = %delivery.id, error, again_seconds = wait, "a notification did not arrive");
            (
                Some(error),
                wait.map(|wait| now + chrono::Duration::seconds(wait)),
            )
        }
    };
    let outcome = if error.is_none() {
        "delivered"
    } else {
        "failed"
    };
    metrics::counter!("gururmm_notification_attempts_total", "outcome" => outcome).increment(1);
    deliveries::attempted(db, delivery.id, error, again_at).await
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |act, ctx| act.tick(ctx));
        ctx.run_interval(PRUNE, |act, ctx| act.prune(ctx));
    }
}

impl Supervised for Notifier {}
