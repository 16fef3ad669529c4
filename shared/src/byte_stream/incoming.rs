//! The receiving half of a stream: what came and was not read, and how much more may come.

use bytes::{Buf, Bytes};

use super::Reset;
use crate::ResetCode;
use crate::flow::{FlowError, ReceiveWindow};
use crate::piece_queue::PieceQueue;
use crate::window_budget::WindowShare;

/// The half.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) window: ReceiveWindow,
    pub(super) share: Option<WindowShare>,
    inbox: PieceQueue,
    read: u64,
    end: Option<u64>,
}

impl Incoming {
    /// A half with this window, all of whose bytes before now were read.
    pub(super) fn new(window: ReceiveWindow) -> Self {
        Self {
            window,
            share: None,
            inbox: PieceQueue::default(),
            read: window.received(),
            end: None,
        }
    }

    /// Takes DATA. Bytes that were received before are left out: after a new connection they may come cut
    /// otherwise than at first.
    pub(super) fn data(&mut self, offset: u64, mut bytes: Bytes) -> Result<(), Reset> {
        let received = self.window.received();
        let known = usize::try_from(received.saturating_sub(offset)).unwrap_or(usize::MAX);
        if known >= bytes.len() {
            return Ok(());
        }
        if self.end.is_some() {
            return Err(Reset::new(ResetCode::Protocol, "bytes after the end"));
        }
        bytes.advance(known);
        let len = bytes.len() as u64;
        match self.window.receive(offset.max(received), len) {
            Ok(_) => {
                self.inbox.push(bytes);
                Ok(())
            }
            Err(error @ FlowError::Gap { .. }) => {
                Err(Reset::new(ResetCode::Gap, error.to_string()))
            }
            Err(error @ FlowError::Overrun { .. }) => {
                Err(Reset::new(ResetCode::Overrun, error.to_string()))
            }
        }
    }

    /// Takes EOF; one that comes twice is the same end.
    pub(super) fn eof(&mut self, offset: u64) -> Result<(), Reset> {
        let received = self.window.received();
        if offset != received {
            let reason = format!("the end at {offset} after {received} bytes");
            return Err(Reset::new(ResetCode::Gap, reason));
        }
        self.end = Some(offset);
        Ok(())
    }

    /// The next bytes that came.
    pub(super) fn read(&mut self) -> Option<Bytes> {
        let bytes = self.inbox.pop()?;
        self.read += bytes.len() as u64;
        Some(bytes)
    }

    /// Whether the sender has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether all up to the sender's end was read.
    pub(super) fn is_read(&self) -> bool {
        self.end == Some(self.read)
    }

    /// Notes that all that was read was used; answers a new limit, where one is due.
    pub(super) fn consumed(&mut self) -> Option<u64> {
        self.window.consume(self.read)
    }

    /// Makes the window larger, as far as its share lets it; answers a new limit, where there is one.
    pub(super) fn widen(&mut self, size: u64) -> Option<u64> {
        let more = size.saturating_sub(self.window.size());
        let granted = more > 0 && self.share.as_mut().is_none_or(|share| share.grow(more));
        granted.then(|| self.window.widen(size)).flatten()
    }
}
