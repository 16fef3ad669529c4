//! What a viewer's stream (`GET /api/v1/tunnel/:session_id/stream`) carries.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::messages;
use crate::{AgentId, ChannelId, CommandId, EndReason, SessionId, TunnelData, TunnelError};

messages! {
    /// A message from a viewer to the server.
    pub enum ViewerMessage {
        /// `close` ends the channel's command, `probe` measures the line.
        "tunnel_data" => TunnelData(TunnelData),
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
