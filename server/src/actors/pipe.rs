//! The server's end of a stream as it is handed to whoever reads and writes it: its bytes go past the session's
//! actor, from the agent's socket into a [`ByteStream`] and back.
//!
//! ```text
//!   AgentConnection ──on_frame──▶ ByteStream ──recv──▶ HTTP body, WebSocket
//!                   ◀──frames, as its mailbox takes them── send ──
//!   TunnelSession   ──closed──▶ Pipe ──let go──▶ TunnelSession
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::Recipient;
use actix::dev::SendError;
use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::{ChannelId, Closed, ErrorCode, Frame, OperationError, ResetCode};
use tokio::sync::watch;

use super::connection_messages::ToConnection;
use super::lanes::LaneSender;
use super::stream_messages::LetGo;

/// How long the last word of a channel may be behind the end of its bytes, where nothing is done in between.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Which way the bytes of a stream go; it says when everything has been said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the machine.
    Down,
    /// To the machine.
    Up,
    /// Both ways.
    Both,
}

/// What a pipe is made of.
#[derive(Debug)]
pub struct NewPipe {
    /// Its channel.
    pub channel_id: ChannelId,
    /// Which way its bytes go.
    pub direction: Direction,
    /// Its bytes.
    pub stream: Arc<ByteStream>,
    /// Where its frames go.
    pub connection: Recipient<ToConnection>,
    /// The agent's last word.
    pub closed: watch::Receiver<Option<Closed>>,
    /// Who is told when it is let go.
    pub session: Recipient<LetGo>,
    /// The lane over which its bytes go to the machine, where it has one.
    pub lane: Option<LaneSender>,
}

/// A stream in the hands of whoever reads and writes it. Dropping it cuts it off, unless all has been said.
#[derive(Debug)]
pub struct Pipe {
    new: NewPipe,
    lane: Mutex<Option<Arc<LaneSender>>>,
    read: AtomicBool,
    written: AtomicBool,
    gone: AtomicBool,
}

impl Pipe {
    /// An open stream.
    #[must_use]
    pub fn new(mut new: NewPipe) -> Self {
        Self {
            lane: Mutex::new(new.lane.take().map(Arc::new)),
            new,
            read: AtomicBool::new(false),
            written: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// The next bytes; none after the last. The agent sends more once they are [`Pipe::consumed`].
    ///
    /// # Errors
    /// [`Reset`]: it was cut off; [`Pipe::why`] tells more.
    pub async fn recv(&self) -> Result<Option<Bytes>, Reset> {
        let bytes = self.new.stream.recv().await?;
        if bytes.is_none() {
            self.read.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }

    /// Notes that what was read has been used.
    pub fn consumed(&self) {
        if let Some(frame) = self.new.stream.consumed() {
            self.tell(&frame);
        }
    }

    /// Sends bytes; waits for the agent's window and for its socket.
    ///
    /// # Errors
    /// [`Reset`]: it was cut off; [`Pipe::why`] tells more.
    pub async fn send(&self, mut bytes: Bytes) -> Result<(), Reset> {
        while !bytes.is_empty() {
            let room = self.new.stream.room().await?;
            let piece = bytes.split_to(room.min(bytes.len()));
            if let Some(frame) = self.new.stream.send(piece) {
                self.put(&frame).await?;
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.written.store(true, Ordering::Relaxed);
        let Some(frame) = self.new.stream.finish() else {
            return;
        };
        // Nobody sends any more, so it is ours alone.
        match self.lane_slot().take().and_then(Arc::into_inner) {
            Some(lane) => lane.finish(),
            None => self.tell(&frame),
        }
    }

    /// Bytes that were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.new.stream.position().sent
    }

    /// Cuts it off and has its audit row finished with `outcome`, unless it is over.
    pub fn cut_off(&self, code: ResetCode, reason: &str, outcome: &'static str) {
        if self.gone.swap(true, Ordering::Relaxed) || self.is_closed() {
            return;
        }
        if let Some(frame) = self.new.stream.reset(code, reason) {
            self.tell(&frame);
        }
        self.lane_slot().take();
        self.new.session.do_send(LetGo {
            channel_id: self.new.channel_id.clone(),
            outcome,
        });
    }

    /// Waits for the agent's last word; [`ErrorCode::Gone`] where the session ends before.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.new.closed.clone();
        let last = closed.wait_for(Option::is_some).await;
        let last = last.ok().and_then(|last| last.clone());
        last.unwrap_or_else(|| Closed::failed(gone()))
    }

    /// Why it was cut off: the agent's word for it, where that comes.
    pub async fn why(&self, reset: &Reset) -> OperationError {
        if let Ok(Closed {
            error: Some(error), ..
        }) = tokio::time::timeout(LAST_WORD, self.closed()).await
        {
            return error;
        }
        let code = match reset.code {
            ResetCode::Gone => ErrorCode::Gone,
            ResetCode::Stalled => ErrorCode::TimedOut,
            ResetCode::Cancelled => ErrorCode::Cancelled,
            _ => ErrorCode::Failed,
        };
        let reason = crate::domain::text::tame(&reset.reason, 500);
        OperationError::new(code, format!("the stream was cut off: {reason}"))
    }

    fn is_closed(&self) -> bool {
        self.new.closed.borrow().is_some()
    }

    /// Whether all has been said on this side, so that only the agent's last word is missing.
    fn is_over(&self) -> bool {
        let read = self.read.load(Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        match self.new.direction {
            Direction::Down => read,
            Direction::Up => written,
            Direction::Both => read && written,
        }
    }

    fn lane_slot(&self) -> MutexGuard<'_, Option<Arc<LaneSender>>> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Small and rare: bounded by what the agent sends.
    fn tell(&self, frame: &Frame) {
        let frame = ToConnection::Frame(frame.encode());
        self.new.connection.do_send(frame);
    }

    /// Bulk waits for a place in the connection's mailbox, which empties as the agent's socket takes data.
    async fn put(&self, frame: &Frame) -> Result<(), Reset> {
        let lane = self.lane_slot().clone();
        if let (Some(lane), Frame::Data { bytes, .. }) = (lane, frame) {
            let sent = lane.send(bytes).await;
            return sent.then_some(()).ok_or_else(|| Reset {
                code: ResetCode::Gone,
                reason: "the lane to the agent broke off".to_owned(),
            });
        }
        let sent = match self
            .new
            .connection
            .try_send(ToConnection::Frame(frame.encode()))
        {
            Ok(()) => Ok(()),
            Err(SendError::Full(frame)) => self.new.connection.send(frame).await.map_err(drop),
            Err(SendError::Closed(_)) => Err(()),
        };
        sent.map_err(|()| Reset {
            code: ResetCode::Gone,
            reason: "the agent's connection is gone".to_owned(),
        })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // What was said in full comes to its end by itself; its row says how.
        if !self.is_over() {
            self.cut_off(
                ResetCode::Cancelled,
                "nobody reads or writes it any more",
                "cancelled",
            );
        }
    }
}

/// The session or the agent's connection has ended.
pub(super) fn gone() -> OperationError {
    OperationError::new(
        ErrorCode::Gone,
        "the session or the agent's connection ended meanwhile; open a new session",
    )
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
