//! Bytes that wait in the order in which they came.
//!
//! A short piece may be part of a large buffer, and a peer may send its window byte by byte: short pieces are
//! copied together, so that the memory behind a queue stays near the bytes in it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces shorter than this are copied, and joined up to it.
const JOINED_BYTES: usize = 16 * 1024;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct PieceQueue {
    whole: VecDeque<Bytes>,
    joined: BytesMut,
}

impl PieceQueue {
    /// Adds bytes at the end.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() >= JOINED_BYTES {
            self.seal();
            self.whole.push_back(bytes);
            return;
        }
        if self.joined.len() + bytes.len() > JOINED_BYTES {
            self.seal();
        }
        self.joined.extend_from_slice(&bytes);
    }

    /// Takes the first piece.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        if self.whole.is_empty() {
            self.seal();
        }
        self.whole.pop_front()
    }

    /// Bytes of the first piece, 0 where there is none.
    pub(crate) fn first_len(&self) -> usize {
        self.whole.front().map_or(self.joined.len(), Bytes::len)
    }

    /// All pieces, in order.
    pub(crate) fn pieces(&mut self) -> impl Iterator<Item = &Bytes> {
        self.seal();
        self.whole.iter()
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.whole.clear();
        self.joined = BytesMut::new();
    }

    fn seal(&mut self) {
        if !self.joined.is_empty() {
            self.whole
                .push_back(std::mem::take(&mut self.joined).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_single_bytes_is_a_few_pieces() {
        let mut queue = PieceQueue::default();
        for byte in 0..=255_u8 {
            for _ in 0..1024 {
                queue.push(Bytes::copy_from_slice(&[byte]));
            }
        }
        assert_eq!(queue.pieces().count(), 16);
        let mut all = Vec::new();
        while let Some(piece) = queue.pop() {
            all.extend_from_slice(&piece);
        }
        let wanted: Vec<u8> = (0..=255).flat_map(|byte| [byte; 1024]).collect();
        assert_eq!(all, wanted);
    }

    #[test]
    fn a_short_piece_does_not_hold_the_buffer_it_was_cut_from() {
        let buffer = Bytes::from(vec![7; 128 * 1024]);
        let mut queue = PieceQueue::default();
        queue.push(buffer.slice(..1));
        assert!(buffer.is_unique());
    }

    #[test]
    fn a_long_piece_is_not_copied_and_keeps_its_place() {
        let long = Bytes::from(vec![1; 32 * 1024]);
        let mut queue = PieceQueue::default();
        queue.push(Bytes::from_static(b"a"));
        queue.push(long.clone());
        queue.push(Bytes::from_static(b"b"));
        assert_eq!(queue.first_len(), 1);
        assert_eq!(queue.pop().unwrap(), "a");
        assert_eq!(queue.pop().unwrap().as_ptr(), long.as_ptr());
        assert_eq!(queue.first_len(), 1);
        assert_eq!(queue.pop().unwrap(), "b");
        assert_eq!(queue.pop(), None);
    }
}
