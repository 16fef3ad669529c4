//! One terminal of a session: what its program wrote and shows, who has got how much of it, who holds its
//! size, and what is typed.
//!
//! ```text
//!   agent ──DATA──▶ ReceiveWindow ─▶ ByteReplay ──window and credit──▶ each viewer
//!         ◀─WINDOW─ the slowest has been sent it     └─later─▶ Screen ──▶ new viewers
//!                   and its recording has it
//!         ◀──DATA── TerminalInput ◀──DATA── each viewer
//! ```

mod audience;
mod recorded;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gururmm_shared::flow::{FlowError, ReceiveWindow, Received};
use gururmm_shared::{
    AuditId, ChannelId, ChannelState, ChannelSummary, Closed, CommandId, EndReason, ErrorCode,
    Feature, Frame, KeptTerminal, OperationError, StreamId, StreamPosition, TerminalClosed,
    TerminalScreen, TerminalSize,
};

use self::audience::Cursor;
pub use self::audience::OUTPUT_WINDOW_BYTES;
use self::recorded::Recorded;
use crate::byte_replay::ByteReplay;
use crate::screen::{self, Screen};
use crate::terminal_input::{TerminalInput, ViewerKey};
use crate::viewers::ViewerNumber;

/// Characters that a terminal has at most: a screen costs 32 bytes for each.
pub const MOST_CHARACTERS: u32 = 200_000;

/// Bytes of input that are kept over a lost connection.
pub const KEPT_INPUT_BYTES: u64 = 256 * 1024;

/// Bytes looked at for a sequence that has not ended.
const TAIL_BYTES: usize = 8 * 1024;

/// Whether a terminal may have this size.
#[must_use]
pub fn is_size(size: TerminalSize) -> bool {
    size == size.clamped() && u32::from(size.cols) * u32::from(size.rows) <= MOST_CHARACTERS
}

/// A terminal that the agent has opened.
#[derive(Debug, Clone)]
pub struct NewTerminal {
    /// Its channel.
    pub channel_id: ChannelId,
    /// The number of its frames.
    pub stream: StreamId,
    /// Its id in audit and answers.
    pub command_id: CommandId,
    /// The row of its audit.
    pub audit_id: AuditId,
    /// What it runs.
    pub program: String,
    /// Its size.
    pub size: TerminalSize,
    /// Bytes that the agent may have on the way.
    pub window: u64,
    /// Bytes of input that the agent takes at first.
    pub input_window: u64,
    /// Bytes of input that are kept.
    pub keep_input: u64,
    /// Whether it is recorded: the agent's window follows the recording, too.
    pub is_recorded: bool,
}

enum State {
    Running,
    Ended(TerminalClosed),
}

/// The terminal.
pub struct Terminal {
    pub(super) channel_id: ChannelId,
    pub(super) stream: StreamId,
    command_id: CommandId,
    pub(super) audit_id: AuditId,
    program: String,
    pub(super) size: TerminalSize,
    pub(super) holder: Option<ViewerNumber>,
    held_by: Option<ViewerKey>,
    window: ReceiveWindow,
    recorded: Option<Recorded>,
    replay: ByteReplay,
    screen: Screen,
    fed: u64,
    expected: u64,
    pub(super) input: TerminalInput,
    pub(super) cursors: BTreeMap<ViewerNumber, Cursor>,
    state: State,
    pub(super) closing: bool,
}

impl Terminal {
    pub(super) fn new(new: NewTerminal) -> Self {
        Self {
            channel_id: new.channel_id,
            stream: new.stream,
            command_id: new.command_id,
            audit_id: new.audit_id,
            program: new.program,
            size: new.size,
            holder: None,
            held_by: None,
            window: ReceiveWindow::new(new.window),
            recorded: new.is_recorded.then(|| Recorded::at(0, 0)),
            replay: ByteReplay::default(),
            screen: Screen::new(new.size),
            fed: 0,
            expected: 0,
            input: TerminalInput::new(new.stream, new.input_window, new.keep_input),
            cursors: BTreeMap::new(),
            state: State::Running,
            closing: false,
        }
    }

    /// One that an agent kept while there was no server: what it can send again fills the replay and the screen,
    /// and begins its recording.
    pub(super) fn adopted(new: NewTerminal, position: &StreamPosition) -> Self {
        let limit = position.sent.saturating_add(new.window);
        let input = TerminalInput::going_on(
            new.stream,
            position.received,
            position.limit,
            new.keep_input,
        );
        Self {
            window: ReceiveWindow::going_on(new.window, position.first, limit),
            recorded: new
                .is_recorded
                .then(|| Recorded::at(position.first, position.received)),
            replay: ByteReplay::starting_at(position.first),
            fed: position.first,
            expected: position.sent,
            input,
            ..Self::new(new)
        }
    }

    /// Whether bytes that the agent sends again are still to come.
    pub(super) fn is_refilling(&self) -> bool {
        self.is_running() && self.replay.next() < self.expected
    }

    /// Whether the last of them has come; true once.
    pub(super) fn is_refilled(&mut self) -> bool {
        let refilled = self.expected > 0 && self.replay.next() >= self.expected;
        if refilled {
            self.expected = 0;
        }
        refilled
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    /// Whether it has ended and everybody who watches it knows.
    pub(super) fn is_told(&self) -> bool {
        !self.is_running() && self.cursors.values().all(|cursor| cursor.told_end)
    }

    pub(super) fn kept(&self) -> u64 {
        self.replay.kept()
    }

    pub(super) fn summary(&self) -> ChannelSummary {
        ChannelSummary {
            channel_id: self.channel_id.clone(),
            command_id: self.command_id,
            command: self.program.clone(),
            state: match &self.state {
                State::Running => ChannelState::Running,
                State::Ended(TerminalClosed {
                    error: Some(error), ..
                }) => ChannelState::Failed {
                    error: error.message.clone(),
                },
                State::Ended(closed) => ChannelState::Ended {
                    exit_code: closed.exit_code,
                    reason: closed.reason,
                },
            },
            first_offset: self.replay.first(),
            next_offset: self.replay.next(),
            feature: Feature::Terminal,
            stream: Some(self.stream),
        }
    }

    /// Takes bytes of the program's.
    pub(super) fn output(&mut self, offset: u64, bytes: &Bytes) -> Result<Received, FlowError> {
        let received = self.window.receive(offset, bytes.len() as u64)?;
        if received == Received::Next {
            self.replay.push(bytes);
        }
        Ok(received)
    }

    /// Whether the program's last byte is the one before `offset`.
    pub(super) fn ends_at(&self, offset: u64) -> bool {
        self.replay.next() == offset
    }

    /// Notes how it ended; nothing more comes.
    pub(super) fn end(&mut self, closed: Closed) {
        self.input.end();
        self.state = State::Ended(TerminalClosed {
            channel_id: self.channel_id.clone(),
            exit_code: closed.exit_code,
            reason: closed.reason,
            error: closed.error,
        });
    }

    /// How it ended, as the audit writes it.
    pub(super) fn outcome(&self) -> (&'static str, Option<i32>) {
        let State::Ended(closed) = &self.state else {
            return ("running", None);
        };
        let outcome = match (&closed.error, closed.reason, closed.exit_code) {
            (Some(error), ..) if error.code == ErrorCode::Cancelled => "cancelled",
            (Some(_), ..) => "failed",
            (None, Some(EndReason::TimedOut), _) => "timed_out",
            (None, Some(EndReason::Cancelled), _) => "cancelled",
            (None, None, Some(0)) => "completed",
            _ => "failed",
        };
        (outcome, closed.exit_code)
    }

    /// Sets the size.
    pub(super) fn resize(&mut self, size: TerminalSize) {
        // What was written for the old size is drawn in it.
        self.catch_up();
        self.size = size;
        self.screen.resize(size);
    }

    /// Lets the agent's window follow the slowest viewer and the recording, and the replay keep `replay_bytes`
    /// and what a viewer has still to get; answers a window to be granted.
    pub(super) fn settle(&mut self, replay_bytes: u64) -> Option<Frame> {
        let next = self.replay.next();
        let slowest = self
            .cursors
            .values()
            .map(|cursor| cursor.offset)
            .min()
            .unwrap_or(next);
        let keep_from = next.saturating_sub(replay_bytes).min(slowest);
        if keep_from > self.replay.first() {
            self.feed_until(keep_from);
            self.replay.forget_before(keep_from);
        }
        if !self.is_running() {
            return None;
        }
        // So that a slow disk slows the program.
        let recorded = self.recorded.map_or(next, |recorded| recorded.output);
        let limit = self.window.consume(slowest.min(recorded))?;
        Some(Frame::Window {
            stream: self.stream,
            limit,
        })
    }

    /// Brings the screen up to the last byte. It is not done with every byte, so that none waits for it.
    pub(super) fn catch_up(&mut self) {
        self.feed_until(self.replay.next());
    }

    fn feed_until(&mut self, offset: u64) {
        while self.fed < offset {
            let parts = self.replay.parts(self.fed, ByteReplay::MOST);
            let bytes = parts[0].len() + parts[1].len();
            if bytes == 0 {
                self.fed = self.fed.max(self.replay.first()).max(offset);
                return;
            }
            for part in parts {
                self.screen.feed(part);
            }
            self.fed += bytes as u64;
        }
    }

    fn draw(&mut self) -> TerminalScreen {
        self.catch_up();
        let unfinished = screen::unfinished(&self.tail()) as u64;
        TerminalScreen {
            channel_id: self.channel_id.clone(),
            stream: self.stream,
            offset: self.replay.next() - unfinished,
            size: self.size,
            screen: STANDARD.encode(self.screen.draw()),
        }
    }

    /// The last bytes that the program wrote.
    fn tail(&self) -> Vec<u8> {
        let next = self.replay.next();
        let from = next
            .saturating_sub(TAIL_BYTES as u64)
            .max(self.replay.first());
        self.replay.parts(from, TAIL_BYTES).concat()
    }

    /// How far it is, for an agent that comes back.
    pub(super) fn position(&self) -> StreamPosition {
        let (sent, first) = self.input.sent();
        StreamPosition {
            stream: self.stream,
            received: self.replay.next(),
            limit: self.window.limit(),
            sent,
            first,
        }
    }

    /// Whether an agent that comes back can go on with it: it has sent no less than came here, and what has
    /// not come can be sent again.
    pub(super) fn fits(&self, kept: &KeptTerminal) -> bool {
        let received = self.replay.next();
        self.is_running() && (kept.position.first..=kept.position.sent).contains(&received)
    }
}

/// Why a terminal ends with its session.
pub(super) fn gone(why: &str) -> Closed {
    Closed::failed(OperationError::new(
        ErrorCode::Gone,
        format!("the session ended: {why}"),
    ))
}
