//! One end of a stream of the data plane: what came and was not read, what may be sent, and what was sent
//! and may have to be sent again. Does no I/O: frames come in by [`ByteStream::on_frame`] and go out as
//! return values; who waits is woken by its [`Waker`], whatever runs it.
//!
//! ```text
//!   frames ──on_frame──▶ inbox ──recv──▶ reader ──consumed──▶ WINDOW to the peer
//!   writer ──room, send──▶ DATA to the peer     (kept until the peer surely has it, where asked)
//! ```

mod incoming;
mod outgoing;

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use self::incoming::Incoming;
use self::outgoing::Outgoing;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::waiting::Waiting;
use crate::window_budget::WindowShare;
use crate::{Frame, ResetCode, StreamId, StreamPosition};

/// Why a stream is cut off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Reset {
    /// For programs.
    pub code: ResetCode,
    /// For people.
    pub reason: String,
}

impl Reset {
    fn new(code: ResetCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

/// One end of a stream; shared between who has the socket and who reads and writes.
#[derive(Debug)]
pub struct ByteStream {
    id: StreamId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    incoming: Incoming,
    outgoing: Outgoing,
    reset: Option<Reset>,
    readers: Waiting,
    writers: Waiting,
    /// Woken once the lock is free: a waker may run its task at once.
    woken: Waiting,
}

impl ByteStream {
    /// A stream whose peer may send `receive_window` bytes at first and to which `send_limit` bytes may be
    /// sent; the last `keep_bytes` of what was sent are kept, for [`ByteStream::resume`]. To resume without
    /// loss they are at least as many as the largest window of the peer's.
    #[must_use]
    pub fn new(id: StreamId, receive_window: u64, send_limit: u64, keep_bytes: u64) -> Self {
        let window = ReceiveWindow::new(receive_window);
        Self::of(id, window, SendWindow::new(send_limit), keep_bytes)
    }

    /// The end of a stream that outlived this side's memory of it: goes on where the `peer` is, reading from
    /// offset `from` on (the peer's `first` to its `sent`). The peer still needs a [`ByteStream::resume`]
    /// with this end's [`ByteStream::position`].
    #[must_use]
    pub fn rejoin(peer: &StreamPosition, from: u64, receive_window: u64, keep_bytes: u64) -> Self {
        let window = ReceiveWindow::at(from, peer.sent, receive_window);
        let sending = SendWindow::at(peer.received, peer.limit);
        Self::of(peer.stream, window, sending, keep_bytes)
    }

    fn of(id: StreamId, window: ReceiveWindow, sending: SendWindow, keep_bytes: u64) -> Self {
        Self {
            id,
            inner: Mutex::new(Inner {
                incoming: Incoming::new(window),
                outgoing: Outgoing::new(sending, keep_bytes),
                reset: None,
                readers: Waiting::default(),
                writers: Waiting::default(),
                woken: Waiting::default(),
            }),
        }
    }

    /// The same whose receive window, made of the `share`, is widened only as the account of all lets it.
    #[must_use]
    pub fn sharing(self, share: WindowShare) -> Self {
        self.change(|inner| inner.incoming.share = Some(share));
        self
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Takes a frame of the peer's. A peer that broke the protocol has its stream reset: the answer is the
    /// frame that tells it.
    pub fn on_frame(&self, frame: Frame) -> Option<Frame> {
        self.change(|inner| {
            if inner.reset.is_some() {
                return None;
            }
            let taken = match frame {
                Frame::Data { offset, bytes, .. } => inner.incoming.data(offset, bytes),
                Frame::Eof { offset, .. } => inner.incoming.eof(offset),
                Frame::Window { limit, .. } => {
                    if inner.outgoing.window.raise(limit) {
                        inner.wake_writers();
                    }
                    return None;
                }
                Frame::Reset { code, reason, .. } => {
                    inner.cut_off(Reset { code, reason });
                    return None;
                }
            };
            inner.wake_readers();
            let broken = taken.err()?;
            inner.cut_off(broken.clone());
            Some(Frame::reset(self.id, broken.code, broken.reason))
        })
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
        self.change(|inner| {
            if let Some(bytes) = inner.incoming.read() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if inner.incoming.is_read() {
                return Poll::Ready(Ok(None));
            }
            if let Some(reset) = &inner.reset {
                return Poll::Ready(Err(reset.clone()));
            }
            inner.woken.extend(inner.readers.add(context.waker()));
            Poll::Pending
        })
    }

    /// Waits until the stream is cut off.
    pub async fn until_cut_off(&self) -> Reset {
        poll_fn(|context| {
            self.change(|inner| {
                if let Some(reset) = &inner.reset {
                    return Poll::Ready(reset.clone());
                }
                inner.woken.extend(inner.readers.add(context.waker()));
                Poll::Pending
            })
        })
        .await
    }

    /// Notes that all that was read has been used; the answer is a WINDOW for the peer, where one is due.
    #[must_use = "the frame has to be sent"]
    pub fn consumed(&self) -> Option<Frame> {
        self.grant(Incoming::consumed)
    }

    /// Makes the receive window larger, all or nothing where it is made of a share; the answer is a WINDOW for
    /// the peer, where one is due.
    #[must_use = "the frame has to be sent"]
    pub fn widen(&self, size: u64) -> Option<Frame> {
        self.grant(|incoming| incoming.widen(size))
    }

    fn grant(&self, limit: impl FnOnce(&mut Incoming) -> Option<u64>) -> Option<Frame> {
        self.change(|inner| {
            if inner.reset.is_some() || inner.incoming.has_ended() {
                return None;
            }
            limit(&mut inner.incoming).map(|limit| Frame::Window {
                stream: self.id,
                limit,
            })
        })
    }

    /// Waits until bytes may be sent; answers how many, at most a piece
    /// ([`PIECE_BYTES`](crate::flow::PIECE_BYTES)).
    ///
    /// # Errors
    /// [`Reset`]: the stream is cut off, or was finished on this side.
    pub async fn room(&self) -> Result<usize, Reset> {
        poll_fn(|context| self.poll_room(context)).await
    }

    /// [`ByteStream::room`] for who polls.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<usize, Reset>> {
        self.change(|inner| {
            if let Some(reset) = &inner.reset {
                return Poll::Ready(Err(reset.clone()));
            }
            if inner.outgoing.has_ended() {
                let reason = "the stream was finished on this side";
                return Poll::Ready(Err(Reset::new(ResetCode::Protocol, reason)));
            }
            match inner.outgoing.room() {
                0 => {
                    inner.woken.extend(inner.writers.add(context.waker()));
                    Poll::Pending
                }
                room => Poll::Ready(Ok(room)),
            }
        })
    }

    /// Bytes that may be sent now, at most a piece.
    #[must_use]
    pub fn room_now(&self) -> usize {
        let inner = self.lock();
        if inner.reset.is_some() {
            0
        } else {
            inner.outgoing.room()
        }
    }

    /// Makes the frame that carries these bytes; none where there are none, where they are more than
    /// there was room for, or after the end.
    #[must_use = "the frame has to be sent"]
    pub fn send(&self, bytes: Bytes) -> Option<Frame> {
        self.change(|inner| {
            if inner.reset.is_some() {
                return None;
            }
            let offset = inner.outgoing.send(&bytes)?;
            Some(Frame::Data {
                stream: self.id,
                offset,
                bytes,
            })
        })
    }

    /// Makes the frame that says that nothing more will be sent; none the second time.
    #[must_use = "the frame has to be sent"]
    pub fn finish(&self) -> Option<Frame> {
        self.change(|inner| {
            if inner.reset.is_some() {
                return None;
            }
            let offset = inner.outgoing.finish()?;
            inner.wake_writers();
            Some(Frame::Eof {
                stream: self.id,
                offset,
            })
        })
    }

    /// Cuts the stream off on this side; the answer is the frame that tells the peer. None where it was
    /// cut off before, or where both sides have ended.
    pub fn reset(&self, code: ResetCode, reason: impl Into<String>) -> Option<Frame> {
        let reset = Reset::new(code, reason);
        self.change(|inner| {
            if inner.reset.is_some() {
                return None;
            }
            inner.cut_off(reset.clone());
            let over = inner.outgoing.has_ended() && inner.incoming.has_ended();
            (!over).then(|| Frame::reset(self.id, code, reset.reason))
        })
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
            received: inner.incoming.window.received(),
            limit: inner.incoming.window.limit(),
            sent: inner.outgoing.window.offset(),
            first: inner.outgoing.first_kept(),
        }
    }

    /// Goes on over a new connection: takes how far the peer is and answers the frames that it has not.
    ///
    /// They go out before any frame that is made after this call; frames from before it may go out as well or
    /// be dropped. Nothing more from the old connection is taken once frames of the new one are.
    ///
    /// # Errors
    /// [`Reset`]: what either side needs is no longer kept, or the peer is further than this side ever was.
    /// The peer has to be told, as with [`Frame::reset`].
    pub fn resume(&self, peer: &StreamPosition) -> Result<Vec<Frame>, Reset> {
        self.change(|inner| {
            if let Some(reset) = &inner.reset {
                return Err(reset.clone());
            }
            let resumed = inner.resume(peer, self.id);
            if let Err(reset) = &resumed {
                inner.cut_off(reset.clone());
            }
            resumed
        })
    }

    /// Changes the state, then wakes whom that concerns.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let answer = change(&mut inner);
        let woken = inner.woken.take();
        drop(inner);
        woken.wake();
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under the lock can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn resume(&mut self, peer: &StreamPosition, stream: StreamId) -> Result<Vec<Frame>, Reset> {
        let received = self.incoming.window.received();
        if peer.first > received {
            let reason = format!(
                "{received} bytes were received; the other side can send from {} on",
                peer.first
            );
            return Err(Reset::new(ResetCode::Gap, reason));
        }
        let frames = self.outgoing.frames_after(peer.received, stream)?;
        if self.outgoing.window.raise(peer.limit) {
            self.wake_writers();
        }
        Ok(frames)
    }

    fn cut_off(&mut self, reset: Reset) {
        self.reset = Some(reset);
        self.outgoing.clear();
        self.wake_readers();
        self.wake_writers();
    }

    fn wake_readers(&mut self) {
        self.woken.extend(self.readers.take());
    }

    fn wake_writers(&mut self) {
        self.woken.extend(self.writers.take());
    }
}
