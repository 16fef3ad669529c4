//! The sending half of a stream: what may be sent, and what was sent and may have to be sent again.

use bytes::Bytes;

use super::Reset;
use crate::flow::{PIECE_BYTES, SendWindow};
use crate::piece_queue::PieceQueue;
use crate::{Frame, ResetCode, StreamId};

/// The half.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) window: SendWindow,
    kept: PieceQueue,
    first_kept: u64,
    keep_bytes: u64,
    end: Option<u64>,
}

impl Outgoing {
    /// A half with this window, of whose bytes the last `keep_bytes` are kept.
    pub(super) fn new(window: SendWindow, keep_bytes: u64) -> Self {
        Self {
            window,
            kept: PieceQueue::default(),
            first_kept: window.offset(),
            keep_bytes,
            end: None,
        }
    }

    /// Bytes that may be sent now, at most a piece.
    pub(super) fn room(&self) -> usize {
        if self.has_ended() {
            return 0;
        }
        usize::try_from(self.window.available())
            .unwrap_or(usize::MAX)
            .min(PIECE_BYTES)
    }

    /// Counts bytes as sent; answers their offset. None where there is no room for them.
    pub(super) fn send(&mut self, bytes: &Bytes) -> Option<u64> {
        if bytes.is_empty() || bytes.len() > self.room() {
            return None;
        }
        let offset = self.window.offset();
        self.window.send(bytes.len() as u64);
        if self.keep_bytes == 0 {
            self.first_kept = self.window.offset();
        } else {
            self.kept.push(bytes.clone());
            self.forget();
        }
        Some(offset)
    }

    /// Ends the half; answers its length, the first time.
    pub(super) fn finish(&mut self) -> Option<u64> {
        let offset = self.window.offset();
        let first = self.end.is_none();
        self.end = Some(offset);
        first.then_some(offset)
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The first byte that can be sent again.
    pub(super) fn first_kept(&self) -> u64 {
        self.first_kept
    }

    /// Drops what is kept.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// The frames of all after the `received` bytes that the other side has.
    pub(super) fn frames_after(
        &mut self,
        received: u64,
        stream: StreamId,
    ) -> Result<Vec<Frame>, Reset> {
        let (first, sent) = (self.first_kept, self.window.offset());
        if received > sent || received < first {
            let reason =
                format!("the other side has {received} bytes; {first} to {sent} can be sent again");
            return Err(Reset::new(ResetCode::Gap, reason));
        }
        let mut frames = Vec::new();
        let mut offset = first;
        for bytes in self.kept.pieces() {
            let end = offset + bytes.len() as u64;
            if end > received {
                let skip = usize::try_from(received.saturating_sub(offset)).unwrap_or(0);
                frames.push(Frame::Data {
                    stream,
                    offset: offset + skip as u64,
                    bytes: bytes.slice(skip..),
                });
            }
            offset = end;
        }
        frames.extend(self.end.map(|offset| Frame::Eof { stream, offset }));
        Ok(frames)
    }

    /// Drops the oldest pieces while the newer ones are enough.
    fn forget(&mut self) {
        let sent = self.window.offset();
        loop {
            let end = self.first_kept + self.kept.first_len() as u64;
            if end == self.first_kept || sent - end < self.keep_bytes {
                return;
            }
            self.first_kept = end;
            self.kept.pop();
        }
    }
}
