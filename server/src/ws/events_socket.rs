//! A subscriber's WebSocket: passes on what the hub of events tells, as the socket takes it. What the
//! subscriber says is answered where it is `ping`, and else of no interest.

use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message, ProtocolError, WsResponseBuilder,
};
use gururmm_shared::close_code;

use super::frame_guard::{FrameGuard, GuardState, close_of};
use super::joined_text::{Joined, JoinedText};
use crate::actors::event_messages::{Attach, Left, SubscriberId, Taken, ToSubscriber};
use crate::actors::events::EventHub;
use crate::domain::message_budget::MessageBudget;

const PING_INTERVAL: Duration = Duration::from_secs(15);
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a peer may take to answer our close frame.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// Bytes of what a subscriber may say.
const FRAME_BYTES: usize = 1024;
/// Messages that a subscriber may say at once, and a second.
const MESSAGES: u32 = 20;
const MESSAGES_PER_SECOND: f64 = 2.0;
/// What a subscriber may ask, and what is answered.
const PING: &str = r#"{"type":"ping"}"#;
const PONG: &str = r#"{"type":"pong"}"#;

/// The actor of one subscriber's socket.
pub struct EventSubscriber {
    hub: Addr<EventHub>,
    id: SubscriberId,
    guard: GuardState,
    joined: JoinedText,
    budget: MessageBudget,
    last_seen: Instant,
    closing: bool,
}

/// Turns the request of an admitted subscriber into its socket.
///
/// # Errors
/// The request is no WebSocket handshake.
pub fn start(
    request: &HttpRequest,
    payload: web::Payload,
    hub: Addr<EventHub>,
    id: SubscriberId,
) -> Result<HttpResponse, actix_web::Error> {
    let guard = GuardState::new(FRAME_BYTES as u64);
    let subscriber = EventSubscriber {
        hub,
        id,
        guard: guard.clone(),
        joined: JoinedText::default(),
        budget: MessageBudget::new(MESSAGES_PER_SECOND, MESSAGES, Instant::now()),
        last_seen: Instant::now(),
        closing: false,
    };
    WsResponseBuilder::new(subscriber, request, FrameGuard::new(payload, guard))
        .frame_size(FRAME_BYTES)
        .start()
}

impl EventSubscriber {
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

    fn check_life(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        if self.last_seen.elapsed() >= IDLE_TIMEOUT {
            self.close(close_code::POLICY, "no sign of life", ctx);
        } else {
            ctx.ping(b"");
        }
    }

    fn on_message(&mut self, message: Message, ctx: &mut ws::WebsocketContext<Self>) {
        if !matches!(message, Message::Pong(_) | Message::Nop) && !self.budget.take(Instant::now())
        {
            return self.close(close_code::POLICY, "too many messages", ctx);
        }
        match message {
            Message::Ping(data) => ctx.pong(&data),
            Message::Pong(_) | Message::Nop => {}
            other => match self.joined.push(other) {
                Joined::Text(text) if text.trim() == PING => ctx.text(PONG),
                Joined::Text(_) | Joined::Binary(_) | Joined::Pending => {}
                Joined::NoUtf8 => self.close(close_code::INVALID_DATA, "not utf-8", ctx),
                Joined::Refused(violation) => {
                    self.close(violation.close_code(), violation.reason(), ctx);
                }
            },
        }
    }
}

impl Actor for EventSubscriber {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(PING_INTERVAL, Self::check_life);
        self.hub.do_send(Attach {
            id: self.id,
            socket: ctx.address().recipient(),
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.do_send(Left(self.id));
    }
}

impl Handler<ToSubscriber> for EventSubscriber {
    type Result = ();

    fn handle(&mut self, message: ToSubscriber, ctx: &mut Self::Context) {
        match message {
            _ if self.closing => {}
            ToSubscriber::Texts(texts) => {
                for text in texts {
                    ctx.text(text);
                }
                // This runs only while the socket takes data.
                self.hub.do_send(Taken(self.id));
            }
            ToSubscriber::Close { code, reason } => self.close(code, reason, ctx),
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for EventSubscriber {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.guard.frame_done();
        self.last_seen = Instant::now();
        match item {
            Ok(Message::Close(reason)) => {
                if !self.closing {
                    ctx.close(reason);
                }
                ctx.stop();
            }
            _ if self.closing => {}
            Ok(message) => self.on_message(message, ctx),
            Err(error) => {
                let violation = self.guard.violation();
                tracing::debug!(%error, ?violation, "a subscriber broke the protocol");
                let (code, reason) = close_of(violation, &error);
                self.close(code, reason, ctx);
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
