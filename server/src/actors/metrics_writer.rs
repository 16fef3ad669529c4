//! Writes what agents report, in batches: 250 ms or 1,000 rows.
//!
//! What waits is bounded: of signs of life and states only the newest of each agent waits, of
//! samples and events at most [`MOST_WAITING`]; beyond that the oldest are dropped and counted.
//!
//! What an agent kept while it was offline is written with its own time: when it came, less how long the agent
//! says it has waited. Alerts and live views hear of a sample only while it is new.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use actix::prelude::*;
use chrono::{DateTime, Datelike, Utc};
use gururmm_shared::{AgentId, Metrics, NetworkState, UpdateResult, WatchdogEvent};

use super::alert_messages::Observed;
use super::event_messages::Happened;
use super::metrics_messages::{Backlog, Flush, Report, WatchReports};
use crate::db::agent_updates::Outcome;
use crate::db::agents::AgentConnected;
use crate::db::metrics::MetricsSample;
use crate::db::watchdog_events::NewWatchdogEvent;
use crate::db::{
    Db, DbError, agent_state, agent_updates, agents, metrics as samples, metrics_rollups,
    watchdog_events,
};
use crate::domain::agent_news::Load;
use crate::domain::alert_rules::{Event, Sample};
use crate::domain::text::tame;

const INTERVAL: Duration = Duration::from_millis(250);
const BATCH: usize = 1000;
const MOST_WAITING: usize = 50_000;
/// An agent keeps nothing for longer; who says so has a clock that is not to be believed.
const MOST_WAITED_SECONDS: u64 = 8 * 86_400;
/// A sample that has waited for longer says nothing of now.
const NEW_SECONDS: u64 = 120;
/// Minutes and hours wait so long for what comes late, and more than that is made again.
const LATE: chrono::Duration = chrono::Duration::minutes(4);
/// Bytes of an agent's network interfaces that are kept.
const NETWORK_BYTES: usize = 512 * 1024;

/// The newest that is known of an agent's connection.
enum Presence {
    Online,
    Offline(DateTime<Utc>),
}

/// What one flush writes.
#[derive(Default)]
struct Batch {
    connected: HashMap<AgentId, AgentConnected>,
    presence: HashMap<AgentId, Presence>,
    seen: HashMap<AgentId, DateTime<Utc>>,
    samples: VecDeque<MetricsSample>,
    networks: HashMap<AgentId, (DateTime<Utc>, NetworkState)>,
    watchdog: VecDeque<NewWatchdogEvent>,
    updates: VecDeque<(AgentId, UpdateResult)>,
}

impl Batch {
    fn rows(&self) -> usize {
        self.samples.len()
            + self.watchdog.len()
            + self.connected.len()
            + self.networks.len()
            + self.updates.len()
    }

    fn is_empty(&self) -> bool {
        self.rows() + self.presence.len() + self.seen.len() == 0
    }
}

/// The actor.
pub struct MetricsWriter {
    db: Db,
    watchers: Option<WatchReports>,
    waiting: Batch,
    writing: bool,
    flushed: Vec<tokio::sync::oneshot::Sender<()>>,
}

impl MetricsWriter {
    /// A writer with nothing to write.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            watchers: None,
            waiting: Batch::default(),
            writing: false,
            flushed: Vec::new(),
        }
    }

    fn take(&mut self, mut report: Report) {
        put_back(&mut report);
        if let Some(watchers) = &self.watchers {
            tell(watchers, &report);
        }
        match report {
            Report::Connected(agent) => {
                self.waiting.presence.insert(agent.id, Presence::Online);
                self.waiting.connected.insert(agent.id, agent);
            }
            Report::Disconnected(id, at) => {
                self.waiting.presence.insert(id, Presence::Offline(at));
            }
            Report::Seen(id, at) => {
                self.waiting.seen.insert(id, at);
            }
            Report::Sample(agent_id, at, metrics) => {
                push(
                    &mut self.waiting.samples,
                    sample_row(agent_id, at, &metrics),
                );
            }
            Report::Network(id, at, network) => {
                self.waiting.networks.insert(id, (at, network));
            }
            Report::Watchdog(id, at, event) => {
                push(&mut self.waiting.watchdog, watchdog_row(id, at, &event));
            }
            Report::Update(id, result) => {
                let result = UpdateResult {
                    version: Some(tame(&result.version.unwrap_or_default(), 64)),
                    error: result.error.map(|error| tame(&error, 2000)),
                    success: result.success,
                    code: result.code.map(|code| tame(&code, 64)),
                };
                push(&mut self.waiting.updates, (id, result));
            }
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.writing {
            return;
        }
        if self.waiting.is_empty() {
            for flushed in self.flushed.drain(..) {
                // Who no longer waits need not be told.
                let _ = flushed.send(());
            }
            return;
        }
        self.writing = true;
        let batch = std::mem::take(&mut self.waiting);
        let db = self.db.clone();
        let write = async move { write(&db, batch).await };
        ctx.spawn(write.into_actor(self).map(|(), act, ctx| {
            act.writing = false;
            if !act.flushed.is_empty() || act.waiting.rows() >= BATCH {
                act.flush(ctx);
            }
        }));
    }
}

/// How long a report has waited at its agent.
fn waited(seconds: Option<u64>) -> u64 {
    seconds
        .filter(|seconds| *seconds <= MOST_WAITED_SECONDS)
        .unwrap_or(0)
}

/// Gives a report that has waited the time when it was made, by the server's clock.
fn put_back(report: &mut Report) {
    let (at, seconds) = match report {
        Report::Sample(_, at, metrics) => (at, metrics.waited_seconds),
        Report::Watchdog(_, at, event) => (at, event.waited_seconds),
        _ => return,
    };
    *at -= Duration::from_secs(waited(seconds));
}

/// Tells those who watch; what they have no room for is lost to them.
fn tell(watchers: &WatchReports, report: &Report) {
    if let Some(observed) = observed(report)
        && let Err(SendError::Full(_)) = watchers.alerts.try_send(observed)
    {
        metrics::counter!("gururmm_alert_observations_dropped_total").increment(1);
    }
    if let Report::Sample(agent_id, at, metrics) = report
        && waited(metrics.waited_seconds) <= NEW_SECONDS
    {
        let Sample {
            cpu, memory, disk, ..
        } = load(*at, metrics);
        let news = Happened::AgentLoad {
            agent_id: *agent_id,
            load: Load { cpu, memory, disk },
            at: *at,
        };
        if let Err(SendError::Full(_)) = watchers.events.try_send(news) {
            metrics::counter!("gururmm_event_loads_dropped_total").increment(1);
        }
    }
}

/// What a report means to who watches for alerts.
fn observed(report: &Report) -> Option<Observed> {
    let (agent_id, event) = match report {
        Report::Connected(agent) => (agent.id, Event::Online),
        Report::Disconnected(id, _) => (*id, Event::Offline),
        Report::Sample(_, _, metrics) if waited(metrics.waited_seconds) > NEW_SECONDS => {
            return None;
        }
        Report::Sample(id, at, metrics) => (*id, Event::Sampled(load(*at, metrics))),
        Report::Watchdog(id, _, event) => (
            *id,
            Event::Service {
                service: tame(&event.service, 200),
                event: event.event.clone(),
            },
        ),
        Report::Update(id, result) => (
            *id,
            Event::Updated {
                success: result.success,
            },
        ),
        Report::Seen(..) | Report::Network(..) => return None,
    };
    Some(Observed { agent_id, event })
}

fn load(at: DateTime<Utc>, metrics: &Metrics) -> Sample {
    Sample {
        cpu: metrics.cpu_percent,
        memory: share(metrics.memory_used_bytes, metrics.memory_total_bytes),
        disk: share(metrics.disk_used_bytes, metrics.disk_total_bytes),
        clock_off_seconds: metrics
            .timestamp
            .map(|told| told.timestamp().saturating_sub(at.timestamp())),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share of bytes")]
fn share(used: Option<u64>, total: Option<u64>) -> Option<f64> {
    let total = total.filter(|total| *total > 0)?;
    Some(used? as f64 * 100.0 / total as f64)
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MOST_WAITING {
        queue.pop_front();
        metrics::counter!("gururmm_reports_dropped_total").increment(1);
    }
    queue.push_back(item);
}

/// Whether a time from an agent's clock can be kept: one row that a database refuses would take
/// its whole batch with it.
fn plausible(at: &DateTime<Utc>) -> bool {
    (1970..10_000).contains(&at.year())
}

fn sample_row(agent_id: AgentId, at: DateTime<Utc>, metrics: &Metrics) -> MetricsSample {
    MetricsSample {
        agent_id,
        recorded_at: at,
        reported_at: metrics.timestamp.filter(plausible),
        cpu_percent: metrics.cpu_percent,
        memory_used_bytes: metrics.memory_used_bytes,
        memory_total_bytes: metrics.memory_total_bytes,
        disk_used_bytes: metrics.disk_used_bytes,
        disk_total_bytes: metrics.disk_total_bytes,
        network_rx_bytes: metrics.network_rx_bytes,
        network_tx_bytes: metrics.network_tx_bytes,
        uptime_seconds: metrics.uptime_seconds,
    }
}

fn watchdog_row(agent_id: AgentId, at: DateTime<Utc>, event: &WatchdogEvent) -> NewWatchdogEvent {
    NewWatchdogEvent {
        agent_id,
        service: tame(&event.service, 200),
        event: tame(&event.event, 64),
        message: event.message.as_deref().map(|text| tame(text, 2000)),
        reported_at: event.timestamp.filter(plausible),
        recorded_at: at,
    }
}

/// Writes part by part, so that one part that fails does not take the others with it.
async fn write(db: &Db, batch: Batch) {
    let connected: Vec<_> = batch.connected.into_values().collect();
    let offline: Vec<_> = batch
        .presence
        .iter()
        .filter_map(|(id, presence)| match presence {
            Presence::Offline(at) => Some((*id, *at)),
            Presence::Online => None,
        })
        .collect();
    let seen: Vec<_> = batch.seen.into_iter().collect();
    let samples: Vec<_> = batch.samples.into();
    let watchdog: Vec<_> = batch.watchdog.into();
    if !connected.is_empty() {
        log_failure(
            "connected agents",
            agents::mark_connected(db, connected).await,
        );
    }
    if !offline.is_empty() {
        log_failure(
            "disconnected agents",
            agents::mark_offline(db, offline).await,
        );
    }
    if !seen.is_empty() {
        log_failure("signs of life", agents::mark_seen(db, seen).await);
    }
    if !samples.is_empty() {
        let late = late(&samples, Utc::now() - LATE);
        log_failure("samples", samples::store_samples(db, samples).await);
        for (agent, (first, last)) in late {
            let made = metrics_rollups::make_again(db, agent, first, last).await;
            log_failure("minutes and hours", made);
        }
    }
    if !watchdog.is_empty() {
        log_failure(
            "watchdog events",
            watchdog_events::insert_batch(db, watchdog).await,
        );
    }
    for (id, (at, network)) in batch.networks {
        log_failure("network state", store_network(db, id, at, network).await);
    }
    for (id, result) in batch.updates {
        let outcome = Outcome {
            from: None,
            to: result.version.unwrap_or_default(),
            success: result.success,
            error: result.error,
            code: result.code,
        };
        let stored = agent_updates::record_result(db, id, outcome).await;
        log_failure("an update's result", stored);
    }
}

/// From when to when each agent has samples from before `due`.
fn late(
    samples: &[MetricsSample],
    due: DateTime<Utc>,
) -> HashMap<AgentId, (DateTime<Utc>, DateTime<Utc>)> {
    let mut late = HashMap::new();
    for sample in samples.iter().filter(|sample| sample.recorded_at < due) {
        let at = sample.recorded_at;
        let (first, last) = late.entry(sample.agent_id).or_insert((at, at));
        *first = at.min(*first);
        *last = at.max(*last);
    }
    late
}

async fn store_network(
    db: &Db,
    id: AgentId,
    at: DateTime<Utc>,
    network: NetworkState,
) -> Result<(), DbError> {
    let hash = network.hash.map(|hash| tame(&hash, 128));
    let mut interfaces = serde_json::Value::Array(network.interfaces);
    clean(&mut interfaces);
    if interfaces.to_string().len() > NETWORK_BYTES {
        return Err(DbError::Constraint(format!(
            "a network state has at most {NETWORK_BYTES} bytes"
        )));
    }
    agent_state::store_network(db, id, interfaces, hash, at).await
}

/// Takes NUL out of all texts, which PostgreSQL cannot keep. JSON nests at most 128 deep here:
/// serde_json refuses more.
fn clean(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => {
            let hostile = fields.keys().any(|key| key.contains('\0'));
            if hostile {
                fields.retain(|key, _| !key.contains('\0'));
            }
            fields.values_mut().for_each(clean);
        }
        _ => {}
    }
}

fn log_failure<T>(what: &str, result: Result<T, DbError>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what} could not be written");
    }
}

impl Actor for MetricsWriter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(INTERVAL, |act, ctx| act.flush(ctx));
    }
}

impl Supervised for MetricsWriter {}

impl Handler<Report> for MetricsWriter {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        self.take(report);
        if self.waiting.rows() >= BATCH {
            self.flush(ctx);
        }
    }
}

impl Handler<WatchReports> for MetricsWriter {
    type Result = ();

    fn handle(&mut self, message: WatchReports, _: &mut Self::Context) {
        self.watchers = Some(message);
    }
}

impl Handler<Backlog> for MetricsWriter {
    type Result = usize;

    fn handle(&mut self, _: Backlog, _: &mut Self::Context) -> Self::Result {
        self.waiting.rows()
    }
}

impl Handler<Flush> for MetricsWriter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) -> Self::Result {
        let (sender, done) = tokio::sync::oneshot::channel();
        self.flushed.push(sender);
        self.flush(ctx);
        // The sender is dropped only with the actor; then there is nothing to wait for.
        Box::pin(async move { drop(done.await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: DateTime<Utc>, waited_seconds: Option<u64>) -> Report {
        let metrics = Metrics {
            timestamp: Some(DateTime::UNIX_EPOCH),
            cpu_percent: Some(99.0),
            waited_seconds,
            ..Metrics::default()
        };
        Report::Sample(AgentId::generate(), at, metrics)
    }

    fn time_of(report: &Report) -> DateTime<Utc> {
        match report {
            Report::Sample(_, at, _) => *at,
            other => panic!("no sample: {other:?}"),
        }
    }

    #[test]
    fn a_sample_that_has_waited_has_the_time_when_it_was_taken_whatever_the_agents_clock_says() {
        let now = Utc::now();
        for (waited, seconds) in [
            (None, 0),
            (Some(3600), 3600),
            (Some(MOST_WAITED_SECONDS + 1), 0),
            (Some(u64::MAX), 0),
        ] {
            let mut report = sample(now, waited);
            put_back(&mut report);
            assert_eq!(
                (now - time_of(&report)).num_seconds(),
                seconds,
                "{waited:?}"
            );
        }
    }

    #[test]
    fn an_old_sample_opens_no_alert_and_a_new_one_may() {
        let now = Utc::now();
        assert!(observed(&sample(now, None)).is_some());
        assert!(observed(&sample(now, Some(NEW_SECONDS))).is_some());
        assert!(observed(&sample(now, Some(NEW_SECONDS + 1))).is_none());
    }

    #[test]
    fn only_what_is_late_is_made_again_from_its_first_to_its_last() {
        let (now, agent) = (Utc::now(), AgentId::generate());
        let before = |minutes| now - chrono::Duration::minutes(minutes);
        let row = |at| sample_row(agent, at, &Metrics::default());
        let rows = [row(before(50)), row(before(90)), row(before(1))];
        let found = late(&rows, before(4));
        assert_eq!(found, HashMap::from([(agent, (before(90), before(50)))]));
    }
}
