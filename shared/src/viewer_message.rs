//! What a viewer's stream (`GET /api/v1/tunnel/:session_id/stream`) carries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::messages;
use crate::{
    AgentId, ChannelId, CommandId, ConsentOutcome, EndReason, Feature, OperationError, SessionId,
    StreamId, TerminalSize, TunnelData, TunnelError, UserId,
};

messages! {
    /// A message from a viewer to the server.
    pub enum ViewerMessage {
        /// `close` ends the channel's command or terminal, `resize` and `signal` are for a terminal, `probe`
        /// measures the line.
        "tunnel_data" => TunnelData(TunnelData),
        /// Hold a terminal's size from now on.
        "take_size" => TakeSize(TakeSize),
        /// Answered by `pong`.
        "ping" => Ping,
    }
}

messages! {
    /// A message from the server to a viewer.
    pub enum StreamMessage {
        /// The first message: what the session is and which channels it has.
        "session" => Session(SessionSnapshot),
        /// A command was started.
        "channel_opened" => ChannelOpened(ChannelOpened),
        /// A terminal was started, or is there already; its bytes come on its stream (protocol 2).
        "terminal_opened" => TerminalOpened(TerminalOpened),
        /// What a terminal shows now, for a viewer that has not seen how it came about (protocol 2).
        "terminal_screen" => TerminalScreen(TerminalScreen),
        /// A terminal has another size, or another viewer holds it (protocol 2).
        "terminal_resized" => TerminalResized(TerminalResized),
        /// A terminal has ended, after its last byte (protocol 2).
        "terminal_closed" => TerminalClosed(TerminalClosed),
        /// Who watches the session now (protocol 2).
        "viewers" => Viewers(ViewerList),
        /// The line to the machine is lost; the session waits for it (protocol 2).
        "suspended" => Suspended(Suspended),
        /// The machine is back (protocol 2).
        "resumed" => Resumed,
        /// Output of a channel, in order, each byte once.
        "tunnel_data" => TunnelData(TunnelData),
        /// A channel failed.
        "tunnel_error" => TunnelError(TunnelError),
        /// Output that is no longer kept and will not come.
        "output_gap" => OutputGap(OutputGap),
        /// The last message: the session is over.
        "session_closed" => SessionClosed(SessionClosed),
        /// Something the viewer sent was refused.
        "error" => Error(crate::ErrorReply),
        /// The answer to `ping`.
        "pong" => Pong,
    }
}

/// A session as a viewer meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSnapshot {
    /// Which session.
    pub session_id: SessionId,
    /// To which agent.
    pub agent_id: AgentId,
    /// Its status: `active`, `ready`, `closed` or `error`.
    pub status: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// Its channels, oldest first.
    pub channels: Vec<ChannelSummary>,
    /// The viewer's number within the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<u64>,
    /// Whether the viewer only watches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What the person at the machine said to the session, where the policy has them asked or told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentOutcome>,
}

/// Hold a terminal's size from now on; `size` is set at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeSize {
    /// Which terminal.
    pub channel_id: ChannelId,
    /// What it is to be.
    pub size: TerminalSize,
}

/// A terminal of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalOpened {
    /// Which channel.
    pub channel_id: ChannelId,
    /// The number of its frames.
    pub stream: StreamId,
    /// Its id in the audit.
    pub command_id: CommandId,
    /// What it runs.
    pub program: String,
    /// Its size.
    pub size: TerminalSize,
    /// The viewer that holds its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<u64>,
    /// The next byte of output this viewer gets.
    pub offset: u64,
    /// Bytes of input taken from this viewer; what it sent beyond it is to be sent again.
    #[serde(default)]
    pub input_received: u64,
}

/// What a terminal shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalScreen {
    /// Which channel.
    pub channel_id: ChannelId,
    /// Its stream.
    pub stream: StreamId,
    /// Output goes on with this byte.
    pub offset: u64,
    /// The size that it is drawn for.
    pub size: TerminalSize,
    /// Bytes that draw it on an empty terminal, as base64 (RFC 4648 section 4).
    pub screen: String,
}

/// A terminal has another size or holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalResized {
    /// Which channel.
    pub channel_id: ChannelId,
    /// Its size.
    pub size: TerminalSize,
    /// The viewer that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<u64>,
}

/// A terminal has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalClosed {
    /// Which channel.
    pub channel_id: ChannelId,
    /// How its program ended (128 + n for signal n).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why, where it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OperationError>,
}

/// Who watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerList {
    /// Each of them.
    pub viewers: Vec<ViewerInfo>,
}

/// One who watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerInfo {
    /// Its number within the session.
    pub viewer: u64,
    /// Who it is.
    pub user_id: UserId,
    /// The user's name.
    pub name: String,
    /// Whether it only watches.
    pub read_only: bool,
}

/// The session waits for its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// For so long at most.
    pub grace_seconds: u32,
}

/// A channel of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelSummary {
    /// Which channel.
    pub channel_id: ChannelId,
    /// The command in it.
    pub command_id: CommandId,
    /// The command line.
    pub command: String,
    /// How far it is.
    pub state: ChannelState,
    /// The first byte of output still kept.
    pub first_offset: u64,
    /// The byte after the last one.
    pub next_offset: u64,
    /// `commands` or `terminal`.
    #[serde(default = "commands", skip_serializing_if = "Feature::is_commands")]
    pub feature: Feature,
    /// The number of a terminal's frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
}

fn commands() -> Feature {
    Feature::Commands
}

/// How far a channel is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChannelState {
    /// Its command runs.
    Running,
    /// Its command has ended.
    Ended {
        /// Its exit code.
        exit_code: Option<i32>,
        /// Why, where it did not end by itself.
        reason: Option<EndReason>,
    },
    /// The channel has failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// A command was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelOpened {
    /// In which channel.
    pub channel_id: ChannelId,
    /// Its id.
    pub command_id: CommandId,
    /// The command line.
    pub command: String,
}

/// Output that is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputGap {
    /// Of which channel.
    pub channel_id: ChannelId,
    /// The first byte that is missing.
    pub from: u64,
    /// The first byte that is there again.
    pub to: u64,
}

/// The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClosed {
    /// `closed` or `error`.
    pub status: String,
    /// Why, as a stable word.
    pub reason: String,
}
