//! An agent's connection: its frames, authentication and liveness.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message, ProtocolError, WsResponseBuilder,
};
use gururmm_shared::{
    AgentId, AgentMessage, AuthAck, DecodeError, ErrorReply, ServerMessage, close_code,
};

use super::agent_auth::{Denied, Registered, authenticate, config_of};
use super::agent_routes::AgentRoutes;
use super::frame_guard::{FrameGuard, GuardState, close_of};
use super::joined_text::{Joined, JoinedText};
use crate::actors::command_messages::AgentUp;
use crate::actors::commands::CommandDispatcher;
use crate::actors::connection_messages::{LastSeen, ToConnection};
use crate::actors::event_messages::Happened;
use crate::actors::lanes::Lanes;
use crate::actors::metrics_writer::MetricsWriter;
use crate::actors::registry::AgentRegistry;
use crate::actors::registry_messages::{Generation, Unregister};
use crate::actors::update_messages::AgentCame;
use crate::config::AgentSettings;
use crate::db::{Db, DbError, agents, approvals};
use crate::domain::message_budget::MessageBudget;
use crate::services::agent_budgets::AgentBudgets;
use crate::services::audit_limits::AuditLimits;
use crate::services::copies::Copies;
use crate::services::enrollment_limits::EnrollmentLimits;
use crate::services::inventory::InventoryDesk;

/// A first message has at most so many bytes: until then anybody may be at the other end.
const AUTH_BYTES: u64 = 16 * 1024;
/// How long a peer may take to answer our close frame.
const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// How often an agent that waits for approval is looked up.
const APPROVAL_CHECK: Duration = Duration::from_secs(2);
/// Messages that make no sense: so many at once, and one more in so many seconds.
const BAD_MESSAGES: u32 = 10;
const BAD_MESSAGE_SECONDS: f64 = 10.0;

/// What a connection needs of the server.
#[derive(Clone)]
pub struct AgentGateway {
    /// The database.
    pub db: Db,
    /// Who is connected.
    pub registry: Addr<AgentRegistry>,
    /// Where reports go.
    pub writer: Addr<MetricsWriter>,
    /// Where commands come from and their ends go.
    pub commands: Addr<CommandDispatcher>,
    /// Who is told of new agents.
    pub events: Recipient<Happened>,
    /// Who is told who came, and with which version.
    pub updates: Recipient<AgentCame>,
    /// Time-outs and rates.
    pub settings: Arc<AgentSettings>,
    /// Who may come in how often.
    pub doors: Arc<EnrollmentLimits>,
    /// Who came with which key.
    pub copies: Arc<Copies>,
    /// How much agents may tell.
    pub budgets: Arc<AgentBudgets>,
    /// How many refusals are written down.
    pub audit_limits: Arc<AuditLimits>,
    /// Inventories on their way into the database.
    pub inventories: InventoryDesk,
    /// Lanes that agents are offered.
    pub lanes: Arc<Lanes>,
    /// A message's limit.
    pub message_bytes: u32,
}

enum Phase {
    Waiting,
    /// Known, but a person has to let it in: it is kept on the line and nothing it says counts.
    Pending,
    Live {
        agent_id: AgentId,
    },
    Closing,
}

/// The actor of one agent's WebSocket.
pub struct AgentConnection {
    pub(super) gateway: AgentGateway,
    from: IpAddr,
    phase: Phase,
    registered: Option<(AgentId, Generation)>,
    guard: GuardState,
    joined: JoinedText,
    pub(super) budget: MessageBudget,
    pub(super) patience: MessageBudget,
    last_seen: LastSeen,
    last_message: Instant,
    pub(super) routes: AgentRoutes,
}

/// Turns a request into an agent's connection.
///
/// # Errors
/// The request is no WebSocket handshake.
pub fn start(
    request: &HttpRequest,
    payload: web::Payload,
    gateway: AgentGateway,
    from: IpAddr,
) -> Result<HttpResponse, actix_web::Error> {
    let now = Instant::now();
    let guard = GuardState::new(AUTH_BYTES);
    let frame_size = gateway.message_bytes as usize;
    let connection = AgentConnection {
        from,
        phase: Phase::Waiting,
        registered: None,
        guard: guard.clone(),
        joined: JoinedText::default(),
        budget: MessageBudget::new(
            gateway.settings.messages_per_second.into(),
            gateway.settings.message_burst,
            now,
        ),
        patience: MessageBudget::new(1.0 / BAD_MESSAGE_SECONDS, BAD_MESSAGES, now),
        last_seen: LastSeen::new(now),
        last_message: now,
        routes: AgentRoutes::new(now),
        gateway,
    };
    WsResponseBuilder::new(connection, request, FrameGuard::new(payload, guard))
        .frame_size(frame_size)
        .start()
}

pub(super) type SocketContext = ws::WebsocketContext<AgentConnection>;

impl AgentConnection {
    pub(super) fn send(message: &ServerMessage, ctx: &mut SocketContext) {
        ctx.text(message.encode());
    }

    pub(super) fn send_error(code: &str, message: String, ctx: &mut SocketContext) {
        let reply = ErrorReply {
            code: code.to_owned(),
            message,
        };
        Self::send(&ServerMessage::Error(reply), ctx);
    }

    pub(super) fn close(&mut self, code: u16, reason: &str, ctx: &mut SocketContext) {
        if matches!(self.phase, Phase::Closing) {
            return;
        }
        self.unregister();
        self.phase = Phase::Closing;
        let description = Some(reason.to_owned());
        ctx.close(Some(CloseReason {
            code: CloseCode::from(code),
            description,
        }));
        ctx.run_later(CLOSE_LINGER, |_, ctx| ctx.stop());
    }

    /// Says goodbye to the registry, once; it tells the sessions.
    fn unregister(&mut self) {
        if let Some((agent_id, generation)) = self.registered.take() {
            self.gateway.registry.do_send(Unregister {
                agent_id,
                generation,
            });
            tracing::info!("agent disconnected");
        }
    }

    fn on_text(&mut self, text: &str, ctx: &mut SocketContext) {
        self.last_message = Instant::now();
        match self.phase {
            Phase::Waiting => self.on_first(text, ctx),
            Phase::Live { agent_id } => self.on_live_text(agent_id, text, ctx),
            Phase::Pending => {
                if !self.budget.take(Instant::now()) {
                    self.close(close_code::POLICY, "too many messages", ctx);
                }
            }
            Phase::Closing => {}
        }
    }

    fn on_first(&mut self, text: &str, ctx: &mut SocketContext) {
        let auth = match AgentMessage::decode(text) {
            Ok(AgentMessage::Auth(auth)) => auth,
            Ok(_) | Err(DecodeError::UnknownType(_)) => {
                let hint = "the first message must be auth".to_owned();
                Self::send_error("auth_required", hint, ctx);
                return self.close(close_code::POLICY, "auth required", ctx);
            }
            Err(error) => {
                Self::send_error("bad_auth", error.to_string(), ctx);
                return self.close(close_code::POLICY, "bad auth", ctx);
            }
        };
        let connection = ctx.address().recipient();
        let registering = authenticate(
            self.gateway.clone(),
            auth,
            self.from,
            connection,
            self.last_seen.clone(),
        );
        // Nothing else is read until it is known who is there.
        ctx.wait(
            registering
                .into_actor(self)
                .map(|result, act, ctx| match result {
                    Ok(registered) => act.go_live(registered, ctx),
                    Err(Denied::Stopping) => {
                        act.close(close_code::GOING_AWAY, "the server stops", ctx);
                    }
                    Err(Denied::Refused(refused)) => {
                        metrics::counter!("gururmm_agents_refused_total", "code" => refused.code())
                            .increment(1);
                        tracing::warn!(code = refused.code(), "an agent was refused: {refused}");
                        Self::send_error(refused.code(), refused.to_string(), ctx);
                        act.close(close_code::POLICY, refused.code(), ctx);
                    }
                }),
        );
    }

    fn go_live(&mut self, registered: Registered, ctx: &mut SocketContext) {
        let Registered {
            agent_id,
            generation,
            ack,
            commands,
            version,
        } = registered;
        let Some(generation) = generation else {
            return self.wait_for_approval(agent_id, &ack, ctx);
        };
        self.registered = Some((agent_id, generation));
        if matches!(self.phase, Phase::Closing) {
            return self.unregister();
        }
        self.phase = Phase::Live { agent_id };
        self.guard.set_limit(self.gateway.message_bytes.into());
        if commands.data_plane {
            self.guard.allow_binary();
        }
        tracing::Span::current().record("agent.id", tracing::field::display(agent_id));
        tracing::info!(generation, "agent connected");
        // At once: it holds the agent's key, and the agent counts as online already.
        let config = config_of(self.gateway.db.clone(), agent_id, ack.protocol);
        Self::send(&ServerMessage::AuthAck(ack), ctx);
        let up = AgentUp {
            agent_id,
            generation,
            connection: ctx.address().recipient(),
            journal: commands.journal,
            cancels: commands.cancels,
            environment: commands.environment,
            in_flight: commands.in_flight,
        };
        // Commands come after the rules that say which of them may run.
        ctx.wait(config.into_actor(self).map(move |config, act, ctx| {
            if !config.is_empty() {
                Self::send(&ServerMessage::ConfigUpdate(config), ctx);
            }
            act.gateway.commands.do_send(up);
            act.gateway.updates.do_send(AgentCame { agent_id, version });
        }));
    }

    fn wait_for_approval(&mut self, agent_id: AgentId, ack: &AuthAck, ctx: &mut SocketContext) {
        if matches!(self.phase, Phase::Closing) {
            return;
        }
        self.phase = Phase::Pending;
        Self::send(&ServerMessage::AuthAck(ack.clone()), ctx);
        ctx.run_interval(APPROVAL_CHECK, move |act, ctx| {
            if !matches!(act.phase, Phase::Pending) {
                return;
            }
            let db = act.gateway.db.clone();
            let look = async move {
                if approvals::is_waiting(&db, agent_id).await? {
                    return Ok(None);
                }
                agents::by_id(&db, agent_id)
                    .await
                    .map(|agent| Some(agent.is_some()))
            };
            ctx.spawn(look.into_actor(act).map(
                |found: Result<_, DbError>, act, ctx| match found {
                    Ok(None) => {}
                    // It comes back, and is let in like any other.
                    Ok(Some(true)) => act.close(close_code::GOING_AWAY, "approved", ctx),
                    Ok(Some(false)) => act.close(close_code::IDENTITY_REVOKED, "rejected", ctx),
                    Err(error) => tracing::warn!(%error, "an approval cannot be looked up"),
                },
            ));
        });
    }

    fn check_life(&mut self, ctx: &mut SocketContext) {
        let idle = Duration::from_secs(self.gateway.settings.idle_timeout_seconds.into());
        let interval = Duration::from_secs(self.gateway.settings.ping_interval_seconds.into());
        let quiet = self.last_message.elapsed();
        if self.last_seen.age(Instant::now()) >= idle {
            self.close(close_code::POLICY, "no sign of life", ctx);
        } else if matches!(self.phase, Phase::Live { .. }) {
            ctx.ping(b"");
            if quiet >= interval {
                // Its library answers the frame; this asks the agent itself.
                Self::send(&ServerMessage::Ping, ctx);
            }
        }
    }
}

impl Actor for AgentConnection {
    type Context = SocketContext;

    fn started(&mut self, ctx: &mut Self::Context) {
        let patience = Duration::from_secs(self.gateway.settings.auth_timeout_seconds.into());
        ctx.run_later(patience, |act, ctx| {
            if matches!(act.phase, Phase::Waiting) {
                Self::send_error("auth_required", "no auth in time".to_owned(), ctx);
                act.close(close_code::POLICY, "auth timeout", ctx);
            }
        });
        let interval = Duration::from_secs(self.gateway.settings.ping_interval_seconds.into());
        ctx.run_interval(interval, Self::check_life);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.unregister();
    }
}

impl Handler<ToConnection> for AgentConnection {
    type Result = ();

    fn handle(&mut self, message: ToConnection, ctx: &mut Self::Context) {
        match message {
            ToConnection::Attach { session_id, tunnel } => {
                self.routes.attach(session_id, tunnel);
            }
            ToConnection::Detach { session_id } => self.routes.detach(session_id),
            ToConnection::Route {
                session_id,
                stream,
                route,
            } => self.routes.open_stream(session_id, stream, route),
            ToConnection::Claim {
                session_id,
                channel_id,
            } => self.routes.claim(session_id, channel_id),
            ToConnection::Unroute { stream } => self.routes.close_stream(stream),
            ToConnection::Send { .. } | ToConnection::Tell(_) | ToConnection::Frame(_)
                if !matches!(self.phase, Phase::Live { .. }) => {}
            ToConnection::Send {
                session_id,
                message,
            } => {
                self.routes.note_sent(session_id, &message);
                Self::send(&message, ctx);
            }
            ToConnection::Tell(message) => Self::send(&message, ctx),
            ToConnection::Frame(bytes) => ctx.binary(bytes),
            ToConnection::Close { code, reason } => self.close(code, reason, ctx),
        }
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for AgentConnection {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.guard.frame_done();
        self.last_seen.note(Instant::now());
        match item {
            Ok(Message::Close(reason)) => {
                if !matches!(self.phase, Phase::Closing) {
                    ctx.close(reason);
                }
                ctx.stop();
            }
            _ if matches!(self.phase, Phase::Closing) => {}
            Ok(Message::Ping(data)) => {
                if self.budget.take(Instant::now()) {
                    ctx.pong(&data);
                } else {
                    self.close(close_code::POLICY, "too many pings", ctx);
                }
            }
            Ok(Message::Pong(_) | Message::Nop) => {
                if !self.budget.take(Instant::now()) {
                    self.close(close_code::POLICY, "too many pongs", ctx);
                }
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
                tracing::debug!(%error, ?violation, "an agent broke the protocol");
                let (code, reason) = close_of(violation, &error);
                self.close(code, reason, ctx);
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
