//! What waits to be written of one recording, bounded by its bytes; a push never waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gururmm_shared::TerminalSize;

/// Bytes that may wait: all that an agent sends again to a server that was started again, and a window.
const MOST_BYTES: usize = 2 << 20;
/// What a piece costs beside its bytes.
const PIECE_BYTES: usize = 64;

/// Something to be recorded.
#[derive(Debug)]
pub(super) enum Piece {
    Output(Bytes),
    Input(Bytes),
    Resize(TerminalSize),
    Marker(String),
    KeyFrame(Vec<u8>, TerminalSize),
}

impl Piece {
    fn cost(&self) -> usize {
        let bytes = match self {
            Self::Output(bytes) | Self::Input(bytes) => bytes.len(),
            Self::Marker(text) => text.len(),
            Self::KeyFrame(state, _) => state.len(),
            Self::Resize(_) => 0,
        };
        bytes + PIECE_BYTES
    }

    /// What may wait with it: a key frame, which can be done without, leaves half for what cannot.
    fn most(&self) -> usize {
        match self {
            Self::KeyFrame(..) => MOST_BYTES / 2,
            _ => MOST_BYTES,
        }
    }
}

/// Why nothing comes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The terminal ended.
    Complete,
    /// Whoever recorded it is gone.
    Interrupted,
    /// Something is missing from here on.
    Failed(String),
}

/// What was taken: pieces with their times, and the end where nothing comes after them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) pieces: Vec<(Duration, Piece)>,
    pub(super) end: Option<End>,
}

/// It does not fit any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    bytes: usize,
}

impl Queue {
    /// Adds a piece; one after the end is dropped.
    pub(super) fn push(&self, at: Duration, piece: Piece) -> Result<(), Full> {
        let mut waiting = self.lock();
        if waiting.batch.end.is_some() {
            return Ok(());
        }
        let bytes = waiting.bytes + piece.cost();
        if bytes > piece.most() {
            return Err(Full);
        }
        waiting.bytes = bytes;
        waiting.batch.pieces.push((at, piece));
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// Ends it after what waits; only the first end counts.
    pub(super) fn end(&self, end: End) {
        let mut waiting = self.lock();
        waiting.batch.end.get_or_insert(end);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Takes all that waits; waits for something until the deadline.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Batch {
        let mut waiting = self.lock();
        while waiting.batch.pieces.is_empty() && waiting.batch.end.is_none() {
            waiting = match deadline {
                None => {
                    let woken = self.wake.wait(waiting);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let woken = self.wake.wait_timeout(waiting, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        waiting.bytes = 0;
        let end = waiting.batch.end.clone();
        let pieces = std::mem::take(&mut waiting.batch.pieces);
        Batch { pieces, end }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves whole pieces.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_refused_and_taking_makes_room() {
        let queue = Queue::default();
        let piece = || Piece::Output(Bytes::from(vec![0; 256 * 1024]));
        for _ in 0..7 {
            assert_eq!(queue.push(Duration::ZERO, piece()), Ok(()));
        }
        assert_eq!(queue.push(Duration::ZERO, piece()), Err(Full));
        assert_eq!(queue.take(None).pieces.len(), 7);
        assert_eq!(queue.push(Duration::ZERO, piece()), Ok(()));
    }

    #[test]
    fn the_first_end_counts_and_comes_with_what_was_before_it() {
        let queue = Queue::default();
        let resize = || Piece::Resize(TerminalSize::default());
        queue.push(Duration::ZERO, resize()).unwrap();
        queue.end(End::Complete);
        queue.end(End::Interrupted);
        queue.push(Duration::ZERO, resize()).unwrap();
        let batch = queue.take(None);
        assert_eq!((batch.pieces.len(), batch.end), (1, Some(End::Complete)));
    }

    #[test]
    fn many_small_pieces_are_bounded_too() {
        let queue = Queue::default();
        let resize = || Piece::Resize(TerminalSize::default());
        let fits = (0..100_000).take_while(|_| queue.push(Duration::ZERO, resize()).is_ok());
        assert_eq!(fits.count(), MOST_BYTES / PIECE_BYTES);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let batch = Queue::default().take(Some(Instant::now()));
        assert!(batch.pieces.is_empty() && batch.end.is_none());
    }
}
