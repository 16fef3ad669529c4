//! Sends what waits in the queue of deliveries: a few at once, again and again with longer pauses,
//! for a day. The queue is a table, so that a restart loses nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use gururmm_shared::DeliveryId;

use crate::config::NotificationSettings;
use crate::db::deliveries::Delivery;
use crate::db::{Db, DbError, deliveries, notifications};
use crate::domain::delivery::pause;
use crate::services::audit;
use crate::services::deliveries::send;

/// How often the queue is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Deliveries that are under way at once.
const AT_ONCE: i64 = 8;
/// How long the log of deliveries is kept.
const KEPT_DAYS: i64 = 30;
/// How often the log is cut.
const PRUNE: Duration = Duration::from_secs(3600);

/// The actor.
pub struct Notifier {
    db: Db,
    settings: Arc<NotificationSettings>,
    sending: bool,
}

impl Notifier {
    /// An actor with nothing under way.
    #[must_use]
    pub fn new(db: Db, settings: Arc<NotificationSettings>) -> Self {
        Self {
            db,
            settings,
            sending: false,
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.sending {
            return;
        }
        self.sending = true;
        let (db, settings) = (self.db.clone(), self.settings.clone());
        let round = async move { round(&db, &settings).await };
        ctx.spawn(round.into_actor(self).map(|sent, act, ctx| {
            act.sending = false;
            match sent {
                // Where the round was full there may be more.
                Ok(sent) if sent >= AT_ONCE => act.tick(ctx),
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "notifications cannot be read or written"),
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

async fn round(db: &Db, settings: &NotificationSettings) -> Result<i64, DbError> {
    let due = deliveries::due(db, audit::now(), AT_ONCE).await?;
    let mut seen: HashSet<DeliveryId> = HashSet::new();
    let attempts = due
        .into_iter()
        .filter(|delivery| seen.insert(delivery.id))
        .map(|delivery| attempt(db, settings, delivery));
    let done = join_all(attempts).await;
    let sent = i64::try_from(done.len()).unwrap_or(AT_ONCE);
    done.into_iter().collect::<Result<Vec<()>, DbError>>()?;
    Ok(sent)
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
