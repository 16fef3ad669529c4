//! What the agent sends by itself while it is connected: heartbeats, metrics and the network's state.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gururmm_shared::{AgentMessage, Metrics, NetworkState};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at};

use crate::config::{Config, MetricsSettings};
use crate::connection::Outbox;
use crate::metrics::Sampler;
use crate::network;
use crate::settings::LiveSettings;

/// Sends reports at their intervals.
pub struct Reporter {
    heartbeat: Duration,
    network_check: Duration,
    live: watch::Receiver<LiveSettings>,
    sampler: Arc<Mutex<Sampler>>,
}

impl Reporter {
    /// A reporter with the configured intervals; those of `live` may change.
    #[must_use]
    pub fn new(config: &Config, live: watch::Receiver<LiveSettings>) -> Self {
        Self {
            heartbeat: Duration::from_secs(config.agent.heartbeat_seconds),
            network_check: Duration::from_secs(config.agent.network_check_seconds),
            sampler: Arc::new(Mutex::new(Sampler::new(config.metrics.clone()))),
            live,
        }
    }

    /// Reports until the connection is gone. The first of each kind is sent at once.
    pub async fn run(&self, outbox: &Outbox) {
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
