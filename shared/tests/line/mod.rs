//! Two ends of a stream and the line between them, which does what lines do: it delays either way, tells a frame
//! twice and breaks. Used by the property tests and by the fuzz target `byte_stream`.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::flow::PIECE_BYTES;
use gururmm_shared::{Frame, StreamId};

/// Frames that may be told again.
const REMEMBERED: usize = 8;

/// How the ends are made.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The first window of both ends.
    pub window: u64,
    /// How far they grow; the same as the window: not at all.
    pub most: u64,
    /// What each end keeps; at least `most`, or nothing: then the line cannot break.
    pub keep: u64,
    /// Bytes that each end writes.
    pub total: u64,
}

/// What happens next; `side` is 0 or 1.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// A side writes so many bytes, or what there is room for.
    Write { side: usize, len: u64 },
    /// So many frames of a side arrive.
    Deliver { side: usize, frames: usize },
    /// A frame of a side that has arrived arrives again.
    Repeat { side: usize, back: usize },
    /// A side reads so many pieces and uses them, or not yet.
    Read {
        side: usize,
        pieces: usize,
        uses: bool,
    },
    /// The line breaks; after the sides have told their positions some last frames arrive.
    Break { late: usize },
}

impl Action {
    /// Makes any three bytes an action; sizes come in a few orders of magnitude.
    pub fn from_bytes([kind, size, more]: [u8; 3]) -> Self {
        let side = usize::from(kind & 1);
        let size_of = u64::from(size) << (u32::from(more % 4) * 3);
        match kind >> 1 & 7 {
            0 | 1 => Self::Write { side, len: size_of },
            2 | 3 => Self::Deliver {
                side,
                frames: usize::from(size % 16),
            },
            4 => Self::Repeat {
                side,
                back: usize::from(size),
            },
            5 | 6 => Self::Read {
                side,
                pieces: usize::from(size % 8),
                uses: more % 2 == 0,
            },
            _ => Self::Break {
                late: usize::from(size % 4),
            },
        }
    }
}

/// One side: its end and what it has done.
struct Side {
    end: ByteStream,
    written: u64,
    read: u64,
    used: u64,
    ended: bool,
    /// Frames on their way to the other side.
    out: VecDeque<Bytes>,
    arrived: VecDeque<Bytes>,
}

/// The line.
pub struct Line {
    setting: Setting,
    sides: [Side; 2],
}

impl Line {
    pub fn new(setting: Setting) -> Self {
        let side = || Side {
            end: ByteStream::new(StreamId(1), setting.window, setting.window, setting.keep),
            written: 0,
            read: 0,
            used: 0,
            ended: false,
            out: VecDeque::new(),
            arrived: VecDeque::new(),
        };
        Self {
            setting,
            sides: [side(), side()],
        }
    }

    /// Does one thing, and holds the ends to their bounds.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Write { side, len } => self.write(side, len),
            Action::Deliver { side, frames } => {
                for _ in 0..frames {
                    self.deliver(side);
                }
            }
            Action::Repeat { side, back } => self.repeat(side, back),
            Action::Read { side, pieces, uses } => {
                for _ in 0..pieces {
                    self.read(side);
                }
                if uses {
                    self.make_room(side);
                }
            }
            Action::Break { late } => self.break_off(late),
        }
        self.check_bounds();
    }

    /// Writes and reads what is left, until both sides have read the other's end.
    pub fn finish(mut self) {
        for _ in 0..10_000 {
            for side in 0..2 {
                self.write(side, PIECE_BYTES as u64);
                if self.sides[side].written == self.setting.total {
                    let end = self.sides[side].end.finish();
                    self.push(side, end);
                }
                while !self.sides[side].out.is_empty() {
                    self.deliver(side);
                }
                self.read(1 - side);
                self.make_room(1 - side);
                self.check_bounds();
            }
            if self.sides.iter().all(|side| side.ended) {
                for side in &self.sides {
                    assert_eq!(side.read, self.setting.total);
                }
                return;
            }
        }
        panic!("the line stands still");
    }

    fn write(&mut self, side: usize, len: u64) {
        let this = &self.sides[side];
        let len = len
            .min(this.end.room_now() as u64)
            .min(self.setting.total - this.written);
        let bytes: Bytes = (this.written..this.written + len)
            .map(|offset| byte_at(side, offset))
            .collect();
        let frame = this.end.send(bytes);
        assert_eq!(frame.is_some(), len > 0);
        self.sides[side].written += len;
        self.push(side, frame);
    }

    fn deliver(&mut self, side: usize) {
        let Some(message) = self.sides[side].out.pop_front() else {
            return;
        };
        self.arrive(side, &message);
        let arrived = &mut self.sides[side].arrived;
        arrived.push_front(message);
        arrived.truncate(REMEMBERED);
    }

    fn repeat(&mut self, side: usize, back: usize) {
        let arrived = &self.sides[side].arrived;
        if !arrived.is_empty() {
            let message = arrived[back % arrived.len()].clone();
            self.arrive(side, &message);
        }
    }

    fn arrive(&mut self, side: usize, message: &Bytes) {
        let frame = Frame::decode(message.clone()).expect("what was encoded is a frame");
        let answer = self.sides[1 - side].end.on_frame(frame);
        assert_eq!(answer, None, "an honest side is not reset");
    }

    fn read(&mut self, side: usize) {
        let mut context = Context::from_waker(Waker::noop());
        let this = &mut self.sides[side];
        match this.end.poll_recv(&mut context) {
            Poll::Ready(Ok(Some(bytes))) => {
                assert!(!bytes.is_empty());
                for byte in bytes {
                    assert_eq!(byte, byte_at(1 - side, this.read));
                    this.read += 1;
                }
            }
            Poll::Ready(Ok(None)) => this.ended = true,
            Poll::Ready(Err(Reset { reason, .. })) => panic!("cut off: {reason}"),
            Poll::Pending => {}
        }
    }

    /// Notes that what was read was used; a window that may be widened is, from then on.
    fn make_room(&mut self, side: usize) {
        let frames = [
            self.sides[side].end.consumed(),
            self.sides[side].end.widen(self.setting.most),
        ];
        self.sides[side].used = self.sides[side].read;
        for frame in frames {
            self.push(side, frame);
        }
    }

    fn break_off(&mut self, late: usize) {
        if self.setting.keep < self.setting.most {
            return;
        }
        let positions = [0, 1].map(|side| self.sides[side].end.position());
        for side in 0..2 {
            for _ in 0..late {
                self.deliver(side);
            }
            self.sides[side].out.clear();
        }
        for side in 0..2 {
            let frames = self.sides[side].end.resume(&positions[1 - side]);
            for frame in frames.expect("all that the other side lacks is kept") {
                self.push(side, Some(frame));
            }
        }
    }

    fn push(&mut self, side: usize, frame: Option<Frame>) {
        self.sides[side]
            .out
            .extend(frame.map(|frame| frame.encode()));
    }

    fn check_bounds(&self) {
        for side in &self.sides {
            let position = side.end.position();
            assert!(position.received - side.used <= self.setting.most);
            assert!(position.limit - side.used <= self.setting.most);
            let kept = position.sent - position.first;
            assert!(kept <= self.setting.keep + PIECE_BYTES as u64);
            if self.setting.keep == 0 {
                assert_eq!(kept, 0);
            }
        }
    }
}

/// What a side writes at an offset.
pub fn byte_at(side: usize, offset: u64) -> u8 {
    let mixed = (offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    mixed as u8 ^ (side as u8 * 0x55)
}
