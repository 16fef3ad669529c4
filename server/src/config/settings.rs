//! What can be set. Defaults stand in `defaults`, limits in `check`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::tls::TlsSettings;

/// All settings of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the database, the signing key and the set-up token are kept.
    pub data_dir: PathBuf,
    /// How the server is reached.
    pub server: ServerSettings,
    /// Encryption.
    pub tls: TlsSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// Log-ins.
    pub auth: AuthSettings,
    /// Agents' connections.
    pub agents: AgentSettings,
    /// Tunnels.
    pub tunnel: TunnelSettings,
    /// Commands outside tunnels.
    pub commands: CommandSettings,
    /// What runs by the clock.
    pub schedules: ScheduleSettings,
    /// Updates of agents.
    pub updates: UpdateSettings,
    /// How long figures are kept.
    pub metrics: MetricsSettings,
    /// How long everything else is kept.
    pub retention: RetentionSettings,
    /// Sizes.
    pub limits: LimitSettings,
    /// Browsers.
    pub http: HttpSettings,
    /// How alerts are told.
    pub notifications: NotificationSettings,
    /// The log.
    pub log: LogSettings,
}

/// How the server is reached.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// The address that browsers see, as `https://rmm.example.com`; empty where it is the one that they ask
    /// for. With https, cookies go over https only.
    pub public_url: String,
    /// The proxies whose `X-Forwarded-For` is believed, as `10.0.0.0/8` or `::1`.
    pub trusted_proxies: Vec<String>,
}

/// The database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite://FILE` or `postgres://…`; empty means SQLite in the data directory.
    #[serde(serialize_with = "secret")]
    pub url: SecretString,
    /// Connections to PostgreSQL at most.
    pub max_connections: u32,
}

/// Log-ins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Signs the tokens, at least 32 bytes; empty means one made in the data directory.
    #[serde(serialize_with = "secret")]
    pub signing_key: SecretString,
    /// How long a token lives.
    pub token_hours: u32,
    /// Whether anybody may register.
    pub registration: bool,
    /// Log-in attempts for one account.
    pub account_attempts_per_minute: u32,
    /// Log-in attempts from one address.
    pub address_attempts_per_minute: u32,
}

/// Agents' connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSettings {
    /// How long a new connection has to authenticate.
    pub auth_timeout_seconds: u32,
    /// How often a silent agent is asked for a sign of life.
    pub ping_interval_seconds: u32,
    /// How long without a sign of life until a connection is dead.
    pub idle_timeout_seconds: u32,
    /// Messages a second that an agent may send, tunnel data aside.
    pub messages_per_second: u32,
    /// Messages at once that it may send.
    pub message_burst: u32,
    /// Whether an agent that speaks no protocol may come back with its site code.
    pub accept_site_codes_of_first_generation: bool,
    /// New devices that a site takes in a minute, also at once.
    pub enrollments_per_site_per_minute: u32,
}

/// Tunnels.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelSettings {
    /// How long an agent has to answer an open.
    pub open_timeout_seconds: u32,
    /// How long a session may lie still.
    pub idle_timeout_seconds: u32,
    /// Sessions a technician may have.
    pub max_sessions_per_technician: u32,
    /// Commands that may run in a session.
    pub max_running_commands: u32,
    /// Commands a minute that a session may start.
    pub commands_per_minute: u32,
    /// Streams and requests a minute that a session may begin.
    pub operations_per_minute: u32,
    /// Viewers a session may have.
    pub max_viewers: u32,
    /// How long a command may run where the request does not say.
    pub command_timeout_seconds: u32,
    /// How long a request may let a command run.
    pub max_command_timeout_seconds: u32,
    /// Output kept of each channel.
    pub replay_bytes: u64,
    /// Output of a channel on its way.
    pub window_bytes: u64,
    /// How long a viewer may take nothing.
    pub viewer_stall_seconds: u32,
    /// How long a ticket opens a stream.
    pub ticket_seconds: u32,
    /// Terminals and other streams that may be open in a session.
    pub max_channels: u32,
    /// Whether agents may carry the bytes of files over connections of their own.
    pub bulk_lane: bool,
    /// How long terminals outlive the loss of their agent's connection; 0 ends them at once.
    pub resume_grace_seconds: u32,
}

impl TunnelSettings {
    /// The same, or with another time that a session may lie still, where a policy says so.
    #[must_use]
    pub fn lying_still(self: &Arc<Self>, idle_timeout_seconds: Option<u32>) -> Arc<Self> {
        match idle_timeout_seconds {
            None => Arc::clone(self),
            Some(idle_timeout_seconds) => Arc::new(Self {
                idle_timeout_seconds,
                ..Self::clone(self)
            }),
        }
    }
}

/// Commands outside tunnels.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandSettings {
    /// How long a command may run where the request does not say.
    pub timeout_seconds: u32,
    /// How long a request may let a command run.
    pub max_timeout_seconds: u32,
    /// How long a command waits for its agent where the request does not say.
    pub expiry_seconds: u32,
    /// How long a request may let a command wait.
    pub max_expiry_seconds: u32,
    /// Commands of an agent that are sent and have not ended.
    pub max_in_flight: u32,
    /// Commands that may wait for an agent.
    pub max_waiting: u32,
    /// Commands a minute that a user may give.
    pub per_minute: u32,
    /// How long beyond a command's own time its result may take to come from a connected agent.
    pub result_grace_seconds: u32,
    /// The same for an agent that polls: it may run it late, and tells its end with a request of its own.
    pub poll_margin_seconds: u32,
}

/// What runs by the clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSettings {
    /// Schedules that there may be.
    pub max: u32,
    /// How late a time may be made up for that went by while the server stood still.
    pub grace_seconds: u32,
    /// Runs of a schedule that are kept.
    pub keep_runs: u32,
}

/// Updates of agents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateSettings {
    /// Updates that are sent and have not ended.
    pub concurrent: u32,
    /// How long an agent has to run what it was sent, or to say why it does not.
    pub answer_seconds: u32,
}

/// How long figures are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Samples as agents sent them.
    pub raw_days: u32,
    /// Samples by the minute.
    pub minute_days: u32,
    /// Samples by the hour.
    pub hour_days: u32,
}

/// How long what is over is kept; 0 means for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Commands that have ended, and jobs without any that is kept.
    pub commands_days: u32,
    /// Alerts that are resolved.
    pub alerts_days: u32,
    /// What watchdogs reported.
    pub events_days: u32,
    /// Tunnel sessions that are closed.
    pub sessions_days: u32,
    /// The list of what was done in tunnels; the chained audit stays in any case.
    pub audit_days: u32,
}

/// Sizes and rates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Requests a minute that a user may make.
    pub requests_per_minute: u32,
    /// A request's body.
    pub json_body_bytes: u32,
    /// A command line.
    pub command_bytes: u32,
    /// A message from an agent.
    pub agent_message_bytes: u32,
    /// A message from a viewer.
    pub viewer_message_bytes: u32,
    /// Streams of events that a user may have.
    pub event_streams_per_user: u32,
}

/// Browsers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Whether the API's description and its pages are shown.
    pub docs: bool,
    /// Origins beside the server's own that may call it, as `https://rmm.example.com`.
    pub allowed_origins: Vec<String>,
}

/// How alerts are told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// Whether webhooks may go to this machine and to private networks.
    pub allow_private_targets: bool,
    /// How long after the first attempt in vain the second one comes; each pause doubles.
    pub retry_seconds: u32,
    /// The mail server.
    pub smtp: SmtpSettings,
}

/// The mail server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its name; empty means that there is none.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// The account; empty means that none is needed.
    pub username: String,
    /// Its password.
    #[serde(serialize_with = "secret")]
    pub password: SecretString,
    /// The sender, as `GuruRMM <rmm@example.com>`.
    pub from: String,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// From the beginning.
    Tls,
    /// After `STARTTLS`, which must be there.
    Starttls,
    /// Not at all: for a server on this machine.
    None,
}

/// The log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// As `info` or `info,gururmm_server=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go; empty means standard error.
    pub file: PathBuf,
    /// How large the file may grow before it is put aside as `FILE.1`, in MiB.
    pub max_mib: u32,
    /// How many files that were put aside are kept.
    pub keep: u32,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

// serde asks for a reference.
fn secret<S: serde::Serializer>(_: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("")
}
