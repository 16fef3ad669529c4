//! Commands outside tunnels: one task that starts them, keeps their results and sends each until the
//! server acknowledges it. They go on while the connection is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gururmm_shared::{AgentMessage, Command, CommandId, CommandResult, EndReason};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::executor::Execution;
use super::interpreter::{CLAUDE_TASK_REFUSAL, Invocation};
use super::job::{Job, Progress, Stream};
use super::kept::Kept;
use super::ledger::{Begin, Ledger};
use crate::config::CommandSettings;
use crate::connection::Outbox;
use crate::platform::{self, Launcher};

/// How long the agent waits for an acknowledgement before it sends a result again.
const RESEND: Duration = Duration::from_secs(30);

/// Between results that are sent again, so that many of them are no flood.
const RESEND_GAP: Duration = Duration::from_millis(50);

/// Room in a message beside the output of its two streams.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// The exit code of a command that was refused.
const REFUSED: i32 = -1;

/// What the dispatcher is told.
#[derive(Debug)]
pub enum Input {
    /// There is a connection; `acknowledges` tells whether this server acknowledges results.
    Connected {
        /// Where messages go.
        outbox: Outbox,
        /// A server of the first generation never does: it is told once.
        acknowledges: bool,
    },
    /// The connection is lost.
    Disconnected,
    /// Run this.
    Run(Command),
    /// The server has this result.
    Acknowledged(CommandId),
    /// Which commands run or wait for their acknowledgement?
    InFlight(oneshot::Sender<Vec<CommandId>>),
}

struct Connection {
    outbox: Outbox,
    acknowledges: bool,
}

struct Dispatcher {
    settings: Arc<CommandSettings>,
    ledger: Ledger,
    connection: Option<Connection>,
    running: JoinSet<CommandResult>,
    /// Results to be sent again, on the connection that there is.
    again: VecDeque<CommandId>,
}

/// Serves until all senders of `inputs` are gone; commands that still run are then killed.
pub async fn run(settings: Arc<CommandSettings>, mut inputs: mpsc::Receiver<Input>) {
    let mut dispatcher = Dispatcher {
        settings,
        ledger: Ledger::default(),
        connection: None,
        running: JoinSet::new(),
        again: VecDeque::new(),
    };
    let mut resend = every(RESEND);
    let mut pace = every(RESEND_GAP);
    loop {
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => dispatcher.on_input(input).await,
                None => return,
            },
            Some(ended) = dispatcher.running.join_next() => match ended {
                Ok(result) => dispatcher.on_end(result).await,
                Err(error) => tracing::error!(%error, "a command's task has failed"),
            },
            _ = resend.tick() => dispatcher.queue_waiting(),
            _ = pace.tick(), if !dispatcher.again.is_empty() => dispatcher.send_again().await,
        }
    }
}

impl Dispatcher {
    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Connected {
                outbox,
                acknowledges,
            } => {
                self.connection = Some(Connection {
                    outbox,
                    acknowledges,
                });
                self.queue_waiting();
            }
            Input::Disconnected => {
                self.connection = None;
                self.again.clear();
            }
            Input::Run(command) => self.begin(command).await,
            Input::Acknowledged(id) => self.ledger.acknowledge(id),
            Input::InFlight(answer) => {
                // Who asked may have gone in the meantime.
                let _ = answer.send(self.ledger.in_flight());
            }
        }
    }

    async fn begin(&mut self, command: Command) {
        let id = command.id;
        match self.ledger.begin(id) {
            Begin::Running => tracing::debug!(command.id = %id, "a repeated command runs already"),
            Begin::Ended(result) => {
                tracing::debug!(command.id = %id, "a repeated command has ended before");
                self.send(result).await;
            }
            Begin::Start if self.ledger.running() > self.settings.max_running => {
                let reason = format!("{} commands are running already", self.settings.max_running);
                self.on_end(refused(id, reason)).await;
            }
            Begin::Start => match prepare(&command, &self.settings) {
                Ok(job) => {
                    let kind = command.command_type.name();
                    tracing::info!(command.id = %id, command.kind = kind, "a command starts");
                    let limit = self.settings.output_limit_bytes;
                    self.running.spawn(execute(id, job, limit));
                }
                Err(reason) => self.on_end(refused(id, reason)).await,
            },
        }
    }

    async fn on_end(&mut self, result: CommandResult) {
        tracing::info!(
            command.id = %result.id,
            exit_code = result.exit_code,
            duration_ms = result.duration_ms,
            "a command has ended"
        );
        for lost in self.ledger.end(result.clone()) {
            tracing::warn!(command.id = %lost, "too many results wait: the output of this one is given up");
        }
        self.send(result).await;
    }

    async fn send(&mut self, result: CommandResult) {
        let Some(connection) = &self.connection else {
            return;
        };
        let id = result.id;
        let sent = connection
            .outbox
            .send(AgentMessage::CommandResult(result))
            .await;
        if sent && !connection.acknowledges {
            self.ledger.acknowledge(id);
        }
    }

    fn queue_waiting(&mut self) {
        if self.connection.is_some() {
            self.again = self.ledger.waiting().map(|result| result.id).collect();
        }
    }

    async fn send_again(&mut self) {
        let Some(id) = self.again.pop_front() else {
            return;
        };
        // It may have been acknowledged in the meantime.
        let waiting = self
            .ledger
            .waiting()
            .find(|result| result.id == id)
            .cloned();
        if let Some(result) = waiting {
            self.send(result).await;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn prepare(command: &Command, settings: &CommandSettings) -> Result<Job, String> {
    let invocation = Invocation::new(&command.command_type, &command.command, settings)
        .ok_or(CLAUDE_TASK_REFUSAL)?;
    if command.command.trim().is_empty() {
        return Err("the command is empty".to_owned());
    }
    if command.elevated && !platform::is_administrator() {
        return Err("the agent does not run as administrator".to_owned());
    }
    Ok(Job {
        invocation,
        environment: vec![("GURURMM_COMMAND_ID", command.id.to_string())],
        timeout: settings.timeout(command.timeout_seconds),
    })
}

async fn execute(id: CommandId, job: Job, limit: usize) -> CommandResult {
    let started = Instant::now();
    let mut execution = match Execution::start(job, &Launcher::Agent).await {
        Ok(execution) => execution,
        Err(error) => return refused(id, format!("Failed to execute command: {error}")),
    };
    let limit = limit.saturating_sub(ENVELOPE_BYTES / 2);
    let (mut stdout, mut stderr) = (Kept::new(limit), Kept::new(limit));
    let ending = loop {
        match execution.next(true).await {
            Progress::Output(Stream::Stdout, text) => stdout.push(&text),
            Progress::Output(Stream::Stderr, text) => stderr.push(&text),
            Progress::Ended(ending) => break ending,
        }
    };
    CommandResult {
        id,
        exit_code: Some(ending.exit_code),
        stdout: stdout.into_text(),
        stderr: stderr.into_text(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        reason: ending.reason,
    }
}

fn refused(id: CommandId, reason: impl Into<String>) -> CommandResult {
    CommandResult {
        id,
        exit_code: Some(REFUSED),
        stdout: String::new(),
        stderr: reason.into(),
        duration_ms: 0,
        reason: Some(EndReason::Refused),
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
