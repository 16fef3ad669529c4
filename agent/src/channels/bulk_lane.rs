//! How a channel of files gets a lane of its own, and what goes over it; where it cannot be had, the WebSocket does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::lane::{self, LEAST_BYTES, LaneReader};
use gururmm_shared::{ChannelId, ChannelKind, Frame, LaneOffer, ResetCode, SessionId};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stream::Piece;
use crate::connection::{Inward, LaneDialer, Outward, Tied};

/// How long a lane may take to stand: the server waits for the channel meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the last bytes may take to the server.
const LAST_BYTES: Duration = Duration::from_secs(600);
/// What may be on its way here over a lane, where the session has room for it.
const WINDOW: u64 = 4 * 1024 * 1024;

/// Which way a channel's bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Outward,
    Inward,
}

/// A lane that a channel was offered.
#[derive(Debug)]
pub struct Offered {
    dialer: LaneDialer,
    token: String,
    channel: String,
    way: Way,
    /// Where the channel's bytes begin in the file.
    from: u64,
    /// How many they are at most.
    most: Option<u64>,
    joined: Arc<Notify>,
    patience: Duration,
}

/// A lane that stands.
#[derive(Debug)]
pub enum Joined {
    /// Bytes go out over it.
    Outward {
        /// Into its body.
        pieces: mpsc::Sender<Bytes>,
        /// The server's answer, until it was waited for.
        answer: Mutex<Option<JoinHandle<Result<(), String>>>>,
        /// Its connection.
        connection: Tied,
    },
    /// Bytes come in over it.
    Inward(Tied),
}

impl Offered {
    /// A lane that the server offers to a channel of this kind; `joined` is notified when the server reads it.
    #[must_use]
    pub fn new(
        dialer: LaneDialer,
        offer: LaneOffer,
        (session, channel): (SessionId, &ChannelId),
        kind: &ChannelKind,
        joined: Arc<Notify>,
    ) -> Option<Self> {
        let (way, from, most) = match kind {
            ChannelKind::FileRead(read) => (Way::Outward, read.offset, read.length),
            ChannelKind::ArchiveRead(_) => (Way::Outward, 0, None),
            ChannelKind::FileWrite(write) => (Way::Inward, write.offset, None),
            ChannelKind::ArchiveWrite(_) => (Way::Inward, 0, None),
            _ => return None,
        };
        Some(Self {
            dialer,
            token: offer.token,
            channel: format!("{session}/{channel}"),
            way,
            from,
            most,
            joined,
            patience: PATIENCE.min(Duration::from_secs(offer.seconds.into())),
        })
    }

    /// Whether a file of so many bytes, where that is known, is worth a connection.
    fn is_worth_it(&self, size: Option<u64>) -> bool {
        let bytes = size.map(|size| size.saturating_sub(self.from));
        let bytes = bytes.map(|bytes| bytes.min(self.most.unwrap_or(u64::MAX)));
        bytes.is_none_or(|bytes| bytes >= LEAST_BYTES) && self.dialer.is_promising()
    }

    /// Dials, and waits until the server is at the other end; none where that does not come about.
    pub async fn join(
        &self,
        size: Option<u64>,
        bytes: &Arc<ByteStream>,
        pieces: &mpsc::Sender<Piece>,
    ) -> Option<Joined> {
        if !self.is_worth_it(size) {
            return None;
        }
        let dialled = timeout(self.patience, async {
            match self.way {
                Way::Outward => self.join_outward().await,
                Way::Inward => self.join_inward(bytes, pieces).await,
            }
        });
        let joined = tokio::select! {
            dialled = dialled => dialled.unwrap_or_else(|_| Err("the server does not take it".to_owned())),
            _ = bytes.until_cut_off() => return None,
        };
        joined
            .inspect_err(|reason| {
                tracing::info!(%reason, "a channel has no lane of its own and stays on the connection");
                self.dialer.rest();
            })
            .ok()
    }

    async fn join_outward(&self) -> Result<Joined, String> {
        let Outward {
            pieces,
            mut answer,
            connection,
        } = self.dialer.put(&self.channel, &self.token).await?;
        tokio::select! {
            () = self.joined.notified() => {}
            answered = &mut answer => {
                let refused = answered.map_err(|error| error.to_string())?;
                return Err(refused.err().unwrap_or_else(|| "it was answered too early".to_owned()));
            }
        }
        Ok(Joined::Outward {
            pieces,
            answer: Mutex::new(Some(answer)),
            connection,
        })
    }

    async fn join_inward(
        &self,
        bytes: &Arc<ByteStream>,
        pieces: &mpsc::Sender<Piece>,
    ) -> Result<Joined, String> {
        let lane = self.dialer.get(&self.channel, &self.token).await?;
        if let Some(window) = bytes.widen(WINDOW) {
            // An error means that the session is over, and the end is near.
            let _ = pieces.send(Piece::Frame(window)).await;
        }
        let reading = read(lane, Arc::clone(bytes), pieces.clone());
        Ok(Joined::Inward(Tied::of(&tokio::spawn(reading))))
    }
}

impl Joined {
    /// Sends a piece, once there is room for it; what `take` makes of the place is what goes.
    ///
    /// # Errors
    /// The lane is gone.
    pub async fn send(&self, take: impl FnOnce() -> Option<Bytes>) -> Result<(), Reset> {
        let Self::Outward { pieces, .. } = self else {
            return Err(broken());
        };
        let place = pieces.reserve().await.map_err(|_| broken())?;
        if let Some(bytes) = take()
            && let Some(head) = lane::head(&bytes)
        {
            let mut piece = BytesMut::with_capacity(head.len() + bytes.len());
            piece.extend_from_slice(&head);
            piece.extend_from_slice(&bytes);
            place.send(piece.freeze());
        }
        Ok(())
    }

    /// Whether bytes go out over it.
    #[must_use]
    pub fn is_outward(&self) -> bool {
        matches!(self, Self::Outward { .. })
    }

    /// Says that this was all, and waits until the server has it.
    ///
    /// # Errors
    /// The lane is gone.
    pub async fn finish(&self) -> Result<(), Reset> {
        let Self::Outward { pieces, answer, .. } = self else {
            return Ok(());
        };
        let end = Bytes::from_static(&lane::END);
        pieces.send(end).await.map_err(|_| broken())?;
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(answer) = answer else { return Ok(()) };
        match timeout(LAST_BYTES, answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            _ => Err(broken()),
        }
    }
}

/// Hands what comes over a lane to its channel, within the window that the channel granted.
async fn read(mut lane: Inward, stream: Arc<ByteStream>, pieces: mpsc::Sender<Piece>) {
    let id = stream.id();
    let mut reader = LaneReader::default();
    let mut offset = 0;
    let answer = 'body: loop {
        let Some(mut chunk) = lane.next().await else {
            break stream.reset(ResetCode::Gone, "the lane broke off");
        };
        loop {
            match reader.next(&mut chunk) {
                Ok(Some(bytes)) => {
                    let length = bytes.len() as u64;
                    let frame = Frame::Data {
                        stream: id,
                        offset,
                        bytes,
                    };
                    offset += length;
                    if let Some(answer) = stream.on_frame(frame) {
                        break 'body Some(answer);
                    }
                }
                Ok(None) if reader.has_ended() => {
                    break 'body stream.on_frame(Frame::Eof { stream: id, offset });
                }
                Ok(None) => break,
                Err(error) => break 'body stream.reset(ResetCode::Protocol, error.to_string()),
            }
        }
    };
    if let Some(answer) = answer {
        // An error means that the session is over, and the end is near.
        let _ = pieces.send(Piece::Frame(answer)).await;
    }
}

fn broken() -> Reset {
    Reset {
        code: ResetCode::Gone,
        reason: "the lane broke off: go on from where it is".to_owned(),
    }
}
