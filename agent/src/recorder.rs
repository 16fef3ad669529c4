//! Takes samples of the machine's load at their interval, connected or not; they wait in the backlog.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gururmm_shared::Metrics;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::backlog::Backlog;
use crate::config::MetricsSettings;
use crate::metrics::Sampler;
use crate::settings::LiveSettings;

/// Takes samples.
#[derive(Debug)]
pub struct Recorder {
    live: watch::Receiver<LiveSettings>,
    backlog: Backlog,
    at_once: Arc<Notify>,
}

impl Recorder {
    /// A recorder whose interval and parts are those of `live`; `at_once` asks for a sample between two others.
    #[must_use]
    pub fn new(
        live: watch::Receiver<LiveSettings>,
        backlog: Backlog,
        at_once: Arc<Notify>,
    ) -> Self {
        Self {
            live,
            backlog,
            at_once,
        }
    }

    /// Samples for ever; to be cut off.
    pub async fn run(mut self) {
        let mut measured = self.live.borrow_and_update().metrics.clone();
        let sampler = Arc::new(Mutex::new(Sampler::new(measured.clone())));
        let mut samples = every(measured.interval_seconds);
        loop {
            tokio::select! {
                _ = samples.tick() => {}
                () = self.at_once.notified() => {}
                Ok(()) = self.live.changed() => {
                    let wanted = self.live.borrow_and_update().metrics.clone();
                    if wanted != measured {
                        measure(&sampler, &wanted).await;
                        samples = every(wanted.interval_seconds);
                        measured = wanted;
                    }
                    continue;
                }
            }
            if let Some(sample) = sample(&sampler).await {
                self.backlog.add_sample(sample);
            }
        }
    }
}

/// Sees to it that samples hold what is wanted.
async fn measure(sampler: &Arc<Mutex<Sampler>>, settings: &MetricsSettings) {
    let (sampler, settings) = (Arc::clone(sampler), settings.clone());
    let measuring = spawn_blocking(move || lock(&sampler).measure(settings)).await;
    if let Err(error) = measuring {
        tracing::error!(%error, "what is measured cannot be changed");
    }
}

async fn sample(sampler: &Arc<Mutex<Sampler>>) -> Option<Metrics> {
    let sampler = Arc::clone(sampler);
    let wait = lock(&sampler).too_early();
    tokio::time::sleep(wait).await;
    spawn_blocking(move || lock(&sampler).sample()).await.ok()
}

/// A sampler that panicked once has no half-written state that could do harm.
fn lock(sampler: &Mutex<Sampler>) -> MutexGuard<'_, Sampler> {
    sampler.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first tick is after one period: a connection asks for a sample itself.
fn every(seconds: u64) -> Interval {
    let period = Duration::from_secs(seconds);
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
