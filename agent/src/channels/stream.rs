//! A channel's stream of bytes with its way out: what a capability reads and writes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::{
    AgentMessage, ChannelId, Closed, Frame, Opened, ResetCode, TunnelData, TunnelPayload,
};
use tokio::sync::mpsc;

use super::bulk_lane::{Joined, Offered};

/// What goes out over a lane, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// A message of the control plane that must not overtake the bytes before it.
    Message(Box<AgentMessage>),
    /// A frame of the data plane.
    Frame(Frame),
}

/// One channel's stream; clones are the same stream.
#[derive(Debug, Clone)]
pub struct Stream {
    channel_id: ChannelId,
    bytes: Arc<ByteStream>,
    lane: mpsc::Sender<Piece>,
    offered: Option<Arc<Offered>>,
    bulk: Arc<OnceLock<Joined>>,
}

impl Stream {
    /// A channel's stream whose frames and last words go out over `lane`.
    #[must_use]
    pub fn new(channel_id: ChannelId, bytes: Arc<ByteStream>, lane: mpsc::Sender<Piece>) -> Self {
        Self {
            channel_id,
            bytes,
            lane,
            offered: None,
            bulk: Arc::default(),
        }
    }

    /// The same, whose bytes may go over a lane that was offered.
    #[must_use]
    pub fn offered(self, offered: Option<Offered>) -> Self {
        Self {
            offered: offered.map(Arc::new),
            ..self
        }
    }

    /// Which channel it belongs to.
    #[must_use]
    pub fn channel_id(&self) -> &ChannelId {
        &self.channel_id
    }

    /// Tells the server that the channel is open.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn opened(&self, mut opened: Opened) -> Result<(), Reset> {
        if let Some(offered) = &self.offered
            && let Some(joined) = offered.join(opened.size, &self.bytes, &self.lane).await
        {
            opened.lane = self.bulk.set(joined).is_ok();
        }
        self.tell(TunnelPayload::Opened(opened)).await
    }

    /// Tells the server how the channel ended; the last word.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn closed(&self, closed: Closed) -> Result<(), Reset> {
        self.tell(TunnelPayload::Closed(closed)).await
    }

    /// The next bytes from the server; none after the last. Cancel safe.
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off.
    pub async fn recv(&self) -> Result<Option<Bytes>, Reset> {
        self.bytes.recv().await
    }

    /// Waits until the stream is cut off, by whichever side. Cancel safe.
    pub async fn until_cut_off(&self) -> Reset {
        self.bytes.until_cut_off().await
    }

    /// Notes that all that was received has been used: the server may send more.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn consumed(&self) -> Result<(), Reset> {
        match self.bytes.consumed() {
            Some(window) => self.push(Piece::Frame(window)).await,
            None => Ok(()),
        }
    }

    /// Waits until bytes may be sent; answers how many, at most one piece (32 KiB). Cancel safe.
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off.
    pub async fn room(&self) -> Result<usize, Reset> {
        self.bytes.room().await
    }

    /// Sends bytes, waiting for the window and the lane.
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off or the session over.
    pub async fn send(&self, mut bytes: Bytes) -> Result<(), Reset> {
        while !bytes.is_empty() {
            let room = self.room().await?;
            let piece = bytes.split_to(room.min(bytes.len()));
            if let Some(bulk) = self.outward() {
                let sent = bulk.send(|| match self.bytes.send(piece)? {
                    Frame::Data { bytes, .. } => Some(bytes),
                    _ => None,
                });
                if let Err(broken) = sent.await {
                    self.reset(broken.code, broken.reason.as_str()).await?;
                    return Err(broken);
                }
                continue;
            }
            // First a place in the lane, then the offset: a frame that has one must go out.
            let place = self.lane.reserve().await.map_err(|_| over())?;
            if let Some(frame) = self.bytes.send(piece) {
                place.send(Piece::Frame(frame));
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn finish(&self) -> Result<(), Reset> {
        let Some(end) = self.bytes.finish() else {
            return Ok(());
        };
        match self.outward() {
            // The channel's last word must not overtake its bytes.
            Some(bulk) => tokio::select! {
                finished = bulk.finish() => finished,
                reset = self.bytes.until_cut_off() => Err(reset),
            },
            None => self.push(Piece::Frame(end)).await,
        }
    }

    fn outward(&self) -> Option<&Joined> {
        self.bulk.get().filter(|bulk| bulk.is_outward())
    }

    /// Cuts the stream off.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn reset(&self, code: ResetCode, reason: impl Into<String>) -> Result<(), Reset> {
        match self.bytes.reset(code, reason) {
            Some(reset) => self.push(Piece::Frame(reset)).await,
            None => Ok(()),
        }
    }

    async fn tell(&self, data: TunnelPayload) -> Result<(), Reset> {
        let message = AgentMessage::TunnelData(TunnelData {
            channel_id: self.channel_id.clone(),
            data,
        });
        self.push(Piece::Message(Box::new(message))).await
    }

    async fn push(&self, piece: Piece) -> Result<(), Reset> {
        self.lane.send(piece).await.map_err(|_| over())
    }
}

fn over() -> Reset {
    Reset {
        code: ResetCode::Gone,
        reason: "the session is over".to_owned(),
    }
}
