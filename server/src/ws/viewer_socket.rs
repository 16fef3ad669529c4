//! A viewer's stream: one browser or tool watching a session.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message, ProtocolError, WsResponseBuilder,
};
use bytes::Bytes;
use chrono::Utc;
use gururmm_shared::frame::MAX_FRAME_BYTES;
use gururmm_shared::{
    ErrorReply, Frame, FrameError, StreamId, StreamMessage, ViewerMessage, close_code,
};

use super::frame_guard::{FrameGuard, GuardState, close_of};
use super::joined_text::{Joined, JoinedText};
use crate::actors::session_messages::{AttachViewer, FromViewer, Onlooker, SessionError, ToViewer};
use crate::actors::tunnel::TunnelSession;
use crate::db::Db;
use crate::domain::frame_budget::FrameBudget;
use crate::domain::message_budget::MessageBudget;
use crate::domain::terminals::Watch;
use crate::domain::viewers::ViewerNumber;
use crate::services::warrants::Warrant;

const PING_INTERVAL: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How often it is asked whether the viewer may be there still: nobody else tells of who only watches.
const WARRANT_INTERVAL: Duration = Duration::from_secs(3);
/// How long a peer may take to answer our close frame.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// Streams whose frames are told apart; those of any more count as moving nothing.
const STREAMS: usize = 1024;
/// Messages that are answered with an error before the stream ends.
const TOLERATED_ERRORS: u32 = 10;

/// The actor of one viewer's socket.
pub struct TunnelViewer {
    db: Db,
    tunnel: Addr<TunnelSession>,
    visit: Visit,
    text_bytes: usize,
    number: Option<ViewerNumber>,
    guard: GuardState,
    joined: JoinedText,
    budget: MessageBudget,
    frames: FrameBudget,
    streams: HashSet<StreamId>,
    errors: u32,
    last_seen: Instant,
    closing: bool,
}

/// Who comes, and to see what.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The user.
    pub who: Onlooker,
    /// By what right they came.
    pub warrant: Warrant,
    /// From which offset on commands are shown.
    pub from: u64,
    /// How terminals are watched, where the second protocol is spoken.
    pub terminals: Option<Watch>,
}

/// Turns an admitted request into a viewer's stream.
///
/// # Errors
/// The request is no WebSocket handshake.
pub fn start(
    request: &HttpRequest,
    payload: web::Payload,
    (db, tunnel): (Db, Addr<TunnelSession>),
    visit: Visit,
    message_bytes: u32,
) -> Result<HttpResponse, actix_web::Error> {
    let text_bytes = message_bytes as usize;
    let mut frame_bytes = text_bytes;
    if visit.terminals.is_some() {
        frame_bytes = frame_bytes.max(MAX_FRAME_BYTES);
    }
    let guard = GuardState::new(frame_bytes as u64);
    if visit.terminals.is_some() {
        guard.allow_binary();
    }
    let viewer = TunnelViewer {
        db,
        tunnel,
        visit,
        text_bytes,
        number: None,
        guard: guard.clone(),
        joined: JoinedText::default(),
        // A probe is sent when the last one has come back, so these are fast but one at a time.
        budget: MessageBudget::new(20_000.0, 20_000, Instant::now()),
        frames: FrameBudget::new(Instant::now()),
        streams: HashSet::new(),
        errors: 0,
        last_seen: Instant::now(),
        closing: false,
    };
    WsResponseBuilder::new(viewer, request, FrameGuard::new(payload, guard))
        .frame_size(frame_bytes)
        .start()
}

impl TunnelViewer {
    fn close(&mut self, code: u16, reason: &str, ctx: &mut ws::WebsocketContext<Self>) {
        if self.closing {
            return;
        }
        self.closing = true;
        let description = Some(reason.to_owned());
        ctx.close(Some(CloseReason {
            code: CloseCode::from(code),
            description,
        }));
        ctx.run_later(CLOSE_LINGER, |_, ctx| ctx.stop());
    }

    fn attach(&self, ctx: &mut ws::WebsocketContext<Self>) {
        let attach = AttachViewer {
            viewer: ctx.address().recipient(),
            from: self.visit.from,
            who: self.visit.who.clone(),
            terminals: self.visit.terminals.clone(),
        };
        let attached = self.tunnel.send(attach).into_actor(self);
        ctx.spawn(attached.map(|answer, act, ctx| match answer {
            Ok(Ok(())) => {}
            Ok(Err(SessionError::TooManyViewers(_))) => {
                act.close(close_code::POLICY, "too many viewers", ctx);
            }
            Ok(Err(_)) | Err(_) => act.close(close_code::NORMAL, "the session is closed", ctx),
        }));
    }

    /// Ends the stream of who has lost the right to it.
    fn check_warrant(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        let (db, warrant) = (self.db.clone(), self.visit.warrant.clone());
        let look = async move { warrant.holds(&db, Utc::now()).await };
        ctx.spawn(look.into_actor(self).map(|holds, act, ctx| {
            // A database that does not answer is no reason; it is asked again.
            if matches!(holds, Ok(false)) {
                act.close(close_code::POLICY, "access revoked", ctx);
            }
        }));
    }

    fn on_text(&mut self, text: &str, ctx: &mut ws::WebsocketContext<Self>) {
        if !self.budget.take(Instant::now()) {
            return self.close(close_code::POLICY, "too many messages", ctx);
        }
        if text.len() > self.text_bytes {
            return self.close(close_code::TOO_LARGE, "message too large", ctx);
        }
        match ViewerMessage::decode(text) {
            Ok(ViewerMessage::Ping) => ctx.text(StreamMessage::Pong.encode()),
            Ok(ViewerMessage::TunnelData(data)) => {
                if let Some(number) = self.number {
                    self.tunnel.do_send(FromViewer::Said(number, data));
                }
            }
            Ok(ViewerMessage::TakeSize(take)) if self.visit.terminals.is_some() => {
                if let Some(number) = self.number {
                    self.tunnel.do_send(FromViewer::TakeSize(number, take));
                }
            }
            Ok(ViewerMessage::TakeSize(_)) => {
                self.tolerate(
                    "unknown_type",
                    "protocol=2 knows that message".to_owned(),
                    ctx,
                );
            }
            Err(error) => self.tolerate(error.code(), error.to_string(), ctx),
        }
    }

    /// Answers what is wrong, so many times.
    fn tolerate(&mut self, code: &str, message: String, ctx: &mut ws::WebsocketContext<Self>) {
        self.errors += 1;
        if self.errors > TOLERATED_ERRORS {
            return self.close(close_code::POLICY, "too many bad messages", ctx);
        }
        let reply = ErrorReply {
            code: code.to_owned(),
            message,
        };
        ctx.text(StreamMessage::Error(reply).encode());
    }

    /// Hands a frame to the session; while that has no room nothing more is read from the viewer.
    fn on_binary(&mut self, bytes: Bytes, ctx: &mut ws::WebsocketContext<Self>) {
        if !self.budget.take(Instant::now()) {
            return self.close(close_code::POLICY, "too many frames", ctx);
        }
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(FrameError::TooLong(_)) => {
                return self.close(close_code::TOO_LARGE, "frame too long", ctx);
            }
            Err(error) => return self.tolerate("bad_frame", error.to_string(), ctx),
        };
        let stream = frame.stream();
        if self.streams.len() < STREAMS && self.streams.insert(stream) {
            self.frames.open(stream);
        }
        if !self.frames.take(&frame, Instant::now()) {
            return self.close(close_code::POLICY, "too many frames", ctx);
        }
        let Some(number) = self.number else { return };
        if let Err(SendError::Full(message)) =
            self.tunnel.try_send(FromViewer::Frame(number, frame))
        {
            let sent = self.tunnel.send(message).into_actor(self);
            ctx.wait(sent.map(|_, _, _| ()));
        }
    }

    /// This is called only while the socket takes data.
    fn give_back(&self, bytes: u64) {
        if let Some(number) = self.number {
            self.tunnel.do_send(FromViewer::Taken(number, bytes));
        }
    }

    fn check_life(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        if self.last_seen.elapsed() >= IDLE_TIMEOUT {
            self.close(close_code::POLICY, "no sign of life", ctx);
        } else {
            ctx.ping(b"");
        }
    }
}

impl Actor for TunnelViewer {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(PING_INTERVAL, Self::check_life);
        ctx.run_interval(WARRANT_INTERVAL, Self::check_warrant);
        self.attach(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(number) = self.number {
            self.tunnel.do_send(FromViewer::Gone(number));
        }
    }
}

impl Handler<ToViewer> for TunnelViewer {
    type Result = ();

    fn handle(&mut self, message: ToViewer, ctx: &mut Self::Context) {
        match message {
            // Also while closing: its number is what the goodbye needs.
            ToViewer::Attached(number) => self.number = Some(number),
            _ if self.closing => {}
            ToViewer::Text { text, bytes } => {
                ctx.text(text);
                // This runs only while the socket takes data, so here the credit goes back.
                if let Some(number) = self.number.filter(|_| bytes > 0) {
                    self.tunnel.do_send(FromViewer::Consumed(number, bytes));
                }
            }
            ToViewer::Word { text, bytes } => {
                ctx.text(text);
                self.give_back(bytes);
            }
            ToViewer::Frame { frame, bytes } => {
                ctx.binary(frame);
                self.give_back(bytes);
            }
            ToViewer::Close { code, reason } => self.close(code, reason, ctx),
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for TunnelViewer {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.guard.frame_done();
        self.last_seen = Instant::now();
        match item {
            _ if self.closing && !matches!(item, Ok(Message::Close(_))) => {}
            Ok(Message::Ping(data)) => {
                if self.budget.take(Instant::now()) {
                    ctx.pong(&data);
                } else {
                    self.close(close_code::POLICY, "too many pings", ctx);
                }
            }
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(reason)) => {
                if !self.closing {
                    ctx.close(reason);
                }
                ctx.stop();
            }
            Ok(frame) => match self.joined.push(frame) {
                Joined::Text(text) => self.on_text(&text, ctx),
                Joined::Binary(bytes) => self.on_binary(bytes, ctx),
                Joined::Pending => {}
                Joined::NoUtf8 => self.close(close_code::INVALID_DATA, "not utf-8", ctx),
                Joined::Refused(violation) => {
                    self.close(violation.close_code(), violation.reason(), ctx);
                }
            },
            Err(error) => {
                let violation = self.guard.violation();
                tracing::debug!(%error, ?violation, "a viewer broke the protocol");
                let (code, reason) = close_of(violation, &error);
                self.close(code, reason, ctx);
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
