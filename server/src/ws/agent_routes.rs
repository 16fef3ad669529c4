//! Which session what an agent says is for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix::Recipient;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{
    ChannelId, Frame, ServerMessage, SessionId, StreamId, TunnelData, TunnelPayload,
};

use crate::actors::connection_messages::StreamRoute;
use crate::actors::session_messages::FromAgent;
use crate::domain::frame_budget::FrameBudget;

/// The sessions of one connection, and whose each channel is.
pub(super) struct AgentRoutes {
    sessions: HashMap<SessionId, Recipient<FromAgent>>,
    channels: HashMap<ChannelId, SessionId>,
    streams: HashMap<StreamId, (SessionId, StreamRoute)>,
    frames: FrameBudget,
}

/// Where a frame goes.
pub(super) enum FrameRoute {
    /// To a session's actor.
    Session(Recipient<FromAgent>),
    /// Into a stream.
    Stream(Arc<ByteStream>),
}

impl AgentRoutes {
    /// Those of a new connection.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sessions: HashMap::new(),
            channels: HashMap::new(),
            streams: HashMap::new(),
            frames: FrameBudget::new(now),
        }
    }

    /// Counts a frame of the agent's; false where it sends more of them than anybody has a use for.
    pub(super) fn admit(&mut self, frame: &Frame, now: Instant) -> bool {
        self.frames.take(frame, now)
    }

    /// Adds a session.
    pub(super) fn attach(&mut self, session_id: SessionId, tunnel: Recipient<FromAgent>) {
        self.sessions.insert(session_id, tunnel);
    }

    /// Forgets a session and its channels.
    pub(super) fn detach(&mut self, session_id: SessionId) {
        self.sessions.remove(&session_id);
        self.channels.retain(|_, session| *session != session_id);
        self.streams
            .retain(|_, (session, _)| *session != session_id);
        let open = &self.streams;
        self.frames.retain(|stream| open.contains_key(&stream));
    }

    /// Notes where a stream's frames go.
    pub(super) fn open_stream(
        &mut self,
        session_id: SessionId,
        stream: StreamId,
        route: StreamRoute,
    ) {
        self.streams.insert(stream, (session_id, route));
        self.frames.open(stream);
    }

    /// Forgets a stream.
    pub(super) fn close_stream(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.frames.close(stream);
    }

    /// Where a stream's frames go.
    pub(super) fn of_stream(&self, stream: StreamId) -> Option<FrameRoute> {
        let (session_id, route) = self.streams.get(&stream)?;
        match route {
            StreamRoute::Stream(stream) => Some(FrameRoute::Stream(Arc::clone(stream))),
            StreamRoute::Session => self
                .sessions
                .get(session_id)
                .cloned()
                .map(FrameRoute::Session),
        }
    }

    /// Notes whose a channel is that was opened over an earlier connection.
    pub(super) fn claim(&mut self, session_id: SessionId, channel_id: ChannelId) {
        self.channels.insert(channel_id, session_id);
    }

    /// Notes what a session opens with a message to the agent.
    pub(super) fn note_sent(&mut self, session_id: SessionId, message: &ServerMessage) {
        if let ServerMessage::TunnelData(TunnelData { channel_id, data }) = message
            && matches!(
                data,
                TunnelPayload::Terminal(_)
                    | TunnelPayload::Probe(_)
                    | TunnelPayload::Open(_)
                    | TunnelPayload::Request(_)
            )
        {
            self.channels.insert(channel_id.clone(), session_id);
        }
    }

    /// Forgets a channel whose last word is said.
    pub(super) fn close_channel(&mut self, data: &TunnelData) {
        if matches!(
            data.data,
            TunnelPayload::Closed(_) | TunnelPayload::Reply(_)
        ) {
            self.channels.remove(&data.channel_id);
        }
    }

    /// A session by its id.
    pub(super) fn of_session(&self, session_id: &SessionId) -> Option<&Recipient<FromAgent>> {
        self.sessions.get(session_id)
    }

    /// The session of a channel. An agent of the first generation may name a channel that nobody
    /// opened, or its session; with one session there is no doubt.
    pub(super) fn of_channel(&self, channel_id: &ChannelId) -> Option<&Recipient<FromAgent>> {
        let named = || channel_id.as_str().parse::<SessionId>().ok();
        match self.channels.get(channel_id).copied().or_else(named) {
            Some(session_id) => self.sessions.get(&session_id),
            None if self.sessions.len() == 1 => self.sessions.values().next(),
            None => None,
        }
    }
}
