//! Who watches a terminal: how much each has got and may get, and who holds the size.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gururmm_shared::flow::{INITIAL_WINDOW_BYTES, PIECE_BYTES};
use gururmm_shared::frame::data_message;
use gururmm_shared::{Frame, TerminalClosed, TerminalOpened, TerminalScreen};

use super::{State, Terminal};
use crate::terminal_input::Writer;
use crate::viewers::ViewerNumber;

/// Bytes beyond where it attached that a viewer takes at first; its WINDOW frames say more.
pub const OUTPUT_WINDOW_BYTES: u64 = INITIAL_WINDOW_BYTES;

/// A viewer of the terminal.
pub(crate) struct Cursor {
    pub(super) writer: Writer,
    read_only: bool,
    pub(super) offset: u64,
    limit: u64,
    pub(super) told_end: bool,
    mark: Option<(u64, Instant)>,
}

/// What a viewer is told when it begins to watch.
pub(crate) struct Greeting {
    pub(crate) opened: TerminalOpened,
    pub(crate) screen: Option<TerminalScreen>,
    pub(crate) input: Frame,
}

impl Terminal {
    /// Whether a viewer can be told from there on.
    pub(crate) fn reaches(&self, from: u64) -> bool {
        (self.replay.first()..=self.replay.next().max(self.expected)).contains(&from)
    }

    /// Begins to tell a viewer, from `from` on where that is still kept, and else from the screen as it is.
    pub(crate) fn attach(
        &mut self,
        viewer: ViewerNumber,
        writer: Writer,
        read_only: bool,
        from: Option<u64>,
    ) -> Greeting {
        let (offset, screen) = match from.filter(|from| self.reaches(*from)) {
            Some(from) => (from, None),
            None => {
                let screen = self.draw();
                (screen.offset, Some(screen))
            }
        };
        self.cursors.insert(
            viewer,
            Cursor {
                writer,
                read_only,
                offset,
                limit: offset + OUTPUT_WINDOW_BYTES,
                told_end: false,
                mark: None,
            },
        );
        let known = match writer {
            Writer::Known(key) => Some(key),
            Writer::Once(_) => None,
        };
        let comes_back = self.held_by.is_none() || self.held_by == known;
        if self.holder.is_none() && !read_only && comes_back {
            self.hold(viewer);
        }
        let (input_received, limit) = self.input.position(writer);
        let opened = TerminalOpened {
            channel_id: self.channel_id.clone(),
            stream: self.stream,
            command_id: self.command_id,
            program: self.program.clone(),
            size: self.size,
            holder: self.holder,
            offset,
            input_received,
        };
        let input = Frame::Window {
            stream: self.stream,
            limit,
        };
        Greeting {
            opened,
            screen,
            input,
        }
    }

    /// Lets a viewer go; answers whether it held the size. Who comes back by the same name holds it again,
    /// if nobody took it meanwhile.
    pub(crate) fn detach(&mut self, viewer: ViewerNumber) -> bool {
        if self.cursors.remove(&viewer).is_none() || self.holder != Some(viewer) {
            return false;
        }
        self.holder = None;
        true
    }

    /// Makes a viewer the one whose size counts.
    pub(crate) fn hold(&mut self, viewer: ViewerNumber) {
        self.holder = Some(viewer);
        self.held_by = match self.cursors.get(&viewer).map(|cursor| cursor.writer) {
            Some(Writer::Known(key)) => Some(key),
            _ => None,
        };
    }

    /// Whether a viewer may write: none where it does not watch.
    pub(crate) fn may_write(&self, viewer: ViewerNumber) -> Option<bool> {
        self.cursors.get(&viewer).map(|cursor| !cursor.read_only)
    }

    /// Takes how far a viewer's terminal has come.
    pub(crate) fn raise(&mut self, viewer: ViewerNumber, limit: u64) {
        if let Some(cursor) = self.cursors.get_mut(&viewer) {
            cursor.limit = cursor.limit.max(limit);
        }
    }

    /// The next piece for a viewer, as a message, and its bytes; none where it has all, or takes no more.
    pub(crate) fn next_piece(&mut self, viewer: ViewerNumber, room: u64) -> Option<(Bytes, u64)> {
        let cursor = self.cursors.get_mut(&viewer)?;
        let room = room.min(cursor.limit.saturating_sub(cursor.offset));
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if most == 0 || cursor.offset >= self.replay.next() {
            return None;
        }
        let parts = self.replay.parts(cursor.offset, most);
        let bytes = (parts[0].len() + parts[1].len()) as u64;
        if bytes == 0 {
            return None;
        }
        let message = data_message(self.stream, cursor.offset, &parts);
        cursor.offset += bytes;
        Some((message, bytes))
    }

    /// The end, once for each viewer that has all bytes before it.
    pub(crate) fn end_for(&mut self, viewer: ViewerNumber) -> Option<(Frame, TerminalClosed)> {
        let State::Ended(closed) = &self.state else {
            return None;
        };
        let cursor = self.cursors.get_mut(&viewer)?;
        if cursor.told_end || cursor.offset < self.replay.next() {
            return None;
        }
        cursor.told_end = true;
        let eof = Frame::Eof {
            stream: self.stream,
            offset: cursor.offset,
        };
        Some((eof, closed.clone()))
    }

    /// The end for a viewer that will not get what is before it.
    pub(crate) fn cut_off_for(&mut self, viewer: ViewerNumber) -> Option<TerminalClosed> {
        let State::Ended(closed) = &self.state else {
            return None;
        };
        let cursor = self.cursors.get_mut(&viewer)?;
        (!std::mem::replace(&mut cursor.told_end, true)).then(|| closed.clone())
    }

    /// Whether a viewer has let something wait for `patience`, as seen when this is asked again and again.
    pub(crate) fn is_stalled(
        &mut self,
        viewer: ViewerNumber,
        now: Instant,
        patience: Duration,
    ) -> bool {
        let next = self.replay.next();
        let ended = !self.is_running();
        let Some(cursor) = self.cursors.get_mut(&viewer) else {
            return false;
        };
        let waits = cursor.offset < next || (ended && !cursor.told_end);
        match cursor.mark {
            Some((offset, since)) if waits && offset == cursor.offset => {
                now.saturating_duration_since(since) >= patience
            }
            _ => {
                cursor.mark = waits.then_some((cursor.offset, now));
                false
            }
        }
    }
}
