//! The index of a recording: where in the file which time begins, and key frames, so that a player
//! shows any moment without all that came before.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gururmm_shared::TerminalSize;
use serde::{Deserialize, Serialize};

use crate::screen::unfinished;

/// A key frame is due after so long with output.
const FRAME_EVERY: Duration = Duration::from_secs(30);
/// A key frame is due after so many bytes of output.
const FRAME_BYTES: u64 = 256 * 1024;
/// A position is noted after so long with events.
const POSITION_EVERY: Duration = Duration::from_secs(5);
/// A position is noted after so many bytes of the file.
const POSITION_BYTES: u64 = 64 * 1024;

/// What an entry of the index stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
#[schema(as = RecordingEntryKind)]
pub enum EntryKind {
    /// A place in the file.
    Position,
    /// A place with the screen as it is there.
    KeyFrame,
    /// A new size.
    Resize,
    /// A mark.
    Marker,
}

/// A line of the index. The events of the file from `offset` on come after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RecordingEntry)]
pub struct Entry {
    /// Seconds since the beginning.
    pub time: f64,
    /// Where in the file.
    pub offset: u64,
    /// Bytes that the program had written.
    pub stream: u64,
    /// What it is.
    pub kind: EntryKind,
    /// The size there, of a key frame and of a new size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<TerminalSize>,
    /// What brings an empty terminal of that size to the screen of a key frame, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The text of a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Entry {
    /// A place in the file.
    #[must_use]
    pub fn new(kind: EntryKind, at: Duration, offset: u64, stream: u64) -> Self {
        Self {
            time: at.as_secs_f64(),
            offset,
            stream,
            kind,
            size: None,
            state: None,
            label: None,
        }
    }

    /// A key frame.
    #[must_use]
    pub fn key_frame(
        at: Duration,
        (offset, stream): (u64, u64),
        size: TerminalSize,
        state: &[u8],
    ) -> Self {
        Self {
            size: Some(size),
            state: Some(STANDARD.encode(state)),
            ..Self::new(EntryKind::KeyFrame, at, offset, stream)
        }
    }

    /// Adds its line, with its break.
    pub fn write(&self, lines: &mut Vec<u8>) {
        serde_json::to_writer(&mut *lines, self).expect("an entry always becomes JSON in memory");
        lines.push(b'\n');
    }

    /// Reads a line; nothing where it is none.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// When the next key frame is due.
#[derive(Debug, Default)]
pub struct KeyFrames {
    taken_at: Duration,
    bytes: u64,
    is_inside: bool,
}

impl KeyFrames {
    /// Counts output.
    pub fn wrote(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.is_inside = unfinished(bytes) > 0;
    }

    /// Whether one is to be taken now: never inside of a sequence or a character, nor of a still screen.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        let waited = now.saturating_sub(self.taken_at) >= FRAME_EVERY;
        self.bytes > 0 && !self.is_inside && (self.bytes >= FRAME_BYTES || waited)
    }

    /// One was taken.
    pub fn taken(&mut self, now: Duration) {
        *self = Self {
            taken_at: now,
            ..Self::default()
        };
    }
}

/// When the next position is to be noted.
#[derive(Debug, Default)]
pub struct Positions {
    noted_at: Duration,
    noted: u64,
}

impl Positions {
    /// Whether one is to be noted before an event that begins here.
    #[must_use]
    pub fn is_due(&self, at: Duration, offset: u64) -> bool {
        let waited = at.saturating_sub(self.noted_at) >= POSITION_EVERY;
        offset > self.noted && (waited || offset - self.noted >= POSITION_BYTES)
    }

    /// One was noted.
    pub fn noted(&mut self, at: Duration, offset: u64) {
        *self = Self {
            noted_at: at,
            noted: offset,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_due_after_thirty_seconds_of_output_or_256_kib() {
        let mut frames = KeyFrames::default();
        assert!(!frames.is_due(FRAME_EVERY * 9), "nothing was written");
        frames.wrote(b"x");
        assert!(!frames.is_due(FRAME_EVERY - Duration::from_millis(1)));
        assert!(frames.is_due(FRAME_EVERY));
        frames.taken(FRAME_EVERY);
        assert!(!frames.is_due(FRAME_EVERY * 9), "the screen is still");
        frames.wrote(&vec![b'x'; 256 * 1024 - 1]);
        assert!(!frames.is_due(FRAME_EVERY));
        frames.wrote(b"\x1b[3");
        assert!(!frames.is_due(FRAME_EVERY), "inside of a sequence");
        frames.wrote(b"1m");
        assert!(frames.is_due(FRAME_EVERY));
    }

    #[test]
    fn a_position_is_noted_every_five_seconds_or_64_kib_of_the_file() {
        let mut positions = Positions::default();
        assert!(!positions.is_due(POSITION_EVERY, 0), "nothing is there");
        assert!(positions.is_due(POSITION_EVERY, 1));
        assert!(!positions.is_due(Duration::ZERO, POSITION_BYTES - 1));
        assert!(positions.is_due(Duration::ZERO, POSITION_BYTES));
        positions.noted(POSITION_EVERY, POSITION_BYTES);
        assert!(!positions.is_due(POSITION_EVERY * 2, POSITION_BYTES));
    }

    #[test]
    fn an_entry_is_read_back_from_its_line_and_half_a_line_is_none() {
        let size = TerminalSize { cols: 80, rows: 24 };
        let state = [0x1b, b'c', 0xff, b'\n'];
        let entry = Entry::key_frame(Duration::from_micros(1_500_000), (42, 7), size, &state);
        let mut line = Vec::new();
        entry.write(&mut line);
        assert_eq!(Entry::read(&line), Some(entry));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        for cut in 0..line.len() - 1 {
            assert_eq!(Entry::read(&line[..cut]), None);
        }
    }
}
