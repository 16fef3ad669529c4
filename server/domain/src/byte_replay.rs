//! The last bytes of one stream, kept for viewers that come late or come back.

use std::collections::VecDeque;

/// Bytes of a chunk; what is forgotten is forgotten by whole chunks.
const CHUNK_BYTES: usize = 32 * 1024;

/// Bytes from `first` to `next`, without holes. All chunks but the last are full, so a byte is found by
/// arithmetic; they are copies, so a byte that is kept never holds a socket's whole buffer.
#[derive(Debug, Default)]
pub struct ByteReplay {
    chunks: VecDeque<Vec<u8>>,
    first: u64,
    next: u64,
}

impl ByteReplay {
    /// The most bytes that [`ByteReplay::parts`] answers.
    pub const MOST: usize = CHUNK_BYTES;

    /// An empty one whose first byte will have this offset.
    #[must_use]
    pub fn starting_at(offset: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            first: offset,
            next: offset,
        }
    }

    /// The first byte that is kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The byte after the last one.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.next - self.first
    }

    /// Appends bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.next += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = match self.chunks.back() {
                Some(last) if last.len() < CHUNK_BYTES => CHUNK_BYTES - last.len(),
                _ => {
                    self.chunks.push_back(Vec::new());
                    CHUNK_BYTES
                }
            };
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = self.chunks.back_mut() {
                last.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// The bytes from `offset` on, at most `most` of them and at most [`ByteReplay::MOST`], in the two places
    /// where they may lie. Empty before the first and after the last byte.
    #[must_use]
    pub fn parts(&self, offset: u64, most: usize) -> [&[u8]; 2] {
        if offset < self.first || offset >= self.next {
            return [&[], &[]];
        }
        let most = most.min(Self::MOST);
        let at = usize::try_from(offset - self.first).unwrap_or(usize::MAX);
        let (index, within) = (at / CHUNK_BYTES, at % CHUNK_BYTES);
        let part = |index: usize, from: usize, most: usize| {
            let chunk = self.chunks.get(index).map_or(&[][..], Vec::as_slice);
            let end = chunk.len().min(from.saturating_add(most));
            chunk.get(from..end).unwrap_or_default()
        };
        let head = part(index, within, most);
        [head, part(index + 1, 0, most - head.len())]
    }

    /// Drops the oldest chunks that are wholly before `offset`.
    pub fn forget_before(&mut self, offset: u64) {
        while self.chunks.len() > 1 && self.first + CHUNK_BYTES as u64 <= offset {
            self.chunks.pop_front();
            self.first += CHUNK_BYTES as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The byte at each offset of a stream that does not repeat within a chunk.
    fn byte(offset: u64) -> u8 {
        u8::try_from((offset * 31 + offset / 251) % 251).unwrap()
    }

    fn stream(from: u64, length: usize) -> Vec<u8> {
        (from..from + length as u64).map(byte).collect()
    }

    #[test]
    fn any_pieces_give_the_same_bytes_from_every_offset() {
        for piece in [1, 7, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 70_000] {
            let total = 100_000;
            let mut replay = ByteReplay::starting_at(5);
            let mut offset = 5;
            while offset < 5 + total {
                let bytes = stream(
                    offset,
                    piece.min(usize::try_from(5 + total - offset).unwrap()),
                );
                offset += bytes.len() as u64;
                replay.push(&bytes);
            }
            assert_eq!((replay.first(), replay.next()), (5, 5 + total));
            for start in [
                5,
                6,
                5 + CHUNK_BYTES as u64 - 1,
                5 + CHUNK_BYTES as u64,
                5 + total - 1,
            ] {
                for most in [1, 100, CHUNK_BYTES, usize::MAX] {
                    let parts = replay.parts(start, most).concat();
                    let left = usize::try_from(5 + total - start).unwrap();
                    assert_eq!(parts.len(), most.min(ByteReplay::MOST).min(left));
                    assert_eq!(parts, stream(start, parts.len()), "{piece} {start} {most}");
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_goes_by_whole_chunks_and_the_rest_stays() {
        let mut replay = ByteReplay::default();
        replay.push(&stream(0, 3 * CHUNK_BYTES + 10));
        replay.forget_before(2 * CHUNK_BYTES as u64 - 1);
        assert_eq!(replay.first(), CHUNK_BYTES as u64);
        assert!(replay.parts(0, 10).concat().is_empty());
        let at = 2 * CHUNK_BYTES as u64 - 3;
        assert_eq!(replay.parts(at, 6).concat(), stream(at, 6));
        // The last chunk stays: it is still being written.
        replay.forget_before(u64::MAX / 2);
        assert_eq!(replay.kept(), 10);
        replay.push(&stream(replay.next(), 5));
        assert_eq!(
            replay.parts(3 * CHUNK_BYTES as u64, 100).concat(),
            stream(3 * CHUNK_BYTES as u64, 15)
        );
    }

    #[test]
    fn nothing_is_before_the_first_and_after_the_last_byte() {
        let mut replay = ByteReplay::default();
        assert!(replay.parts(0, 10).concat().is_empty());
        replay.push(b"abc");
        assert!(replay.parts(3, 10).concat().is_empty());
        assert_eq!(replay.parts(2, 10), [&b"c"[..], &[]]);
    }
}
