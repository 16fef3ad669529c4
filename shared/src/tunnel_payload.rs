//! What travels inside a tunnel's channel, both ways.

use serde::{Deserialize, Serialize};

use crate::{
    ChannelId, Closed, CommandId, CommandType, OpenChannel, Opened, Reply, Request, SessionId,
    Signal, TerminalSize,
};

/// Data of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunnelData {
    /// Which channel.
    pub channel_id: ChannelId,
    /// What.
    pub data: TunnelPayload,
}

/// A channel has failed and is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelError {
    /// Which channel; a first-generation agent may name its session here.
    pub channel_id: ChannelId,
    /// Why, for a person.
    pub error: String,
}

/// The kinds of payload; made to grow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum TunnelPayload {
    /// Server to agent: run this command and stream what it prints.
    Terminal(Terminal),
    /// Agent to server to viewers: what a command printed, or how it ended.
    TerminalOutput(TerminalOutput),
    /// Server to agent: output may be sent up to this offset.
    Window(OutputWindow),
    /// End what runs in the channel.
    Close,
    /// Viewer to server to agent: come back at once, to measure the line.
    Probe(Probe),
    /// The answer to a [`TunnelPayload::Probe`], with its data.
    ProbeReply(Probe),
    /// Server to agent: open a channel with a stream of bytes.
    Open(Box<OpenChannel>),
    /// Agent to server: it is open.
    Opened(Opened),
    /// Viewer to server to agent: the terminal has this size now.
    Resize(TerminalSize),
    /// Viewer to server to agent: a signal for the program in the foreground.
    Signal(Signal),
    /// Agent to server: the last word of a channel that was opened by `open`.
    Closed(Closed),
    /// Server to agent: the request that carries the channel's bytes has come, and its body is read.
    LaneJoined,
    /// Server to agent: something with one answer.
    Request(Box<Request>),
    /// Agent to server: the answer.
    Reply(Box<Reply>),
}

/// A command to be run in a channel of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The command line.
    pub command: String,
    /// The interpreter; missing means the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_type: Option<CommandType>,
    /// Its id in audit and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// The session it belongs to; one for another session is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// How long it may run; missing means the agent's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// First [`OutputWindow::limit`] of the channel; missing means no flow control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// A piece of output; the one with an exit code or a reason is the last of its channel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TerminalOutput {
    /// Text for standard output.
    #[serde(default)]
    pub stdout: String,
    /// Text for standard error.
    #[serde(default)]
    pub stderr: String,
    /// Set on the last piece: how the command ended (128 + n for signal n).
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Bytes of text, both streams together, before this piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Set on the last piece where the command did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

impl TerminalOutput {
    /// Bytes of text in this piece, as windows count them.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.stdout.len() + self.stderr.len()) as u64
    }

    /// Whether the piece has no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }

    /// Whether it is the last of its channel.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.exit_code.is_some() || self.reason.is_some()
    }
}

/// Why a command ended otherwise than by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EndReason {
    /// It ran longer than it may; its whole process group was killed. Exit code 124.
    TimedOut,
    /// Somebody ended it, or its session ended.
    Cancelled,
    /// A signal from elsewhere ended it.
    Signalled,
    /// The agent ended while it ran; how far it came nobody knows.
    Interrupted,
    /// The agent did not start it.
    Refused,
}

/// Permission to send, as an absolute offset (QUIC's MAX_STREAM_DATA, RFC 9000 section 19.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputWindow {
    /// Pieces may be sent while their end is at most this offset.
    pub limit: u64,
}

/// A short text that comes back, at most [`Probe::MAX_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is to come back.
    pub data: String,
}

impl Probe {
    /// The longest probe in bytes.
    pub const MAX_BYTES: usize = 1024;
}
