//! What an agent says to the server.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::messages;
use crate::{
    ChannelId, CommandId, ConsentOutcome, EndReason, Inventory, SessionId, StreamId, TerminalSize,
    TunnelData, TunnelError, UserId,
};

messages! {
    /// A message from an agent to the server.
    pub enum AgentMessage {
        /// The first message of every connection.
        "auth" => Auth(Auth),
        /// I am alive.
        "heartbeat" => Heartbeat,
        /// One sample of the machine's load.
        "metrics" => Metrics(Metrics),
        /// The network interfaces, sent when they change.
        "network_state" => NetworkState(NetworkState),
        /// What the machine is made of, sent when it changes (protocol 2).
        "inventory" => Inventory(Inventory),
        /// What a running `command` has written so far (capability `command_output`).
        "command_output" => CommandOutput(CommandOutput),
        /// The end of a `command`.
        "command_result" => CommandResult(CommandResult),
        /// Something happened to a watched service.
        "watchdog_event" => WatchdogEvent(WatchdogEvent),
        /// The end of an `update`.
        "update_result" => UpdateResult(UpdateResult),
        /// The machine is in tunnel mode for this session.
        "tunnel_ready" => TunnelReady(TunnelReady),
        /// The machine refused the session or has left it (protocol 2).
        "tunnel_closed" => TunnelClosed(TunnelClosed),
        /// Data of one channel.
        "tunnel_data" => TunnelData(TunnelData),
        /// A channel has failed and is gone.
        "tunnel_error" => TunnelError(TunnelError),
    }
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Auth {
    /// A site code, a site's `grmm_` key or the agent's own `grmm_` key.
    pub api_key: String,
    /// The machine's name.
    #[serde(default)]
    pub hostname: String,
    /// The operating system, as text or as an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_info: Option<OsInfo>,
    /// The agent's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The hardware's identity; needed with a site code or site key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The version before the last update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<String>,
    /// The protocol spoken; missing means the first generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// What the agent can do beyond its protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Changes with every start of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// A secret the agent made and kept before its first enrolment, so that an enrolment whose
    /// answer was lost can be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_nonce: Option<String>,
    /// Commands that the agent holds unfinished or unacknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<CommandId>,
    /// The session that the agent kept over a lost connection, waiting for `tunnel_resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_session: Option<KeptSession>,
}

/// A session that outlived its connection, within its grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSession {
    /// Which session.
    pub session_id: SessionId,
    /// Whose it is.
    pub tech_id: UserId,
    /// Its terminals that still run.
    pub terminals: Vec<KeptTerminal>,
}

/// A terminal that outlived its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTerminal {
    /// Its channel.
    pub channel_id: ChannelId,
    /// What it runs.
    pub program: String,
    /// Its size.
    pub size: TerminalSize,
    /// How far its stream is.
    #[serde(flatten)]
    pub position: StreamPosition,
}

/// How far a stream is on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// Which stream.
    pub stream: StreamId,
    /// All bytes before this offset were received.
    pub received: u64,
    /// The other side may send bytes with offset < this.
    pub limit: u64,
    /// All bytes before this offset were sent at least once.
    pub sent: u64,
    /// The first byte that can be sent again.
    pub first: u64,
}

/// An operating system, as the first generation (text) or this one (object) tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum OsInfo {
    /// One line of text.
    Text(String),
    /// By part; parts that are not known stay empty.
    Parts {
        /// `linux`, `windows`.
        #[serde(default, alias = "os_type", alias = "os")]
        family: String,
        /// As `Debian GNU/Linux 12`.
        #[serde(default, alias = "os_name")]
        name: String,
        /// As `12` or `10.0.22631`.
        #[serde(default, alias = "os_version")]
        version: String,
        /// As `x86_64`.
        #[serde(default, alias = "architecture")]
        arch: String,
    },
}

/// One sample of a machine's load; what an agent does not collect is missing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = MetricsSample))]
pub struct Metrics {
    /// When it was measured, by the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// Load of all CPUs, 0 to 100.
    #[serde(default, alias = "cpu_usage", skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Memory in use.
    #[serde(
        default,
        alias = "memory_used",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_used_bytes: Option<u64>,
    /// Memory there is.
    #[serde(
        default,
        alias = "memory_total",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_total_bytes: Option<u64>,
    /// Space in use on all disks.
    #[serde(default, alias = "disk_used", skip_serializing_if = "Option::is_none")]
    pub disk_used_bytes: Option<u64>,
    /// Space there is on all disks.
    #[serde(default, alias = "disk_total", skip_serializing_if = "Option::is_none")]
    pub disk_total_bytes: Option<u64>,
    /// Bytes received on all interfaces since the last sample.
    #[serde(default, alias = "network_rx", skip_serializing_if = "Option::is_none")]
    pub network_rx_bytes: Option<u64>,
    /// Bytes sent on all interfaces since the last sample.
    #[serde(default, alias = "network_tx", skip_serializing_if = "Option::is_none")]
    pub network_tx_bytes: Option<u64>,
    /// Time since the machine started.
    #[serde(default, alias = "uptime", skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// How long it has waited for a connection, in seconds and by a clock that nobody can set; missing where it was
    /// told at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_seconds: Option<u64>,
}

/// The machine's network interfaces.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkState {
    /// One object an interface, kept as the agent tells it.
    #[serde(default)]
    pub interfaces: Vec<Value>,
    /// Hash of the interfaces; a change of it is why this was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A piece of what a running command writes. It may get lost; the result holds everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOutput {
    /// Which command.
    pub id: CommandId,
    /// Bytes of standard output before this piece.
    #[serde(default)]
    pub stdout_offset: u64,
    /// Standard output, at most [`CommandOutput::MAX_BYTES`] together with standard error.
    #[serde(default)]
    pub stdout: String,
    /// Bytes of standard error before this piece.
    #[serde(default)]
    pub stderr_offset: u64,
    /// Standard error.
    #[serde(default)]
    pub stderr: String,
}

impl CommandOutput {
    /// The longest piece in bytes.
    pub const MAX_BYTES: usize = 32 * 1024;
}

/// The end of a `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Which command.
    pub id: CommandId,
    /// Its exit code; none where it was ended by a signal or never ran.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// What it wrote to standard output, at most 1 MiB.
    #[serde(default)]
    pub stdout: String,
    /// What it wrote to standard error, at most 1 MiB.
    #[serde(default)]
    pub stderr: String,
    /// How long it ran.
    #[serde(default)]
    pub duration_ms: u64,
    /// Why it ended otherwise than by itself (protocol 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
}

/// Something happened to a watched service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchdogEvent {
    /// The service.
    #[serde(alias = "service_name", alias = "name")]
    pub service: String,
    /// `stopped`, `restarted`, `restart_failed`, `gave_up`, `running`.
    #[serde(alias = "event_type", alias = "action")]
    pub event: String,
    /// More, for a person.
    #[serde(default, alias = "details", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When, by the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// How long it has waited for a connection, in seconds and by a clock that nobody can set; missing where it was
    /// told at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_seconds: Option<u64>,
}

/// The end of an `update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateResult {
    /// The version that was to be installed.
    #[serde(default, alias = "new_version")]
    pub version: Option<String>,
    /// Whether it was.
    #[serde(default)]
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A stable word for why not, as `bad_signature` or `rolled_back`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The machine is in tunnel mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelReady {
    /// Which session it is for.
    pub session_id: SessionId,
    /// What the person at the machine said to it, where the server asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentOutcome>,
}

/// The machine refused a session, or has left it by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelClosed {
    /// Which session.
    pub session_id: SessionId,
    /// Why, for a person.
    #[serde(default)]
    pub reason: String,
    /// What the person at the machine said, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentOutcome>,
}
