//! How bytes flow: to each viewer within its window and credit, to the agent within its window.

use gururmm_shared::{Frame, StreamId, StreamMessage};

use super::Terminals;
use super::step::{TerminalDelivery, TerminalStep, ToAgent, Word};
use crate::terminal_input::Passed;
use crate::viewers::{VIEWER_CREDIT_BYTES, ViewerNumber};

/// Bytes of output that all terminals of a session keep together, viewers' backlogs aside.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;

impl Terminals {
    /// Sends each viewer of a terminal what its window and credit allow.
    pub(super) fn pump(&mut self, stream: StreamId, step: &mut TerminalStep) {
        for viewer in self.watching(stream) {
            while self.feed(viewer, stream, step) {}
        }
        self.settle(stream, step);
    }

    /// Sends a viewer what its credit allows, a piece of each terminal in turn.
    pub(super) fn pump_viewer(&mut self, viewer: ViewerNumber, step: &mut TerminalStep) {
        let turn = self.viewers.get(&viewer).map(|one| one.turn);
        let Some(turn) = turn else { return };
        let (before, after): (Vec<_>, Vec<_>) =
            self.terminals.keys().partition(|stream| **stream <= turn);
        let mut order: Vec<StreamId> = after.into_iter().chain(before).copied().collect();
        let fed = order.clone();
        while !order.is_empty() {
            order.retain(|stream| self.feed(viewer, *stream, step));
        }
        for stream in fed {
            self.settle(stream, step);
        }
    }

    /// Sends a viewer one piece of a terminal, or its end; false where there is nothing more for now.
    pub(super) fn feed(
        &mut self,
        viewer: ViewerNumber,
        stream: StreamId,
        step: &mut TerminalStep,
    ) -> bool {
        let (Some(watcher), Some(terminal)) = (
            self.viewers.get_mut(&viewer),
            self.terminals.get_mut(&stream),
        ) else {
            return false;
        };
        let room = VIEWER_CREDIT_BYTES.saturating_sub(watcher.in_flight);
        if let Some((frame, bytes)) = terminal.next_piece(viewer, room) {
            watcher.in_flight += bytes;
            watcher.turn = stream;
            step.deliveries.push(TerminalDelivery {
                viewer,
                word: Word::Frame(frame),
                bytes,
            });
            return true;
        }
        if let Some((eof, closed)) = terminal.end_for(viewer) {
            self.tell(viewer, Word::Frame(eof.encode()), step);
            let closed = StreamMessage::TerminalClosed(closed);
            self.tell(viewer, Word::Message(Box::new(closed)), step);
        }
        false
    }

    pub(super) fn settle(&mut self, stream: StreamId, step: &mut TerminalStep) {
        let share = KEPT_BYTES / (self.terminals.len().max(1) as u64);
        let keep = self.replay_bytes.min(share);
        if let Some(window) = self
            .terminals
            .get_mut(&stream)
            .and_then(|terminal| terminal.settle(keep))
        {
            step.to_agent.push(ToAgent::Frame(window));
        }
    }

    /// Brings on its way what viewers wrote, and tells them how far they may write.
    pub(super) fn pass(&mut self, stream: StreamId, passed: Passed, step: &mut TerminalStep) {
        self.tell_input(stream, &passed, step);
        step.to_agent
            .extend(passed.frames.into_iter().map(ToAgent::Frame));
        for (writer, limit) in passed.limits {
            let found = self.viewers.iter().find(|(_, one)| one.writer == writer);
            if let Some(number) = found.map(|(number, _)| *number) {
                let window = Frame::Window { stream, limit };
                self.tell(number, Word::Frame(window.encode()), step);
            }
        }
    }

    /// Says something that does not wait for credit, but costs it.
    pub(super) fn tell(&mut self, viewer: ViewerNumber, word: Word, step: &mut TerminalStep) {
        let Some(watcher) = self.viewers.get_mut(&viewer) else {
            return;
        };
        let bytes = match &word {
            Word::Frame(frame) => frame.len() as u64,
            // As much as most of them have; a screen is as long as it is.
            Word::Message(message) => match message.as_ref() {
                StreamMessage::TerminalScreen(screen) => 256 + screen.screen.len() as u64,
                _ => 256,
            },
        };
        watcher.in_flight += bytes;
        step.deliveries.push(TerminalDelivery {
            viewer,
            word,
            bytes,
        });
    }
}
