//! What is said to a tunnel session and by it to its viewers.

use actix::{Message, Recipient};
use bytes::Bytes;
use bytestring::ByteString;
use chrono::{DateTime, Utc};
use gururmm_shared::{
    AgentId, AuditId, ChannelId, ChannelSummary, CommandId, CommandType, ConsentOutcome, Frame,
    KeptTerminal, OperationError, SessionId, StreamId, TakeSize, TerminalOptions, TerminalSize,
    TunnelData, TunnelError, TunnelRules, UserId,
};

use super::connection_messages::AgentHandle;
use crate::domain::close_reason::CloseReason;
use crate::domain::policy::recording::RecordingRules;
use crate::domain::streams::Refused;
use crate::domain::terminals::Watch;
use crate::domain::viewers::ViewerNumber;
use crate::services::audit::Caller;

/// From the agent's connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum FromAgent {
    /// The machine is in tunnel mode.
    Ready {
        /// What who sits there said, where that was asked for.
        consent: Option<ConsentOutcome>,
    },
    /// The machine refused or has left.
    Closed {
        /// Why, as it says.
        reason: String,
        /// What who sits there said, where that is why.
        consent: Option<ConsentOutcome>,
    },
    /// Data of one channel.
    Data(TunnelData),
    /// A channel has failed.
    Error(TunnelError),
    /// A frame of a stream that is routed to the session.
    Frame(Frame),
    /// The connection is gone.
    Gone,
    /// The agent is back, and has not kept the session.
    Forgotten,
}

/// The agent is back, and has kept the session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AgentBack {
    /// Where it is reached now.
    pub agent: AgentHandle,
    /// Its terminals that still run.
    pub terminals: Vec<KeptTerminal>,
}

/// A session that the server had when it stopped.
#[derive(Debug, Clone)]
pub struct LeftOpen {
    /// Which session.
    pub session_id: SessionId,
    /// To which agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub hostname: String,
    /// Whose it is.
    pub owner: Caller,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// How the policy of its machine is now: how long it may lie still.
    pub idle_timeout_seconds: Option<u32>,
    /// How long it may be open.
    pub max_session_seconds: Option<u32>,
    /// What may be done in it.
    pub rules: TunnelRules,
    /// What of its terminals is recorded.
    pub recording: RecordingRules,
    /// What ran in it.
    pub unfinished: Vec<Unfinished>,
}

/// A row of the audit whose act may go on.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// The row.
    pub audit_id: AuditId,
    /// The channel.
    pub channel_id: Option<String>,
    /// Its id in answers.
    pub command_id: Option<CommandId>,
}

/// Why a session does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// The policy does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] Refused),
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
    /// The policy wants it recorded, and it cannot be.
    #[error("the terminal must be recorded and cannot be: {0}")]
    NotRecorded(String),
    /// It waits for its agent.
    #[error("the line to the agent is lost; the session waits for it")]
    Suspended,
    /// The agent cannot do that.
    #[error("this agent cannot do that; update it")]
    AgentCannot,
    /// As many channels as may be open are.
    #[error("{0} channels are open already; close one first")]
    TooManyChannels(usize),
    /// The agent did not do it.
    #[error("the agent refused: {0}")]
    Refused(OperationError),
    /// The agent did not answer.
    #[error("the agent did not answer within {0} s; try again, and look at its log if it stays so")]
    NotAnswered(u32),
}

/// Open a terminal.
#[derive(Debug, Message)]
#[rtype(result = "Result<TerminalStarted, SessionError>")]
pub struct OpenTerminal {
    /// What it runs, and how.
    pub options: TerminalOptions,
    /// Who asks.
    pub caller: Caller,
}

/// A terminal is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalStarted {
    /// Its channel.
    pub channel_id: ChannelId,
    /// The number of its frames.
    pub stream: StreamId,
    /// Its id in the audit.
    pub command_id: CommandId,
    /// What it runs.
    pub program: String,
    /// Its size.
    pub size: TerminalSize,
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
    /// The same for what is said of terminals, whose credit is another.
    Word {
        /// A message.
        text: ByteString,
        /// Its credit.
        bytes: u64,
    },
    /// Send this frame of a terminal.
    Frame {
        /// The frame, encoded.
        frame: Bytes,
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
    /// Who watches.
    pub who: Onlooker,
    /// How it watches terminals, where it knows them.
    pub terminals: Option<Watch>,
}

/// Who watches a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onlooker {
    /// The user.
    pub user_id: UserId,
    /// The user's name.
    pub name: String,
    /// Whether it only looks.
    pub read_only: bool,
}

/// From a viewer's socket.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum FromViewer {
    /// Its socket has taken so much.
    Consumed(ViewerNumber, u64),
    /// Its socket has taken so much of what was said of terminals.
    Taken(ViewerNumber, u64),
    /// It said something.
    Said(ViewerNumber, TunnelData),
    /// It wants to hold a terminal's size.
    TakeSize(ViewerNumber, TakeSize),
    /// It sent a frame.
    Frame(ViewerNumber, Frame),
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
    /// What its row says now.
    pub status: &'static str,
}
