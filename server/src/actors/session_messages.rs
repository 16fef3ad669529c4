//! What is said to a tunnel session and by it to its viewers.

use actix::{Message, Recipient};
use bytestring::ByteString;
use chrono::{DateTime, Utc};
use gururmm_shared::{
    AgentId, ChannelId, ChannelSummary, CommandId, CommandType, Frame, SessionId, TunnelData,
    TunnelError,
};

use crate::domain::close_reason::CloseReason;
use crate::domain::viewers::ViewerNumber;
use crate::services::audit::Caller;

/// From the agent's connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum FromAgent {
    /// The machine is in tunnel mode.
    Ready,
    /// The machine refused or has left.
    Closed {
        /// Why, as it says.
        reason: String,
    },
    /// Data of one channel.
    Data(TunnelData),
    /// A channel has failed.
    Error(TunnelError),
    /// A frame of a stream that is routed to the session.
    Frame(Frame),
    /// The connection is gone.
    Gone,
}

/// Why a session does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// The policy does not let this role run commands.
    #[error("the policy of this agent does not let your role run commands; ask an administrator")]
    NotAllowed,
    /// As many commands as may run do.
    #[error("{0} commands run already; wait for one to end or end one")]
    TooManyCommands(usize),
    /// Commands come too fast.
    #[error("commands come too fast; at most {0} a minute")]
    TooFast(u32),
    /// As many viewers as may watch do.
    #[error("{0} viewers watch already")]
    TooManyViewers(usize),
    /// The audit cannot be written, so nothing is done.
    #[error("the audit cannot be written, so the command was not run; try again in a moment")]
    AuditUnavailable,
}

/// Run a command.
#[derive(Debug, Message)]
#[rtype(result = "Result<CommandStarted, SessionError>")]
pub struct RunCommand {
    /// The command line.
    pub command: String,
    /// The interpreter.
    pub command_type: CommandType,
    /// How long it may run.
    pub timeout_seconds: u64,
    /// Who asks.
    pub caller: Caller,
}

/// A command was committed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandStarted {
    /// Its id.
    pub command_id: CommandId,
    /// Where its output comes.
    pub channel_id: ChannelId,
}

/// End the session; answered when it has ended on both sides and in the database.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), SessionError>")]
pub struct CloseSession {
    /// Why.
    pub reason: CloseReason,
    /// Who asks, where somebody does.
    pub caller: Option<Caller>,
}

/// Ask for the session as it is.
#[derive(Debug, Message)]
#[rtype(result = "SessionView")]
pub struct GetSession;

/// A session as it is.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// Its status word.
    pub status: &'static str,
    /// When something last happened in it.
    pub last_activity: DateTime<Utc>,
    /// Its channels.
    pub channels: Vec<ChannelSummary>,
}

/// To a viewer's socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum ToViewer {
    /// It watches now, under this number; the first message of all.
    Attached(ViewerNumber),
    /// Send this text and give `bytes` of credit back once it is handled.
    Text {
        /// A message.
        text: ByteString,
        /// Its credit.
        bytes: u64,
    },
    /// End the stream.
    Close {
        /// With this close code.
        code: u16,
        /// And this reason.
        reason: &'static str,
    },
}

/// Let a viewer watch.
#[derive(Message)]
#[rtype(result = "Result<(), SessionError>")]
pub struct AttachViewer {
    /// Its socket.
    pub viewer: Recipient<ToViewer>,
    /// From which offset on.
    pub from: u64,
}

/// From a viewer's socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum FromViewer {
    /// Its socket has taken so much.
    Consumed(ViewerNumber, u64),
    /// It said something.
    Said(ViewerNumber, TunnelData),
    /// It is gone.
    Gone(ViewerNumber),
}

/// A session has ended and can be forgotten.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SessionEnded {
    /// Which session.
    pub session_id: SessionId,
    /// To which agent.
    pub agent_id: AgentId,
}
