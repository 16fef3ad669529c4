//! Thousands of simulated agents in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gururmm_tests::{Heard, RawAgent};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Agents that dial at the same time; the others wait for their turn.
const DIALLING: usize = 256;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an idle agent waits for the next message: longer than any measurement.
const IDLE: Duration = Duration::from_secs(3600);

/// Who a simulated agent is.
#[derive(Debug, Clone)]
pub struct Identity {
    device_id: String,
    key: String,
}

impl Identity {
    /// Devices that have a site's code only.
    pub fn new_devices(count: usize, code: &str) -> Vec<Self> {
        let device = |number| Self {
            device_id: format!("bench-device-{number:05}"),
            key: code.to_owned(),
        };
        (0..count).map(device).collect()
    }
}

/// Agents that are connected; they hang up when this is dropped.
pub struct Fleet {
    tasks: JoinSet<()>,
    /// Their identities, each with its own key where the server gave one.
    pub identities: Vec<Identity>,
    /// From the first dial to the last `auth_ack`.
    pub elapsed: Duration,
}

impl Fleet {
    /// Lets all dial at once and waits until everyone is authenticated.
    pub async fn dial(url: &str, identities: &[Identity]) -> Result<Self> {
        let turns = Arc::new(Semaphore::new(DIALLING));
        let (report, mut reports) = mpsc::channel(DIALLING);
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for identity in identities {
            let life = live(
                url.to_owned(),
                identity.clone(),
                Arc::clone(&turns),
                report.clone(),
            );
            tasks.spawn(life);
        }
        drop(report);
        let mut known = Vec::with_capacity(identities.len());
        let all = async {
            while known.len() < identities.len() {
                known.push(reports.recv().await.context("an agent was not let in")?);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .context("not all agents came back in time")??;
        Ok(Self {
            elapsed: start.elapsed(),
            identities: known,
            tasks,
        })
    }

    /// How many are still connected.
    pub fn connected(&mut self) -> usize {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len()
    }

    /// Hangs up.
    pub async fn hang_up(mut self) -> Result<()> {
        ensure!(self.connected() > 0, "every agent was gone before");
        self.tasks.shutdown().await;
        Ok(())
    }
}

async fn live(
    url: String,
    mut identity: Identity,
    turns: Arc<Semaphore>,
    report: mpsc::Sender<Identity>,
) {
    let Ok(turn) = turns.acquire().await else {
        return;
    };
    let mut agent = match RawAgent::try_connect(&url).await {
        Ok(agent) => agent,
        Err(error) => return eprintln!("an agent cannot connect: {error}"),
    };
    agent.device_id.clone_from(&identity.device_id);
    let ack = agent.enrol(&identity.key).await;
    if let Some(key) = ack.api_key {
        identity.key = key;
    }
    drop(turn);
    if report.send(identity).await.is_err() {
        return;
    }
    drop(report);
    while !matches!(agent.hear_within(IDLE).await, Some(Heard::Closed(_)) | None) {}
}
