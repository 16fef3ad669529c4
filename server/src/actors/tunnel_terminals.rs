//! A session's terminals: opened once their audit is committed, then bytes from socket to socket as
//! `domain::terminals` decides.

use std::time::Duration;

use actix::prelude::*;
use bytestring::ByteString;
use gururmm_shared::{
    AuditId, CAPABILITY_DATA_PLANE, CAPABILITY_TERMINAL, ChannelId, ChannelKind, Closed, CommandId,
    ErrorCode, Frame, OpenChannel, Opened, OperationError, ServerMessage, StreamId, TakeSize,
    TerminalOptions, TunnelData, TunnelPayload,
};
use tokio::sync::oneshot;

use super::connection_messages::{StreamRoute, ToConnection};
use super::session_messages::{OpenTerminal, SessionError, TerminalStarted, ToViewer};
use super::tunnel::TunnelSession;
use super::tunnel_recordings::begin;
use crate::db::tunnel_audit::NewAudit;
use crate::db::{Db, tunnel_audit};
use crate::domain::channels::Ended;
use crate::domain::session_state::Phase;
use crate::domain::streams::check_channel;
use crate::domain::terminal::{KEPT_INPUT_BYTES, NewTerminal};
use crate::domain::terminals::{TerminalStep, ToAgent, Word};
use crate::domain::text::tame;
use crate::domain::viewers::ViewerNumber;
use crate::services::audit;
use crate::services::recordings::{NewRecording, Recorder, Recordings};

/// Characters of a program's name, as an agent tells it.
pub(super) const PROGRAM_CHARS: usize = 500;

/// A terminal that the agent was asked for.
pub(super) struct OpeningTerminal {
    stream: StreamId,
    command_id: CommandId,
    audit_id: AuditId,
    options: TerminalOptions,
    recorder: Option<Recorder>,
    answer: oneshot::Sender<Result<TerminalStarted, SessionError>>,
}

impl TunnelSession {
    /// Whether another channel may be opened, for something that the agent can do if it says so.
    fn admit_terminal(&mut self, options: &TerminalOptions) -> Result<(), SessionError> {
        match self.state.phase() {
            Phase::Ready => {}
            Phase::Suspended => return Err(SessionError::Suspended),
            _ => return Err(SessionError::Closed),
        }
        if !(self.agent.can(CAPABILITY_DATA_PLANE) && self.agent.can(CAPABILITY_TERMINAL)) {
            return Err(SessionError::AgentCannot);
        }
        let kind = ChannelKind::Terminal(options.clone());
        check_channel(&self.rules, &kind)?;
        let most = self.settings.max_channels as usize;
        if self.open_terminals() + self.starting + self.streams.count() >= most {
            return Err(SessionError::TooManyChannels(most));
        }
        if !self.budget.take(std::time::Instant::now()) {
            return Err(SessionError::TooFast(self.settings.commands_per_minute));
        }
        Ok(())
    }

    /// Terminals that are open or being opened.
    pub(super) fn open_terminals(&self) -> usize {
        self.terminals.open() + self.opening.len()
    }

    /// Whether a terminal runs that somebody looks at: such a session does not lie still.
    pub(super) fn somebody_is_at_a_terminal(&self) -> bool {
        self.terminals.are_running() && self.viewers.values().any(|viewer| viewer.terminals)
    }

    /// Asks the agent for a terminal whose audit is written and whose recording has begun, where it has one.
    fn go_ahead(
        &mut self,
        channel_id: ChannelId,
        asked: OpeningTerminal,
        begun: Result<Option<Recorder>, SessionError>,
        ctx: &mut Context<Self>,
    ) -> Result<(), SessionError> {
        let ended = |outcome| Ended {
            audit_id: asked.audit_id,
            outcome,
            exit_code: None,
        };
        if let Err(SessionError::NotRecorded(_)) = &begun {
            self.settle(vec![ended("refused")]);
        }
        let recorder = begun?;
        if self.state.phase() != Phase::Ready {
            self.settle(vec![ended("cancelled")]);
            return Err(SessionError::Closed);
        }
        let asked = OpeningTerminal { recorder, ..asked };
        self.ask_for_terminal(channel_id, asked, ctx);
        Ok(())
    }

    fn ask_for_terminal(
        &mut self,
        channel_id: ChannelId,
        asked: OpeningTerminal,
        ctx: &mut Context<Self>,
    ) {
        let open = OpenChannel {
            session_id: self.id,
            stream: asked.stream,
            window: self.terminal_window(asked.recorder.is_some()),
            kind: ChannelKind::Terminal(asked.options.clone()),
            lane: None,
        };
        self.agent.connection.do_send(ToConnection::Route {
            session_id: self.id,
            stream: asked.stream,
            route: StreamRoute::Session,
        });
        self.send_to_agent(ServerMessage::TunnelData(TunnelData {
            channel_id: channel_id.clone(),
            data: TunnelPayload::Open(Box::new(open)),
        }));
        self.opening.insert(channel_id.clone(), asked);
        let patience = Duration::from_secs(self.settings.open_timeout_seconds.into());
        ctx.run_later(patience, move |act, _| {
            let seconds = act.settings.open_timeout_seconds;
            let error = SessionError::NotAnswered(seconds);
            if act.give_up_opening(&channel_id, error, "timed_out") {
                act.send_to_agent(ServerMessage::TunnelData(TunnelData {
                    channel_id,
                    data: TunnelPayload::Close,
                }));
            }
        });
    }

    /// Ends a terminal that did not open; false where it has opened or failed before.
    pub(super) fn give_up_opening(
        &mut self,
        channel_id: &ChannelId,
        error: SessionError,
        outcome: &'static str,
    ) -> bool {
        let Some(asked) = self.opening.remove(channel_id) else {
            return false;
        };
        self.agent.connection.do_send(ToConnection::Unroute {
            stream: asked.stream,
        });
        self.settle(vec![Ended {
            audit_id: asked.audit_id,
            outcome,
            exit_code: None,
        }]);
        // Who no longer waits need not be told.
        let _ = asked.answer.send(Err(error));
        true
    }

    pub(super) fn terminal_opened(
        &mut self,
        channel_id: &ChannelId,
        opened: Opened,
        ctx: &mut Context<Self>,
    ) {
        let Some(asked) = self.opening.remove(channel_id) else {
            tracing::debug!(session.id = %self.id, channel = %channel_id, "a channel that nobody asked for is open");
            return;
        };
        let named = opened.program.as_deref().or(asked.options.shell.as_deref());
        let program = tame(named.unwrap_or("shell"), PROGRAM_CHARS);
        let new = NewTerminal {
            channel_id: channel_id.clone(),
            stream: asked.stream,
            command_id: asked.command_id,
            audit_id: asked.audit_id,
            program: program.clone(),
            size: asked.options.size,
            window: self.terminal_window(asked.recorder.is_some()),
            input_window: opened.window,
            keep_input: self.grace().map_or(0, |_| KEPT_INPUT_BYTES),
            is_recorded: asked.recorder.is_some(),
        };
        if let Some(recorder) = asked.recorder {
            self.follow(asked.stream, 0, recorder, ctx);
        }
        let step = self.terminals.opened(new);
        self.carry_out(step);
        metrics::counter!("gururmm_tunnel_terminals_total").increment(1);
        let started = TerminalStarted {
            channel_id: channel_id.clone(),
            stream: asked.stream,
            command_id: asked.command_id,
            program,
            size: asked.options.size,
        };
        // It is open even if the one who asked has gone: the viewers know it.
        let _ = asked.answer.send(Ok(started));
    }

    pub(super) fn terminal_closed(&mut self, channel_id: &ChannelId, mut closed: Closed) {
        if let Some(error) = &mut closed.error {
            error.message = tame(&error.message, PROGRAM_CHARS);
        }
        if self.opening.contains_key(channel_id) {
            let error = closed.error.unwrap_or_else(|| {
                OperationError::new(ErrorCode::Failed, "the terminal ended before it was open")
            });
            let outcome = match error.code {
                ErrorCode::NotAllowed => "refused",
                _ => "failed",
            };
            self.give_up_opening(channel_id, SessionError::Refused(error), outcome);
        } else if let Some(step) = self.terminals.closed(channel_id, closed) {
            self.carry_out(step);
        }
    }

    /// Whether a channel is a terminal's.
    pub(super) fn is_terminal(&self, channel_id: &ChannelId) -> bool {
        self.opening.contains_key(channel_id) || self.terminals.has(channel_id)
    }

    /// The agent says of a channel that it failed.
    pub(super) fn terminal_failed(&mut self, channel_id: &ChannelId, why: &str) {
        if self.is_terminal(channel_id) {
            let error = OperationError::new(ErrorCode::Failed, why);
            self.terminal_closed(channel_id, Closed::failed(error));
        }
    }

    pub(super) fn terminal_frame(&mut self, frame: Frame) {
        if matches!(frame, Frame::Data { .. }) {
            self.note_activity();
        }
        let step = self.terminals.from_agent(frame);
        self.carry_out(step);
    }

    pub(super) fn viewer_frame(&mut self, number: ViewerNumber, frame: Frame) {
        if !matches!(self.state.phase(), Phase::Ready | Phase::Suspended) {
            return;
        }
        if matches!(frame, Frame::Data { .. }) {
            self.note_activity();
        }
        let step = self.terminals.from_viewer(number, frame);
        self.carry_out(step);
    }

    pub(super) fn viewer_takes_size(&mut self, number: ViewerNumber, take: TakeSize) {
        let open = matches!(self.state.phase(), Phase::Ready | Phase::Suspended);
        if open && self.admit_order(number) {
            let step = self
                .terminals
                .resize(number, &take.channel_id, take.size, true);
            self.carry_out(step);
        }
    }

    /// Takes what a viewer says of a terminal.
    pub(super) fn viewer_order(&mut self, number: ViewerNumber, data: TunnelData) {
        if !self.admit_order(number) {
            return;
        }
        let step = match data.data {
            TunnelPayload::Resize(size) => {
                self.terminals.resize(number, &data.channel_id, size, false)
            }
            _ => self.terminals.order(number, data),
        };
        self.carry_out(step);
    }

    /// The agent's connection has no bound for what is not data.
    fn admit_order(&mut self, number: ViewerNumber) -> bool {
        let admitted = self.orders.take(std::time::Instant::now());
        if !admitted {
            self.refuse(number, "too_fast", "sizes and signals come too fast");
        }
        admitted
    }

    /// Does what a step of the terminals asks for.
    pub(super) fn carry_out(&mut self, step: TerminalStep) {
        for (stream, seen) in step.seen {
            self.record(stream, seen);
        }
        for delivery in step.deliveries {
            let Some(viewer) = self.viewers.get(&delivery.viewer) else {
                continue;
            };
            let bytes = delivery.bytes;
            viewer.socket.do_send(match delivery.word {
                Word::Frame(frame) => ToViewer::Frame { frame, bytes },
                Word::Message(message) => {
                    let text = ByteString::from(message.encode());
                    ToViewer::Word { text, bytes }
                }
            });
        }
        for word in step.to_agent {
            match word {
                ToAgent::Frame(frame) => {
                    let frame = ToConnection::Frame(frame.encode());
                    self.agent.connection.do_send(frame);
                }
                ToAgent::Data(data) => self.send_to_agent(ServerMessage::TunnelData(data)),
                ToAgent::Over(stream) => {
                    self.finish_recording(stream);
                    self.agent
                        .connection
                        .do_send(ToConnection::Unroute { stream });
                }
            }
        }
        self.settle(step.ended);
    }

    /// Ends all terminals with the session; answers what the audit has to note of them.
    pub(super) fn end_terminals(&mut self, outcome: &'static str) -> Vec<Ended> {
        // What the session's end cuts off ends as interrupted.
        self.recorders.clear();
        let mut step = self.terminals.end_all(outcome);
        let mut ended = std::mem::take(&mut step.ended);
        self.carry_out(step);
        for (_, asked) in self.opening.drain() {
            ended.push(Ended {
                audit_id: asked.audit_id,
                outcome,
                exit_code: None,
            });
            let _ = asked.answer.send(Err(SessionError::Closed));
        }
        ended.extend(self.beginning.drain(..).map(|audit_id| Ended {
            audit_id,
            outcome,
            exit_code: None,
        }));
        ended
    }
}

/// Writes the audit of what is asked for, then begins the recording: one without a terminal is one that
/// was refused.
async fn prepare(
    db: &Db,
    row: NewAudit,
    recordings: &Recordings,
    recording: NewRecording,
) -> Result<Option<Recorder>, SessionError> {
    let session_id = recording.session_id;
    if let Err(error) = tunnel_audit::insert(db, row).await {
        tracing::error!(%error, session.id = %session_id, "a terminal could not be audited and was refused");
        return Err(SessionError::AuditUnavailable);
    }
    let begun = begin(recordings, recording).await;
    begun.map_err(SessionError::NotRecorded)
}

/// What was asked for, as the audit writes it: names of variables, never their values.
fn describe(options: &TerminalOptions) -> String {
    let names: Vec<&String> = options.environment.keys().collect();
    serde_json::json!({
        "shell": options.shell,
        "arguments": options.arguments,
        "environment": names,
        "working_directory": options.working_directory,
        "cols": options.size.cols,
        "rows": options.size.rows,
        "term": options.term,
    })
    .to_string()
}

impl Handler<OpenTerminal> for TunnelSession {
    type Result = ResponseActFuture<Self, Result<TerminalStarted, SessionError>>;

    fn handle(&mut self, message: OpenTerminal, _: &mut Self::Context) -> Self::Result {
        if let Err(error) = self.admit_terminal(&message.options) {
            return Box::pin(fut::ready(Err(error)));
        }
        self.note_activity();
        self.starting += 1;
        let command_id = CommandId::generate();
        let channel_id = self.agent.next_channel();
        let described = describe(&message.options);
        let about = (command_id, &channel_id, described.as_str());
        let row = audit::terminal(&message.caller, self.agent_name(), self.id, about);
        let audit_id = row.id;
        let (answer, opened) = oneshot::channel();
        let asked = OpeningTerminal {
            stream: self.agent.next_stream(),
            command_id,
            audit_id,
            options: message.options,
            recorder: None,
            answer,
        };
        let recording = NewRecording {
            size: asked.options.size,
            term: asked.options.term.clone(),
            program: asked.options.shell.clone().unwrap_or_default(),
            ..self.new_recording(&channel_id, &message.caller)
        };
        let (db, recordings) = (self.db.clone(), self.recordings.clone());
        self.beginning.push(audit_id);
        let begun = async move { prepare(&db, row, &recordings, recording).await };
        let asking = begun.into_actor(self).map(move |begun, act, ctx| {
            act.starting -= 1;
            act.beginning.retain(|one| *one != audit_id);
            act.go_ahead(channel_id, asked, begun, ctx)
        });
        Box::pin(asking.then(move |asked, act, _| {
            async move {
                asked?;
                opened.await.unwrap_or(Err(SessionError::Closed))
            }
            .into_actor(act)
        }))
    }
}
