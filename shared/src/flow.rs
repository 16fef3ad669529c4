//! Flow control by absolute offsets: credit is granted on consumption, never on receipt.
//!
//! ```text
//!   sender                                   receiver
//!   SendWindow  ── bytes with offset < limit ──▶ ReceiveWindow
//!               ◀──────── limit ────────────── (half of the window consumed)
//! ```
//!
//! A window is the bottleneck when a whole one is used up in less than two round trips: the sender waits for
//! credit, not for the line. [`ReceiveWindow::consume_at`] doubles it then, as yamux does.

use std::time::Duration;

/// Bytes a channel may have on the way at first.
pub const INITIAL_WINDOW_BYTES: u64 = 256 * 1024;

/// The largest that a window grows to by itself.
pub const MAX_WINDOW_BYTES: u64 = 1024 * 1024;

/// The largest that a window grows to where the path is long.
pub const MAX_LONG_PATH_WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// A path is long from this round trip on: [`MAX_WINDOW_BYTES`] carry less than 32 MiB a second over it.
pub const LONG_PATH: Duration = Duration::from_millis(32);

/// The largest piece of output in bytes, so that no channel holds up another.
pub const PIECE_BYTES: usize = 32 * 1024;

/// The sender's side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow {
    sent: u64,
    limit: u64,
}

impl SendWindow {
    /// A channel that may send `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { sent: 0, limit }
    }

    /// A channel that has sent `sent` bytes and may send up to offset `limit`.
    #[must_use]
    pub(crate) fn at(sent: u64, limit: u64) -> Self {
        Self { sent, limit }
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.sent
    }

    /// Bytes that may be sent now.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.limit.saturating_sub(self.sent)
    }

    /// Counts `bytes` as sent.
    pub fn send(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// Takes a new limit; an older, lower one changes nothing. Tells whether it grew.
    pub fn raise(&mut self, limit: u64) -> bool {
        let grown = limit > self.limit;
        self.limit = self.limit.max(limit);
        grown
    }
}

/// What a piece is to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The next bytes.
    Next,
    /// Wholly received before.
    Repeat,
}

/// Why a piece cannot be taken; the channel is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// Bytes between are missing, or the piece overlaps what was received.
    #[error("output at offset {got} where {expected} was expected")]
    Gap {
        /// The next offset.
        expected: u64,
        /// The piece's.
        got: u64,
    },
    /// More than was granted.
    #[error("output up to offset {end} where {limit} was granted")]
    Overrun {
        /// The piece's end.
        end: u64,
        /// What was granted.
        limit: u64,
    },
}

/// The receiver's side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow {
    received: u64,
    consumed: u64,
    limit: u64,
    size: u64,
    most: u64,
    lap: Option<Lap>,
}

/// Since when, and from which offset on, the window is being used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lap {
    since: Duration,
    from: u64,
}

impl ReceiveWindow {
    /// A channel with `size` bytes granted.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            received: 0,
            consumed: 0,
            limit: size,
            size,
            most: u64::MAX,
            lap: None,
        }
    }

    /// A channel of which all before `received` is here, whose sender has sent all before `sent`.
    #[must_use]
    pub(crate) fn at(received: u64, sent: u64, size: u64) -> Self {
        Self {
            received,
            consumed: received,
            limit: sent.max(received).saturating_add(size),
            ..Self::new(size)
        }
    }

    /// The same, growing to at most `most` bytes.
    #[must_use]
    pub fn growing_to(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// A channel that goes on: all before `received` came and was consumed, and those before `limit` were
    /// granted.
    #[must_use]
    pub fn going_on(size: u64, received: u64, limit: u64) -> Self {
        Self {
            received,
            consumed: received,
            limit: limit.max(received),
            ..Self::new(size)
        }
    }

    /// The absolute offset granted so far.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that may be on the way or wait to be consumed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes a piece of `len` bytes at `offset`.
    ///
    /// # Errors
    /// [`FlowError`]: a gap, or more than was granted.
    pub fn receive(&mut self, offset: u64, len: u64) -> Result<Received, FlowError> {
        let end = offset.checked_add(len).ok_or(FlowError::Overrun {
            end: u64::MAX,
            limit: self.limit,
        })?;
        if end <= self.received && offset < self.received {
            return Ok(Received::Repeat);
        }
        if offset != self.received {
            return Err(FlowError::Gap {
                expected: self.received,
                got: offset,
            });
        }
        if end > self.limit {
            return Err(FlowError::Overrun {
                end,
                limit: self.limit,
            });
        }
        self.received = end;
        Ok(Received::Next)
    }

    /// Notes that all before `offset` was consumed; answers a new limit to grant once half of the
    /// window is used up.
    pub fn consume(&mut self, offset: u64) -> Option<u64> {
        self.consumed = self.consumed.max(offset.min(self.received));
        let target = self.consumed.saturating_add(self.size);
        let more = target.saturating_sub(self.limit);
        if more > 0 && more >= self.size / 2 {
            self.limit = target;
            return Some(target);
        }
        None
    }

    /// [`ReceiveWindow::consume`] of a window that doubles while it is the bottleneck.
    ///
    /// `now` is the time since any fixed moment, `round_trip` the shortest that was measured lately: one that a
    /// full line made longer would make the window, and so the queue on the line, longer still. `grant` is asked
    /// before it grows by so many bytes.
    pub fn consume_at(
        &mut self,
        offset: u64,
        now: Duration,
        round_trip: Duration,
        grant: impl FnOnce(u64) -> bool,
    ) -> Option<u64> {
        self.consumed = self.consumed.max(offset.min(self.received));
        if self.was_used_up_fast(now, round_trip) {
            let ceiling = if round_trip >= LONG_PATH {
                MAX_LONG_PATH_WINDOW_BYTES
            } else {
                MAX_WINDOW_BYTES
            };
            let size = self.size.saturating_mul(2).min(ceiling).min(self.most);
            if size > self.size && grant(size - self.size) {
                self.size = size;
            }
        }
        self.consume(offset)
    }

    /// Whether a whole window was used up in less than two round trips; begins the next lap where one was.
    fn was_used_up_fast(&mut self, now: Duration, round_trip: Duration) -> bool {
        let lap = *self.lap.get_or_insert(Lap {
            since: now,
            from: self.consumed,
        });
        if self.consumed - lap.from < self.size {
            return false;
        }
        self.lap = Some(Lap {
            since: now,
            from: self.consumed,
        });
        now.saturating_sub(lap.since) < round_trip.saturating_mul(2)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
