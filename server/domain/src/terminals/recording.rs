//! What recordings of terminals are told, and what becomes of a terminal whose recording moves or ends.

use gururmm_shared::{Frame, ResetCode, StreamId};

use super::Terminals;
use super::step::{Seen, TerminalStep};
use crate::terminal::Terminal;
use crate::terminal_input::Passed;

impl Terminals {
    /// All output of a terminal before this offset is in the file of its recording.
    pub fn recorded(&mut self, stream: StreamId, offset: u64) -> TerminalStep {
        let mut step = TerminalStep::default();
        if let Some(terminal) = self.terminals.get_mut(&stream) {
            terminal.recorded_up_to(offset);
            self.settle(stream, &mut step);
        }
        step
    }

    /// A terminal goes on without its recording.
    pub fn unrecorded(&mut self, stream: StreamId) -> TerminalStep {
        let mut step = TerminalStep::default();
        if let Some(terminal) = self.terminals.get_mut(&stream) {
            terminal.forget_recording();
            self.settle(stream, &mut step);
        }
        step
    }

    /// Ends a terminal that must not go on.
    pub fn cut_off(&mut self, stream: StreamId, why: &str) -> TerminalStep {
        let runs = self
            .terminals
            .get(&stream)
            .is_some_and(Terminal::is_running);
        if !runs {
            return TerminalStep::default();
        }
        let reset = Frame::reset(stream, ResetCode::Failed, why);
        self.break_off(stream, Some(reset), why)
    }

    /// Bytes that draw a terminal's screen on an empty one, where it can be drawn now.
    pub fn key_frame(&mut self, stream: StreamId) -> Option<Vec<u8>> {
        self.terminals.get_mut(&stream)?.key_frame()
    }

    /// Tells a terminal's recording what goes to its program.
    pub(super) fn tell_input(
        &mut self,
        stream: StreamId,
        passed: &Passed,
        step: &mut TerminalStep,
    ) {
        let terminal = self.terminals.get_mut(&stream);
        let Some(terminal) = terminal.filter(|one| one.is_recorded()) else {
            return;
        };
        for frame in &passed.frames {
            if let Frame::Data { offset, bytes, .. } = frame
                && let Some(new) = terminal.untold_input(*offset, bytes)
            {
                step.seen.push((stream, Seen::Input(new)));
            }
        }
    }
}
