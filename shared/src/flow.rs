//! Flow control by absolute offsets: credit is granted on consumption, never on receipt.
//!
//! ```text
//!   sender                                   receiver
//!   SendWindow  ── bytes with offset < limit ──▶ ReceiveWindow
//!               ◀──────── limit ────────────── (half of the window consumed)
//! ```
//!
//! A window has its size for good, or until [`ReceiveWindow::widen`]: a stream that got a way of its own may hold more,
//! where it is in nobody's way.

/// Bytes a channel may have on the way at first.
pub const INITIAL_WINDOW_BYTES: u64 = 256 * 1024;

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

    /// Makes the window larger, never smaller; answers a new limit to grant at once, where that is one.
    pub fn widen(&mut self, size: u64) -> Option<u64> {
        self.size = self.size.max(size);
        let target = self.consumed.saturating_add(self.size);
        if target <= self.limit {
            return None;
        }
        self.limit = target;
        Some(target)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
