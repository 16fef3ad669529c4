//! How a session opens streams and asks for things: checked, audited and committed, then sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::lane::LEAST_BYTES;
use gururmm_shared::{
    AuditId, CAPABILITY_BULK_LANE, CAPABILITY_DATA_PLANE, CAPABILITY_FILES, CAPABILITY_PROCESSES,
    CAPABILITY_REGISTRY, CAPABILITY_SERVICE_WATCH, CAPABILITY_SERVICES, CAPABILITY_TCP_FORWARD,
    CAPABILITY_TERMINAL, ChannelId, ChannelKind, Closed, Feature, LaneOffer, OpenChannel,
    Operation, Reply, Request, ResetCode, ServerMessage, TunnelData, TunnelPayload,
};
use tokio::sync::{oneshot, watch};

use super::connection_messages::{StreamRoute, ToConnection};
use super::lanes::{Lane, LaneSlot, Way};
use super::pipe::{Direction, NewPipe};
use super::stream_messages::{OpenStream, OpenedStream, Perform, StreamError};
use super::tunnel::TunnelSession;
use super::tunnel_stream_ends::ending;
use crate::db::tunnel_audit::{self, NewAudit};
use crate::domain::close_reason::CloseReason;
use crate::domain::session_state::{Event, Phase};
use crate::domain::stream_audit;
use crate::domain::streams::{check_channel, check_operation};
use crate::services::audit::{self, Caller};

/// How long an agent has to answer a request: a service may take its time to stop.
const REQUEST_TIMEOUT_SECONDS: u32 = 120;

/// What a session keeps beside a stream or a request.
#[derive(Debug)]
pub(super) enum Live {
    /// A stream.
    Stream {
        /// Its bytes.
        stream: Arc<ByteStream>,
        /// Where the agent's last word goes.
        closed: watch::Sender<Option<Closed>>,
        /// Who waits for it to open, with what they get then.
        waiting: Option<Waiting>,
    },
    /// A request, and who waits for its answer.
    Request(oneshot::Sender<Result<Reply, StreamError>>),
}

/// Who waits for a stream to open, with what they get then.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) pipe: NewPipe,
    /// The lane that the agent was offered.
    pub(super) lane: Option<Arc<LaneSlot>>,
    pub(super) answer: oneshot::Sender<Result<OpenedStream, StreamError>>,
}

/// The capability that an agent needs for a feature.
fn capability(feature: Feature) -> &'static str {
    match feature {
        Feature::Commands => CAPABILITY_DATA_PLANE,
        Feature::Terminal => CAPABILITY_TERMINAL,
        Feature::Files => CAPABILITY_FILES,
        Feature::Services => CAPABILITY_SERVICES,
        Feature::Processes => CAPABILITY_PROCESSES,
        Feature::Registry => CAPABILITY_REGISTRY,
        Feature::Tcp => CAPABILITY_TCP_FORWARD,
    }
}

fn direction(kind: &ChannelKind) -> Direction {
    match kind {
        ChannelKind::FileRead(_) | ChannelKind::ArchiveRead(_) | ChannelKind::ServiceWatch(_) => {
            Direction::Down
        }
        ChannelKind::FileWrite(_) | ChannelKind::ArchiveWrite(_) => Direction::Up,
        ChannelKind::Tcp(_) | ChannelKind::Terminal(_) => Direction::Both,
    }
}

/// Which way the bytes of a channel go that is worth a lane.
fn lane_way(kind: &ChannelKind) -> Option<Way> {
    let (way, bytes) = match kind {
        ChannelKind::FileRead(read) => (Way::Down, read.length),
        ChannelKind::ArchiveRead(_) => (Way::Down, None),
        ChannelKind::FileWrite(write) => (Way::Up, write.size.checked_sub(write.offset)),
        ChannelKind::ArchiveWrite(_) => (Way::Up, None),
        ChannelKind::Tcp(_) | ChannelKind::Terminal(_) | ChannelKind::ServiceWatch(_) => {
            return None;
        }
    };
    bytes
        .is_none_or(|bytes| bytes >= LEAST_BYTES)
        .then_some(way)
}

impl TunnelSession {
    /// Ends the session when it has been open for as long as the policy lets it be.
    pub(super) fn limit_length(&mut self, ctx: &mut Context<Self>) {
        if let Some(seconds) = self.max_session_seconds {
            ctx.run_later(Duration::from_secs(seconds.into()), |act, ctx| {
                act.step(Event::Close(CloseReason::SessionTooLong), ctx);
            });
        }
    }

    /// Whether a stream or a request may begin; keeps its place.
    fn admit_stream(&mut self, feature: Feature) -> Result<(), StreamError> {
        if self.state.phase() != Phase::Ready {
            return Err(StreamError::Closed);
        }
        if !self.agent.can(CAPABILITY_DATA_PLANE) || !self.agent.can(capability(feature)) {
            return Err(StreamError::Unsupported(feature));
        }
        if !self.stream_budget.take(Instant::now()) {
            return Err(StreamError::TooFast(self.settings.operations_per_minute));
        }
        let most = self.settings.max_channels as usize;
        if self.open_terminals() + self.streams.count() >= most {
            return Err(StreamError::TooMany(most));
        }
        self.streams.reserve().map_err(StreamError::TooMany)
    }

    fn stream_row(&self, feature: Feature, caller: &Caller, detail: &str) -> (ChannelId, NewAudit) {
        let channel_id = self.agent.next_channel_of(feature);
        let row = NewAudit {
            session_id: Some(self.id),
            channel_id: Some(channel_id.to_string()),
            detail: audit::detail(detail),
            ..audit::row(
                stream_audit::action(feature),
                caller,
                Some(self.agent_name()),
            )
        };
        (channel_id, row)
    }

    /// Commits a row, and goes on with `then` if it is committed and the session still is ready; else answers why not.
    fn commit<T: 'static>(
        &mut self,
        row: NewAudit,
        answer: oneshot::Sender<Result<T, StreamError>>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(
            &mut Self,
            AuditId,
            oneshot::Sender<Result<T, StreamError>>,
            &mut Context<Self>,
        ) + 'static,
    ) {
        self.note_activity();
        let audit_id = row.id;
        let db = self.db.clone();
        let write = async move { tunnel_audit::insert(&db, row).await };
        ctx.spawn(write.into_actor(self).map(move |written, act, ctx| {
            if let Err(error) = &written {
                tracing::error!(%error, session.id = %act.id, "a stream or request could not be audited and was refused");
            } else if act.state.phase() == Phase::Ready {
                return then(act, audit_id, answer, ctx);
            }
            act.streams.release();
            let refused = if written.is_ok() {
                act.settle_act(audit_id, ending("cancelled"));
                StreamError::Closed
            } else {
                StreamError::AuditUnavailable
            };
            // Who no longer waits need not be told.
            let _ = answer.send(Err(refused));
        }));
    }

    fn open_channel(
        &mut self,
        (channel_id, audit_id): (ChannelId, AuditId),
        kind: ChannelKind,
        answer: oneshot::Sender<Result<OpenedStream, StreamError>>,
        ctx: &mut Context<Self>,
    ) {
        let id = self.agent.next_stream();
        let window = self.streams.window(kind.feature());
        let stream = Arc::new(ByteStream::new(id, window, 0, 0));
        let (closed, last_word) = watch::channel(None);
        let pipe = NewPipe {
            channel_id: channel_id.clone(),
            direction: direction(&kind),
            stream: Arc::clone(&stream),
            connection: self.agent.connection.clone(),
            closed: last_word,
            session: ctx.address().recipient(),
            lane: None,
        };
        let (slot, lane) = self.offer_lane(&channel_id, &kind, &stream).unzip();
        self.agent.connection.do_send(ToConnection::Route {
            session_id: self.id,
            stream: id,
            route: StreamRoute::Stream(Arc::clone(&stream)),
        });
        let live = Live::Stream {
            stream,
            closed,
            waiting: Some(Waiting {
                pipe,
                lane: slot,
                answer,
            }),
        };
        self.streams
            .open(channel_id.clone(), audit_id, window, live);
        let open = OpenChannel {
            session_id: self.id,
            stream: id,
            window,
            kind,
            lane,
        };
        self.say(&channel_id, TunnelPayload::Open(Box::new(open)));
        self.time_out(channel_id, self.settings.open_timeout_seconds, ctx);
    }

    /// Offers the agent a request of its own for the bytes of a channel, where it knows that and it is worth one.
    fn offer_lane(
        &self,
        channel_id: &ChannelId,
        kind: &ChannelKind,
        stream: &Arc<ByteStream>,
    ) -> Option<(Arc<LaneSlot>, LaneOffer)> {
        let way = lane_way(kind)?;
        if !self.settings.bulk_lane || !self.agent.can(CAPABILITY_BULK_LANE) {
            return None;
        }
        let slot = Arc::new(LaneSlot::default());
        let lane = Lane {
            agent_id: self.agent.agent_id,
            session_id: self.id,
            channel_id: channel_id.clone(),
            way,
            stream: Arc::clone(stream),
            connection: self.agent.connection.clone(),
            slot: Arc::clone(&slot),
        };
        let offer = self.agent.lanes.offer(lane, Instant::now());
        Some((slot, offer))
    }

    fn send_request(
        &mut self,
        (channel_id, audit_id): (ChannelId, AuditId),
        operation: Operation,
        answer: oneshot::Sender<Result<Reply, StreamError>>,
        ctx: &mut Context<Self>,
    ) {
        self.streams
            .ask(channel_id.clone(), audit_id, Live::Request(answer));
        let request = Request {
            session_id: self.id,
            operation,
        };
        self.say(&channel_id, TunnelPayload::Request(Box::new(request)));
        self.time_out(channel_id, REQUEST_TIMEOUT_SECONDS, ctx);
    }

    fn say(&self, channel_id: &ChannelId, data: TunnelPayload) {
        self.send_to_agent(ServerMessage::TunnelData(TunnelData {
            channel_id: channel_id.clone(),
            data,
        }));
    }

    fn time_out(&self, channel_id: ChannelId, seconds: u32, ctx: &mut Context<Self>) {
        ctx.run_later(Duration::from_secs(seconds.into()), move |act, _| {
            let Some(over) = act.streams.timed_out(&channel_id) else {
                return;
            };
            act.say(&channel_id, TunnelPayload::Close);
            act.settle_act(over.audit_id, ending("timed_out"));
            match over.kept {
                Live::Request(answer) => drop(answer.send(Err(StreamError::TimedOut(seconds)))),
                Live::Stream {
                    stream, waiting, ..
                } => {
                    if let Some(waiting) = waiting {
                        drop(waiting.answer.send(Err(StreamError::TimedOut(seconds))));
                    }
                    act.drop_stream(&stream, ResetCode::Cancelled, "it did not open in time");
                }
            }
        });
    }
}

impl Handler<OpenStream> for TunnelSession {
    type Result = ResponseFuture<Result<OpenedStream, StreamError>>;

    fn handle(&mut self, message: OpenStream, ctx: &mut Self::Context) -> Self::Result {
        let feature = message.kind.feature();
        let checked = check_channel(&self.rules, &message.kind).map_err(StreamError::from);
        let is_watch = matches!(message.kind, ChannelKind::ServiceWatch(_));
        let checked = checked.and_then(|()| {
            if is_watch && !self.agent.can(CAPABILITY_SERVICE_WATCH) {
                return Err(StreamError::Unsupported(feature));
            }
            self.admit_stream(feature)
        });
        if let Err(error) = checked {
            return Box::pin(std::future::ready(Err(error)));
        }
        let detail = stream_audit::describe_channel(&message.kind);
        let (channel_id, row) = self.stream_row(feature, &message.caller, &detail);
        let (answer, opened) = oneshot::channel();
        self.commit(row, answer, ctx, move |act, audit_id, answer, ctx| {
            act.open_channel((channel_id, audit_id), message.kind, answer, ctx);
        });
        Box::pin(async move { opened.await.unwrap_or(Err(StreamError::Closed)) })
    }
}

impl Handler<Perform> for TunnelSession {
    type Result = ResponseFuture<Result<Reply, StreamError>>;

    fn handle(&mut self, message: Perform, ctx: &mut Self::Context) -> Self::Result {
        let feature = message.operation.feature();
        let checked = check_operation(&self.rules, &message.operation).map_err(StreamError::from);
        if let Err(error) = checked.and_then(|()| self.admit_stream(feature)) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let detail = stream_audit::describe_operation(&message.operation);
        let (channel_id, row) = self.stream_row(feature, &message.caller, &detail);
        let (answer, reply) = oneshot::channel();
        self.commit(row, answer, ctx, move |act, audit_id, answer, ctx| {
            act.send_request((channel_id, audit_id), message.operation, answer, ctx);
        });
        Box::pin(async move { reply.await.unwrap_or(Err(StreamError::Closed)) })
    }
}
