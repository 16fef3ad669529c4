//! How far what was typed has come, and what a server that has forgotten this viewer may be told again.
//!
//! A server that was restarted counts from 0 again. What it surely had before must not be typed a second time, so
//! the viewer asks for a sign (`ping`, `pong`) after what it typed; what was on its way without one is not sent again.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that a server takes at first (`INPUT_WINDOW_BYTES` of its domain).
pub(super) const FIRST_WINDOW_BYTES: u64 = 64 * 1024;

/// Offsets of the input, counted from the viewer's first byte.
#[derive(Debug, Default)]
pub(super) struct Typed(Mutex<Offsets>);

#[derive(Debug, Default)]
struct Offsets {
    /// What the server counts as 0.
    base: u64,
    /// Given to a connection.
    fed: u64,
    /// Surely with the server.
    confirmed: u64,
}

impl Typed {
    fn lock(&self) -> MutexGuard<'_, Offsets> {
        // No code under the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's offset of bytes that go out now; none for those that it must not get again.
    pub fn feed(&self, offset: u64, length: u64) -> Option<u64> {
        let mut offsets = self.lock();
        let on_wire = offset.checked_sub(offsets.base)?;
        offsets.fed = offsets.fed.max(offset + length);
        Some(on_wire)
    }

    /// An offset of the server's as the viewer counts.
    pub fn own(&self, offset: u64) -> u64 {
        self.lock().base.saturating_add(offset)
    }

    /// Given to a connection so far.
    pub fn fed(&self) -> u64 {
        self.lock().fed
    }

    /// The server has what is before `offset`.
    pub fn confirm(&self, offset: u64) {
        let mut offsets = self.lock();
        offsets.confirmed = offsets.confirmed.max(offset);
    }

    /// Whether something is on its way that the server may not have.
    pub fn is_unconfirmed(&self) -> bool {
        let offsets = self.lock();
        offsets.confirmed < offsets.fed
    }

    /// A server that has `received` bytes of this viewer is there again: answers how many it has as the viewer
    /// counts, and up to where it surely takes more.
    pub fn come_back(&self, received: u64) -> (u64, u64) {
        let mut offsets = self.lock();
        if offsets.base + received < offsets.confirmed {
            offsets.base = offsets.fed;
            offsets.confirmed = offsets.fed;
            return (offsets.base, offsets.base + FIRST_WINDOW_BYTES);
        }
        let has = offsets.base + received;
        offsets.confirmed = offsets.confirmed.max(has);
        (has, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_did_not_get_is_sent_again() {
        let typed = Typed::default();
        assert_eq!(typed.feed(0, 10), Some(0));
        assert_eq!(typed.come_back(4), (4, 0));
        assert_eq!(typed.feed(4, 6), Some(4));
    }

    #[test]
    fn a_server_that_has_forgotten_all_gets_only_what_was_never_sent() {
        let typed = Typed::default();
        typed.feed(0, 10);
        typed.confirm(10);
        typed.feed(10, 2);
        assert_eq!(typed.come_back(0), (12, 12 + FIRST_WINDOW_BYTES));
        assert_eq!(typed.feed(10, 2), None);
        assert_eq!(typed.feed(12, 1), Some(0));
        assert_eq!(typed.own(5), 17);
    }

    #[test]
    fn a_sign_after_the_last_byte_leaves_nothing_open() {
        let typed = Typed::default();
        assert!(!typed.is_unconfirmed());
        typed.feed(0, 3);
        assert!(typed.is_unconfirmed());
        typed.confirm(typed.fed());
        assert!(!typed.is_unconfirmed());
    }
}
