//! The data plane's frames: one binary WebSocket message each, numbers big-endian.
//!
//! | kind (u8) | stream (u32) | body |
//! | --- | --- | --- |
//! | 0 DATA | id | offset u64 · 1 to 65,536 bytes |
//! | 1 WINDOW | id | limit u64: the peer may send bytes with offset < limit |
//! | 2 EOF | id | offset u64: no more bytes after it |
//! | 3 RESET | id | code u16 · UTF-8 reason, at most 1,024 bytes |

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Bytes of a DATA or WINDOW frame before its body.
pub const HEADER_BYTES: usize = 13;

/// The most bytes that a DATA frame carries.
pub const MAX_DATA_BYTES: usize = 64 * 1024;

/// The longest frame; a longer one closes the connection (1009).
pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_DATA_BYTES;

/// The longest reason of a RESET.
pub const MAX_REASON_BYTES: usize = 1024;

const DATA: u8 = 0;
const WINDOW: u8 = 1;
const EOF: u8 = 2;
const RESET: u8 = 3;

/// The number of a stream, unique on its agent's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a stream was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetCode {
    /// More bytes than the window.
    Overrun,
    /// Bytes between are missing.
    Gap,
    /// There is no such stream.
    UnknownStream,
    /// A frame that makes no sense, as bytes after the end.
    Protocol,
    /// Whoever read or wrote does not want to go on.
    Cancelled,
    /// Something failed; the channel's `closed` says what.
    Failed,
    /// The session or the connection is gone.
    Gone,
    /// Nothing was taken for too long.
    Stalled,
    /// A code that this build does not know.
    Other(u16),
}

impl ResetCode {
    /// Its number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Overrun => 1,
            Self::Gap => 2,
            Self::UnknownStream => 3,
            Self::Protocol => 4,
            Self::Cancelled => 5,
            Self::Failed => 6,
            Self::Gone => 7,
            Self::Stalled => 8,
            Self::Other(number) => number,
        }
    }
}

impl From<u16> for ResetCode {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::Overrun,
            2 => Self::Gap,
            3 => Self::UnknownStream,
            4 => Self::Protocol,
            5 => Self::Cancelled,
            6 => Self::Failed,
            7 => Self::Gone,
            8 => Self::Stalled,
            other => Self::Other(other),
        }
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes at their offset.
    Data {
        /// Of which stream.
        stream: StreamId,
        /// Bytes of the stream before these.
        offset: u64,
        /// 1 to [`MAX_DATA_BYTES`].
        bytes: Bytes,
    },
    /// Permission to send.
    Window {
        /// In which stream.
        stream: StreamId,
        /// Bytes with offset < this may be sent.
        limit: u64,
    },
    /// The sender's last word.
    Eof {
        /// Of which stream.
        stream: StreamId,
        /// Bytes of the whole stream.
        offset: u64,
    },
    /// Both sides drop the stream.
    Reset {
        /// Which stream.
        stream: StreamId,
        /// Why.
        code: ResetCode,
        /// Why, for a person; cut at [`MAX_REASON_BYTES`] when it is sent.
        reason: String,
    },
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than its kind needs.
    #[error("a frame of {0} bytes is too short")]
    TooShort(usize),
    /// Longer than its kind may be; the connection is closed (1009).
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// No such kind.
    #[error("frame kind {0} is not known")]
    UnknownKind(u8),
    /// DATA without bytes.
    #[error("a data frame without bytes")]
    Empty,
    /// DATA or EOF whose offset leaves no room for the bytes before it.
    #[error("offset {0} is beyond any stream")]
    BadOffset(u64),
}

impl Frame {
    /// Whose frame it is.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        match self {
            Self::Data { stream, .. }
            | Self::Window { stream, .. }
            | Self::Eof { stream, .. }
            | Self::Reset { stream, .. } => *stream,
        }
    }

    /// A RESET.
    #[must_use]
    pub fn reset(stream: StreamId, code: ResetCode, reason: impl Into<String>) -> Self {
        Self::Reset {
            stream,
            code,
            reason: reason.into(),
        }
    }

    /// Reads a binary message; the bytes of DATA are a part of it and not copied.
    ///
    /// # Errors
    /// [`FrameError`]: it is no frame.
    pub fn decode(mut message: Bytes) -> Result<Self, FrameError> {
        let length = message.len();
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        if length < 5 {
            return Err(FrameError::TooShort(length));
        }
        let kind = message.get_u8();
        let stream = StreamId(message.get_u32());
        match kind {
            DATA | WINDOW | EOF if length < HEADER_BYTES => Err(FrameError::TooShort(length)),
            WINDOW | EOF if length > HEADER_BYTES => Err(FrameError::TooLong(length)),
            DATA if length == HEADER_BYTES => Err(FrameError::Empty),
            DATA => {
                let offset = message.get_u64();
                offset
                    .checked_add(message.len() as u64)
                    .ok_or(FrameError::BadOffset(offset))?;
                Ok(Self::Data {
                    stream,
                    offset,
                    bytes: message,
                })
            }
            WINDOW => Ok(Self::Window {
                stream,
                limit: message.get_u64(),
            }),
            EOF => Ok(Self::Eof {
                stream,
                offset: message.get_u64(),
            }),
            RESET if length < 7 => Err(FrameError::TooShort(length)),
            RESET if length > 7 + MAX_REASON_BYTES => Err(FrameError::TooLong(length)),
            RESET => Ok(Self::Reset {
                stream,
                code: message.get_u16().into(),
                // What is no UTF-8 grows as it is replaced: it is cut again, so that it can go on as it is.
                reason: cut(&String::from_utf8_lossy(&message)).to_owned(),
            }),
            other => Err(FrameError::UnknownKind(other)),
        }
    }

    /// Writes a binary message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        let (kind, number) = match self {
            Self::Data { offset, .. } => (DATA, *offset),
            Self::Window { limit, .. } => (WINDOW, *limit),
            Self::Eof { offset, .. } => (EOF, *offset),
            Self::Reset { code, reason, .. } => {
                out.put_u8(RESET);
                out.put_u32(self.stream().0);
                out.put_u16(code.number());
                out.put_slice(cut(reason).as_bytes());
                return out.freeze();
            }
        };
        out.put_u8(kind);
        out.put_u32(self.stream().0);
        out.put_u64(number);
        if let Self::Data { bytes, .. } = self {
            out.put_slice(bytes);
        }
        out.freeze()
    }

    /// Bytes of the message that [`Frame::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Data { bytes, .. } => HEADER_BYTES + bytes.len(),
            Self::Window { .. } | Self::Eof { .. } => HEADER_BYTES,
            Self::Reset { reason, .. } => 7 + cut(reason).len(),
        }
    }
}

/// Writes the message of a DATA frame whose bytes lie in several places: they are copied once.
///
/// The parts together are 1 to [`MAX_DATA_BYTES`] bytes.
#[must_use]
pub fn data_message(stream: StreamId, offset: u64, parts: &[&[u8]]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(HEADER_BYTES + length);
    out.put_u8(DATA);
    out.put_u32(stream.0);
    out.put_u64(offset);
    for part in parts {
        out.put_slice(part);
    }
    out.freeze()
}

/// As much of a reason as a RESET may carry.
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}
