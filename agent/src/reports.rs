//! What the agent sends by itself while it is connected: heartbeats, the network's state, the inventory, and what waits
//! in the backlog.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gururmm_shared::{AgentMessage, Inventory, NetworkState};
use rand::Rng;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::backlog::Backlog;
use crate::config::{Config, InventorySettings};
use crate::connection::Outbox;
use crate::inventory;
use crate::network;
use crate::pace::Pace;
use crate::settings::LiveSettings;

/// How long the agent waits before it sends an inventory again that the server had no room for.
const AGAIN: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(90);

/// What waited goes out no faster than a server takes it: it closes who says too much, and drops events that come too fast.
const SAMPLES: (u32, f64) = (50, 20.0);
const EVENTS: (u32, f64) = (40, 1.0);

/// So many may be on their way before the server is asked whether they came.
const UNMARKED: u32 = 32;

/// Sends reports at their intervals.
pub struct Reporter {
    heartbeat: Duration,
    network_check: Duration,
    live: watch::Receiver<LiveSettings>,
    again: Arc<Notify>,
    backlog: Backlog,
    sample: Arc<Notify>,
}

impl Reporter {
    /// A reporter with the configured intervals; those of `live` may change. It asks by `sample` for one when a
    /// connection begins.
    #[must_use]
    pub fn new(
        config: &Config,
        live: watch::Receiver<LiveSettings>,
        again: Arc<Notify>,
        backlog: Backlog,
        sample: Arc<Notify>,
    ) -> Self {
        Self {
            heartbeat: Duration::from_secs(config.agent.heartbeat_seconds),
            network_check: Duration::from_secs(config.agent.network_check_seconds),
            live,
            again,
            backlog,
            sample,
        }
    }

    /// Has a sample taken now, and not only when its time has come.
    pub fn ask_for_sample(&self) {
        self.sample.notify_one();
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
        tokio::select! {
            () = self.run_signs(outbox) => {}
            () = self.run_backlog(outbox) => {}
        }
    }

    async fn run_signs(&self, outbox: &Outbox) {
        let mut heartbeat = every(self.heartbeat);
        let mut network_check = every(self.network_check);
        let mut told_hash = None;
        loop {
            let message = tokio::select! {
                _ = heartbeat.tick() => Some(AgentMessage::Heartbeat),
                _ = network_check.tick() => {
                    changed_network(&mut told_hash).await.map(AgentMessage::NetworkState)
                }
            };
            if let Some(message) = message
                && !outbox.send(message).await
            {
                return;
            }
        }
    }

    /// Tells what waits, events first, and goes on with what comes.
    async fn run_backlog(&self, outbox: &Outbox) {
        self.backlog.rewind();
        self.ask_for_sample();
        let mut events = Pace::new(EVENTS.0, EVENTS.1, Instant::now());
        let mut samples = Pace::new(SAMPLES.0, SAMPLES.1, Instant::now());
        let mut unmarked = 0;
        loop {
            let (now, (event, sample)) = (Instant::now(), self.backlog.due());
            let message = if event && events.take(now) {
                self.backlog.next_event()
            } else if sample && samples.take(now) {
                self.backlog.next_sample()
            } else {
                None
            };
            if let Some(message) = message {
                unmarked += 1;
                if !outbox.send(message).await {
                    return;
                }
                if unmarked < UNMARKED {
                    continue;
                }
            }
            if unmarked >= UNMARKED || !(event || sample) {
                unmarked = 0;
                if let Some(mark) = self.backlog.mark()
                    && !outbox.send_ping(mark).await
                {
                    return;
                }
            }
            let wait = match (event, sample) {
                (true, true) => events.wait(now).min(samples.wait(now)),
                (true, false) => events.wait(now),
                (false, true) => samples.wait(now),
                (false, false) => Duration::MAX,
            };
            tokio::select! {
                () = self.backlog.news() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
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

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::connection::Outgoing;
    use crate::settings::SettingsStore;
    use gururmm_shared::{Metrics, WatchdogEvent};

    fn reporter(backlog: &Backlog) -> Reporter {
        let text = "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"A-B-1\"";
        let config = Config::parse(text, Path::new("/nowhere/agent.toml")).unwrap();
        let live = SettingsStore::new(&config).subscribe();
        Reporter::new(
            &config,
            live,
            Arc::default(),
            backlog.clone(),
            Arc::default(),
        )
    }

    #[tokio::test]
    async fn what_has_waited_goes_no_faster_than_a_server_takes_it_and_pings_ask_whether_it_came() {
        let backlog = Backlog::default();
        for number in 0..60 {
            backlog.add_sample(Metrics::default());
            if number >= 42 {
                continue;
            }
            backlog.add_event(WatchdogEvent {
                service: number.to_string(),
                event: "stopped".to_owned(),
                message: None,
                timestamp: None,
                waited_seconds: None,
            });
        }
        let (outbox, mut control) = Outbox::new();
        let (reporter, begin) = (reporter(&backlog), Instant::now());
        let (mut events, mut samples, mut pings) = (0.0, 0, 0);
        let read = async {
            while let Some(outgoing) = control.recv().await {
                let seconds = begin.elapsed().as_secs_f64();
                match outgoing {
                    Outgoing::Message(message) if message.kind() == "watchdog_event" => {
                        events += 1.0;
                        assert!(events <= 41.0 + seconds, "{events} after {seconds} s");
                    }
                    Outgoing::Message(_) => {
                        samples += 1;
                        assert!(events <= 41.0, "samples wait for events");
                    }
                    Outgoing::Ping(mark) => {
                        pings += 1;
                        backlog.confirm(mark);
                        if backlog.waiting().events == 0 {
                            return;
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::select! {
            () = reporter.run_backlog(&outbox) => panic!("it has ended"),
            () = read => {}
        }
        assert_eq!((events, samples), (42.0, 60));
        assert!((3..=10).contains(&pings), "{pings}");
    }
}
