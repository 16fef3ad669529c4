//! What exists only while a session is open: its guard, its lanes and the tasks of its channels.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::window_budget::{CONNECTION_WINDOW_BYTES, WindowBudget};
use gururmm_shared::{
    AgentMessage, ChannelId, ChannelKind, Closed, ErrorCode, KeptTerminal, LaneOffer, OpenChannel,
    Operation, OperationError, SessionId, StreamPosition, Terminal, TerminalOptions, TunnelData,
    TunnelPayload, TunnelRules,
};
use tokio::sync::{Notify, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::running::{Kind, Running};
use crate::channels::bulk_lane::Offered;
use crate::channels::pty::{self, Control, Order};
use crate::channels::session::Session;
use crate::channels::stream::Stream;
use crate::channels::streams::{OpenStream, Streams};
use crate::channels::terminal::{self, Orders};
use crate::channels::{request, transfer};
use crate::commands::lists::CommandLists;
use crate::config::CommandSettings;
use crate::connection::{LaneDialer, Lanes};
use crate::device;
use crate::platform::{self, Guard, Launcher, Remains, SESSION_MARK};
use crate::state::Effect;

/// How long a session's end waits for its guard, and then for the sweep.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What happens in a session by itself.
pub enum Happening {
    /// What ran in a channel has ended.
    Ended(ChannelId),
    /// The same, but it could not say so: this is to be sent.
    Failed(ChannelId, Box<AgentMessage>),
    /// The connection was lost for longer than the session waits.
    GraceOver,
}

/// An open session.
pub struct OpenSession {
    session: Session,
    guard: Guard,
    keeps_terminals: bool,
    channels: JoinSet<()>,
    names: HashMap<task::Id, ChannelId>,
    running: HashMap<ChannelId, Running>,
    grace_over: Option<Instant>,
    windows: Arc<WindowBudget>,
}

impl OpenSession {
    /// Makes ready for a session.
    ///
    /// # Errors
    /// A text for the technician: the guard cannot be started.
    pub fn start(
        id: SessionId,
        rules: Arc<TunnelRules>,
        keeps_terminals: bool,
        lanes: Lanes,
        (guard_program, dialer): (&Path, LaneDialer),
    ) -> Result<Self, String> {
        let guard = Guard::start(guard_program, Remains::End)
            .map_err(|error| format!("the guard of the session cannot be started: {error}"))?;
        let session = Session {
            id,
            mark: device::random_hex::<16>().into(),
            launcher: Launcher::Guard(guard.starter()),
            rules,
            lanes,
            dialer: Some(dialer),
        };
        Ok(Self {
            session,
            guard,
            keeps_terminals,
            channels: JoinSet::new(),
            names: HashMap::new(),
            running: HashMap::new(),
            grace_over: None,
            windows: WindowBudget::new(CONNECTION_WINDOW_BYTES),
        })
    }

    /// Carries out what concerns one channel or the waiting for a connection; the answer is to be sent.
    pub fn carry_out(
        &mut self,
        effect: Effect,
        commands: (&Arc<CommandSettings>, &CommandLists),
        streams: &Streams,
    ) -> Option<AgentMessage> {
        match effect {
            Effect::Start(channel, command) => self.start_command(channel, *command, commands),
            Effect::OpenStream(channel, open) => return self.open(channel, *open, streams),
            Effect::Perform(channel, operation) => self.perform(channel, *operation),
            Effect::Grant(channel, limit) => self.with(&channel, |one| one.grant(limit)),
            Effect::Resize(channel, size) => {
                self.with(&channel, |one| one.order(Order::Resize(size)));
            }
            Effect::Signal(channel, signal) => {
                self.with(&channel, |one| one.order(Order::Signal(signal)));
            }
            Effect::LaneJoined(channel) => self.with(&channel, |one| one.lane_joined()),
            Effect::Cancel(channel) => self.with(&channel, Running::cancel),
            Effect::Drop(channel) => self.drop_channel(&channel),
            Effect::Suspend(seconds) => {
                let grace = Duration::from_secs(seconds.into());
                self.grace_over = Some(Instant::now() + grace);
                tracing::info!(session.id = %self.session.id, seconds, "a tunnel waits for its connection");
            }
            Effect::Ask(..) | Effect::StopAsking => {}
            Effect::Send(_) | Effect::Enter(_) | Effect::Leave(_) | Effect::Resume(_) => {}
        }
        None
    }

    fn start_command(
        &mut self,
        channel: ChannelId,
        command: Terminal,
        commands: (&Arc<CommandSettings>, &CommandLists),
    ) {
        tracing::debug!(session.id = %self.session.id, %channel, command.id = command.command_id.map(tracing::field::display), "a command starts");
        let (orders, ordered) = watch::channel(Orders::first(&command));
        let job = terminal::run(
            self.session.clone(),
            channel.clone(),
            command,
            ordered,
            (Arc::clone(commands.0), commands.1.clone()),
        );
        self.spawn(channel, Kind::Command(orders), job);
    }

    fn open(
        &mut self,
        channel: ChannelId,
        open: OpenChannel,
        streams: &Streams,
    ) -> Option<AgentMessage> {
        let OpenChannel {
            stream,
            window,
            kind,
            lane,
            ..
        } = open;
        tracing::debug!(session.id = %self.session.id, %channel, %stream, "a channel opens");
        let (bytes, receive) = match &kind {
            ChannelKind::Terminal(_) => {
                let keep = if self.keeps_terminals {
                    pty::KEPT_BYTES
                } else {
                    0
                };
                let receive = pty::INPUT_WINDOW;
                (ByteStream::new(stream, receive, window, keep), receive)
            }
            other => {
                let share = self.windows.share(transfer::window(other));
                let receive = share.bytes();
                let bytes = ByteStream::new(stream, receive, window, 0).sharing(share);
                (bytes, receive)
            }
        };
        let bytes = Arc::new(bytes);
        let Some(entered) = streams.open(bytes) else {
            // It belongs to a channel of which the state has heard the end, and whose task is about to.
            let error = OperationError::new(ErrorCode::AlreadyExists, "the stream is open already");
            self.spawn_refused(channel.clone());
            return Some(AgentMessage::TunnelData(TunnelData {
                channel_id: channel,
                data: TunnelPayload::Closed(Closed::failed(error)),
            }));
        };
        match kind {
            ChannelKind::Terminal(options) => self.open_terminal(channel, entered, options),
            other => self.open_transfer(channel, entered, (other, receive), lane),
        }
        None
    }

    fn open_terminal(&mut self, channel: ChannelId, open: OpenStream, options: TerminalOptions) {
        let (control, terminal) = Control::new(
            channel.clone(),
            Arc::clone(open.bytes()),
            options.size,
            self.session.lanes.interactive.clone(),
            self.keeps_terminals,
        );
        let job = pty::run(terminal, open, options, self.session.clone());
        self.spawn(channel, Kind::Terminal(control), job);
    }

    fn open_transfer(
        &mut self,
        channel: ChannelId,
        open: OpenStream,
        (kind, window): (ChannelKind, u64),
        lane: Option<LaneOffer>,
    ) {
        let joined: Arc<Notify> = Arc::default();
        let offered = self.session.dialer.clone().zip(lane);
        let offered = offered.and_then(|(dialer, lane)| {
            let ids = (self.session.id, &channel);
            Offered::new(dialer, lane, ids, &kind, Arc::clone(&joined))
        });
        let stream = Stream::new(
            channel.clone(),
            Arc::clone(open.bytes()),
            self.session.lanes.bulk.clone(),
        );
        let stream = stream.offered(offered);
        let (cancel, cancelled) = watch::channel(false);
        let job = transfer::run(self.session.clone(), stream, open, kind, window, cancelled);
        self.spawn(channel, Kind::Transfer { cancel, joined }, job);
    }

    fn perform(&mut self, channel: ChannelId, operation: Operation) {
        let (cancel, cancelled) = watch::channel(false);
        let job = request::run(self.session.clone(), channel.clone(), operation, cancelled);
        self.spawn(channel, Kind::Request(cancel), job);
    }

    /// The state counts it as running, so it has to end.
    fn spawn_refused(&mut self, channel: ChannelId) {
        self.spawn(
            channel,
            Kind::Transfer {
                cancel: watch::Sender::new(false),
                joined: Arc::default(),
            },
            std::future::ready(()),
        );
    }

    fn spawn(
        &mut self,
        channel: ChannelId,
        kind: Kind,
        job: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.channels.spawn(job);
        self.names.insert(task.id(), channel.clone());
        self.running.insert(channel, Running::new(task, kind));
    }

    fn with(&mut self, channel: &ChannelId, act: impl FnOnce(&mut Running)) {
        if let Some(running) = self.running.get_mut(channel) {
            act(running);
        }
    }

    /// Ends a channel whose name may be another's before its task is gone.
    fn drop_channel(&mut self, channel: &ChannelId) {
        if let Some(running) = self.running.remove(channel) {
            self.names.retain(|_, name| name != channel);
            running.drop_now();
        }
    }

    /// Lets these terminals go on over new lanes.
    pub fn resume(&mut self, lanes: Lanes, terminals: Vec<(ChannelId, StreamPosition)>) {
        self.grace_over = None;
        for (channel, position) in terminals {
            if let Some(control) = self.running.get(&channel).and_then(Running::terminal) {
                control.resume(lanes.interactive.clone(), position);
            }
        }
        self.session.lanes = lanes;
    }

    /// The terminals that the server may go on with.
    pub fn kept_terminals(&self) -> Vec<KeptTerminal> {
        let terminals = self.running.values().filter_map(Running::terminal);
        terminals.filter_map(Control::kept).collect()
    }

    /// Waits for what happens next. Cancel safe.
    pub async fn next(&mut self) -> Happening {
        loop {
            let grace_over = self.grace_over;
            let (id, failed) = tokio::select! {
                ended = next_ended(&mut self.channels) => ended,
                () = at(grace_over) => {
                    self.grace_over = None;
                    return Happening::GraceOver;
                }
            };
            let Some(channel) = self.names.remove(&id) else {
                continue;
            };
            let running = self.running.remove(&channel);
            return match running.filter(|_| failed) {
                Some(running) => {
                    let message = running.failure(channel.clone());
                    Happening::Failed(channel, Box::new(message))
                }
                None => Happening::Ended(channel),
            };
        }
    }

    /// Ends all channels; each kills what it has started.
    pub async fn end_channels(&mut self) {
        self.channels.shutdown().await;
    }

    /// Ends whatever was started in the session, and waits for that.
    pub async fn end(self) {
        let Self { session, guard, .. } = self;
        let id = session.id;
        let mark = format!("{SESSION_MARK}={}", session.mark);
        // As long as somebody could start a program the guard goes on.
        drop(session);
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
}

/// Waits for the end of a channel's task: which, and whether it has failed; for ever, where none runs.
async fn next_ended(channels: &mut JoinSet<()>) -> (task::Id, bool) {
    match channels.join_next_with_id().await {
        Some(Ok((id, ()))) => (id, false),
        Some(Err(error)) => {
            if !error.is_cancelled() {
                tracing::error!(%error, "a channel's task has failed");
            }
            (error.id(), true)
        }
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
