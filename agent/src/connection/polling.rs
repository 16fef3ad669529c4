//! Polling, for where WebSockets are blocked: the agent asks for its commands by HTTP and tells results and samples so.
//! There are no tunnels, policies, inventories or events meanwhile; events wait. From time to time a WebSocket is tried again.

use std::time::Duration;

use gururmm_shared::{AgentId, AgentMessage, AuthAck, Command, CommandResult};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Keeper, Parting};
use crate::commands::dispatcher;
use crate::connection::outbox::{Outbox, Outgoing};
use crate::device::random_hex;

/// A WebSocket that could not be had so often in a row is blocked.
const BLOCKED_AFTER: u32 = 3;
/// How long the agent polls before it tries a WebSocket again.
const POLLS: Duration = Duration::from_secs(600);
/// The longest time between two questions.
const LONGEST: u64 = 30;
/// Questions in a row that may come to nothing.
const MOST_FAILURES: u32 = 3;
/// Bytes of an answer.
const MOST_ANSWER: usize = 1024 * 1024;

const REGISTER: &str = "api/agent/register-legacy";
const HEARTBEAT: &str = "api/agent/heartbeat";
const RESULT: &str = "api/agent/command-result";

#[derive(Deserialize)]
struct Enrolled {
    agent_id: AgentId,
    api_key: String,
}

#[derive(Deserialize)]
struct Pending {
    #[serde(default)]
    pending_commands: Vec<Command>,
}

impl Keeper {
    /// Counts the attempts that came to nothing, and polls after some of them; answers how that ended in their place.
    pub(super) async fn poll_if_blocked(
        &mut self,
        parting: Parting,
        held: Option<Duration>,
        stopping: watch::Receiver<bool>,
    ) -> (Parting, Option<Duration>) {
        if held.is_some() || !matches!(parting, Parting::Lost(_)) {
            self.blocked = 0;
            return (parting, held);
        }
        self.blocked += 1;
        if self.blocked < BLOCKED_AFTER {
            return (parting, held);
        }
        self.blocked = 0;
        let since = Instant::now();
        let parting = self.poll(stopping).await;
        self.link.lost(parting.to_string());
        (parting, Some(since.elapsed()))
    }

    /// Polls for a while, or until something is against it. A stop is told at once, as without a connection.
    async fn poll(&mut self, mut stopping: watch::Receiver<bool>) -> Parting {
        let polled = async {
            self.register().await?;
            self.lanes.set_key(self.identity.api_key.clone());
            let (outbox, outgoing) = Outbox::new();
            self.peers.connected(&outbox, true).await;
            let ended = self.ask_and_tell(outgoing).await;
            self.peers.disconnected().await;
            ended
        };
        tokio::select! {
            ended = polled => ended.err().unwrap_or_else(|| Parting::Lost("a WebSocket is tried again".to_owned())),
            _ = stopping.wait_for(|stop| *stop) => Parting::Stopped,
        }
    }

    async fn register(&mut self) -> Result<(), Parting> {
        if self.identity.api_key.is_some() {
            return Ok(());
        }
        let device = &self.device;
        let body = json!({
            "site_code": self.config.server.api_key,
            "device_id": device.device_id,
            "hostname": device.hostname,
            "os_info": device.os_info,
            "version": env!("CARGO_PKG_VERSION"),
            "enrollment_nonce": self.identity.enrollment_nonce,
        });
        let enrolled: Enrolled = decoded(&self.post(REGISTER, &body).await?)?;
        self.keep(&AuthAck {
            protocol: None,
            agent_id: Some(enrolled.agent_id),
            server_time: None,
            api_key: Some(enrolled.api_key),
        })
        .await
    }

    async fn ask_and_tell(&self, mut outgoing: mpsc::Receiver<Outgoing>) -> Result<(), Parting> {
        let end = Instant::now() + POLLS;
        let period = self.config.agent.heartbeat_seconds.min(LONGEST);
        let mut questions = interval(Duration::from_secs(period));
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A repeat of a number gets the same commands again, so that an answer may get lost.
        let (mut poll_id, mut failures) = (random_hex::<16>(), 0);
        self.backlog().rewind();
        self.reporter.ask_for_sample();
        tracing::info!("WebSockets are blocked on the way to the server: the agent polls");
        while Instant::now() < end {
            tokio::select! {
                _ = questions.tick() => match self.ask(&poll_id).await {
                    Ok(()) => {
                        poll_id = random_hex::<16>();
                        failures = 0;
                    }
                    Err(Parting::Lost(problem)) if failures < MOST_FAILURES => {
                        failures += 1;
                        self.backlog().rewind();
                        tracing::debug!(problem, "a question is asked again");
                    }
                    Err(parting) => return Err(parting),
                },
                Some(told) = outgoing.recv() => {
                    if let Outgoing::Message(message) = told
                        && let AgentMessage::CommandResult(result) = *message
                    {
                        self.tell_result(&result).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, poll_id: &str) -> Result<(), Parting> {
        let sample = match self.backlog().next_sample() {
            Some(AgentMessage::Metrics(sample)) => Some(sample),
            _ => None,
        };
        let body = json!({"metrics": sample, "poll_id": poll_id});
        let pending: Pending = decoded(&self.post(HEARTBEAT, &body).await?)?;
        if let Some(mark) = self.backlog().mark() {
            self.backlog().confirm(mark);
        }
        self.link.connected(self.identity.agent_id, None);
        for command in pending.pending_commands {
            self.peers.command(dispatcher::Input::Run(command)).await;
        }
        Ok(())
    }

    async fn tell_result(&self, result: &CommandResult) -> Result<(), Parting> {
        let id = result.id;
        let body = json!({
            "command_id": id,
            "exit_code": result.exit_code,
            "stdout": result.stdout,
            "stderr": result.stderr,
            "duration_ms": result.duration_ms,
        });
        // What stays unacknowledged is told again with the next connection.
        self.post(RESULT, &body).await?;
        self.peers
            .command(dispatcher::Input::Acknowledged(id))
            .await;
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Vec<u8>, Parting> {
        let patience = self.config.server.auth_timeout();
        let posted = self.lanes.post(path, body.to_string(), MOST_ANSWER);
        let (status, answer) = timeout(patience, posted)
            .await
            .map_err(|_| Parting::Lost("the server did not answer a question in time".to_owned()))?
            .map_err(Parting::Lost)?;
        let told = format!("{path}: the server answered {status}");
        match status {
            status if status.is_success() => Ok(answer),
            // Nobody knows the command any more: there is nothing to be told again.
            StatusCode::NOT_FOUND if path == RESULT => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::CONFLICT => Err(Parting::Refused(told)),
            _ => Err(Parting::Lost(told)),
        }
    }

    fn backlog(&self) -> &crate::backlog::Backlog {
        self.peers.backlog()
    }
}

fn decoded<T: for<'a> Deserialize<'a>>(answer: &[u8]) -> Result<T, Parting> {
    serde_json::from_slice(answer)
        .map_err(|error| Parting::Lost(format!("the server's answer is not understood: {error}")))
}
