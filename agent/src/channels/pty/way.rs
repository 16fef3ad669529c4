//! A terminal's stream and its way out, which may be lost with the connection and come back with the
//! next: what is sent meanwhile is kept by the stream, and sent again from where the server is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::{
    AgentMessage, ChannelId, Frame, ResetCode, StreamPosition, TunnelData, TunnelPayload,
};
use tokio::sync::{mpsc, watch};

use crate::channels::stream::Piece;

/// A lane and where the server is, as it has said over it.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Where frames go.
    pub lane: mpsc::Sender<Piece>,
    /// How far the server is; none on the connection on which the channel was opened.
    pub peer: Option<StreamPosition>,
}

/// A stream and its way out.
#[derive(Debug)]
pub struct Way {
    channel_id: ChannelId,
    bytes: Arc<ByteStream>,
    attached: watch::Receiver<Attachment>,
    /// The lane over which the server has what comes before the next frame.
    current: Mutex<mpsc::Sender<Piece>>,
    keeps: bool,
}

impl Way {
    /// A way out over what is attached; where it `keeps`, a lost lane is no end.
    pub fn new(
        channel_id: ChannelId,
        bytes: Arc<ByteStream>,
        attached: watch::Receiver<Attachment>,
        keeps: bool,
    ) -> Self {
        let current = Mutex::new(attached.borrow().lane.clone());
        Self {
            channel_id,
            bytes,
            attached,
            current,
            keeps,
        }
    }

    /// Whether a lost lane is no end.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// The stream.
    pub fn bytes(&self) -> &ByteStream {
        &self.bytes
    }

    /// Tells of every lane that is attached; each is to be resumed, once.
    pub fn attachments(&self) -> watch::Receiver<Attachment> {
        self.attached.clone()
    }

    /// Sends bytes for which there is room in the window; without a lane they are kept.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn send(&self, bytes: Bytes) -> Result<(), Reset> {
        let lane = self.lane();
        // First a place in the lane, then the offset: a frame that has one must go out.
        match lane.reserve().await {
            Ok(place) => {
                if let Some(frame) = self.bytes.send(bytes) {
                    place.send(Piece::Frame(frame));
                }
                Ok(())
            }
            Err(_) if self.keeps => {
                // It goes out when the server has said where it is.
                let _ = self.bytes.send(bytes);
                Ok(())
            }
            Err(_) => Err(over()),
        }
    }

    /// Notes that all that was received has been used: the server may send more.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn consumed(&self) -> Result<(), Reset> {
        match self.bytes.consumed() {
            Some(window) => self.push(Piece::Frame(window)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn finish(&self) -> Result<(), Reset> {
        match self.bytes.finish() {
            Some(end) => self.push(Piece::Frame(end)).await.map(drop),
            None => Ok(()),
        }
    }

    /// Tells the server something of the channel; the answer is whether there was a lane.
    ///
    /// # Errors
    /// [`Reset`]: the session is over.
    pub async fn tell(&self, data: TunnelPayload) -> Result<bool, Reset> {
        let message = AgentMessage::TunnelData(TunnelData {
            channel_id: self.channel_id.clone(),
            data,
        });
        self.push(Piece::Message(Box::new(message))).await
    }

    /// Waits until the lane is lost. Cancel safe.
    pub async fn lost(&self) {
        self.lane().closed().await;
    }

    /// Sends over a new lane what the server has not got.
    ///
    /// # Errors
    /// [`Reset`]: it needs what is kept no more; the stream is cut off, and the server is told.
    pub async fn resume(&self, attachment: Attachment) -> Result<(), Reset> {
        let Attachment { lane, peer } = attachment;
        let Some(peer) = peer else { return Ok(()) };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = lane.clone();
        let frames = match self.bytes.resume(&peer) {
            Ok(frames) => frames,
            Err(reset) => {
                let told = Frame::reset(self.bytes.id(), reset.code, reset.reason.clone());
                // A lane that is lost again tells nobody.
                let _ = lane.send(Piece::Frame(told)).await;
                return Err(reset);
            }
        };
        // A window that was opened while there was no lane has to be told too.
        let window = Frame::Window {
            stream: self.bytes.id(),
            limit: self.bytes.position().limit,
        };
        for frame in frames.into_iter().chain([window]) {
            if lane.send(Piece::Frame(frame)).await.is_err() {
                // Lost again; the next one begins from where the server is then.
                break;
            }
        }
        Ok(())
    }

    fn lane(&self) -> mpsc::Sender<Piece> {
        let current = self.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a piece that is told again, or made anew, after a lost connection.
    async fn push(&self, piece: Piece) -> Result<bool, Reset> {
        match self.lane().send(piece).await {
            Ok(()) => Ok(true),
            Err(_) if self.keeps => Ok(false),
            Err(_) => Err(over()),
        }
    }
}

/// The session is over.
pub fn over() -> Reset {
    Reset {
        code: ResetCode::Gone,
        reason: "the session is over".to_owned(),
    }
}
