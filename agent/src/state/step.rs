//! What the state is told and what it wants done.

use gururmm_shared::{
    AgentMessage, ChannelId, ConsentOutcome, ConsentRequest, OpenChannel, Operation, SessionId,
    SignalName, StreamPosition, Terminal, TerminalSize, TunnelClose, TunnelData, TunnelOpen,
    TunnelResume,
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server asks for tunnel mode.
    Open(TunnelOpen),
    /// The server goes on with a session that was kept over a lost connection.
    Resume(TunnelResume),
    /// The server ends a session.
    Close(TunnelClose),
    /// Who sits at the machine has been asked or told, for this session.
    Answered(SessionId, ConsentOutcome),
    /// Data for a channel came.
    Data(TunnelData),
    /// What ran in a channel has ended and its last message is on its way.
    ChannelEnded(ChannelId),
    /// [`Effect::Enter`] could not be carried out, and why.
    EntryFailed(String),
    /// The connection to the server is gone.
    ConnectionLost,
    /// The time is over in which a kept session could be resumed.
    GraceOver,
    /// The agent is being stopped.
    Stopping,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this to the server.
    Send(Box<AgentMessage>),
    /// Ask, or tell, who sits at the machine, and report what they said.
    Ask(SessionId, Box<ConsentRequest>),
    /// Ask no longer: nobody waits for the answer.
    StopAsking,
    /// Make ready for a session; on failure drop the effects behind it and report it.
    Enter(SessionId),
    /// Kill whatever the session started and wait until it is gone.
    Leave(SessionId),
    /// Run a command in a new channel.
    Start(ChannelId, Box<Terminal>),
    /// Open a channel with a stream of bytes.
    OpenStream(ChannelId, Box<OpenChannel>),
    /// Do something with one answer.
    Perform(ChannelId, Box<Operation>),
    /// Let a channel send up to this offset.
    Grant(ChannelId, u64),
    /// Set the size of a terminal.
    Resize(ChannelId, TerminalSize),
    /// Signal what is in the foreground of a terminal.
    Signal(ChannelId, SignalName),
    /// The server reads the lane of a channel.
    LaneJoined(ChannelId),
    /// End what runs in a channel.
    Cancel(ChannelId),
    /// End what runs in a channel at once; nobody is there to be told, nor to be told by it.
    Drop(ChannelId),
    /// Keep what still runs without a connection, and report when so many seconds are over.
    Suspend(u32),
    /// Let the terminals go on over the new connection, each from where the server is.
    Resume(Vec<(ChannelId, StreamPosition)>),
}

impl Effect {
    /// [`Effect::Send`] of a message.
    #[must_use]
    pub fn send(message: AgentMessage) -> Self {
        Self::Send(Box::new(message))
    }
}
