//! A terminal as the viewer holds it: its stream, counted from where this viewer came in, and its end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{
    ChannelId, Frame, ResetCode, StreamId, StreamPosition, TerminalClosed, TerminalOpened,
    TerminalScreen,
};
use tokio::sync::{Notify, watch};

use super::typed::{FIRST_WINDOW_BYTES, Typed};

/// What was typed and is kept, to be sent again: more than may ever be on its way.
const KEPT_INPUT_BYTES: u64 = 1024 * 1024;

/// One terminal.
///
/// The stream counts from 0; `base` is what lies between that and the server's offsets, so that a viewer may come in
/// late, or after output that is no longer kept.
#[derive(Debug)]
pub(super) struct TerminalChannel {
    opened: TerminalOpened,
    stream: ByteStream,
    base: AtomicI64,
    typed: Typed,
    claimed: AtomicBool,
    attached: AtomicBool,
    screens: Mutex<VecDeque<(u64, TerminalScreen)>>,
    screen_came: Notify,
    closed: watch::Sender<Option<TerminalClosed>>,
}

impl TerminalChannel {
    pub fn new(opened: TerminalOpened) -> Self {
        Self {
            stream: ByteStream::new(
                opened.stream,
                INITIAL_WINDOW_BYTES,
                FIRST_WINDOW_BYTES,
                KEPT_INPUT_BYTES,
            ),
            typed: Typed::default(),
            base: AtomicI64::new(signed(opened.offset)),
            claimed: AtomicBool::new(false),
            attached: AtomicBool::new(false),
            screens: Mutex::new(VecDeque::new()),
            screen_came: Notify::new(),
            closed: watch::Sender::new(None),
            opened,
        }
    }

    pub fn opened(&self) -> &TerminalOpened {
        &self.opened
    }

    pub fn channel_id(&self) -> &ChannelId {
        &self.opened.channel_id
    }

    pub fn stream_id(&self) -> StreamId {
        self.opened.stream
    }

    pub fn stream(&self) -> &ByteStream {
        &self.stream
    }

    pub fn claim(&self) {
        self.claimed.store(true, Ordering::SeqCst);
    }

    pub fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::SeqCst)
    }

    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::SeqCst)
    }

    pub fn detach(&self) {
        self.attached.store(false, Ordering::SeqCst);
    }

    /// An offset of this viewer's as the server counts.
    fn on_wire(&self, offset: u64) -> u64 {
        offset.saturating_add_signed(self.base.load(Ordering::SeqCst))
    }

    /// How far the server's `offset` is from the viewer's `from`.
    fn distance(&self, offset: u64, from: u64) -> i64 {
        signed(offset) - signed(self.on_wire(from))
    }

    fn base_on(&self, offset: u64) {
        let received = self.stream.position().received;
        let base = signed(offset) - signed(received);
        self.base.store(base, Ordering::SeqCst);
    }

    /// The next byte of output, as the server counts.
    pub fn received(&self) -> u64 {
        self.on_wire(self.stream.position().received)
    }

    /// A connection has this terminal: answers what has to be sent first.
    pub fn attach(&self, opened: &TerminalOpened) -> Vec<Frame> {
        if opened.stream != self.stream.id() {
            self.gone("the terminal has another number now");
            return Vec::new();
        }
        // What lies between is no longer kept, and a screen stands for it.
        if opened.offset > self.received() {
            self.base_on(opened.offset);
        }
        let (received, limit) = self.typed.come_back(opened.input_received);
        let position = self.stream.position();
        let peer = StreamPosition {
            received,
            limit,
            ..position
        };
        // An error has cut the stream off; whoever reads learns why.
        let again = self.stream.resume(&peer).unwrap_or_default();
        if self.stream.cut_off().is_some() {
            return Vec::new();
        }
        let window = std::iter::once(self.window(position.limit));
        let again = again.into_iter().filter_map(|frame| self.feed(frame));
        window.chain(again).collect()
    }

    /// A frame as the server counts, when it goes out; none if it must not.
    pub fn feed(&self, frame: Frame) -> Option<Frame> {
        match frame {
            Frame::Data {
                stream,
                offset,
                bytes,
            } => Some(Frame::Data {
                stream,
                offset: self.typed.feed(offset, bytes.len() as u64)?,
                bytes,
            }),
            other => Some(other),
        }
    }

    pub fn typed(&self) -> &Typed {
        &self.typed
    }

    /// From now on frames may go out.
    pub fn attached(&self) {
        self.attached.store(true, Ordering::SeqCst);
    }

    fn window(&self, limit: u64) -> Frame {
        Frame::Window {
            stream: self.stream.id(),
            limit: self.on_wire(limit),
        }
    }

    /// Takes a frame of the server's; the answer is one for it.
    pub fn on_frame(&self, frame: Frame) -> Option<Frame> {
        let received = self.stream.position().received;
        let frame = match frame {
            Frame::Data {
                stream,
                offset,
                bytes,
            } => {
                let ahead = self.distance(offset, received);
                let known = usize::try_from(-ahead).unwrap_or(0);
                if known >= bytes.len() {
                    return None;
                }
                Frame::Data {
                    stream,
                    offset: received.saturating_add_signed(ahead.max(0)),
                    bytes: bytes.slice(known..),
                }
            }
            Frame::Eof { stream, offset } => Frame::Eof {
                stream,
                offset: received.saturating_add_signed(self.distance(offset, received)),
            },
            Frame::Window { stream, limit } => Frame::Window {
                stream,
                limit: self.typed.own(limit),
            },
            other @ Frame::Reset { .. } => other,
        };
        self.stream.on_frame(frame)
    }

    /// What was read has been used.
    pub fn consumed(&self) -> Option<Frame> {
        match self.stream.consumed()? {
            Frame::Window { limit, .. } => Some(self.window(limit)),
            _ => None,
        }
    }

    /// What the terminal shows, before the byte at its offset.
    pub fn on_screen(&self, screen: TerminalScreen) {
        self.base_on(screen.offset);
        let at = self.stream.position().received;
        let mut screens = self.screens();
        // The older one was never shown, and the newer one draws all.
        screens.retain(|(other, _)| *other != at);
        screens.push_back((at, screen));
        drop(screens);
        self.screen_came.notify_one();
    }

    /// The screen that is due before the byte at `read`, and where the next one is.
    pub fn screen_at(&self, read: u64) -> Result<TerminalScreen, Option<u64>> {
        let mut screens = self.screens();
        match screens.front() {
            Some((at, _)) if *at <= read => screens.pop_front().map(|due| due.1).ok_or(None),
            next => Err(next.map(|(at, _)| *at)),
        }
    }

    pub async fn screen_came(&self) {
        self.screen_came.notified().await;
    }

    fn screens(&self) -> MutexGuard<'_, VecDeque<(u64, TerminalScreen)>> {
        // No code under the lock can panic half-way through a change.
        self.screens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has ended, after its last byte.
    pub fn close(&self, closed: TerminalClosed) {
        let position = self.stream.position();
        // Nothing comes back of it: the end fits, or was known before.
        let _ = self.stream.on_frame(Frame::Eof {
            stream: position.stream,
            offset: position.received,
        });
        self.closed.send_replace(Some(closed));
    }

    /// Nothing more will come.
    pub fn gone(&self, why: &str) {
        if !self.is_closed() {
            // Nobody is there to be told.
            let _ = self.stream.reset(ResetCode::Gone, why);
            // Who waits for the end looks again.
            self.closed.send_modify(|_| ());
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    pub fn closed(&self) -> watch::Receiver<Option<TerminalClosed>> {
        self.closed.subscribe()
    }

    pub fn cut_off(&self) -> Option<Reset> {
        self.stream.cut_off()
    }
}

/// Offsets are far from where this differs.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
