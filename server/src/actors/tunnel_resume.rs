//! How a session outlives the loss of its agent's connection, where `tunnel.resume_grace_seconds` lets it:
//! it waits, and goes on over the next connection from where both sides are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::future::join_all;
use gururmm_shared::{
    AuditId, CAPABILITY_RESUME, CommandId, KeptTerminal, ServerMessage, StreamId, StreamMessage,
    StreamPosition, Suspended, TerminalSize, TunnelClose, TunnelResume, close_code,
};
use tokio::sync::oneshot;

use super::connection_messages::{AgentHandle, LastSeen, StreamRoute, ToConnection};
use super::session_messages::{
    AgentBack, LeftOpen, SessionEnded, SessionError, ToViewer, Unfinished,
};
use super::tunnel::{NewTunnel, TunnelSession};
use super::tunnel_recordings::begin;
use super::tunnel_terminals::PROGRAM_CHARS;
use crate::config::TunnelSettings;
use crate::db::Db;
use crate::domain::channels::Ended;
use crate::domain::session_state::{Event, Phase, SessionState};
use crate::domain::terminal::{KEPT_INPUT_BYTES, NewTerminal, is_size};
use crate::domain::terminals::TerminalStep;
use crate::domain::text::tame;
use crate::services::recordings::{NewRecording, Recorder, Recordings};

/// What came of beginning the recordings of terminals that go on, by their streams.
type Begun = HashMap<StreamId, Result<Option<Recorder>, String>>;

/// The connection of an agent that has not come back yet.
struct Absent;

impl Actor for Absent {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Absent {
    type Result = ();

    fn handle(&mut self, _: ToConnection, _: &mut Self::Context) {}
}

impl TunnelSession {
    /// A session of an earlier run of the server, which waits for its agent.
    pub(super) fn left_open(
        left: LeftOpen,
        db: Db,
        recordings: Recordings,
        settings: Arc<TunnelSettings>,
        registry: Recipient<SessionEnded>,
    ) -> Self {
        let connection = Absent.start().recipient();
        let seen = LastSeen::new(Instant::now());
        let mut agent = AgentHandle::new(left.agent_id, left.hostname, connection, seen);
        // Only of such an agent a session is left open.
        agent.capabilities = Arc::new([CAPABILITY_RESUME.to_owned()].into());
        let (opened, _) = oneshot::channel();
        let new = NewTunnel {
            session_id: left.session_id,
            agent,
            owner: left.owner,
            db,
            recordings,
            settings,
            registry,
            token_version: 0,
            rules: left.rules,
            recording: left.recording,
            max_session_seconds: left.max_session_seconds,
            consent: None,
            opened,
        };
        let mut session = Self::new(new);
        session.state = SessionState::left_open();
        session.left = Some(left.unfinished);
        session.opened_at = left.opened_at;
        session.opened = None;
        session
    }

    /// Whether the next run of the server may go on with the session.
    pub(super) fn outlives_the_server(&self) -> bool {
        self.grace().is_some() && matches!(self.state.phase(), Phase::Ready | Phase::Suspended)
    }

    /// Stops with the server: the agent keeps what it has until the next one is there.
    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(session.id = %self.id, "a tunnel is left open for the server's next start");
        // Their rows are completed at the next start.
        self.end_streams("interrupted");
        // The next start begins new ones.
        self.recorders.clear();
        for (_, viewer) in self.viewers.drain() {
            viewer.socket.do_send(ToViewer::Close {
                code: close_code::GOING_AWAY,
                reason: "the server stops",
            });
        }
        self.agent.connection.do_send(ToConnection::Detach {
            session_id: self.id,
        });
        self.registry.do_send(SessionEnded {
            session_id: self.id,
            agent_id: self.agent.agent_id,
            // It goes on with the server's next start.
            status: "ready",
        });
        for closer in self.closing.drain(..) {
            // Who no longer waits need not be told.
            let _ = closer.send(());
        }
        ctx.stop();
    }

    /// Takes over what the agent kept while there was no server; what it did not keep has ended.
    fn take_over(
        &mut self,
        unfinished: Vec<Unfinished>,
        kept: &[KeptTerminal],
        mut begun: Begun,
        ctx: &mut Context<Self>,
    ) -> (Vec<StreamPosition>, TerminalStep) {
        let (mut positions, mut step) = (Vec::new(), TerminalStep::default());
        for row in unfinished {
            let found = kept.iter().find(|one| is_of(&row, one));
            let (Some(one), Some(command_id)) = (found, row.command_id) else {
                step.ended.push(Ended {
                    audit_id: row.audit_id,
                    outcome: "interrupted",
                    exit_code: None,
                });
                continue;
            };
            let stream = one.position.stream;
            let recording = begun.remove(&stream).unwrap_or(Ok(None));
            let is_recorded = matches!(recording, Ok(Some(_)));
            let new = self.kept_terminal(one, (command_id, row.audit_id), is_recorded);
            let (position, told) = self.terminals.adopt(new, one);
            positions.push(position);
            step.add(told);
            match recording {
                Ok(Some(recorder)) => self.follow(stream, one.position.first, recorder, ctx),
                Ok(None) => {}
                Err(why) => {
                    let error = SessionError::NotRecorded(why);
                    step.add(self.terminals.cut_off(stream, &error.to_string()));
                }
            }
        }
        (positions, step)
    }

    fn kept_terminal(
        &self,
        one: &KeptTerminal,
        (command_id, audit_id): (CommandId, AuditId),
        is_recorded: bool,
    ) -> NewTerminal {
        NewTerminal {
            channel_id: one.channel_id.clone(),
            stream: one.position.stream,
            command_id,
            audit_id,
            program: tame(&one.program, PROGRAM_CHARS),
            size: size_of(one),
            window: self.terminal_window(is_recorded),
            input_window: one.position.limit,
            keep_input: KEPT_INPUT_BYTES,
            is_recorded,
        }
    }

    /// How long the session waits for its agent, where it does.
    pub(super) fn grace(&self) -> Option<Duration> {
        let seconds = self.settings.resume_grace_seconds;
        (seconds > 0 && self.agent.can(CAPABILITY_RESUME))
            .then(|| Duration::from_secs(seconds.into()))
    }

    pub(super) fn agent_gone(&mut self, ctx: &mut Context<Self>) {
        match (self.state.phase(), self.grace()) {
            // It was told before.
            (Phase::Suspended, _) => {}
            (Phase::Ready, Some(_)) => self.step(Event::AgentLost, ctx),
            _ => self.step(Event::AgentGone, ctx),
        }
    }

    pub(super) fn await_agent(&mut self, ctx: &mut Context<Self>) {
        let grace = self.grace().unwrap_or_default();
        tracing::info!(session.id = %self.id, agent.id = %self.agent.agent_id, "a tunnel waits for its agent");
        self.suspended = Some(Instant::now());
        self.start_timer(grace, Event::GraceOver, ctx);
        // The agent keeps terminals only.
        let (outgoing, ended) = self.channels.end_all("lost");
        self.send_out(outgoing);
        self.settle(ended);
        let ended = self.end_streams("lost");
        self.settle(ended);
        let opening: Vec<_> = self.opening.keys().cloned().collect();
        for channel_id in opening {
            self.give_up_opening(&channel_id, SessionError::Suspended, "lost");
        }
        self.forget_probes();
        self.terminals.suspend();
        let step = self.terminals.tell_all(&self.suspended_message());
        self.carry_out(step);
    }

    /// What viewers are told while the session waits.
    pub(super) fn suspended_message(&self) -> StreamMessage {
        let waited = self.suspended.map_or(0, |since| since.elapsed().as_secs());
        let waited = u32::try_from(waited).unwrap_or(u32::MAX);
        StreamMessage::Suspended(Suspended {
            grace_seconds: self.settings.resume_grace_seconds.saturating_sub(waited),
        })
    }

    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.stop_timer(ctx);
        self.suspended = None;
        self.note_activity();
        let kept = std::mem::take(&mut self.kept);
        if self.left.is_none() {
            let (streams, step) = self.terminals.resume(&kept);
            self.tell_agent_to_go_on(streams, step, ctx);
            return;
        }
        let begun = self.record_again(&kept);
        // Nothing is to come in between: the terminals are not there yet.
        ctx.wait(begun.into_actor(self).map(move |begun, act, ctx| {
            let unfinished = act.left.take().unwrap_or_default();
            let (streams, step) = act.take_over(unfinished, &kept, begun, ctx);
            act.tell_agent_to_go_on(streams, step, ctx);
        }));
    }

    /// Begins new recordings of the terminals that an agent kept while there was no server: the old ones
    /// ended with it, and what the agent sends again may not be in them.
    fn record_again(&self, kept: &[KeptTerminal]) -> impl Future<Output = Begun> + use<> {
        let unfinished = self.left.as_deref().unwrap_or_default();
        let goes_on = |one: &&KeptTerminal| unfinished.iter().any(|row| is_of(row, one));
        let beginning = kept.iter().filter(goes_on).map(|one| {
            let recording = NewRecording {
                size: size_of(one),
                program: tame(&one.program, PROGRAM_CHARS),
                ..self.new_recording(&one.channel_id, &self.owner)
            };
            let (stream, recordings) = (one.position.stream, self.recordings.clone());
            async move { (stream, begin(&recordings, recording).await) }
        });
        let beginning: Vec<_> = beginning.collect();
        async move { join_all(beginning).await.into_iter().collect() }
    }

    fn tell_agent_to_go_on(
        &mut self,
        streams: Vec<StreamPosition>,
        step: TerminalStep,
        ctx: &mut Context<Self>,
    ) {
        let tunnel = ctx.address().recipient();
        let session_id = self.id;
        let (channel_number, stream_number) = self.terminals.numbers();
        self.agent.count_from(channel_number, stream_number);
        let connection = self.agent.connection.clone();
        connection.do_send(ToConnection::Attach { session_id, tunnel });
        for (channel_id, stream) in self.terminals.routes() {
            connection.do_send(ToConnection::Claim {
                session_id,
                channel_id,
            });
            connection.do_send(ToConnection::Route {
                session_id,
                stream,
                route: StreamRoute::Session,
            });
        }
        tracing::info!(session.id = %session_id, agent.id = %self.agent.agent_id, terminals = streams.len(), "a tunnel goes on");
        metrics::counter!("gururmm_tunnels_resumed_total").increment(1);
        self.send_to_agent(ServerMessage::TunnelResume(TunnelResume {
            session_id,
            streams,
        }));
        self.carry_out(step);
        let step = self.terminals.tell_all(&StreamMessage::Resumed);
        self.carry_out(step);
    }
}

/// Whether a row of the audit is that of a terminal.
fn is_of(row: &Unfinished, one: &KeptTerminal) -> bool {
    row.channel_id.as_deref() == Some(one.channel_id.as_str())
}

fn size_of(one: &KeptTerminal) -> TerminalSize {
    if is_size(one.size) {
        one.size
    } else {
        TerminalSize::default()
    }
}

impl Handler<AgentBack> for TunnelSession {
    type Result = ();

    fn handle(&mut self, message: AgentBack, ctx: &mut Self::Context) {
        if self.state.phase() != Phase::Suspended {
            let close = ServerMessage::TunnelClose(TunnelClose {
                session_id: self.id,
                reason: Some("the session has ended".to_owned()),
            });
            let connection = &message.agent.connection;
            connection.do_send(ToConnection::Tell(Box::new(close)));
            return;
        }
        self.agent = message.agent;
        self.kept = message.terminals;
        self.step(Event::AgentBack, ctx);
    }
}
