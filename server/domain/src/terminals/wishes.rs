//! What viewers want of terminals: input, sizes, signals, ends; and what they are answered if it cannot be.

use gururmm_shared::{
    ChannelId, ErrorReply, Frame, ResetCode, StreamId, StreamMessage, TerminalResized,
    TerminalSize, TunnelData, TunnelPayload,
};

use super::step::{Seen, TerminalStep, ToAgent, Word};
use super::{Terminals, reset_of};
use crate::terminal::{Terminal, is_size};
use crate::viewers::{VIEWER_CREDIT_BYTES, ViewerNumber};

/// Why a terminal does not do what a viewer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwilling {
    /// There is no such terminal.
    Unknown,
    /// It has ended.
    Ended,
    /// The viewer only looks.
    ReadOnly,
    /// No such size.
    BadSize,
}

impl Unwilling {
    fn reply(self) -> ErrorReply {
        let (code, message) = match self {
            Self::Unknown => ("unknown_channel", "there is no terminal in that channel"),
            Self::Ended => ("terminal_ended", "that terminal has ended"),
            Self::ReadOnly => ("read_only", "you only watch this session"),
            Self::BadSize => (
                "bad_size",
                "a terminal has 1 to 1000 columns and lines, and at most 200000 characters",
            ),
        };
        ErrorReply {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl Terminals {
    /// Takes a frame of a viewer's. One that does not fit ends what the viewer has of that terminal, and
    /// nothing else.
    pub fn from_viewer(&mut self, viewer: ViewerNumber, frame: Frame) -> TerminalStep {
        let mut step = TerminalStep::default();
        let stream = frame.stream();
        let Some(writer) = self.viewers.get(&viewer).map(|one| one.writer) else {
            return step;
        };
        let terminal = self.terminals.get_mut(&stream);
        let known = terminal.and_then(|one| Some((one.may_write(viewer)?, one)));
        let Some((may_write, terminal)) = known else {
            if !matches!(frame, Frame::Reset { .. }) {
                let reset =
                    Frame::reset(stream, ResetCode::UnknownStream, "there is no such stream");
                self.answer(viewer, Word::Frame(reset.encode()), &mut step);
            }
            return step;
        };
        match frame {
            Frame::Window { limit, .. } => {
                terminal.raise(viewer, limit);
                self.pump(stream, &mut step);
            }
            Frame::Reset { .. } => self.let_go(viewer, stream, &mut step),
            Frame::Data { .. } | Frame::Eof { .. } if !may_write => {
                self.refuse(viewer, Unwilling::ReadOnly, &mut step);
            }
            // It was typed before the viewer knew.
            Frame::Data { .. } if !terminal.is_running() => {}
            Frame::Data { offset, bytes, .. } => {
                match terminal.input.write(writer, offset, &bytes) {
                    Ok(passed) => self.pass(stream, passed, &mut step),
                    Err(error) => {
                        let reset = reset_of(stream, &error);
                        self.answer(viewer, Word::Frame(reset.encode()), &mut step);
                        self.let_go(viewer, stream, &mut step);
                    }
                }
            }
            // Others may still write, and it may come back.
            Frame::Eof { .. } => {}
        }
        step
    }

    /// Takes a size from a viewer. It counts if the viewer holds the size, or nobody does, or it `takes` it;
    /// else it is told how large the terminal is.
    pub fn resize(
        &mut self,
        viewer: ViewerNumber,
        channel_id: &ChannelId,
        size: TerminalSize,
        takes: bool,
    ) -> TerminalStep {
        let mut step = TerminalStep::default();
        let fits = if is_size(size) {
            self.admit(viewer, channel_id)
        } else {
            Err(Unwilling::BadSize)
        };
        let stream = match fits {
            Ok(stream) => stream,
            Err(why) => {
                self.refuse(viewer, why, &mut step);
                return step;
            }
        };
        let Some(terminal) = self.terminals.get_mut(&stream) else {
            return step;
        };
        if !takes && terminal.holder.is_some_and(|holder| holder != viewer) {
            let message = resized(terminal);
            self.answer(viewer, Word::Message(Box::new(message)), &mut step);
            return step;
        }
        let (same_size, same_holder) = (terminal.size == size, terminal.holder == Some(viewer));
        terminal.hold(viewer);
        if !same_size {
            terminal.resize(size);
            if terminal.is_recorded() {
                step.seen.push((stream, Seen::Resize(size)));
            }
            step.to_agent.push(ToAgent::Data(TunnelData {
                channel_id: channel_id.clone(),
                data: TunnelPayload::Resize(size),
            }));
        }
        if !(same_size && same_holder) {
            self.announce_size(stream, &mut step);
        }
        step
    }

    /// Takes a message of a viewer's that goes to the program: a signal, or a wish that it ends.
    pub fn order(&mut self, viewer: ViewerNumber, data: TunnelData) -> TerminalStep {
        let mut step = TerminalStep::default();
        match self.admit(viewer, &data.channel_id) {
            Ok(stream) => {
                let terminal = self.terminals.get_mut(&stream);
                let ends = matches!(data.data, TunnelPayload::Close);
                // The agent needs no reminder, and its connection has no bound for them.
                let again =
                    terminal.is_some_and(|one| ends && std::mem::replace(&mut one.closing, true));
                if !again {
                    step.to_agent.push(ToAgent::Data(data));
                }
            }
            Err(why) => self.refuse(viewer, why, &mut step),
        }
        step
    }

    /// The stream of a channel in which a viewer may act.
    pub(super) fn admit(
        &self,
        viewer: ViewerNumber,
        channel_id: &ChannelId,
    ) -> Result<StreamId, Unwilling> {
        let stream = *self.channels.get(channel_id).ok_or(Unwilling::Unknown)?;
        let terminal = self.terminals.get(&stream).ok_or(Unwilling::Unknown)?;
        match self.viewers.get(&viewer) {
            Some(watcher) if watcher.watch.read_only => Err(Unwilling::ReadOnly),
            Some(_) if !terminal.is_running() => Err(Unwilling::Ended),
            Some(_) => Ok(stream),
            None => Err(Unwilling::Unknown),
        }
    }

    /// Takes a viewer from a terminal, whose program goes on.
    pub(super) fn let_go(
        &mut self,
        viewer: ViewerNumber,
        stream: StreamId,
        step: &mut TerminalStep,
    ) {
        if let Some(terminal) = self.terminals.get_mut(&stream)
            && terminal.detach(viewer)
        {
            self.announce_size(stream, step);
        }
        self.pump(stream, step);
    }

    pub(super) fn announce_size(&mut self, stream: StreamId, step: &mut TerminalStep) {
        let Some(message) = self.terminals.get(&stream).map(resized) else {
            return;
        };
        for viewer in self.watching(stream) {
            self.tell(viewer, Word::Message(Box::new(message.clone())), step);
        }
    }

    pub(super) fn refuse(&mut self, viewer: ViewerNumber, why: Unwilling, step: &mut TerminalStep) {
        let error = StreamMessage::Error(why.reply());
        self.answer(viewer, Word::Message(Box::new(error)), step);
    }

    /// Answers a viewer that was wrong; one that takes no answers gets none, for it can be wrong for ever.
    pub(super) fn answer(&mut self, viewer: ViewerNumber, word: Word, step: &mut TerminalStep) {
        let most = 2 * VIEWER_CREDIT_BYTES;
        if self
            .viewers
            .get(&viewer)
            .is_some_and(|one| one.in_flight < most)
        {
            self.tell(viewer, word, step);
        }
    }
}

fn resized(terminal: &Terminal) -> StreamMessage {
    StreamMessage::TerminalResized(TerminalResized {
        channel_id: terminal.channel_id.clone(),
        size: terminal.size,
        holder: terminal.holder,
    })
}
