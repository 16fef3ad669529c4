//! Lanes that agents were offered: requests of their own that carry the bytes of one channel, past the agent's
//! WebSocket (`gururmm_shared::lane`). A token is good once, for a short while, for one channel of one session of one
//! agent; the session's end, and the agent's choice of the WebSocket, make it worthless before.
//!
//! ```text
//!   session ──offer──▶ Lanes ◀──take── the agent's request ──▶ ByteStream, from the machine
//!                        └── LaneSlot ◀── Pipe ──frames──▶ the answer's body, to the machine
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Recipient;
use bytes::{Bytes, BytesMut};
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{AgentId, ChannelId, LaneOffer, SessionId, lane};
use tokio::sync::mpsc;

use super::connection_messages::ToConnection;
use crate::domain::credentials::{digest, generate_token};

/// How long an agent has to dial.
const LIFE_SECONDS: u32 = 10;
/// Lanes that are offered at most; the oldest are dropped, and their channels stay on the WebSocket.
const MOST: usize = 4096;
/// Pieces that wait for the socket of a lane to the machine.
const CHUNKS: usize = 2;

/// Which way a lane's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the machine.
    Down,
    /// To the machine.
    Up,
}

/// A lane that was offered.
#[derive(Clone)]
pub struct Lane {
    /// Whose agent it is.
    pub agent_id: AgentId,
    /// For which session.
    pub session_id: SessionId,
    /// For which of its channels.
    pub channel_id: ChannelId,
    /// Which way.
    pub way: Way,
    /// The channel's bytes.
    pub stream: Arc<ByteStream>,
    /// Where what the stream has to say goes.
    pub connection: Recipient<ToConnection>,
    /// Where the channel and the request meet.
    pub slot: Arc<LaneSlot>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("agent_id", &self.agent_id)
            .field("session_id", &self.session_id)
            .field("channel_id", &self.channel_id)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

struct Offered {
    lane: Lane,
    expires: Instant,
}

/// The lanes that are offered, under the digests of their tokens.
#[derive(Default)]
pub struct Lanes {
    open: Mutex<HashMap<[u8; 32], Offered>>,
}

impl Lanes {
    /// Offers a lane.
    pub fn offer(&self, lane: Lane, now: Instant) -> LaneOffer {
        let token = generate_token(&mut rand::rng());
        let mut open = self.lock();
        open.retain(|_, offered| offered.expires > now);
        if open.len() >= MOST {
            let oldest = open.iter().min_by_key(|(_, offered)| offered.expires);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                open.remove(&oldest);
            }
        }
        let expires = now + Duration::from_secs(LIFE_SECONDS.into());
        open.insert(digest(&token), Offered { lane, expires });
        LaneOffer {
            token,
            seconds: LIFE_SECONDS,
        }
    }

    /// Takes a lane; the token is gone whether or not the rest fits.
    pub fn take(
        &self,
        token: &str,
        (agent_id, session_id): (AgentId, SessionId),
        channel_id: &ChannelId,
        way: Way,
        now: Instant,
    ) -> Option<Lane> {
        let Offered { lane, expires } = self.lock().remove(&digest(token))?;
        let fits = expires > now
            && lane.agent_id == agent_id
            && lane.session_id == session_id
            && lane.channel_id == *channel_id
            && lane.way == way;
        let is_wanted = lane.stream.cut_off().is_none() && lane.slot.is_open();
        (fits && is_wanted).then_some(lane)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Offered>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

/// Where a channel and the request of its lane meet.
#[derive(Debug, Default)]
pub struct LaneSlot {
    shut: AtomicBool,
    sender: Mutex<Option<LaneSender>>,
}

impl LaneSlot {
    /// The request has come: what the channel sends from now on is to be read here.
    pub fn join(&self) -> LaneReceiver {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let whole = Arc::new(AtomicBool::new(false));
        *self.lock() = Some(LaneSender {
            chunks: sender,
            whole: Arc::clone(&whole),
        });
        LaneReceiver { chunks, whole }
    }

    /// The agent says that it uses the lane: the channel's end of it, where the request has come.
    pub fn claim(&self) -> Option<LaneSender> {
        self.lock().take()
    }

    /// The agent does without.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
        self.lock().take();
    }

    fn is_open(&self) -> bool {
        !self.shut.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<LaneSender>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel's end of a lane to the machine; dropped before [`LaneSender::finish`], it breaks the lane off.
#[derive(Debug)]
pub struct LaneSender {
    chunks: mpsc::Sender<Bytes>,
    whole: Arc<AtomicBool>,
}

impl LaneSender {
    /// Sends a piece, once there is room; false where the request is gone.
    pub async fn send(&self, piece: &[u8]) -> bool {
        let Some(head) = lane::head(piece) else {
            return piece.is_empty();
        };
        let mut chunk = BytesMut::with_capacity(head.len() + piece.len());
        chunk.extend_from_slice(&head);
        chunk.extend_from_slice(piece);
        self.chunks.send(chunk.freeze()).await.is_ok()
    }

    /// All has been sent.
    pub fn finish(self) {
        self.whole.store(true, Ordering::Release);
    }
}

/// The request's end of a lane to the machine.
#[derive(Debug)]
pub struct LaneReceiver {
    chunks: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

impl LaneReceiver {
    /// The next bytes of the body; none at its end, before which stands the mark of one that is whole.
    pub async fn next(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.chunks.recv().await {
            return Some(chunk);
        }
        let whole = self.whole.swap(false, Ordering::Acquire);
        whole.then(|| Bytes::from_static(&lane::END))
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
