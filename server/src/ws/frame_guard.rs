//! Reads the headers of WebSocket frames ahead of the codec, which checks a frame's length only
//! once the whole frame was buffered.
//!
//! ```text
//!   socket ──bytes──▶ FrameGuard ──bytes──▶ codec ──▶ actor
//!                        │ a header over the limit (RFC 6455 section 5.2)
//!                        ▼
//!                     Violation: an error for the actor, then all bytes are dropped
//! ```

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use actix_web_actors::ws::ProtocolError;
use futures_util::Stream;
use gururmm_shared::close_code;
use gururmm_shared::frame::MAX_FRAME_BYTES;

/// What a peer did that ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A frame or a message over the limit.
    TooLarge,
    /// A binary frame.
    Binary,
    /// No WebSocket frame.
    Malformed,
    /// A message in more fragments than anybody needs.
    TooManyFragments,
}

impl Violation {
    /// The close code for it.
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => close_code::TOO_LARGE,
            Self::Binary => close_code::UNSUPPORTED,
            Self::Malformed => close_code::PROTOCOL_ERROR,
            Self::TooManyFragments => close_code::POLICY,
        }
    }

    /// The reason sent with it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "message too large",
            Self::Binary => "binary frames are not spoken here",
            Self::Malformed => "not a websocket frame",
            Self::TooManyFragments => "a message in too many fragments",
        }
    }
}

/// The close code and reason for what the codec or the guard found wrong.
pub fn close_of(violation: Option<Violation>, error: &ProtocolError) -> (u16, &'static str) {
    match (violation, error) {
        (Some(violation), _) => (violation.close_code(), violation.reason()),
        // The one thing that the codec reports so: text that is no UTF-8.
        (None, ProtocolError::Io(_)) => (close_code::INVALID_DATA, "not utf-8"),
        (None, _) => (
            Violation::Malformed.close_code(),
            Violation::Malformed.reason(),
        ),
    }
}

/// The limit in force and what was done against it, shared between guard and actor.
#[derive(Debug, Clone)]
pub struct GuardState {
    limit: Rc<Cell<u64>>,
    binary: Rc<Cell<bool>>,
    violation: Rc<Cell<Option<Violation>>>,
    outstanding: Rc<Cell<u32>>,
}

impl GuardState {
    /// Messages may have at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit: Rc::new(Cell::new(limit)),
            binary: Rc::default(),
            violation: Rc::default(),
            outstanding: Rc::default(),
        }
    }

    /// Notes that the actor has handled a frame.
    pub fn frame_done(&self) {
        self.outstanding
            .set(self.outstanding.get().saturating_sub(1));
    }

    /// Sets another limit, for messages from now on.
    pub fn set_limit(&self, limit: u64) {
        self.limit.set(limit);
    }

    /// Lets frames of the data plane through, from now on.
    pub fn allow_binary(&self) {
        self.binary.set(true);
    }

    /// What was done against it.
    pub fn violation(&self) -> Option<Violation> {
        self.violation.get()
    }
}

const OPCODE_CONTINUATION: u8 = 0;
const OPCODE_TEXT: u8 = 1;
const OPCODE_BINARY: u8 = 2;
const LONGEST_HEADER: usize = 14;

/// The reader of headers.
#[derive(Debug, Default)]
struct Headers {
    header: [u8; LONGEST_HEADER],
    held: usize,
    /// Bytes of the present frame's body that are still to come.
    body: u64,
    /// Bytes of the present message in earlier fragments.
    message: u64,
    /// Frames whose last byte was seen.
    complete: u32,
}

impl Headers {
    /// Looks at the next bytes.
    fn scan(&mut self, mut bytes: &[u8], limit: u64, binary: bool) -> Result<(), Violation> {
        while !bytes.is_empty() {
            if self.body > 0 {
                let skip = self.body.min(bytes.len() as u64);
                self.body -= skip;
                if self.body == 0 {
                    self.complete += 1;
                }
                // `skip` is at most the slice's length.
                bytes = &bytes[usize::try_from(skip).unwrap_or(bytes.len())..];
                continue;
            }
            self.header[self.held] = bytes[0];
            self.held += 1;
            bytes = &bytes[1..];
            if self.held >= 2 && self.held == header_len(self.header[1]) {
                self.body = self.check(limit, binary)?;
                self.held = 0;
                if self.body == 0 {
                    self.complete += 1;
                }
            }
        }
        Ok(())
    }

    /// Judges a whole header; answers the length of the body.
    fn check(&mut self, limit: u64, binary: bool) -> Result<u64, Violation> {
        let [first, second, ..] = self.header;
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        let reserved = first & 0x70 != 0;
        let masked = second & 0x80 != 0;
        let length = body_len(&self.header);
        if reserved || !masked {
            return Err(Violation::Malformed);
        }
        match opcode {
            OPCODE_TEXT | OPCODE_BINARY | OPCODE_CONTINUATION => {
                let message = self.message.saturating_add(length);
                self.message = if fin { 0 } else { message };
                let is_binary = opcode == OPCODE_BINARY;
                if message > limit || (is_binary && length > MAX_FRAME_BYTES as u64) {
                    Err(Violation::TooLarge)
                } else if is_binary && !binary {
                    Err(Violation::Binary)
                } else {
                    Ok(length)
                }
            }
            // Control frames: at most 125 bytes and never in pieces (RFC 6455 section 5.5).
            8..=10 if fin && length <= 125 => Ok(length),
            _ => Err(Violation::Malformed),
        }
    }
}

fn header_len(second: u8) -> usize {
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    2 + extended + mask
}

fn body_len(header: &[u8; LONGEST_HEADER]) -> u64 {
    let [_, second, a, b, c, d, e, f, g, h, ..] = *header;
    match second & 0x7f {
        126 => u64::from(u16::from_be_bytes([a, b])),
        127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        short => u64::from(short),
    }
}

/// A request's body with its frames' headers watched.
pub struct FrameGuard {
    payload: Payload,
    headers: Headers,
    state: GuardState,
}

impl FrameGuard {
    /// Watches `payload`.
    pub fn new(payload: Payload, state: GuardState) -> Self {
        Self {
            payload,
            headers: Headers::default(),
            state,
        }
    }
}

impl Stream for FrameGuard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let discarding = this.state.violation().is_some();
        if !discarding && this.state.outstanding.get() > 0 {
            // The codec's stream reads all there is before it decodes the first frame, and the
            // actor takes only some frames at a time: without this, a flood of small frames would
            // pile up. No waker is needed: there is a frame to be decoded, so it is polled again.
            return Poll::Pending;
        }
        loop {
            let polled = Pin::new(&mut this.payload).poll_next(cx);
            let Poll::Ready(Some(Ok(bytes))) = polled else {
                return polled;
            };
            if this.state.violation().is_some() {
                // Read and dropped, so that the peer gets our close frame and not a reset.
                continue;
            }
            let (limit, binary) = (this.state.limit.get(), this.state.binary.get());
            match this.headers.scan(&bytes, limit, binary) {
                Ok(()) => {
                    let complete = std::mem::take(&mut this.headers.complete);
                    this.state
                        .outstanding
                        .set(this.state.outstanding.get() + complete);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Err(violation) => {
                    this.state.violation.set(Some(violation));
                    return Poll::Ready(Some(Err(PayloadError::Overflow)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: u64) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes
    }

    fn whole(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = frame(first, length as u64);
        bytes.extend(std::iter::repeat_n(b'x', length));
        bytes
    }

    #[test]
    fn a_header_that_claims_8_gib_is_refused_before_its_body_comes() {
        let header = frame(0x81, 8 << 30);
        assert_eq!(
            Headers::default().scan(&header, 1 << 20, false),
            Err(Violation::TooLarge)
        );
    }

    #[test]
    fn messages_up_to_the_limit_pass_in_any_split() {
        let mut bytes = whole(0x81, 1000);
        bytes.extend(whole(0x89, 125));
        bytes.extend(whole(0x81, 70_000));
        for split in [1, 2, 3, 7, 1001, 4096] {
            let mut headers = Headers::default();
            for piece in bytes.chunks(split) {
                assert_eq!(headers.scan(piece, 70_000, false), Ok(()), "split {split}");
            }
        }
        assert_eq!(
            Headers::default().scan(&whole(0x81, 1001), 1000, false),
            Err(Violation::TooLarge)
        );
    }

    #[test]
    fn frames_are_counted_when_their_last_byte_has_come() {
        let mut bytes = whole(0x8a, 0);
        bytes.extend(whole(0x81, 300));
        let mut headers = Headers::default();
        headers
            .scan(&bytes[..bytes.len() - 1], 1000, false)
            .unwrap();
        assert_eq!(headers.complete, 1);
        headers
            .scan(&bytes[bytes.len() - 1..], 1000, false)
            .unwrap();
        assert_eq!(headers.complete, 2);
    }

    #[test]
    fn fragments_are_counted_together() {
        let mut headers = Headers::default();
        assert_eq!(headers.scan(&whole(0x01, 600), 1000, false), Ok(()));
        assert_eq!(headers.scan(&whole(0x89, 10), 1000, false), Ok(()));
        assert_eq!(
            headers.scan(&whole(0x00, 600), 1000, false),
            Err(Violation::TooLarge)
        );
    }

    #[test]
    fn binary_unmasked_reserved_and_oversized_control_frames_are_refused() {
        let scan = |bytes: &[u8]| Headers::default().scan(bytes, 1000, false);
        assert_eq!(scan(&whole(0x82, 1)), Err(Violation::Binary));
        assert_eq!(scan(&[0x81, 0x01, b'x']), Err(Violation::Malformed));
        assert_eq!(scan(&whole(0xc1, 1)), Err(Violation::Malformed));
        assert_eq!(scan(&whole(0x89, 126)), Err(Violation::Malformed));
        assert_eq!(scan(&whole(0x83, 1)), Err(Violation::Malformed));
    }
}
