//! A lane: one HTTP request of the agent's that carries the bytes of one channel, past its WebSocket, so that a
//! keystroke does not wait behind them. Everything else of the channel stays where it is: its offsets, its windows
//! (WINDOW frames), RESET, and its last word.
//!
//! ```text
//!   open {lane: {token}} ──▶ agent: PUT  /api/agent/lanes/SESSION/CHANNEL    bytes of the machine's in its body
//!                              or   GET  the same                            bytes for the machine in the answer's
//!       lane_joined ◀── server, once a PUT has come and its body is read
//!   ◀── opened {lane: true}, or without where the lane cannot be had: then DATA goes over the WebSocket
//! ```
//!
//! A body is a row of pieces, each a length (u32, big-endian, 1 to [`MAX_PIECE_BYTES`]) and its bytes; a length of 0 is the
//! end. A body that ends without that was broken off, whatever its transfer coding says.

use bytes::{Buf, Bytes};

/// The longest piece.
pub const MAX_PIECE_BYTES: usize = 64 * 1024;

/// The last bytes of a body that is whole.
pub const END: [u8; HEAD_BYTES] = [0; HEAD_BYTES];

/// The header in which an agent shows the lane's token.
pub const TOKEN_HEADER: &str = "x-lane-token";

/// Where lanes are, relative to the folder of the server's `ws`.
pub const PATH: &str = "api/agent/lanes";

/// Less is not worth a connection of its own.
pub const LEAST_BYTES: u64 = 256 * 1024;

const HEAD_BYTES: usize = 4;

/// What stands before a piece; none for one that is empty or too long.
#[must_use]
pub fn head(piece: &[u8]) -> Option<[u8; HEAD_BYTES]> {
    if piece.is_empty() || piece.len() > MAX_PIECE_BYTES {
        return None;
    }
    u32::try_from(piece.len()).ok().map(u32::to_be_bytes)
}

/// Why a body is none of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// A piece that is too long.
    #[error("a piece of {0} bytes; at most {MAX_PIECE_BYTES} are one")]
    TooLong(u32),
    /// Something came after the end.
    #[error("bytes after the end")]
    AfterEnd,
}

/// Reads a body that comes in chunks, cut anywhere.
#[derive(Debug, Default)]
pub struct LaneReader {
    head: [u8; HEAD_BYTES],
    held: usize,
    left: usize,
    ended: bool,
}

impl LaneReader {
    /// The next bytes of the channel's in `chunk`, which loses what was read; none where it holds no more of them.
    ///
    /// # Errors
    /// [`LaneError`].
    pub fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, LaneError> {
        while !chunk.is_empty() {
            if self.ended {
                return Err(LaneError::AfterEnd);
            }
            if self.left > 0 {
                let bytes = chunk.split_to(self.left.min(chunk.len()));
                self.left -= bytes.len();
                return Ok(Some(bytes));
            }
            self.head[self.held] = chunk.get_u8();
            self.held += 1;
            if self.held == HEAD_BYTES {
                self.held = 0;
                let length = u32::from_be_bytes(self.head);
                self.left = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= MAX_PIECE_BYTES)
                    .ok_or(LaneError::TooLong(length))?;
                self.ended = self.left == 0;
            }
        }
        Ok(None)
    }

    /// Whether the end has been read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for piece in pieces {
            body.extend(head(piece).unwrap());
            body.extend(*piece);
        }
        body.extend(END);
        body
    }

    fn read(reader: &mut LaneReader, chunk: &[u8]) -> Result<Vec<u8>, LaneError> {
        let mut chunk = Bytes::copy_from_slice(chunk);
        let mut all = Vec::new();
        while let Some(bytes) = reader.next(&mut chunk)? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    #[test]
    fn a_body_in_any_cut_gives_the_same_bytes() {
        let long = vec![7; MAX_PIECE_BYTES];
        let body = body(&[b"a", &long, b"bc"]);
        let wanted = [&b"a"[..], &long, b"bc"].concat();
        for size in [1, 2, 3, 5, 4096, body.len()] {
            let mut reader = LaneReader::default();
            let mut all = Vec::new();
            for chunk in body.chunks(size) {
                assert!(!reader.has_ended());
                all.extend(read(&mut reader, chunk).unwrap());
            }
            assert!(all == wanted && reader.has_ended(), "in chunks of {size}");
        }
    }

    #[test]
    fn a_body_that_was_broken_off_anywhere_has_no_end() {
        let body = body(&[b"abc", b"d"]);
        for cut in 0..body.len() {
            let mut reader = LaneReader::default();
            read(&mut reader, &body[..cut]).unwrap();
            assert!(!reader.has_ended(), "cut at {cut}");
        }
    }

    #[test]
    fn a_piece_that_is_too_long_and_bytes_after_the_end_are_refused() {
        let mut reader = LaneReader::default();
        let length = u32::try_from(MAX_PIECE_BYTES).unwrap() + 1;
        assert_eq!(
            read(&mut reader, &length.to_be_bytes()),
            Err(LaneError::TooLong(length))
        );
        let mut reader = LaneReader::default();
        assert_eq!(read(&mut reader, &END), Ok(Vec::new()));
        assert_eq!(read(&mut reader, b"x"), Err(LaneError::AfterEnd));
        assert_eq!(head(b""), None);
        assert_eq!(head(&vec![0; MAX_PIECE_BYTES + 1]), None);
    }
}
