//! Writes one recording, on a thread of its own: the disk may be slow, the session must not be.
//!
//! What came is in the file at once and on the disk within [`SYNC_AFTER`] and the time that takes: a crash
//! of the server loses what is in the queue, one of the machine at most the last second.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use gururmm_shared::TerminalSize;
use sha2::{Digest, Sha256};

use super::files::OpenFiles;
use super::queue::{Batch, End, Piece};
use super::recorder::Shared;
use crate::domain::recording::{Cast, Entry, EntryKind, Positions, RecordingState};

/// How long something may be in the file before it is brought to the disk.
const SYNC_AFTER: Duration = Duration::from_millis(500);

/// How a recording ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) state: RecordingState,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) duration: Duration,
    /// Why something is missing after it.
    pub(super) problem: Option<String>,
}

/// The writer of one recording.
pub(super) struct Writer {
    cast_file: WholeFile,
    index_file: WholeFile,
    hash: Sha256,
    cast: Cast,
    positions: Positions,
    /// Bytes of output so far.
    stream: u64,
    /// Since when something waits to be brought to the disk.
    unsynced_since: Option<Instant>,
}

/// A file of whole lines: what was written in part is cut off again.
struct WholeFile {
    file: File,
    bytes: u64,
}

impl WholeFile {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(lines) {
            // Should it fail, readers drop the cut line.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

impl Writer {
    pub(super) fn new(files: OpenFiles) -> Self {
        let mut hash = Sha256::new();
        hash.update(&files.header);
        Self {
            cast_file: WholeFile {
                file: files.cast,
                bytes: files.header.len() as u64,
            },
            index_file: WholeFile {
                file: files.index,
                bytes: 0,
            },
            hash,
            cast: Cast::default(),
            positions: Positions::default(),
            stream: 0,
            unsynced_since: None,
        }
    }

    /// Writes what comes until its end.
    pub(super) fn run(mut self, shared: &Shared) -> Outcome {
        loop {
            let deadline = self.unsynced_since.map(|since| since + SYNC_AFTER);
            let Batch { pieces, end } = shared.queue.take(deadline);
            if let Err(error) = self.write(pieces) {
                let why = format!("the recording could not be written: {error}");
                shared.fail(&why);
                return self.close(End::Failed(why));
            }
            shared.written(self.stream);
            if let Some(end) = end {
                return self.close(end);
            }
        }
    }

    fn write(&mut self, pieces: Vec<(Duration, Piece)>) -> io::Result<()> {
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        for (at, piece) in pieces {
            self.encode(at, &piece, &mut lines, &mut entries);
        }
        self.append(&lines, &entries)?;
        match self.unsynced_since {
            Some(since) if since.elapsed() >= SYNC_AFTER => self.sync(),
            _ => Ok(()),
        }
    }

    fn encode(&mut self, at: Duration, piece: &Piece, lines: &mut Vec<u8>, entries: &mut Vec<u8>) {
        let offset = self.cast_file.bytes + lines.len() as u64;
        let at = at.max(self.cast.last());
        let entry = |kind, size: Option<TerminalSize>, label: Option<String>| Entry {
            size,
            label,
            ..Entry::new(kind, at, offset, self.stream)
        };
        let entry = match piece {
            Piece::KeyFrame(state, size) => {
                Some(Entry::key_frame(at, (offset, self.stream), *size, state))
            }
            Piece::Resize(size) => Some(entry(EntryKind::Resize, Some(*size), None)),
            Piece::Marker(label) => Some(entry(EntryKind::Marker, None, Some(label.clone()))),
            Piece::Output(_) | Piece::Input(_) => self
                .positions
                .is_due(at, offset)
                .then(|| entry(EntryKind::Position, None, None)),
        };
        if let Some(entry) = entry {
            entry.write(entries);
            self.positions.noted(at, offset);
        }
        match piece {
            Piece::Output(bytes) => {
                self.stream += bytes.len() as u64;
                self.cast.output(at, bytes, lines);
            }
            Piece::Input(bytes) => self.cast.input(at, bytes, lines),
            Piece::Resize(size) => self.cast.resize(at, *size, lines),
            Piece::Marker(label) => self.cast.marker(at, label, lines),
            Piece::KeyFrame(..) => {}
        }
    }

    /// The recording first: an entry of the index never points behind its end.
    fn append(&mut self, lines: &[u8], entries: &[u8]) -> io::Result<()> {
        if lines.is_empty() && entries.is_empty() {
            return Ok(());
        }
        self.unsynced_since.get_or_insert_with(Instant::now);
        self.cast_file.append(lines)?;
        self.hash.update(lines);
        self.index_file.append(entries)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced_since = None;
        self.cast_file.file.sync_data()?;
        self.index_file.file.sync_data()
    }

    fn close(mut self, end: End) -> Outcome {
        let duration = self.cast.last();
        let mut lines = Vec::new();
        self.cast.finish(&mut lines);
        if let End::Failed(why) = &end {
            // Where there is room for it, who plays the recording sees where it ends and why.
            self.cast.marker(duration, why, &mut lines);
        }
        let written = self.append(&lines, &[]).and_then(|()| self.sync());
        let (state, problem) = match (end, written) {
            (End::Failed(why), _) => (RecordingState::Failed, Some(why)),
            (_, Err(error)) => {
                let why = format!("the recording could not be written: {error}");
                (RecordingState::Failed, Some(why))
            }
            (End::Complete, Ok(())) => (RecordingState::Complete, None),
            (End::Interrupted, Ok(())) => (RecordingState::Interrupted, None),
        };
        Outcome {
            state,
            bytes: self.cast_file.bytes,
            sha256: self.hash.finalize().into(),
            duration,
            problem,
        }
    }
}
