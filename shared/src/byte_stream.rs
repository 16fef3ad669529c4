//! One end of a stream of the data plane: what came and was not read, what may be sent, and what was sent
//! and may have to be sent again. Does no I/O: frames come in by [`ByteStream::on_frame`] and go out as
//! return values; who waits is woken by its [`Waker`], whatever runs it.
//!
//! ```text
//!   frames ──on_frame──▶ inbox ──recv──▶ reader ──consumed──▶ WINDOW to the peer
//!   writer ──room, send──▶ DATA to the peer     (kept until the peer surely has it, where asked)
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use crate::flow::{PIECE_BYTES, ReceiveWindow, Received, SendWindow};
use crate::{Frame, ResetCode, StreamId, StreamPosition};

/// Pieces shorter than this are joined in the inbox: each piece has a cost of its own, and a peer may send
/// its window byte by byte.
const JOINED_BYTES: usize = 4 * 1024;

/// Why a stream is cut off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Reset {
    /// For programs.
    pub code: ResetCode,
    /// For people.
    pub reason: String,
}

/// One end of a stream; shared between who has the socket and who reads and writes.
#[derive(Debug)]
pub struct ByteStream {
    id: StreamId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    inbox: VecDeque<BytesMut>,
    window: ReceiveWindow,
    received: u64,
    read: u64,
    peer_end: Option<u64>,
    reader: Option<Waker>,
    sending: SendWindow,
    kept: VecDeque<Bytes>,
    first_kept: u64,
    keep_bytes: u64,
    own_end: Option<u64>,
    writer: Option<Waker>,
    reset: Option<Reset>,
}

impl ByteStream {
    /// A stream whose peer may send `receive_window` bytes at first and to which `send_limit` bytes may be
    /// sent; the last `keep_bytes` of what was sent are kept, for [`ByteStream::resume`].
    #[must_use]
    pub fn new(id: StreamId, receive_window: u64, send_limit: u64, keep_bytes: u64) -> Self {
        Self {
            id,
            inner: Mutex::new(Inner {
                inbox: VecDeque::new(),
                window: ReceiveWindow::new(receive_window),
                received: 0,
                read: 0,
                peer_end: None,
                reader: None,
                sending: SendWindow::new(send_limit),
                kept: VecDeque::new(),
                first_kept: 0,
                keep_bytes,
                own_end: None,
                writer: None,
                reset: None,
            }),
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Takes a frame of the peer's. A peer that broke the protocol has its stream reset: the answer is the
    /// frame that tells it.
    pub fn on_frame(&self, frame: Frame) -> Option<Frame> {
        let mut inner = self.lock();
        if inner.reset.is_some() {
            return None;
        }
        let (code, reason) = match frame {
            Frame::Data { offset, bytes, .. } => match inner.take(offset, bytes) {
                Ok(()) => return None,
                Err(broken) => broken,
            },
            Frame::Window { limit, .. } => {
                if inner.sending.raise(limit) {
                    wake(&mut inner.writer);
                }
                return None;
            }
            Frame::Eof { offset, .. } if offset == inner.received => {
                inner.peer_end = Some(offset);
                wake(&mut inner.reader);
                return None;
            }
            Frame::Eof { offset, .. } => (
                ResetCode::Gap,
                format!("the end at {offset} after {} bytes", inner.received),
            ),
            Frame::Reset { code, reason, .. } => {
                inner.cut_off(Reset { code, reason });
                return None;
            }
        };
        inner.cut_off(Reset {
            code,
            reason: reason.clone(),
        });
        Some(Frame::reset(self.id, code, reason))
    }

    /// The next bytes; none after the last. What is read counts as on its way until it is
    /// [`ByteStream::consumed`].
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off. What came before is read first.
    pub async fn recv(&self) -> Result<Option<Bytes>, Reset> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`ByteStream::recv`] for who polls.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Reset>> {
        let mut inner = self.lock();
        if let Some(bytes) = inner.inbox.pop_front() {
            inner.read += bytes.len() as u64;
            return Poll::Ready(Ok(Some(bytes.freeze())));
        }
        if inner.peer_end == Some(inner.read) {
            return Poll::Ready(Ok(None));
        }
        if let Some(reset) = &inner.reset {
            return Poll::Ready(Err(reset.clone()));
        }
        inner.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until the stream is cut off. Whoever waits for bytes meanwhile has to be in the same task.
    pub async fn until_cut_off(&self) -> Reset {
        poll_fn(|context| {
            let mut inner = self.lock();
            if let Some(reset) = &inner.reset {
                return Poll::Ready(reset.clone());
            }
            inner.reader = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Notes that all that was read has been used; the answer is a WINDOW for the peer, where one is due.
    #[must_use = "the frame has to be sent"]
    pub fn consumed(&self) -> Option<Frame> {
        let mut inner = self.lock();
        if inner.reset.is_some() || inner.peer_end.is_some() {
            return None;
        }
        let read = inner.read;
        let limit = inner.window.consume(read)?;
        Some(Frame::Window {
            stream: self.id,
            limit,
        })
    }

    /// Waits until bytes may be sent; answers how many, at most a piece ([`PIECE_BYTES`]).
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off.
    pub async fn room(&self) -> Result<usize, Reset> {
        poll_fn(|context| self.poll_room(context)).await
    }

    /// [`ByteStream::room`] for who polls.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<usize, Reset>> {
        let mut inner = self.lock();
        if let Some(reset) = &inner.reset {
            return Poll::Ready(Err(reset.clone()));
        }
        match inner.room() {
            0 => {
                inner.writer = Some(context.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
        }
    }

    /// Bytes that may be sent now, at most a piece.
    #[must_use]
    pub fn room_now(&self) -> usize {
        let inner = self.lock();
        if inner.reset.is_some() {
            0
        } else {
            inner.room()
        }
    }

    /// Makes the frame that carries these bytes; none where there are none, where they are more than
    /// there was room for, or after the end.
    #[must_use = "the frame has to be sent"]
    pub fn send(&self, bytes: Bytes) -> Option<Frame> {
        let mut inner = self.lock();
        let fits = inner.reset.is_none() && inner.own_end.is_none() && bytes.len() <= inner.room();
        if bytes.is_empty() || !fits {
            return None;
        }
        let offset = inner.sending.offset();
        inner.sending.send(bytes.len() as u64);
        inner.keep(&bytes);
        Some(Frame::Data {
            stream: self.id,
            offset,
            bytes,
        })
    }

    /// Makes the frame that says that nothing more will be sent; none the second time.
    #[must_use = "the frame has to be sent"]
    pub fn finish(&self) -> Option<Frame> {
        let mut inner = self.lock();
        if inner.reset.is_some() || inner.own_end.is_some() {
            return None;
        }
        let offset = inner.sending.offset();
        inner.own_end = Some(offset);
        Some(Frame::Eof {
            stream: self.id,
            offset,
        })
    }

    /// Cuts the stream off on this side; the answer is the frame that tells the peer. None where it was
    /// cut off before, or where both sides have ended.
    pub fn reset(&self, code: ResetCode, reason: impl Into<String>) -> Option<Frame> {
        let mut inner = self.lock();
        if inner.reset.is_some() {
            return None;
        }
        let reason = reason.into();
        let over = inner.own_end.is_some() && inner.peer_end.is_some();
        inner.cut_off(Reset {
            code,
            reason: reason.clone(),
        });
        (!over).then(|| Frame::reset(self.id, code, reason))
    }

    /// Why it was cut off, where it was.
    #[must_use]
    pub fn cut_off(&self) -> Option<Reset> {
        self.lock().reset.clone()
    }

    /// How far it is.
    #[must_use]
    pub fn position(&self) -> StreamPosition {
        let inner = self.lock();
        StreamPosition {
            stream: self.id,
            received: inner.received,
            limit: inner.window.limit(),
            sent: inner.sending.offset(),
            first: inner.first_kept,
        }
    }

    /// Goes on over a new connection: takes how far the peer is and answers the frames that it has not.
    ///
    /// # Errors
    /// [`Reset`]: what the peer needs is no longer kept, or it is further than this side ever was.
    pub fn resume(&self, peer: &StreamPosition) -> Result<Vec<Frame>, Reset> {
        let mut inner = self.lock();
        if let Some(reset) = &inner.reset {
            return Err(reset.clone());
        }
        let sent = inner.sending.offset();
        if peer.received > sent || peer.received < inner.first_kept {
            let reason = format!(
                "the other side has {} bytes; {} to {sent} can be sent again",
                peer.received, inner.first_kept
            );
            let reset = Reset {
                code: ResetCode::Gap,
                reason,
            };
            inner.cut_off(reset.clone());
            return Err(reset);
        }
        inner.sending.raise(peer.limit);
        wake(&mut inner.writer);
        let mut frames = Vec::new();
        let mut offset = inner.first_kept;
        for bytes in &inner.kept {
            let end = offset + bytes.len() as u64;
            if end > peer.received {
                let skip = usize::try_from(peer.received.saturating_sub(offset)).unwrap_or(0);
                frames.push(Frame::Data {
                    stream: self.id,
                    offset: offset + skip as u64,
                    bytes: bytes.slice(skip..),
                });
            }
            offset = end;
        }
        frames.extend(inner.own_end.map(|offset| Frame::Eof {
            stream: self.id,
            offset,
        }));
        Ok(frames)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under the lock can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn room(&self) -> usize {
        usize::try_from(self.sending.available())
            .unwrap_or(usize::MAX)
            .min(PIECE_BYTES)
    }

    fn take(&mut self, offset: u64, bytes: Bytes) -> Result<(), (ResetCode, String)> {
        use crate::flow::FlowError;
        if self.peer_end.is_some_and(|end| offset >= end) {
            return Err((ResetCode::Protocol, "bytes after the end".to_owned()));
        }
        match self.window.receive(offset, bytes.len() as u64) {
            Ok(Received::Repeat) => Ok(()),
            Ok(Received::Next) => {
                self.received += bytes.len() as u64;
                match self.inbox.back_mut() {
                    Some(last) if last.len() + bytes.len() <= JOINED_BYTES => {
                        last.extend_from_slice(&bytes);
                    }
                    _ => self.inbox.push_back(BytesMut::from(bytes)),
                }
                wake(&mut self.reader);
                Ok(())
            }
            Err(error @ FlowError::Gap { .. }) => Err((ResetCode::Gap, error.to_string())),
            Err(error @ FlowError::Overrun { .. }) => Err((ResetCode::Overrun, error.to_string())),
        }
    }

    fn keep(&mut self, bytes: &Bytes) {
        if self.keep_bytes == 0 {
            self.first_kept = self.sending.offset();
            return;
        }
        match self.kept.back_mut() {
            // A terminal's echo comes byte by byte, and each piece has a cost of its own.
            Some(last) if last.len() + bytes.len() <= JOINED_BYTES => {
                *last = [&last[..], bytes].concat().into();
            }
            _ => self.kept.push_back(bytes.clone()),
        }
        let sent = self.sending.offset();
        while let Some(first) = self.kept.front() {
            let end = self.first_kept + first.len() as u64;
            if sent - end < self.keep_bytes {
                break;
            }
            self.first_kept = end;
            self.kept.pop_front();
        }
    }

    fn cut_off(&mut self, reset: Reset) {
        self.reset = Some(reset);
        self.kept.clear();
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
