//! One command outside a tunnel, from its start to its result.

use std::io;
use std::time::Duration;

use gururmm_shared::{CommandId, CommandResult, EndReason};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::executor::Execution;
use super::job::{Ending, Job, Progress};
use super::kept::Kept;
use super::live::Live;
use super::verdict;
use crate::platform::{self, Launcher, Leader};

/// The environment variable by which a program knows its command, and by which it is known.
pub const COMMAND_ID: &str = "GURURMM_COMMAND_ID";

/// How long a program may take to go that was killed.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the dispatcher wants of a running command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is to go on.
    GoOn,
    /// It is to end, as the server wishes.
    Cancel,
    /// It is to end, because the agent does.
    Interrupt,
}

/// What a command needs to be run.
#[derive(Debug)]
pub struct Task {
    /// Which command.
    pub id: CommandId,
    /// What is run.
    pub job: Job,
    /// Who starts it.
    pub launcher: Launcher,
    /// How much of its output is kept.
    pub limit: usize,
    /// What is wanted of it.
    pub wishes: watch::Receiver<Wish>,
    /// How its output is told while it runs.
    pub live: Live,
    /// Who hears of its first process.
    pub leaders: mpsc::Sender<(CommandId, Leader)>,
    /// Ends when the command before it was started: commands start in their order.
    pub turn: oneshot::Receiver<()>,
    /// Dropped when this one was started.
    pub started: oneshot::Sender<()>,
    /// What its kind of command makes of the result.
    pub translate: Option<fn(CommandResult) -> CommandResult>,
}

impl Task {
    /// Runs the command to its end.
    pub async fn run(self) -> CommandResult {
        // An error is the sign that is waited for: the other end was dropped.
        let _ = self.turn.await;
        let id = self.id;
        let begun = Instant::now();
        let started = Execution::start(self.job, &self.launcher).await;
        drop(self.started);
        let execution = match started {
            Ok(execution) => execution,
            // The guard is gone, and nobody knows whether it had started the program: to start it
            // again might be once too often.
            Err(error) if error.kind() == io::ErrorKind::Other => {
                tracing::error!(command.id = %id, %error, "a command was cut off at its start");
                sweep(id).await;
                return verdict::interrupted(id);
            }
            Err(error) => {
                return verdict::refused(id, format!("Failed to execute command: {error}"));
            }
        };
        let leader = execution.leader();
        if let Some(leader) = leader
            && self.leaders.try_send((id, leader)).is_err()
        {
            tracing::debug!(command.id = %id, "the first process of a command is not noted");
        }
        let mut watch = Watch {
            id,
            execution,
            leader,
            kept: Kept::new(self.limit),
            live: self.live,
            wishes: self.wishes,
        };
        let ending = watch.until_ended().await;
        let result = result(id, ending, watch.kept, begun.elapsed());
        match self.translate {
            Some(translate) => translate(result),
            None => result,
        }
    }
}

struct Watch {
    id: CommandId,
    execution: Execution,
    leader: Option<Leader>,
    kept: Kept,
    live: Live,
    wishes: watch::Receiver<Wish>,
}

impl Watch {
    async fn until_ended(&mut self) -> Ending {
        let mut wished = true;
        loop {
            let progress = tokio::select! {
                progress = self.execution.next(true) => progress,
                () = self.live.due() => {
                    self.live.tell(&self.kept);
                    continue;
                }
                changed = self.wishes.changed(), if wished => {
                    wished = changed.is_ok();
                    let wish = *self.wishes.borrow_and_update();
                    match wish {
                        Wish::GoOn => {}
                        Wish::Cancel => self.execution.cancel(),
                        Wish::Interrupt => self.execution.interrupt(),
                    }
                    continue;
                }
            };
            if self.execution.is_unwatched() {
                self.end_remains().await;
            }
            match progress {
                Progress::Output(stream, text) => self.kept.push(stream, &text),
                Progress::Ended(ending) => return ending,
            }
        }
    }

    /// The guard is gone, and nobody else ends the program.
    async fn end_remains(&mut self) {
        let Some(leader) = self.leader.take() else {
            return;
        };
        let killed = end_remains(self.id, leader).await;
        tracing::error!(command.id = %self.id, killed, "the guard of commands was killed: its command is ended");
    }
}

/// Ends what is left of a command that nobody watches any more; tells how many processes that were.
pub async fn end_remains(id: CommandId, leader: Leader) -> usize {
    let entry = format!("{COMMAND_ID}={id}");
    let ended = tokio::task::spawn_blocking(move || leader.end_remains(&entry, PATIENCE)).await;
    ended.unwrap_or_else(|error| {
        tracing::error!(command.id = %id, %error, "what is left of a command cannot be looked for");
        0
    })
}

/// Ends whatever was started for a command of which no process is known.
async fn sweep(id: CommandId) {
    let entry = format!("{COMMAND_ID}={id}");
    let swept = tokio::task::spawn_blocking(move || platform::sweep(&entry, PATIENCE)).await;
    match swept {
        Ok(swept) => {
            tracing::debug!(command.id = %id, swept.killed, swept.left, "a command's processes were looked for");
        }
        Err(error) => tracing::error!(command.id = %id, %error, "the sweep has failed"),
    }
}

fn result(id: CommandId, ending: Ending, kept: Kept, duration: Duration) -> CommandResult {
    let (stdout, mut stderr) = kept.into_texts();
    let mut exit_code = ending.exit_code;
    if ending.reason == Some(EndReason::Interrupted) {
        // What it says when it is told to go in mid-work is no outcome.
        exit_code = verdict::NO_EXIT_CODE;
        if !stderr.is_empty() && !stderr.ends_with('\n') {
            stderr.push('\n');
        }
        stderr.push_str(verdict::INTERRUPTED);
    }
    CommandResult {
        id,
        exit_code: Some(exit_code),
        stdout,
        stderr,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        reason: ending.reason,
    }
}
