//! What the server says to an agent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::decode::messages;
use crate::{
    AgentId, CommandId, CommandType, ConfigUpdate, ConsentRequest, SessionId, StreamPosition,
    TunnelData, TunnelRules, UserId,
};

messages! {
    /// A message from the server to an agent.
    pub enum ServerMessage {
        /// The agent is known and registered.
        "auth_ack" => AuthAck(AuthAck),
        /// Run this.
        "command" => Command(Command),
        /// End this command (capability `command_cancel`).
        "command_cancel" => CommandCancel(CommandCancel),
        /// New settings.
        "config_update" => ConfigUpdate(ConfigUpdate),
        /// Install this version.
        "update" => Update(Update),
        /// Understood; nothing more to be sent again.
        "ack" => Ack(Ack),
        /// Something the agent sent was refused.
        "error" => Error(ErrorReply),
        /// Are you there? Answered by `heartbeat`.
        "ping" => Ping,
        /// Go to tunnel mode.
        "tunnel_open" => TunnelOpen(TunnelOpen),
        /// Go on with a session that the agent kept over a lost connection.
        "tunnel_resume" => TunnelResume(TunnelResume),
        /// Leave tunnel mode.
        "tunnel_close" => TunnelClose(TunnelClose),
        /// Data of one channel.
        "tunnel_data" => TunnelData(TunnelData),
    }
}

/// The agent is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthAck {
    /// The protocol both sides speak from here on.
    #[serde(default)]
    pub protocol: Option<u32>,
    /// Who the agent is.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// The server's clock.
    #[serde(default)]
    pub server_time: Option<DateTime<Utc>>,
    /// The agent's own key, told once: on its first enrolment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// Run this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = PendingCommand))]
pub struct Command {
    /// The key of its idempotency: run at most once.
    pub id: CommandId,
    /// How.
    pub command_type: CommandType,
    /// What.
    #[serde(default)]
    pub command: String,
    /// For how long at most; none means the agent's default.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Whether it needs the rights of the administrator.
    #[serde(default)]
    pub elevated: bool,
    /// Variables beside the agent's own environment, as [`crate::environment`] allows them
    /// (capability `command_environment`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// End a command; one that has not come yet is not to be started when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandCancel {
    /// Which command.
    pub id: CommandId,
}

/// Install this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Where it is: a URL, or a path on the server.
    pub download_url: String,
    /// SHA-256 in hexadecimal.
    pub checksum: String,
    /// Which version it is.
    pub version: String,
    /// The manifest of the release, as it was signed (capability `signed_update`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The manifest's signature, the text of a `.minisig` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ack {
    /// The command whose result is kept now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
}

/// Something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// A stable word, as `unknown_type`.
    #[serde(default)]
    pub code: String,
    /// For a person.
    #[serde(default)]
    pub message: String,
}

/// Go to tunnel mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelOpen {
    /// For this session.
    pub session_id: SessionId,
    /// Opened by this technician.
    pub tech_id: UserId,
    /// What may be done in it (capability `data_plane`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<TunnelRules>,
    /// How long terminals outlive a lost connection; missing means not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_grace_seconds: Option<u32>,
    /// What the person at the machine is asked or told before (capability `consent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentRequest>,
}

/// Go on with a session that the agent named in `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelResume {
    /// For this session.
    pub session_id: SessionId,
    /// What the server has of each stream: the agent sends what follows. A stream that is not named here
    /// is closed.
    pub streams: Vec<StreamPosition>,
}

/// Leave tunnel mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelClose {
    /// For this session.
    pub session_id: SessionId,
    /// Why, for the agent's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
