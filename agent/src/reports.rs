//! What the agent sends by itself while it is connected: heartbeats, metrics and the network's state.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gururmm_shared::{AgentMessage, Inventory, Metrics, NetworkState};
use rand::Rng;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at};

use crate::config::{Config, InventorySettings, MetricsSettings};
use crate::connection::Outbox;
use crate::inventory;
use crate::metrics::Sampler;
use crate::network;
use crate::settings::LiveSettings;

/// How long the agent waits before it sends an inventory again that the server had no room for.
const AGAIN: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(90);

/// Sends reports at their intervals.
pub struct Reporter {
    heartbeat: Duration,
    network_check: Duration,
    live: watch::Receiver<LiveSettings>,
    again: Arc<Notify>,
    sampler: Arc<Mutex<Sampler>>,
}

impl Reporter {
    /// A reporter with the configured intervals; those of `live` may change.
    #[must_use]
    pub fn new(config: &Config, live: watch::Receiver<LiveSettings>, again: Arc<Notify>) -> Self {
        Self {
            heartbeat: Duration::from_secs(config.agent.heartbeat_seconds),
            network_check: Duration::from_secs(config.agent.network_check_seconds),
            sampler: Arc::new(Mutex::new(Sampler::new(config.metrics.clone()))),
            live,
            again,
        }
    }

    /// Reports until the connection is gone. The first of each kind is sent at once; a server of
    /// the first generation gets no inventory.
    pub async fn run(&self, outbox: &Outbox, takes_inventory: bool) {
        let reports = self.run_reports(outbox);
        if !takes_inventory {
            return reports.await;
        }
        tokio::select! {
            () = reports => {}
            () = self.run_inventory(outbox) => {}
        }
    }

    /// Takes the inventory at its interval, and tells it when it is another.
    async fn run_inventory(&self, outbox: &Outbox) {
        let mut live = self.live.clone();
        let mut told_hash = None;
        loop {
            let settings = live.borrow_and_update().inventory.clone();
            if settings.enabled
                && let Some(found) = changed_inventory(&mut told_hash).await
                && !outbox.send(AgentMessage::Inventory(found)).await
            {
                return;
            }
            let wait = Duration::from_secs(settings.interval_seconds);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.again.notified() => {
                    // The server has no room now; neither has it if all come back at once.
                    told_hash = None;
                    let wait = rand::rng().random_range(AGAIN);
                    tokio::time::sleep(wait).await;
                }
                Ok(()) = until_other(&mut live, &settings) => {}
            }
        }
    }

    async fn run_reports(&self, outbox: &Outbox) {
        let mut heartbeat = every(self.heartbeat);
        let mut network_check = every(self.network_check);
        let mut live = self.live.clone();
        let mut measured = live.borrow_and_update().metrics.clone();
        self.measure(&measured).await;
        let mut metrics = every(Duration::from_secs(measured.interval_seconds));
        let mut told_hash = None;
        loop {
            let message = tokio::select! {
                _ = heartbeat.tick() => Some(AgentMessage::Heartbeat),
                _ = network_check.tick() => {
                    changed_network(&mut told_hash).await.map(AgentMessage::NetworkState)
                }
                _ = metrics.tick() => self.sample().await.map(AgentMessage::Metrics),
                Ok(()) = live.changed() => {
                    let wanted = live.borrow_and_update().metrics.clone();
                    if wanted != measured {
                        self.measure(&wanted).await;
                        let period = Duration::from_secs(wanted.interval_seconds);
                        metrics = interval_at(Instant::now() + period, period);
                        metrics.set_missed_tick_behavior(MissedTickBehavior::Delay);
                        measured = wanted;
                    }
                    None
                }
            };
            if let Some(message) = message
                && !outbox.send(message).await
            {
                return;
            }
        }
    }

    /// Sees to it that samples hold what is wanted.
    async fn measure(&self, settings: &MetricsSettings) {
        let (sampler, settings) = (Arc::clone(&self.sampler), settings.clone());
        let measuring = spawn_blocking(move || lock(&sampler).measure(settings)).await;
        if let Err(error) = measuring {
            tracing::error!(%error, "what is measured cannot be changed");
        }
    }

    async fn sample(&self) -> Option<Metrics> {
        let sampler = Arc::clone(&self.sampler);
        let wait = lock(&sampler).too_early();
        tokio::time::sleep(wait).await;
        spawn_blocking(move || lock(&sampler).sample()).await.ok()
    }
}

/// Waits until what is said of the inventory is another.
async fn until_other(
    live: &mut watch::Receiver<LiveSettings>,
    known: &InventorySettings,
) -> Result<(), watch::error::RecvError> {
    live.wait_for(|live| live.inventory != *known)
        .await
        .map(drop)
}

async fn changed_inventory(told_hash: &mut Option<String>) -> Option<Inventory> {
    let found = spawn_blocking(inventory::look).await.ok()?;
    if told_hash.as_ref() == Some(&found.hash) {
        return None;
    }
    *told_hash = Some(found.hash.clone());
    Some(found)
}

async fn changed_network(told_hash: &mut Option<String>) -> Option<NetworkState> {
    let state = spawn_blocking(network::look).await.ok()?;
    if state.hash == *told_hash {
        return None;
    }
    told_hash.clone_from(&state.hash);
    Some(state)
}

/// A sampler that panicked once has no half-written state that could do harm.
fn lock(sampler: &Mutex<Sampler>) -> std::sync::MutexGuard<'_, Sampler> {
    sampler.lock().unwrap_or_else(PoisonError::into_inner)
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
