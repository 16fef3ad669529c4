//! What can be set, with its defaults and limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// All settings of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the database, the signing key and the set-up token are kept.
    pub data_dir: PathBuf,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3001)),
            data_dir: PathBuf::from("./data"),
            database: DatabaseSettings::default(),
            auth: AuthSettings::default(),
            agents: AgentSettings::default(),
            tunnel: TunnelSettings::default(),
            commands: CommandSettings::default(),
            schedules: ScheduleSettings::default(),
            metrics: MetricsSettings::default(),
            retention: RetentionSettings::default(),
            limits: LimitSettings::default(),
            http: HttpSettings::default(),
            notifications: NotificationSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: SecretString::default(),
            max_connections: 10,
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            signing_key: SecretString::default(),
            token_hours: 24,
            registration: false,
            account_attempts_per_minute: 10,
            address_attempts_per_minute: 60,
        }
    }
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            auth_timeout_seconds: 10,
            ping_interval_seconds: 15,
            idle_timeout_seconds: 45,
            messages_per_second: 50,
            message_burst: 200,
            accept_site_codes_of_first_generation: false,
        }
    }
}

impl Default for TunnelSettings {
    fn default() -> Self {
        Self {
            open_timeout_seconds: 15,
            idle_timeout_seconds: 900,
            max_sessions_per_technician: 10,
            max_running_commands: 16,
            commands_per_minute: 300,
            operations_per_minute: 3000,
            max_viewers: 16,
            command_timeout_seconds: 300,
            max_command_timeout_seconds: 86_400,
            replay_bytes: 1024 * 1024,
            window_bytes: gururmm_shared::flow::INITIAL_WINDOW_BYTES,
            viewer_stall_seconds: 30,
            ticket_seconds: 30,
            max_channels: 128,
            bulk_lane: true,
            resume_grace_seconds: 0,
        }
    }
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 300,
            max_timeout_seconds: 86_400,
            expiry_seconds: 7 * 86_400,
            max_expiry_seconds: 30 * 86_400,
            max_in_flight: 32,
            max_waiting: 1000,
            per_minute: 600,
            result_grace_seconds: 30,
            poll_margin_seconds: 300,
        }
    }
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            max: 1000,
            grace_seconds: 600,
            keep_runs: 1000,
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            commands_days: 90,
            alerts_days: 365,
            events_days: 90,
            sessions_days: 365,
            audit_days: 0,
        }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            raw_days: 7,
            minute_days: 30,
            hour_days: 400,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            requests_per_minute: 1200,
            json_body_bytes: 64 * 1024,
            command_bytes: 32 * 1024,
            agent_message_bytes: 2 * 1024 * 1024,
            viewer_message_bytes: 16 * 1024,
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            docs: true,
            allowed_origins: Vec::new(),
        }
    }
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            allow_private_targets: false,
            retry_seconds: 30,
            smtp: SmtpSettings::default(),
        }
    }
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: SmtpTls::Starttls,
            username: String::new(),
            password: SecretString::default(),
            from: String::new(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "info,actix_server=warn".to_owned(),
            format: LogFormat::Text,
        }
    }
}
