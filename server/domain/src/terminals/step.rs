//! What a step of the terminals asks the session's actor for.

use bytes::Bytes;
use gururmm_shared::{Frame, StreamId, StreamMessage, TerminalSize, TunnelData};

use crate::channels::Ended;
use crate::viewers::ViewerNumber;

/// Something for a viewer's socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// A message.
    Message(Box<StreamMessage>),
    /// A frame, encoded.
    Frame(Bytes),
}

/// A word for one viewer, with the credit it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct TerminalDelivery {
    /// Who gets it.
    pub viewer: ViewerNumber,
    /// What.
    pub word: Word,
    /// Bytes to be given back when the viewer's socket has taken it.
    pub bytes: u64,
}

/// Something for the agent.
#[derive(Debug, Clone, PartialEq)]
pub enum ToAgent {
    /// A frame.
    Frame(Frame),
    /// A message in a terminal's channel.
    Data(TunnelData),
    /// Nothing more is said of this stream.
    Over(StreamId),
}

/// Something for the recording of a terminal.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// What the program wrote, each byte once.
    Output(Bytes),
    /// What was typed, each byte once.
    Input(Bytes),
    /// A new size.
    Resize(TerminalSize),
}

/// What a step asks for.
#[derive(Debug, Default, PartialEq)]
pub struct TerminalStep {
    /// To recordings, in order.
    pub seen: Vec<(StreamId, Seen)>,
    /// To viewers, in order.
    pub deliveries: Vec<TerminalDelivery>,
    /// To the agent, in order.
    pub to_agent: Vec<ToAgent>,
    /// Terminals whose end is known now.
    pub ended: Vec<Ended>,
}

impl TerminalStep {
    /// Adds what comes after it.
    pub fn add(&mut self, other: Self) {
        self.seen.extend(other.seen);
        self.deliveries.extend(other.deliveries);
        self.to_agent.extend(other.to_agent);
        self.ended.extend(other.ended);
    }
}
