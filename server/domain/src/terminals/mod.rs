//! The terminals of one session, and the credit of the viewers that watch them.
//!
//! Pure: every call answers with a [`TerminalStep`], which the session's actor carries out in order.

mod lasting;
mod onlookers;
mod pump;
mod recording;
mod step;
mod wishes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use gururmm_shared::flow::{FlowError, Received};
use gururmm_shared::{
    ChannelId, ChannelSummary, Closed, ErrorCode, Frame, OperationError, ResetCode, StreamId,
    StreamMessage, TunnelData, TunnelPayload,
};

pub use self::onlookers::Watch;
use self::onlookers::Watcher;
pub use self::step::{Seen, TerminalDelivery, TerminalStep, ToAgent, Word};
use crate::channels::Ended;
use crate::terminal::{NewTerminal, Terminal, gone};
use crate::terminal_input::ViewerKey;
use crate::viewers::ViewerNumber;

/// Ended terminals that a session remembers, for viewers that come back.
const REMEMBERED_TERMINALS: usize = 16;
/// Bytes of output that ended terminals keep together.
const REMEMBERED_BYTES: u64 = 4 * 1024 * 1024;

/// All of them.
pub struct Terminals {
    replay_bytes: u64,
    terminals: BTreeMap<StreamId, Terminal>,
    channels: BTreeMap<ChannelId, StreamId>,
    viewers: BTreeMap<ViewerNumber, Watcher>,
    gone: VecDeque<(ViewerKey, Instant)>,
}

impl Terminals {
    /// No terminals yet; each will keep `replay_bytes`.
    #[must_use]
    pub fn new(replay_bytes: u64) -> Self {
        Self {
            replay_bytes,
            terminals: BTreeMap::new(),
            channels: BTreeMap::new(),
            viewers: BTreeMap::new(),
            gone: VecDeque::new(),
        }
    }

    /// Those that run, or whose end a viewer has still to hear: these take a place.
    #[must_use]
    pub fn open(&self) -> usize {
        self.terminals.values().filter(|one| !one.is_told()).count()
    }

    /// Whether programs run.
    #[must_use]
    pub fn are_running(&self) -> bool {
        self.terminals.values().any(Terminal::is_running)
    }

    /// Whether it is one of these streams.
    #[must_use]
    pub fn has(&self, channel_id: &ChannelId) -> bool {
        self.channels.contains_key(channel_id)
    }

    /// The terminals as channels, in the order of their numbers.
    #[must_use]
    pub fn summaries(&self) -> Vec<ChannelSummary> {
        self.terminals.values().map(Terminal::summary).collect()
    }

    /// Adds a terminal that the agent has opened, and tells every viewer.
    pub fn opened(&mut self, new: NewTerminal) -> TerminalStep {
        let stream = new.stream;
        self.channels.insert(new.channel_id.clone(), stream);
        self.terminals.insert(stream, Terminal::new(new));
        let mut step = TerminalStep::default();
        let viewers: Vec<ViewerNumber> = self.viewers.keys().copied().collect();
        for viewer in viewers {
            self.greet(viewer, stream, Some(0), &mut step);
        }
        step
    }

    /// Takes a frame of the agent's. One that does not fit ends the terminal, and nothing else.
    pub fn from_agent(&mut self, frame: Frame) -> TerminalStep {
        let stream = frame.stream();
        let Some(terminal) = self
            .terminals
            .get_mut(&stream)
            .filter(|one| one.is_running())
        else {
            return TerminalStep::default();
        };
        let mut step = TerminalStep::default();
        match frame {
            Frame::Data { offset, bytes, .. } => match terminal.output(offset, &bytes) {
                Ok(received) => {
                    // What an agent that came back sends again is recorded already.
                    if received == Received::Next && terminal.is_recorded() {
                        step.seen.push((stream, Seen::Output(bytes)));
                    }
                    if terminal.is_refilled() {
                        self.greet_all(stream, &mut step);
                    }
                    self.pump(stream, &mut step);
                }
                Err(error) => {
                    let reset = reset_of(stream, &error);
                    step.add(self.break_off(stream, Some(reset), &error.to_string()));
                }
            },
            Frame::Window { limit, .. } => {
                let passed = terminal.input.raise(limit);
                self.pass(stream, passed, &mut step);
            }
            Frame::Eof { offset, .. } if terminal.ends_at(offset) => {}
            Frame::Eof { .. } => {
                let why = "the end came before all bytes";
                let reset = Frame::reset(stream, ResetCode::Gap, why);
                step.add(self.break_off(stream, Some(reset), why));
            }
            Frame::Reset { reason, .. } => step.add(self.break_off(stream, None, &reason)),
        }
        step
    }

    /// Takes the agent's last word about a terminal; none where it is none of these or has ended.
    pub fn closed(&mut self, channel_id: &ChannelId, closed: Closed) -> Option<TerminalStep> {
        let stream = *self.channels.get(channel_id)?;
        let mut step = TerminalStep::default();
        self.end(stream, closed, None, &mut step).then_some(step)
    }

    /// Ends what still runs, because the session ends.
    pub fn end_all(&mut self, outcome: &'static str) -> TerminalStep {
        let mut step = TerminalStep::default();
        let running: Vec<StreamId> = self.running().collect();
        for stream in running {
            let Some(terminal) = self.terminals.get_mut(&stream) else {
                continue;
            };
            terminal.end(gone(outcome));
            step.ended.push(Ended {
                audit_id: terminal.audit_id,
                outcome,
                exit_code: None,
            });
            step.to_agent.push(ToAgent::Over(stream));
        }
        // Whoever is slow hears the end without the bytes before it: there is no session to wait in.
        let streams: Vec<StreamId> = self.terminals.keys().copied().collect();
        for stream in streams {
            for viewer in self.watching(stream) {
                let terminal = self.terminals.get_mut(&stream);
                let Some(closed) = terminal.and_then(|one| one.cut_off_for(viewer)) else {
                    continue;
                };
                let reset = Frame::reset(stream, ResetCode::Gone, "the session has ended");
                self.tell(viewer, Word::Frame(reset.encode()), &mut step);
                let closed = StreamMessage::TerminalClosed(closed);
                self.tell(viewer, Word::Message(Box::new(closed)), &mut step);
            }
        }
        step
    }

    fn running(&self) -> impl Iterator<Item = StreamId> + '_ {
        let running = self.terminals.iter().filter(|(_, one)| one.is_running());
        running.map(|(stream, _)| *stream)
    }

    /// Ends a terminal whose agent does not keep the protocol, or has cut it off.
    fn break_off(&mut self, stream: StreamId, reset: Option<Frame>, why: &str) -> TerminalStep {
        let mut step = TerminalStep::default();
        if let (Some(reset), Some(terminal)) = (reset, self.terminals.get(&stream)) {
            step.to_agent.push(ToAgent::Frame(reset));
            step.to_agent.push(ToAgent::Data(TunnelData {
                channel_id: terminal.channel_id.clone(),
                data: TunnelPayload::Close,
            }));
        }
        let why = crate::text::tame(why, 500);
        let error = OperationError::new(
            ErrorCode::Failed,
            format!("the terminal was cut off: {why}"),
        );
        self.end(stream, Closed::failed(error), None, &mut step);
        step
    }

    /// Ends a terminal; false where it has ended.
    fn end(
        &mut self,
        stream: StreamId,
        closed: Closed,
        outcome: Option<&'static str>,
        step: &mut TerminalStep,
    ) -> bool {
        let terminal = self.terminals.get_mut(&stream);
        let Some(terminal) = terminal.filter(|one| one.is_running()) else {
            return false;
        };
        terminal.end(closed);
        let (named, exit_code) = terminal.outcome();
        step.ended.push(Ended {
            audit_id: terminal.audit_id,
            outcome: outcome.unwrap_or(named),
            exit_code,
        });
        step.to_agent.push(ToAgent::Over(stream));
        self.pump(stream, step);
        self.forget_ended();
        true
    }

    fn forget_ended(&mut self) {
        loop {
            let told = self.terminals.values().filter(|one| one.is_told());
            let (count, bytes) = told.fold((0, 0), |(count, bytes), one| {
                (count + 1, bytes + one.kept())
            });
            if count <= REMEMBERED_TERMINALS && bytes <= REMEMBERED_BYTES {
                return;
            }
            let oldest = self.terminals.iter().find(|(_, one)| one.is_told());
            let Some((stream, _)) = oldest else { return };
            let stream = *stream;
            if let Some(terminal) = self.terminals.remove(&stream) {
                self.channels.remove(&terminal.channel_id);
            }
        }
    }
}

fn reset_of(stream: StreamId, error: &FlowError) -> Frame {
    let code = match error {
        FlowError::Gap { .. } => ResetCode::Gap,
        FlowError::Overrun { .. } => ResetCode::Overrun,
    };
    Frame::reset(stream, code, error.to_string())
}

#[cfg(test)]
#[path = "../terminals_tests.rs"]
mod tests;
