//! What of a terminal is recorded: how far its recording has come, and what it was told.

use bytes::Bytes;

use super::Terminal;
use crate::screen;

/// How far the recording of a terminal is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded {
    /// The offset before which all output is in the file.
    pub(super) output: u64,
    /// The offset before which all input was told.
    pub(super) input: u64,
}

impl Recorded {
    /// A recording that begins at these offsets.
    pub(super) fn at(output: u64, input: u64) -> Self {
        Self { output, input }
    }
}

impl Terminal {
    /// Whether it is recorded.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// All output before this offset is in the file.
    pub(crate) fn recorded_up_to(&mut self, offset: u64) {
        if let Some(recorded) = &mut self.recorded {
            recorded.output = recorded.output.max(offset);
        }
    }

    /// It goes on without its recording.
    pub(crate) fn forget_recording(&mut self) {
        self.recorded = None;
    }

    /// What of the input at an offset was not told yet: an agent that comes back is sent some of it again.
    pub(crate) fn untold_input(&mut self, offset: u64, bytes: &Bytes) -> Option<Bytes> {
        let recorded = self.recorded.as_mut()?;
        let end = offset + bytes.len() as u64;
        let known = recorded.input.saturating_sub(offset);
        recorded.input = recorded.input.max(end);
        let known = usize::try_from(known).ok()?;
        (known < bytes.len()).then(|| bytes.slice(known..))
    }

    /// Bytes that draw its screen on an empty terminal; none inside of a sequence, whose rest would be
    /// printed after them.
    pub(crate) fn key_frame(&mut self) -> Option<Vec<u8>> {
        if screen::unfinished(&self.tail()) > 0 {
            return None;
        }
        self.catch_up();
        Some(self.screen.draw())
    }
}
