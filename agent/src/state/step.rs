//! What the state is told and what it wants done.

use gururmm_shared::{
    AgentMessage, ChannelId, SessionId, Terminal, TunnelClose, TunnelData, TunnelOpen,
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server asks for tunnel mode.
    Open(TunnelOpen),
    /// The server ends a session.
    Close(TunnelClose),
    /// Data for a channel came.
    Data(TunnelData),
    /// What ran in a channel has ended and its last message is on its way.
    ChannelEnded(ChannelId),
    /// [`Effect::Enter`] could not be carried out, and why.
    EntryFailed(String),
    /// The connection to the server is gone.
    ConnectionLost,
    /// The agent is being stopped.
    Stopping,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this to the server.
    Send(Box<AgentMessage>),
    /// Make ready for a session; on failure drop the effects behind it and report it.
    Enter(SessionId),
    /// Kill whatever the session started and wait until it is gone.
    Leave(SessionId),
    /// Run a command in a new channel.
    Start(ChannelId, Box<Terminal>),
    /// Let a channel send up to this offset.
    Grant(ChannelId, u64),
    /// End what runs in a channel.
    Cancel(ChannelId),
}

impl Effect {
    /// [`Effect::Send`] of a message.
    #[must_use]
    pub fn send(message: AgentMessage) -> Self {
        Self::Send(Box::new(message))
    }
}
