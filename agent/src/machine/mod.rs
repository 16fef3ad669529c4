//! The task that owns the mode: takes events in their order, asks [`State`] what is to be done and
//! does it. Channels of a session run beside it and end with it.

mod asking;
mod open_session;
mod running;

use std::path::PathBuf;
use std::sync::Arc;

use gururmm_shared::{AgentMessage, ChannelId, KeptSession, SessionId, StreamPosition};
use tokio::sync::{mpsc, oneshot, watch};

use crate::channels::streams::Streams;
use crate::config::CommandSettings;
use crate::connection::{LaneDialer, Outbox};
use crate::consent::Asker;
use crate::platform;
use crate::settings::LiveSettings;
use crate::state::{Effect, Event, State};
use asking::Asking;
use open_session::{Happening, OpenSession};

/// What the machine is told.
#[derive(Debug)]
pub enum Input {
    /// There is a connection.
    Connected(Outbox),
    /// The connection is lost.
    Disconnected,
    /// Which session was kept over the lost connection?
    Kept(oneshot::Sender<Option<KeptSession>>),
    /// Is a session open, or kept, or asked for?
    Occupied(oneshot::Sender<bool>),
    /// The server said something about tunnels.
    Event(Event),
    /// The agent is being stopped; answered when no session is left.
    Stop(oneshot::Sender<()>),
}

/// What of the agent's surroundings a machine works with.
#[derive(Debug)]
pub struct Surroundings {
    /// This agent's own program, of which guards are started.
    pub guard_program: PathBuf,
    /// Who dials lanes for files.
    pub dialer: LaneDialer,
    /// Who asks the person at the machine.
    pub asker: Asker,
    /// Told whether a tunnel is open.
    pub tunnel_open: watch::Sender<bool>,
}

/// The machine: the state and what its effects work on.
pub struct Machine {
    state: State,
    settings: Arc<CommandSettings>,
    live: watch::Receiver<LiveSettings>,
    guard_program: PathBuf,
    streams: Streams,
    outbox: Option<Outbox>,
    open: Option<OpenSession>,
    dialer: LaneDialer,
    asking: Asking,
    tunnel_open: watch::Sender<bool>,
}

impl Machine {
    /// A machine in heartbeat mode; into `streams` it enters the streams of its channels.
    #[must_use]
    pub fn new(
        settings: Arc<CommandSettings>,
        live: watch::Receiver<LiveSettings>,
        streams: Streams,
        surroundings: Surroundings,
    ) -> Self {
        Self {
            state: State::new(settings.max_running),
            settings,
            live,
            guard_program: surroundings.guard_program,
            streams,
            outbox: None,
            open: None,
            dialer: surroundings.dialer,
            asking: Asking::new(surroundings.asker),
            tunnel_open: surroundings.tunnel_open,
        }
    }

    /// Serves until all senders of `inputs` are gone.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let happening = tokio::select! {
                answered = self.asking.answer() => {
                    let (session, outcome) = answered;
                    self.on_event(Event::Answered(session, outcome)).await;
                    continue;
                }
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.on_input(input).await;
                        continue;
                    }
                    None => break,
                },
                happening = next_happening(self.open.as_mut()) => happening,
            };
            match happening {
                Happening::Ended(channel) => self.on_event(Event::ChannelEnded(channel)).await,
                Happening::Failed(channel, message) => {
                    self.send(*message).await;
                    self.on_event(Event::ChannelEnded(channel)).await;
                }
                Happening::GraceOver => self.on_event(Event::GraceOver).await,
            }
        }
        self.on_event(Event::Stopping).await;
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Connected(outbox) => self.outbox = Some(outbox),
            Input::Disconnected => {
                self.outbox = None;
                self.on_event(Event::ConnectionLost).await;
            }
            Input::Kept(answer) => {
                // Who asked may have lost patience.
                let _ = answer.send(self.kept_session());
            }
            Input::Occupied(answer) => {
                // Who asked may have lost patience.
                let _ = answer.send(self.state.session().is_some());
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
        let open = self.state.session().is_some();
        self.tunnel_open
            .send_if_modified(|told| std::mem::replace(told, open) != open);
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Send(message) => self.send(*message).await,
            Effect::Ask(session, request) => self.asking.begin(session, *request),
            Effect::StopAsking => self.asking.stop(),
            Effect::Enter(session) => return self.enter(session).await,
            Effect::Leave(session) => self.leave(session).await,
            Effect::Resume(terminals) => self.resume(terminals).await,
            other => {
                let lists = self.live.borrow().commands.clone();
                let commands = (&self.settings, &lists);
                if let Some(open) = &mut self.open
                    && let Some(answer) = open.carry_out(other, commands, &self.streams)
                {
                    self.send(answer).await;
                }
            }
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
        let lanes = outbox.open_lanes().await.ok_or("the connection is lost")?;
        let open = OpenSession::start(
            id,
            self.state.rules(),
            self.state.keeps_terminals(),
            lanes,
            (self.guard_program.as_path(), self.dialer.clone()),
        )?;
        let tech = self.state.technician().map(tracing::field::display);
        tracing::info!(session.id = %id, technician.id = tech, "a tunnel opens");
        if self.live.borrow().tell_person {
            platform::tell_people("A technician has opened a remote session on this machine.");
        }
        self.open = Some(open);
        Ok(())
    }

    async fn leave(&mut self, id: SessionId) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        tracing::debug!(session.id = %id, "a tunnel closes");
        open.end_channels().await;
        if let Some(outbox) = &self.outbox {
            outbox.close_lanes().await;
        }
        open.end().await;
    }

    /// Without a connection nothing is to be done: its loss is about to be told.
    async fn resume(&mut self, terminals: Vec<(ChannelId, StreamPosition)>) {
        let (Some(outbox), Some(open)) = (&self.outbox, &mut self.open) else {
            return;
        };
        if let Some(lanes) = outbox.open_lanes().await {
            tracing::info!(terminals = terminals.len(), "a tunnel goes on");
            open.resume(lanes, terminals);
        }
    }

    fn kept_session(&self) -> Option<KeptSession> {
        let (session_id, tech_id) = self.state.suspended()?;
        Some(KeptSession {
            session_id,
            tech_id,
            terminals: self.open.as_ref()?.kept_terminals(),
        })
    }
}

/// Waits for what happens in the open session; for ever, where there is none.
async fn next_happening(open: Option<&mut OpenSession>) -> Happening {
    match open {
        Some(open) => open.next().await,
        None => std::future::pending().await,
    }
}
