//! The task that owns the mode: takes events in their order, asks [`State`] what is to be done and
//! does it. Channels of a session run beside it and end with it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gururmm_shared::{AgentMessage, ChannelId, SessionId, Terminal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};

use crate::channels::terminal::{self, Orders};
use crate::config::CommandSettings;
use crate::connection::Outbox;
use crate::device;
use crate::platform::{self, Guard, Launcher, Remains, SESSION_MARK};
use crate::settings::LiveSettings;
use crate::state::{Effect, Event, State};

/// How long a session's end waits for its guard, and then for the sweep.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the machine is told.
#[derive(Debug)]
pub enum Input {
    /// There is a connection.
    Connected(Outbox),
    /// The connection is lost.
    Disconnected,
    /// The server said something about tunnels.
    Event(Event),
    /// The agent is being stopped; answered when no session is left.
    Stop(oneshot::Sender<()>),
}

/// What exists only while a session is open.
struct Open {
    session: terminal::Session,
    guard: Guard,
    orders: HashMap<ChannelId, watch::Sender<Orders>>,
    channels: JoinSet<()>,
    names: HashMap<task::Id, ChannelId>,
}

/// The machine: the state and what its effects work on.
pub struct Machine {
    state: State,
    settings: Arc<CommandSettings>,
    live: watch::Receiver<LiveSettings>,
    guard_program: PathBuf,
    outbox: Option<Outbox>,
    open: Option<Open>,
}

impl Machine {
    /// A machine in heartbeat mode; `guard_program` is this agent's own program.
    #[must_use]
    pub fn new(
        settings: Arc<CommandSettings>,
        live: watch::Receiver<LiveSettings>,
        guard_program: PathBuf,
    ) -> Self {
        Self {
            state: State::new(settings.max_running),
            settings,
            live,
            guard_program,
            outbox: None,
            open: None,
        }
    }

    /// Serves until all senders of `inputs` are gone.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let ended = tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.on_input(input).await;
                        continue;
                    }
                    None => break,
                },
                ended = next_ended(self.open.as_mut()) => ended,
            };
            self.on_event(Event::ChannelEnded(ended)).await;
        }
        self.on_event(Event::ConnectionLost).await;
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Connected(outbox) => self.outbox = Some(outbox),
            Input::Disconnected => {
                self.outbox = None;
                self.on_event(Event::ConnectionLost).await;
            }
            Input::Event(event) => self.on_event(event).await,
            Input::Stop(done) => {
                self.on_event(Event::Stopping).await;
                // Who asked may have lost patience.
                let _ = done.send(());
            }
        }
    }

    async fn on_event(&mut self, event: Event) {
        let mut effects = self.state.on_event(event).into_iter();
        while let Some(effect) = effects.next() {
            if let Err(reason) = self.carry_out(effect).await {
                tracing::error!(%reason, "a tunnel cannot be opened");
                effects = self.state.on_event(Event::EntryFailed(reason)).into_iter();
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Send(message) => self.send(*message).await,
            Effect::Enter(session) => return self.enter(session).await,
            Effect::Leave(session) => self.leave(session).await,
            Effect::Start(channel, terminal) => self.start(channel, *terminal),
            Effect::Grant(channel, limit) => {
                self.order(&channel, |orders| orders.limit = orders.limit.max(limit));
            }
            Effect::Cancel(channel) => self.order(&channel, |orders| orders.cancel = true),
        }
        Ok(())
    }

    async fn send(&self, message: AgentMessage) {
        if let Some(outbox) = &self.outbox {
            outbox.send(message).await;
        }
    }

    async fn enter(&mut self, id: SessionId) -> Result<(), String> {
        let outbox = self.outbox.as_ref().ok_or("the connection is lost")?;
        let mark: Arc<str> = device::random_hex::<16>().into();
        let guard = Guard::start(&self.guard_program, Remains::End)
            .map_err(|error| format!("the guard of the session cannot be started: {error}"))?;
        let lane = outbox.open_lane().await.ok_or("the connection is lost")?;
        let tech = self.state.technician().map(tracing::field::display);
        tracing::info!(session.id = %id, technician.id = tech, "a tunnel opens");
        if self.live.borrow().tell_person {
            platform::tell_people("A technician has opened a remote session on this machine.");
        }
        self.open = Some(Open {
            session: terminal::Session {
                id,
                mark,
                launcher: Launcher::Guard(guard.starter()),
                lane,
            },
            guard,
            orders: HashMap::new(),
            channels: JoinSet::new(),
            names: HashMap::new(),
        });
        Ok(())
    }

    async fn leave(&mut self, id: SessionId) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        // Each channel's end kills its process group.
        open.channels.shutdown().await;
        if let Some(outbox) = &self.outbox {
            outbox.close_lane().await;
        }
        let Open { session, guard, .. } = open;
        let mark = format!("{SESSION_MARK}={}", session.mark);
        drop(session.launcher);
        if let Some(killed) = guard.end(PATIENCE).await {
            tracing::info!(session.id = %id, killed, "the tunnel is closed");
            return;
        }
        // Either something cannot be killed, and the guard stays with it; or the guard was killed.
        let swept = task::spawn_blocking(move || platform::sweep(&mark, PATIENCE)).await;
        match swept {
            Ok(swept) => {
                tracing::warn!(session.id = %id, swept.killed, swept.left, "the tunnel is closed without its guard's word");
            }
            Err(error) => tracing::error!(session.id = %id, %error, "the sweep has failed"),
        }
    }

    fn start(&mut self, channel: ChannelId, terminal: Terminal) {
        let Some(open) = &mut self.open else { return };
        tracing::debug!(session.id = %open.session.id, %channel, command.id = terminal.command_id.map(tracing::field::display), "a command starts");
        let (orders, ordered) = watch::channel(Orders::first(&terminal));
        let settings = Arc::clone(&self.settings);
        let lists = self.live.borrow().commands.clone();
        let job = terminal::run(
            open.session.clone(),
            channel.clone(),
            terminal,
            ordered,
            (settings, lists),
        );
        let handle = open.channels.spawn(job);
        open.names.insert(handle.id(), channel.clone());
        open.orders.insert(channel, orders);
    }

    fn order(&self, channel: &ChannelId, change: impl FnOnce(&mut Orders)) {
        if let Some(orders) = self.open.as_ref().and_then(|open| open.orders.get(channel)) {
            orders.send_modify(change);
        }
    }
}

/// Waits for the end of a channel of the open session; for ever, where there is none.
async fn next_ended(open: Option<&mut Open>) -> ChannelId {
    let Some(open) = open else {
        return std::future::pending().await;
    };
    loop {
        let id = match open.channels.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "a channel's task has failed");
                error.id()
            }
            None => return std::future::pending().await,
        };
        if let Some(channel) = open.names.remove(&id) {
            open.orders.remove(&channel);
            return channel;
        }
    }
}
