//! What the windows of one connection, or of one session, may hold together.
//!
//! A window is memory that a peer may fill. Each stream has a [`WindowShare`]; it starts with what it asked for
//! while that is there, grows only from what is left and gives all back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The windows of one connection together.
pub const CONNECTION_WINDOW_BYTES: u64 = 16 * 1024 * 1024;

/// What a stream starts with where nothing is left: a stream without a window would never move.
pub const LEAST_WINDOW_BYTES: u64 = 64 * 1024;

/// The account of a connection.
#[derive(Debug)]
pub struct WindowBudget {
    total: u64,
    taken: AtomicU64,
}

impl WindowBudget {
    /// An account of `total` bytes, as [`CONNECTION_WINDOW_BYTES`].
    #[must_use]
    pub fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            taken: AtomicU64::new(0),
        })
    }

    /// Bytes that are given out. With very many streams they are more than the total, by at most
    /// [`LEAST_WINDOW_BYTES`] a stream.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// A new stream's share: `wanted`, or what is left of it, but never less than [`LEAST_WINDOW_BYTES`]
    /// of it.
    #[must_use]
    pub fn share(self: &Arc<Self>, wanted: u64) -> WindowShare {
        let granted = |taken: u64| {
            let left = self.total.saturating_sub(taken);
            wanted.min(left.max(LEAST_WINDOW_BYTES))
        };
        let order = Ordering::Relaxed;
        let bytes = match self.taken.fetch_update(order, order, |taken| {
            Some(taken.saturating_add(granted(taken)))
        }) {
            Ok(before) | Err(before) => granted(before),
        };
        WindowShare {
            budget: Arc::clone(self),
            bytes,
        }
    }
}

/// One stream's part of a [`WindowBudget`]; dropping it gives it back.
#[derive(Debug)]
pub struct WindowShare {
    budget: Arc<WindowBudget>,
    bytes: u64,
}

impl WindowShare {
    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `more` bytes beside what it has, all or nothing. Tells whether they were there.
    pub fn grow(&mut self, more: u64) -> bool {
        let order = Ordering::Relaxed;
        let there = self.budget.taken.fetch_update(order, order, |taken| {
            taken
                .checked_add(more)
                .filter(|taken| *taken <= self.budget.total)
        });
        if there.is_ok() {
            self.bytes += more;
        }
        there.is_ok()
    }
}

impl Drop for WindowShare {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_up_to_the_total_and_come_back_when_dropped() {
        let budget = WindowBudget::new(1000);
        let mut first = budget.share(400);
        let mut second = budget.share(400);
        assert!(first.grow(200));
        assert!(!second.grow(1));
        assert_eq!(budget.taken(), 1000);
        drop(first);
        assert_eq!(budget.taken(), 400);
        assert!(second.grow(600));
        assert!(!second.grow(u64::MAX));
        assert_eq!(second.bytes(), 1000);
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn a_stream_beyond_the_total_gets_the_least_that_moves() {
        let budget = WindowBudget::new(CONNECTION_WINDOW_BYTES);
        let shares: Vec<WindowShare> = (0..100).map(|_| budget.share(256 * 1024)).collect();
        assert_eq!(shares[0].bytes(), 256 * 1024);
        assert_eq!(shares[63].bytes(), 256 * 1024);
        assert_eq!(shares[64].bytes(), LEAST_WINDOW_BYTES);
        assert_eq!(
            budget.taken(),
            CONNECTION_WINDOW_BYTES + 36 * LEAST_WINDOW_BYTES
        );
        drop(shares);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn a_stream_that_wants_little_gets_little() {
        let budget = WindowBudget::new(0);
        assert_eq!(budget.share(10).bytes(), 10);
    }
}
