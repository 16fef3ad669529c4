//! What is said to an agent's connection, and the handle by which it is reached.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Message, Recipient};
use bytes::Bytes;
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{AgentId, ChannelId, Feature, ServerMessage, SessionId, StreamId};

use super::lanes::Lanes;
use super::session_messages::FromAgent;

/// To an agent's connection.
#[derive(Message)]
#[rtype(result = "()")]
pub enum ToConnection {
    /// Route what the agent says of this session to its actor.
    Attach {
        /// Which session.
        session_id: SessionId,
        /// Its actor.
        tunnel: Recipient<FromAgent>,
    },
    /// Route nothing more to this session.
    Detach {
        /// Which session.
        session_id: SessionId,
    },
    /// Send this to the agent.
    Send {
        /// On behalf of which session.
        session_id: SessionId,
        /// What.
        message: ServerMessage,
    },
    /// Send this to the agent, on behalf of no session.
    Tell(Box<ServerMessage>),
    /// Bring a stream's frames there; sent before the `open` that makes the stream.
    Route {
        /// On behalf of which session; the route goes with it.
        session_id: SessionId,
        /// Which stream.
        stream: StreamId,
        /// Where to.
        route: StreamRoute,
    },
    /// Bring what the agent says in this channel to its session, which opened it over an earlier connection.
    Claim {
        /// Which session.
        session_id: SessionId,
        /// Which channel.
        channel_id: ChannelId,
    },
    /// Forget a stream.
    Unroute {
        /// Which stream.
        stream: StreamId,
    },
    /// Send this frame of the data plane, encoded; its sender keeps the window.
    Frame(Bytes),
    /// End the connection.
    Close {
        /// With this close code.
        code: u16,
        /// And this reason.
        reason: &'static str,
    },
}

/// Where the frames of a stream go.
#[derive(Debug, Clone)]
pub enum StreamRoute {
    /// To the session's actor, as [`FromAgent::Frame`].
    Session,
    /// Into this stream, which somebody reads and writes past the session.
    Stream(Arc<ByteStream>),
}

/// When a peer last gave a sign of life; shared between its actor, which writes it, and the
/// registry, which can read it while that actor is frozen by a peer that takes no data.
#[derive(Debug, Clone)]
pub struct LastSeen {
    epoch: Instant,
    millis: Arc<AtomicU64>,
}

impl LastSeen {
    /// Seen now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            millis: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Notes a sign of life.
    pub fn note(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.epoch).as_millis();
        self.millis
            .store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long ago the last one was.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        let seen = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        now.saturating_duration_since(self.epoch)
            .saturating_sub(seen)
    }
}

/// Where an agent is reached, as long as this connection of it holds.
#[derive(Clone)]
pub struct AgentHandle {
    /// Which agent.
    pub agent_id: AgentId,
    /// Its name, for the audit.
    pub hostname: String,
    /// Its connection.
    pub connection: Recipient<ToConnection>,
    /// Whether it sends output only within the window it was granted.
    pub flow_controlled: bool,
    /// Whether it confirms the end of a session.
    pub confirms_close: bool,
    /// What it can do beyond its protocol.
    pub capabilities: Arc<BTreeSet<String>>,
    /// Its signs of life.
    pub last_seen: LastSeen,
    /// Where lanes are offered to it.
    pub lanes: Arc<Lanes>,
    channels: Arc<AtomicU64>,
    streams: Arc<AtomicU32>,
}

impl AgentHandle {
    /// A handle for a new connection, whose channels are counted from 1.
    #[must_use]
    pub fn new(
        agent_id: AgentId,
        hostname: String,
        connection: Recipient<ToConnection>,
        last_seen: LastSeen,
    ) -> Self {
        Self {
            agent_id,
            hostname,
            connection,
            flow_controlled: false,
            confirms_close: false,
            capabilities: Arc::default(),
            last_seen,
            lanes: Arc::default(),
            channels: Arc::default(),
            streams: Arc::default(),
        }
    }

    /// A channel name that this connection has not had.
    #[must_use]
    pub fn next_channel(&self) -> ChannelId {
        ChannelId::terminal(self.channels.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The same, named by what it is for.
    #[must_use]
    pub fn next_channel_of(&self, feature: Feature) -> ChannelId {
        ChannelId::of(feature, self.channels.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A stream number that this connection has not had, or has not had for 4 billion streams.
    #[must_use]
    pub fn next_stream(&self) -> StreamId {
        StreamId(self.streams.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }

    /// Counts on from what an agent kept of an earlier connection: no new channel or stream has its number.
    pub fn count_from(&self, channels: u64, streams: u32) {
        self.channels.fetch_max(channels, Ordering::Relaxed);
        self.streams.fetch_max(streams, Ordering::Relaxed);
    }

    /// Whether the agent can do this beyond its protocol.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_last_sign_of_life_grows_until_the_next_one() {
        let start = Instant::now();
        let seen = LastSeen::new(start);
        assert_eq!(
            seen.age(start + Duration::from_secs(5)),
            Duration::from_secs(5)
        );
        seen.note(start + Duration::from_secs(4));
        assert_eq!(
            seen.age(start + Duration::from_secs(5)),
            Duration::from_secs(1)
        );
    }
}
