//! Commands outside tunnels: one task that carries out what the ledger says: it has written, starts
//! and ends commands, and sends each result until the server acknowledges it. They go on while the
//! connection is lost.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gururmm_shared::{Command, CommandId, CommandResult, CommandType};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout_at};

use super::claude_task::{self, Allowance};
use super::courier::Courier;
use super::ledger::Ledger;
use super::live::Live;
use super::preparation;
use super::record::Record;
use super::running::{self, Task, Wish};
use super::scribe::Scribe;
use super::step::{Effect, Event, Room};
use super::verdict;
use super::warden::Warden;
use crate::config::CommandSettings;
use crate::connection::Outbox;
use crate::platform::Leader;
use crate::settings::LiveSettings;

/// How long the agent waits for an acknowledgement before it sends a result again.
const RESEND: Duration = Duration::from_secs(30);

/// Between results that are sent again, so that many of them are no flood.
const RESEND_GAP: Duration = Duration::from_millis(50);

/// How long running commands may take to end when the agent does.
const LAST_WORDS: Duration = Duration::from_millis(1800);

/// How long the guard may take to end then.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

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
    /// End this, or do not start it when it comes.
    Cancel(CommandId),
    /// The server has this result.
    Acknowledged(CommandId),
    /// Which commands run or wait for their acknowledgement?
    InFlight(oneshot::Sender<Vec<CommandId>>),
    /// How many commands run?
    Running(oneshot::Sender<usize>),
    /// The agent is being stopped; answered when no command runs and each has its result.
    Stop(oneshot::Sender<()>),
}

struct Dispatcher {
    settings: Arc<CommandSettings>,
    live: watch::Receiver<LiveSettings>,
    ledger: Ledger,
    scribe: Scribe,
    warden: Warden,
    courier: Courier,
    running: JoinSet<CommandResult>,
    names: HashMap<task::Id, CommandId>,
    wishes: HashMap<CommandId, watch::Sender<Wish>>,
    claude_tasks: Allowance,
    leaders: mpsc::Sender<(CommandId, Leader)>,
    /// Ends when the command before was started.
    turn: oneshot::Receiver<()>,
}

impl Dispatcher {
    /// A dispatcher whose journal is in `state_dir`; returns also where it hears of first processes.
    fn new(
        settings: Arc<CommandSettings>,
        live: watch::Receiver<LiveSettings>,
        state_dir: &Path,
        warden: Warden,
    ) -> (Self, mpsc::Receiver<(CommandId, Leader)>) {
        let (leaders, heard) = mpsc::channel(settings.max_running.max(1));
        let (_, turn) = oneshot::channel();
        let dispatcher = Self {
            ledger: Ledger::new(room(&settings)),
            settings,
            live,
            scribe: Scribe::new(state_dir),
            warden,
            courier: Courier::new(),
            running: JoinSet::new(),
            names: HashMap::new(),
            wishes: HashMap::new(),
            claude_tasks: Allowance::default(),
            leaders,
            turn,
        };
        (dispatcher, heard)
    }
}

/// Serves until all senders of `inputs` are gone; commands that still run are then interrupted. `live`
/// tells which commands may run.
pub async fn run(
    settings: Arc<CommandSettings>,
    live: watch::Receiver<LiveSettings>,
    state_dir: PathBuf,
    warden: Warden,
    mut inputs: mpsc::Receiver<Input>,
) {
    let (mut dispatcher, mut leaders) = Dispatcher::new(settings, live, &state_dir, warden);
    dispatcher.open_journal().await;
    let mut resend = every(RESEND);
    let mut pace = every(RESEND_GAP);
    loop {
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Stop(done)) => {
                    dispatcher.stop().await;
                    // Who asked may have lost patience.
                    let _ = done.send(());
                }
                Some(input) => dispatcher.on_input(input).await,
                None => break,
            },
            Some((id, leader)) = leaders.recv() => dispatcher.tell(Event::Begun(id, leader)).await,
            Some(ended) = dispatcher.running.join_next_with_id() => dispatcher.on_end(ended).await,
            _ = resend.tick() => dispatcher.look_after().await,
            _ = pace.tick(), if dispatcher.courier.has_queued() => dispatcher.send_again().await,
        }
    }
    dispatcher.stop().await;
}

impl Dispatcher {
    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Connected {
                outbox,
                acknowledges,
            } => {
                self.courier.connected(outbox, acknowledges);
                self.queue_waiting();
            }
            Input::Disconnected => self.courier.disconnected(),
            Input::Run(command) => {
                self.open_journal().await;
                self.tell(Event::Ordered(Box::new(command))).await;
            }
            Input::Cancel(id) => {
                self.open_journal().await;
                self.tell(Event::Cancelled(id)).await;
            }
            Input::Acknowledged(id) => self.tell(Event::Acknowledged(id)).await,
            Input::InFlight(answer) => {
                // Who asked may have gone in the meantime.
                let _ = answer.send(self.ledger.in_flight());
            }
            Input::Running(answer) => {
                // Who asked may have gone in the meantime.
                let _ = answer.send(self.running.len());
            }
            Input::Stop(_) => {}
        }
    }

    /// Reads what is known from before, if that was not done yet, and makes an end of what the last
    /// agent left running.
    async fn open_journal(&mut self) {
        if self.scribe.is_open() {
            return;
        }
        let records = match self.scribe.open().await {
            Ok(records) => records,
            Err(reason) => {
                tracing::error!(%reason, "no command can be run");
                return;
            }
        };
        let recovered = Ledger::recover(room(&self.settings), records, now());
        let unwritten = std::mem::replace(&mut self.ledger, recovered);
        for (id, leader) in self.ledger.running().to_vec() {
            let killed = match leader {
                Some(leader) => running::end_remains(id, leader).await,
                None => 0,
            };
            tracing::warn!(command.id = %id, killed, "a command was interrupted by the agent's end");
            self.tell(Event::Ended(verdict::interrupted(id))).await;
        }
        for refused in unwritten.waiting() {
            self.tell(Event::Ended(CommandResult::clone(refused))).await;
        }
        if self.scribe.is_behind() {
            self.catch_up().await;
        }
    }

    async fn tell(&mut self, event: Event) {
        let mut effects = VecDeque::from(self.ledger.on_event(event, now()));
        while let Some(effect) = effects.pop_front() {
            if let Some(event) = self.carry_out(effect).await {
                effects.extend(self.ledger.on_event(event, now()));
            }
        }
    }

    /// Does what is to be done; tells what has come of it, if that is known at once.
    async fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Start(command) => {
                let id = command.id;
                if let Err(reason) = self.start(*command).await {
                    return Some(Event::Ended(verdict::refused(id, reason)));
                }
            }
            Effect::Keep(record, result) => {
                tracing::info!(
                    command.id = %result.id,
                    exit_code = result.exit_code,
                    reason = ?result.reason,
                    duration_ms = result.duration_ms,
                    "a command has ended"
                );
                if let Err(reason) = self.write(record, true).await {
                    // To hold it back would help nobody: once the server has it, it is safe.
                    tracing::error!(command.id = %result.id, %reason, "a result is not written");
                }
                return self.send(&result).await;
            }
            Effect::Send(result) => {
                tracing::debug!(command.id = %result.id, "a repeated command has ended before");
                return self.send(&result).await;
            }
            Effect::Note(record) => {
                if let Err(reason) = self.write(record, false).await {
                    tracing::warn!(%reason, "the journal is behind");
                }
            }
            Effect::Cancel(id) => self.wish(id, Wish::Cancel),
            Effect::Interrupt(id) => self.wish(id, Wish::Interrupt),
        }
        None
    }

    async fn write(&mut self, record: Record, durable: bool) -> Result<(), String> {
        let ledger = &self.ledger;
        self.scribe
            .write(vec![record], durable, || ledger.records())
            .await
    }

    async fn start(&mut self, command: Command) -> Result<(), String> {
        let id = command.id;
        let is_claude_task = matches!(command.command_type, CommandType::ClaudeTask { .. });
        let lists = self.live.borrow().commands.clone();
        let job = preparation::prepare(&command, &self.settings, &lists).await?;
        let launcher = self.warden.launcher();
        let launcher = launcher
            .map_err(|error| format!("the guard of commands cannot be started: {error}"))?;
        if is_claude_task {
            self.claude_tasks.begin(id, Instant::now())?;
        }
        if let Err(reason) = self.write(Record::Started { id }, true).await {
            self.claude_tasks.end(id);
            return Err(reason);
        }
        let kind = command.command_type.name();
        tracing::info!(command.id = %id, command.kind = kind, "a command starts");
        let (wish, wishes) = watch::channel(Wish::GoOn);
        let (started, next_turn) = oneshot::channel();
        let task = Task {
            id,
            job,
            launcher,
            limit: self.settings.output_limit_bytes,
            wishes,
            live: Live::new(id, self.courier.listener(), self.settings.max_running),
            leaders: self.leaders.clone(),
            turn: std::mem::replace(&mut self.turn, next_turn),
            started,
            translate: is_claude_task.then_some(claude_task::translate),
        };
        self.wishes.insert(id, wish);
        let handle = self.running.spawn(task.run());
        self.names.insert(handle.id(), id);
        Ok(())
    }

    fn wish(&self, id: CommandId, wish: Wish) {
        if let Some(wishes) = self.wishes.get(&id) {
            wishes.send_replace(wish);
        }
    }

    async fn on_end(&mut self, ended: Result<(task::Id, CommandResult), task::JoinError>) {
        let (task, result) = match ended {
            Ok((task, result)) => (task, Some(result)),
            Err(error) => {
                tracing::error!(%error, "a command's task has failed");
                (error.id(), None)
            }
        };
        let Some(id) = self.names.remove(&task) else {
            return;
        };
        self.wishes.remove(&id);
        self.claude_tasks.end(id);
        let result = result.unwrap_or_else(|| verdict::interrupted(id));
        self.tell(Event::Ended(result)).await;
    }

    /// Sends a result; tells that a server which never acknowledges has it.
    async fn send(&self, result: &CommandResult) -> Option<Event> {
        let acknowledged = self.courier.send(result).await;
        acknowledged.then_some(Event::Acknowledged(result.id))
    }

    async fn look_after(&mut self) {
        self.queue_waiting();
        self.open_journal().await;
        if self.scribe.is_behind() {
            self.catch_up().await;
        }
    }

    async fn catch_up(&mut self) {
        match self.scribe.rewrite(self.ledger.records()).await {
            Ok(()) => tracing::info!("the journal of commands is whole again"),
            Err(reason) => tracing::error!(%reason, "the journal of commands lacks something"),
        }
    }

    fn queue_waiting(&mut self) {
        let waiting = self.ledger.waiting().map(|result| result.id);
        self.courier.queue(waiting);
    }

    async fn send_again(&mut self) {
        let Some(id) = self.courier.next() else {
            return;
        };
        // It may have been acknowledged in the meantime.
        let waiting = self.ledger.waiting().find(|result| result.id == id);
        if let Some(result) = waiting.map(Arc::clone)
            && let Some(event) = self.send(&result).await
        {
            self.tell(event).await;
        }
    }

    /// Ends what runs and takes note of it.
    async fn stop(&mut self) {
        self.tell(Event::Stopping).await;
        let deadline = Instant::now() + LAST_WORDS;
        while !self.running.is_empty()
            && let Ok(Some(ended)) = timeout_at(deadline, self.running.join_next_with_id()).await
        {
            self.on_end(ended).await;
        }
        // What is left cannot be killed, or does not end its output: the guard stays with it.
        self.running.shutdown().await;
        self.wishes.clear();
        self.names.clear();
        for (id, _) in self.ledger.running().to_vec() {
            self.tell(Event::Ended(verdict::interrupted(id))).await;
        }
        self.warden.end(LAST_PATIENCE).await;
    }
}

fn room(settings: &CommandSettings) -> Room {
    Room {
        running: settings.max_running,
        queued: settings.max_queued,
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
#[cfg(unix)]
#[path = "dispatcher_tests.rs"]
mod tests;
