//! One tunnel session: carries out what `domain::session_state` and `domain::channels` decide.
//!
//! Owns the session's row, its channels, viewers, time-outs and audit. Data goes from socket to
//! socket through here; the registry is asked only to find the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use chrono::{DateTime, Utc};
use gururmm_shared::{
    AuditId, ChannelId, ConsentOutcome, ConsentRequest, KeptTerminal, ServerMessage, SessionId,
    StreamId, TunnelClose, TunnelData, TunnelPayload, TunnelRules,
};
use tokio::sync::oneshot;

use super::connection_messages::{AgentHandle, ToConnection};
use super::registry_messages::OpenError;
use super::session_messages::{
    CloseSession, FromAgent, GetSession, SessionEnded, SessionError, SessionView, Unfinished,
};
use super::tunnel_streams::Live;
use super::tunnel_terminals::OpeningTerminal;
use super::tunnel_viewers::WatchingViewer;
use crate::config::TunnelSettings;
use crate::db::tunnel_audit::NewAudit;
use crate::db::{Db, tech_sessions};
use crate::domain::channels::{Channels, OutputError};
use crate::domain::close_reason::CloseReason;
use crate::domain::message_budget::MessageBudget;
use crate::domain::policy::recording::RecordingRules;
use crate::domain::session_state::{Effect, Event, Phase, SessionState};
use crate::domain::streams::Streams;
use crate::domain::terminals::Terminals;
use crate::domain::viewers::ViewerNumber;
use crate::services::audit::{self, Caller};
use crate::services::recordings::{Recorder, Recordings};

/// How long an agent has to confirm that it left a session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often idleness and stalled viewers are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Messages that wait at most before the agent's connection stops reading.
const MAILBOX: usize = 256;
/// Sizes and signals of viewers that go to the agent: so many at once, and so many a second.
const ORDERS: u32 = 200;
const ORDERS_PER_SECOND: f64 = 100.0;
/// How often the time of the last activity is written.
const TOUCH: Duration = Duration::from_secs(10);

/// Who waits for a session to open, and learns what who sits at the machine said.
pub type Opener = oneshot::Sender<Result<Option<ConsentOutcome>, OpenError>>;

/// What a session needs to begin.
pub struct NewTunnel {
    /// Its id.
    pub session_id: SessionId,
    /// The agent's present connection.
    pub agent: AgentHandle,
    /// Whose it is.
    pub owner: Caller,
    /// The database.
    pub db: Db,
    /// Where terminals are recorded.
    pub recordings: Recordings,
    /// Limits and time-outs.
    pub settings: Arc<TunnelSettings>,
    /// Who is told when it has ended.
    pub registry: Recipient<SessionEnded>,
    /// The owner's token version: what was revoked since then opens nothing.
    pub token_version: i64,
    /// What may be done in it.
    pub rules: TunnelRules,
    /// What of its terminals is recorded.
    pub recording: RecordingRules,
    /// How long it may be open, where a policy says so.
    pub max_session_seconds: Option<u32>,
    /// What who sits at the machine is asked or told before.
    pub consent: Option<ConsentRequest>,
    /// Who waits for it to open: what that person said.
    pub opened: Opener,
}

/// The actor of one session.
pub struct TunnelSession {
    pub(super) id: SessionId,
    pub(super) agent: AgentHandle,
    pub(super) owner: Caller,
    pub(super) db: Db,
    pub(super) settings: Arc<TunnelSettings>,
    pub(super) registry: Recipient<SessionEnded>,
    pub(super) state: SessionState,
    pub(super) channels: Channels,
    pub(super) terminals: Terminals,
    pub(super) recordings: Recordings,
    pub(super) recording_rules: RecordingRules,
    pub(super) recorders: HashMap<StreamId, Recorder>,
    pub(super) beginning: Vec<AuditId>,
    pub(super) opening: HashMap<ChannelId, OpeningTerminal>,
    pub(super) orders: MessageBudget,
    pub(super) kept: Vec<KeptTerminal>,
    pub(super) suspended: Option<Instant>,
    pub(super) left: Option<Vec<Unfinished>>,
    pub(super) viewers: HashMap<ViewerNumber, WatchingViewer>,
    pub(super) next_viewer: ViewerNumber,
    pub(super) starting: usize,
    pub(super) budget: MessageBudget,
    pub(super) rules: TunnelRules,
    pub(super) max_session_seconds: Option<u32>,
    pub(super) streams: Streams<Live>,
    pub(super) stream_budget: MessageBudget,
    pub(super) opened_at: DateTime<Utc>,
    pub(super) last_activity: Instant,
    pub(super) last_activity_at: DateTime<Utc>,
    pub(super) commit_unknown: bool,
    pub(super) close_audited: bool,
    pub(super) close_row: Option<NewAudit>,
    pub(super) closer: Option<Caller>,
    pub(super) closing: Vec<oneshot::Sender<()>>,
    pub(super) open_audit: AuditId,
    pub(super) opened: Option<Opener>,
    pub(super) asked: Option<ConsentRequest>,
    pub(super) consent: Option<ConsentOutcome>,
    pub(super) consent_written: bool,
    refusal: String,
    pub(super) token_version: i64,
    touched: Instant,
    timer: Option<SpawnHandle>,
}

impl TunnelSession {
    /// Prepares the actor; it writes its row when it starts.
    #[must_use]
    pub fn new(new: NewTunnel) -> Self {
        let now = Instant::now();
        let settings = new.settings;
        let budget =
            |per_minute: u32| MessageBudget::new(f64::from(per_minute) / 60.0, per_minute, now);
        Self {
            id: new.session_id,
            agent: new.agent,
            owner: new.owner,
            db: new.db,
            registry: new.registry,
            state: SessionState::default(),
            channels: Channels::new(settings.replay_bytes, settings.window_bytes),
            terminals: Terminals::new(settings.replay_bytes),
            recordings: new.recordings,
            recording_rules: new.recording,
            recorders: HashMap::new(),
            beginning: Vec::new(),
            opening: HashMap::new(),
            orders: MessageBudget::new(ORDERS_PER_SECOND, ORDERS, now),
            kept: Vec::new(),
            suspended: None,
            left: None,
            viewers: HashMap::new(),
            next_viewer: 0,
            starting: 0,
            budget: budget(settings.commands_per_minute),
            rules: new.rules,
            max_session_seconds: new.max_session_seconds,
            streams: Streams::new(settings.max_channels as usize),
            stream_budget: budget(settings.operations_per_minute),
            opened_at: audit::now(),
            last_activity: now,
            last_activity_at: audit::now(),
            commit_unknown: false,
            close_audited: false,
            close_row: None,
            closer: None,
            closing: Vec::new(),
            open_audit: AuditId::generate(),
            opened: Some(new.opened),
            asked: new.consent,
            consent: None,
            consent_written: false,
            refusal: String::new(),
            token_version: new.token_version,
            touched: now,
            timer: None,
            settings,
        }
    }

    pub(super) fn agent_name(&self) -> (gururmm_shared::AgentId, &str) {
        (self.agent.agent_id, &self.agent.hostname)
    }

    pub(super) fn note_activity(&mut self) {
        self.last_activity = Instant::now();
        self.last_activity_at = audit::now();
    }

    pub(super) fn send_to_agent(&self, message: ServerMessage) {
        self.agent.connection.do_send(ToConnection::Send {
            session_id: self.id,
            message,
        });
    }

    pub(super) fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for effect in self.state.on_event(event) {
            match effect {
                Effect::AskAgent => self.ask_agent(ctx),
                Effect::AnnounceReady => self.announce_ready(ctx),
                Effect::AwaitAgent => self.await_agent(ctx),
                Effect::GoOn => self.go_on(ctx),
                Effect::Leave => self.leave(ctx),
                Effect::TellAgentToClose(reason) => self.tell_agent_to_close(reason, ctx),
                Effect::WriteEnd(reason) => self.write_end(reason, ctx),
                Effect::Finish(reason) => self.finish(reason, ctx),
            }
        }
    }

    pub(super) fn start_timer(
        &mut self,
        patience: Duration,
        event: Event,
        ctx: &mut Context<Self>,
    ) {
        self.stop_timer(ctx);
        self.timer = Some(ctx.run_later(patience, move |act, ctx| act.step(event, ctx)));
    }

    pub(super) fn stop_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
    }

    fn tell_agent_to_close(&mut self, reason: CloseReason, ctx: &mut Context<Self>) {
        let caller = self.closer.as_ref().unwrap_or(&self.owner);
        let row = audit::close(caller, self.agent_name(), self.id, reason.name());
        self.close_row = Some(row.clone());
        let db = self.db.clone();
        let write = async move { crate::db::tunnel_audit::insert(&db, row).await };
        ctx.spawn(write.into_actor(self).map(move |written, act, ctx| {
            match written {
                Ok(()) => act.close_audited = true,
                // A close must not be held back by its audit: what runs on the machine would go on.
                // The row is written again with the session's end.
                Err(error) => {
                    tracing::error!(%error, session.id = %act.id, "a close could not be audited yet");
                }
            }
            act.send_to_agent(ServerMessage::TunnelClose(TunnelClose {
                session_id: act.id,
                reason: Some(reason.name().to_owned()),
            }));
            let patience = if act.agent.confirms_close {
                CLOSE_TIMEOUT
            } else {
                Duration::ZERO
            };
            act.start_timer(patience, Event::CloseTimedOut, ctx);
        }));
    }

    pub(super) fn refusal_text(&self) -> String {
        self.refusal.clone()
    }

    fn on_agent_data(&mut self, data: TunnelData, ctx: &mut Context<Self>) {
        self.note_activity();
        let channel_id = data.channel_id;
        match data.data {
            TunnelPayload::TerminalOutput(output) => {
                match self.channels.output(&channel_id, output) {
                    Ok((outgoing, ended)) => {
                        self.send_out(outgoing);
                        self.settle(ended.into_iter().collect());
                    }
                    Err(OutputError::UnknownChannel) => {
                        tracing::debug!(session.id = %self.id, channel = %channel_id, "output of no running channel");
                    }
                    Err(OutputError::Flow(error)) => self.reset(&channel_id, &error.to_string()),
                }
            }
            TunnelPayload::ProbeReply(probe) => self.deliver_probe(&channel_id, probe),
            word => self.on_channel_word(&channel_id, word, ctx),
        }
    }

    /// Takes what an agent says of a terminal, a stream or a request.
    fn on_channel_word(
        &mut self,
        channel_id: &ChannelId,
        word: TunnelPayload,
        ctx: &mut Context<Self>,
    ) {
        let is_terminal = self.is_terminal(channel_id);
        let understood = match word {
            TunnelPayload::Opened(opened) if is_terminal => {
                self.terminal_opened(channel_id, opened, ctx);
                true
            }
            TunnelPayload::Closed(closed) if is_terminal => {
                self.terminal_closed(channel_id, closed);
                true
            }
            other => self.on_stream_word(channel_id, other),
        };
        if !understood {
            tracing::debug!(session.id = %self.id, "a payload that agents do not send");
        }
    }

    /// A channel whose agent does not keep the protocol ends; the session goes on.
    fn reset(&mut self, channel_id: &ChannelId, error: &str) {
        tracing::warn!(session.id = %self.id, channel = %channel_id, error, "channel reset");
        self.send_to_agent(ServerMessage::TunnelData(TunnelData {
            channel_id: channel_id.clone(),
            data: TunnelPayload::Close,
        }));
        self.fail_channel(channel_id, error.to_owned());
    }

    fn fail_channel(&mut self, channel_id: &ChannelId, error: String) {
        if let Some((outgoing, ended)) = self.channels.fail(channel_id, error) {
            self.send_out(outgoing);
            self.settle(vec![ended]);
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.drop_stalled_viewers(now);
        let quiet = now.saturating_duration_since(self.last_activity);
        let idle = Duration::from_secs(self.settings.idle_timeout_seconds.into());
        if self.state.phase() == Phase::Ready
            && self.channels.running() + self.starting + self.streams.count() == 0
            && !self.somebody_is_at_a_terminal()
            && quiet >= idle
        {
            self.step(Event::Close(CloseReason::IdleTimeout), ctx);
            return;
        }
        if self.last_activity > self.touched && now.saturating_duration_since(self.touched) >= TOUCH
        {
            self.touched = now;
            let (db, touch) = (self.db.clone(), vec![(self.id, self.last_activity_at)]);
            let write = async move { tech_sessions::touch(&db, touch).await };
            ctx.spawn(write.into_actor(self).map(|written, act, _| {
                if let Err(error) = written {
                    tracing::warn!(%error, session.id = %act.id, "the last activity could not be written");
                }
            }));
        }
    }
}

impl Actor for TunnelSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if self.left.is_some() {
            self.await_agent(ctx);
        } else {
            self.write_row(ctx);
        }
        self.limit_length(ctx);
        ctx.run_interval(TICK, |act, ctx| act.tick(ctx));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.clean_up_after_fault();
    }
}

impl Handler<FromAgent> for TunnelSession {
    type Result = ();

    fn handle(&mut self, message: FromAgent, ctx: &mut Self::Context) {
        match message {
            FromAgent::Ready { consent } => {
                self.note_activity();
                self.on_ready(consent, ctx);
            }
            FromAgent::Closed { reason, consent } => {
                self.refusal = reason;
                self.on_left(consent, ctx);
            }
            FromAgent::Data(data) => self.on_agent_data(data, ctx),
            // An agent of the first generation has no other word for a refusal.
            FromAgent::Error(error) if self.state.phase() == Phase::Active => {
                self.refusal = error.error;
                self.step(Event::AgentLeft, ctx);
            }
            FromAgent::Error(error) => {
                self.note_activity();
                self.fail_stream(&error.channel_id, &error.error);
                self.terminal_failed(&error.channel_id, &error.error);
                self.fail_channel(&error.channel_id, error.error);
            }
            FromAgent::Frame(frame) => self.terminal_frame(frame),
            FromAgent::Gone => self.agent_gone(ctx),
            FromAgent::Forgotten => self.step(Event::AgentGone, ctx),
        }
    }
}

impl Handler<CloseSession> for TunnelSession {
    type Result = ResponseFuture<Result<(), SessionError>>;

    fn handle(&mut self, message: CloseSession, ctx: &mut Self::Context) -> Self::Result {
        let by_somebody = message.caller.is_some();
        let open = matches!(
            self.state.phase(),
            Phase::Opening | Phase::Active | Phase::Ready | Phase::Suspended
        );
        if by_somebody && !open {
            return Box::pin(std::future::ready(Err(SessionError::Closed)));
        }
        let (sender, done) = oneshot::channel();
        self.closing.push(sender);
        if message.reason == CloseReason::ServerStopped && self.outlives_the_server() {
            self.step(Event::ServerStops, ctx);
        } else if open {
            self.closer = message.caller;
            self.step(Event::Close(message.reason), ctx);
        }
        // Not a future of the actor's: it is answered when the actor has stopped.
        Box::pin(async move {
            drop(done.await);
            Ok(())
        })
    }
}

impl Handler<GetSession> for TunnelSession {
    type Result = MessageResult<GetSession>;

    fn handle(&mut self, _: GetSession, _: &mut Self::Context) -> Self::Result {
        MessageResult(SessionView {
            status: self.state.status(),
            last_activity: self.last_activity_at,
            channels: {
                let mut channels = self.channels.summaries();
                channels.extend(self.terminals.summaries());
                channels
            },
        })
    }
}
