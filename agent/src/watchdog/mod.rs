//! The watchdog: looks at the services and processes that file and policy name, restarts what is to be restarted, and
//! tells the server by the backlog, connected or not. `watch.rs` decides, the task here carries it out.

mod processes;
mod services;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use gururmm_shared::WatchdogEvent;
use tokio::sync::watch as watch_channel;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::backlog::Backlog;
use crate::config::{ServiceAction, WatchdogSettings, WatchedProcess, WatchedService};
use crate::settings::LiveSettings;
use watch::{Rules, Seen, Step, Watch};

/// What is not to be watched any more is remembered for so long: a new connection has its policy a moment after it, and
/// meanwhile the file holds.
const REMEMBERED: Duration = Duration::from_secs(600);
/// What is put before the name of a process in events.
const PROCESS: &str = "process:";

/// The watchdog.
#[derive(Debug)]
pub struct Watchdog {
    live: watch_channel::Receiver<LiveSettings>,
    backlog: Backlog,
    begin: Instant,
    known: BTreeMap<String, Known>,
    restarts: JoinSet<(String, Result<(), String>)>,
    is_blind: bool,
}

#[derive(Debug, Default)]
struct Known {
    watch: Watch,
    looked: Duration,
}

impl Watchdog {
    /// A watchdog that watches what `live` says.
    #[must_use]
    pub fn new(live: watch_channel::Receiver<LiveSettings>, backlog: Backlog) -> Self {
        Self {
            live,
            backlog,
            begin: Instant::now(),
            known: BTreeMap::new(),
            restarts: JoinSet::new(),
            is_blind: false,
        }
    }

    /// Watches for ever; to be cut off.
    pub async fn run(mut self) {
        let mut settings = self.live.borrow_and_update().watchdog.clone();
        let mut looks = every(&settings);
        loop {
            tokio::select! {
                _ = looks.tick() => self.look(&settings).await,
                Some(done) = self.restarts.join_next() => match done {
                    Ok((name, outcome)) => self.restarted(&name, outcome),
                    Err(error) => tracing::error!(%error, "a restart has failed"),
                },
                Ok(()) = self.live.changed() => {
                    let wanted = self.live.borrow_and_update().watchdog.clone();
                    if wanted != settings {
                        settings = wanted;
                        looks = every(&settings);
                    }
                }
            }
        }
    }

    async fn look(&mut self, settings: &WatchdogSettings) {
        if settings.enabled {
            for service in &settings.services {
                if service.action != ServiceAction::Ignore {
                    self.look_at_service(service).await;
                }
            }
            self.look_at_processes(&settings.processes).await;
        }
        let now = self.begin.elapsed();
        self.known
            .retain(|_, known| known.watch.is_restarting() || now - known.looked < REMEMBERED);
    }

    async fn look_at_service(&mut self, service: &WatchedService) {
        let seen = services::look(&service.name).await.unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.is_blind, true) {
                tracing::warn!(
                    service = service.name,
                    problem = error.message,
                    "a service cannot be watched"
                );
            }
            Seen::Unknown
        });
        let rules = Rules {
            restart: service.action == ServiceAction::Restart,
            max_restarts: service.max_restarts,
            cooldown: Duration::from_secs(service.restart_cooldown_seconds),
        };
        self.take(&service.name, &seen, &rules);
    }

    async fn look_at_processes(&mut self, wanted: &[WatchedProcess]) {
        if wanted.is_empty() {
            return;
        }
        let rules = Rules {
            restart: false,
            max_restarts: 0,
            cooldown: Duration::ZERO,
        };
        let asked = wanted.to_vec();
        match spawn_blocking(move || processes::look(&asked)).await {
            Ok(all) => {
                for (wanted, seen) in wanted.iter().zip(all) {
                    let name = format!("{PROCESS}{}", wanted.label());
                    self.take(&name, &seen, &rules);
                }
            }
            Err(error) => tracing::error!(%error, "processes cannot be looked at"),
        }
    }

    fn take(&mut self, name: &str, seen: &Seen, rules: &Rules) {
        let now = self.begin.elapsed();
        let known = self.known.entry(name.to_owned()).or_default();
        known.looked = now;
        let steps = known.watch.look(seen, now, rules);
        self.carry_out(name, steps);
    }

    fn restarted(&mut self, name: &str, outcome: Result<(), String>) {
        if let Some(known) = self.known.get_mut(name) {
            let steps = known.watch.restarted(outcome);
            self.carry_out(name, steps);
        }
    }

    fn carry_out(&mut self, name: &str, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Tell(happened, message) => {
                    let event = happened.word();
                    tracing::info!(service = name, event, message, "watched");
                    self.backlog.add_event(WatchdogEvent {
                        service: name.to_owned(),
                        event: event.to_owned(),
                        message: Some(message),
                        timestamp: Some(Utc::now()),
                        waited_seconds: None,
                    });
                }
                Step::Restart => {
                    let name = name.to_owned();
                    tracing::info!(service = name, "a service is restarted");
                    self.restarts.spawn(async move {
                        let outcome = services::restart(&name).await;
                        (name, outcome)
                    });
                }
            }
        }
    }
}

/// The first look is at once.
fn every(settings: &WatchdogSettings) -> Interval {
    let mut interval = interval(Duration::from_secs(settings.check_interval_seconds));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
