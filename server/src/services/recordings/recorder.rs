//! What a session's actor holds of a recording: every call is short and never waits.
//!
//! The actor gives its agent credit only for what [`Progress::written`] has reached: then a slow disk slows
//! the program, and the queue does not overflow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gururmm_shared::{RecordingId, TerminalSize};
use tokio::sync::watch;

use super::NewRecording;
use super::ending::Ending;
use super::live::Guard;
use super::queue::{End, Full, Piece, Queue};
use super::writer::Writer;
use crate::domain::policy::recording::RecordingRules;
use crate::domain::recording::{KEY_FRAME_BYTES, KeyFrames};
use crate::domain::text::tame;

/// Characters of a mark.
const MARKER_CHARS: usize = 200;
/// What the writer's thread needs.
const STACK_BYTES: usize = 512 * 1024;
const TOO_SLOW: &str = "the server's disk was slower than the terminal, so the recording has a gap";

/// How far a recording is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of output that are in the file.
    pub written: u64,
    /// Why nothing more is recorded.
    pub failed: Option<String>,
}

/// What recorder and writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    progress: watch::Sender<Progress>,
}

impl Shared {
    pub(super) fn written(&self, bytes: u64) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.written != bytes;
            progress.written = bytes;
            changed
        });
    }

    /// Nothing more is recorded; the first reason stays.
    pub(super) fn fail(&self, why: &str) {
        self.queue.end(End::Failed(why.to_owned()));
        self.progress.send_if_modified(|progress| {
            let first = progress.failed.is_none();
            progress.failed.get_or_insert_with(|| why.to_owned());
            first
        });
    }
}

/// Records one terminal. Dropped without [`Recorder::finish`] the recording ends as `interrupted`.
pub struct Recorder {
    id: RecordingId,
    rules: RecordingRules,
    size: TerminalSize,
    began: Instant,
    frames: KeyFrames,
    given: u64,
    shared: Arc<Shared>,
}

impl Recorder {
    pub(super) fn begin(
        id: RecordingId,
        new: &NewRecording,
        writer: Writer,
        ending: Ending,
        guard: Guard,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let recorder = Self {
            id,
            rules: new.rules,
            size: new.size,
            began: Instant::now(),
            frames: KeyFrames::default(),
            given: 0,
            shared: Arc::clone(&shared),
        };
        let work = move || {
            let fault = OnPanic(&shared);
            let outcome = writer.run(&shared);
            std::mem::forget(fault);
            ending.conclude(outcome);
            drop(guard);
        };
        std::thread::Builder::new()
            .name("gururmm-record".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(work)
            .map_err(|error| format!("no thread for a recording: {error}"))?;
        Ok(recorder)
    }

    /// Which recording.
    #[must_use]
    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// What the policy said when it began.
    #[must_use]
    pub fn rules(&self) -> RecordingRules {
        self.rules
    }

    /// Records what the program wrote.
    pub fn output(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.given += bytes.len() as u64;
        self.frames.wrote(bytes);
        self.push(Piece::Output(bytes.clone()));
    }

    /// Records what was typed, where the policy wants that.
    pub fn input(&mut self, bytes: &Bytes) {
        if self.rules.with_input() && !bytes.is_empty() {
            self.push(Piece::Input(bytes.clone()));
        }
    }

    /// Records a new size.
    pub fn resize(&mut self, size: TerminalSize) {
        if size != self.size {
            self.size = size;
            self.push(Piece::Resize(size));
        }
    }

    /// Records a mark, as who took the keyboard.
    pub fn marker(&mut self, text: &str) {
        self.push(Piece::Marker(tame(text, MARKER_CHARS)));
    }

    /// Whether [`Recorder::key_frame`] ought to be called now, with the screen after all output so far.
    #[must_use]
    pub fn wants_key_frame(&self) -> bool {
        self.frames.is_due(self.now())
    }

    /// Records what brings an empty terminal to the present screen (`vt100`'s `state_formatted`); one over
    /// 500 KiB is left out.
    pub fn key_frame(&mut self, state: Vec<u8>) {
        self.frames.taken(self.now());
        if state.len() <= KEY_FRAME_BYTES {
            let frame = Piece::KeyFrame(state, self.size);
            // It can be done without where much waits.
            let _ = self.shared.queue.push(self.now(), frame);
        }
    }

    /// Bytes of output that it was given; [`Progress::written`] gets there.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Bytes of output that are not in the file yet; 0 when it has failed.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let progress = self.shared.progress.borrow();
        if progress.failed.is_some() {
            return 0;
        }
        self.given.saturating_sub(progress.written)
    }

    /// Why nothing more is recorded. Where the policy says `required`, the terminal must be ended.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.shared.progress.borrow().failed.clone()
    }

    /// Tells of every change of what is written, and of a failure.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// The terminal has ended: the recording is completed in the background.
    pub fn finish(self) {
        self.shared.queue.end(End::Complete);
    }

    fn push(&mut self, piece: Piece) {
        if self.shared.queue.push(self.now(), piece) == Err(Full) {
            self.shared.fail(TOO_SLOW);
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.queue.end(End::Interrupted);
    }
}

/// Says that the writer is gone, should it panic.
struct OnPanic<'a>(&'a Shared);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        self.0.fail("the recording ended by a fault of the server");
    }
}
