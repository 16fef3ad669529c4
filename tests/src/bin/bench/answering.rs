//! Simulated agents that answer every command at once, or report samples as fast as they can.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use gururmm_shared::{AgentId, AgentMessage, Metrics, ServerMessage};
use gururmm_tests::commands::{journal_capabilities, success};
use gururmm_tests::{Heard, RawAgent};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::stage::Stage;

/// Agents that live as long as this.
pub struct Answering {
    /// Who they are.
    pub agents: Vec<AgentId>,
    samples: broadcast::Sender<usize>,
    _tasks: JoinSet<()>,
}

impl Answering {
    /// Enrols and connects them.
    pub async fn dial(stage: &Stage, count: usize) -> Result<Self> {
        let (samples, _) = broadcast::channel(4);
        let url = stage.server.agents_url();
        let agents = (0..count).map(async |_| {
            let mut agent = RawAgent::try_connect(&url).await?;
            let mut auth = agent.auth(&stage.site.code);
            auth.capabilities = journal_capabilities();
            let ack = agent.authenticate(auth).await;
            let id = ack.agent_id.context("auth_ack tells the id")?;
            anyhow::Ok((id, agent))
        });
        let mut tasks = JoinSet::new();
        let mut ids = Vec::with_capacity(count);
        for (id, agent) in try_join_all(agents).await? {
            ids.push(id);
            tasks.spawn(live(agent, samples.subscribe()));
        }
        Ok(Self {
            agents: ids,
            samples,
            _tasks: tasks,
        })
    }

    /// Lets each report so many samples as fast as it can.
    pub fn report(&self, samples: usize) -> Result<()> {
        self.samples.send(samples).context("the agents are there")?;
        Ok(())
    }
}

async fn live(mut agent: RawAgent, mut samples: broadcast::Receiver<usize>) {
    loop {
        tokio::select! {
            heard = agent.hear() => match heard {
                Heard::Message(ServerMessage::Command(command)) => {
                    agent.result(success(command.id, "")).await;
                }
                Heard::Message(_) => {}
                _ => return,
            },
            count = samples.recv() => {
                let Ok(count) = count else { return };
                for _ in 0..count {
                    agent.send(&AgentMessage::Metrics(sample())).await;
                }
            }
        }
    }
}

/// A sample as the agent sends it.
pub fn sample() -> Metrics {
    Metrics {
        timestamp: Some(chrono::Utc::now()),
        cpu_percent: Some(12.5),
        memory_used_bytes: Some(6 << 30),
        memory_total_bytes: Some(16 << 30),
        disk_used_bytes: Some(120 << 30),
        disk_total_bytes: Some(500 << 30),
        network_rx_bytes: Some(123_456),
        network_tx_bytes: Some(65_432),
        uptime_seconds: Some(1_234_567),
        waited_seconds: None,
    }
}
