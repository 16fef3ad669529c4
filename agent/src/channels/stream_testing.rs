//! A stream with both of its ends, for tests: a capability on one, the test on the other, and between them
//! what the connection would carry.

use std::sync::Arc;

use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::{
    AgentMessage, ChannelId, Frame, Opened, ResetCode, StreamId, TunnelData, TunnelPayload,
};
use tokio::sync::{mpsc, watch};

use super::stream::{Piece, Stream};

const STREAM: StreamId = StreamId(7);

/// The server's end.
pub(super) struct Peer {
    own: Arc<ByteStream>,
    agents: Arc<ByteStream>,
    opened: watch::Receiver<Option<Opened>>,
}

/// A stream with `inward` bytes of window to the agent and `outward` from it.
pub(super) fn pair(inward: u64, outward: u64) -> (Stream, Peer) {
    let agents = Arc::new(ByteStream::new(STREAM, inward, outward, 0));
    let own = Arc::new(ByteStream::new(STREAM, outward, inward, 0));
    let (lane, pieces) = mpsc::channel(8);
    let (tell_opened, opened) = watch::channel(None);
    tokio::spawn(pump(pieces, own.clone(), agents.clone(), tell_opened));
    let peer = Peer {
        own,
        agents: agents.clone(),
        opened,
    };
    (Stream::new(ChannelId::terminal(1), agents, lane), peer)
}

async fn pump(
    mut pieces: mpsc::Receiver<Piece>,
    own: Arc<ByteStream>,
    agents: Arc<ByteStream>,
    opened: watch::Sender<Option<Opened>>,
) {
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Frame(frame) => {
                if let Some(answer) = own.on_frame(frame) {
                    agents.on_frame(answer);
                }
            }
            Piece::Message(message) => {
                if let AgentMessage::TunnelData(TunnelData {
                    data: TunnelPayload::Opened(told),
                    ..
                }) = *message
                {
                    opened.send_replace(Some(told));
                }
            }
        }
    }
}

impl Peer {
    /// What the channel said when it opened.
    pub async fn opened(&mut self) -> Opened {
        let told = self.opened.wait_for(Option::is_some).await;
        told.unwrap().clone().unwrap()
    }

    /// Sends bytes, within the window.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Reset> {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            let room = self.own.room().await?;
            let piece = rest.split_to(room.min(rest.len()));
            if let Some(frame) = self.own.send(piece) {
                self.deliver(frame);
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        if let Some(end) = self.own.finish() {
            self.deliver(end);
        }
    }

    /// Cuts the stream off.
    pub fn reset(&self) {
        if let Some(reset) = self.own.reset(ResetCode::Gone, "the connection is gone") {
            self.deliver(reset);
        }
    }

    /// The next bytes.
    pub async fn recv(&self) -> Result<Option<Bytes>, Reset> {
        let received = self.own.recv().await?;
        if let Some(window) = self.own.consumed() {
            self.deliver(window);
        }
        Ok(received)
    }

    /// Bytes that the agent has sent and nobody has taken.
    pub fn received(&self) -> u64 {
        self.own.position().received
    }

    /// All bytes up to the end.
    pub async fn rest(&self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.recv().await.unwrap() {
            all.extend_from_slice(&bytes);
        }
        all
    }

    fn deliver(&self, frame: Frame) {
        if let Some(answer) = self.agents.on_frame(frame) {
            self.own.on_frame(answer);
        }
    }
}
