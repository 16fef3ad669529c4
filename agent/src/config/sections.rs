//! The sections of `agent.toml` with their defaults.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::platform;

/// `[server]`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// The server's WebSocket, `ws://` or `wss://`.
    pub url: String,
    /// A site code, a site's key or the agent's own key; only until the agent has a key of its own.
    pub api_key: String,
    /// How long dialling, and then the answer to `auth`, may take.
    #[serde(default = "ten")]
    pub auth_timeout_seconds: u64,
    /// A connection on which nothing came for so long is dead.
    #[serde(default = "ninety")]
    pub idle_timeout_seconds: u64,
    /// Upper bound of the first delay before the server is dialled again.
    #[serde(default = "ten_fractional")]
    pub reconnect_seconds: f64,
    /// Upper bound of every such delay.
    #[serde(default = "sixty_fractional")]
    pub reconnect_max_seconds: f64,
    /// Certificates to trust (PEM) in place of the public authorities.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy on the way to the server, as `http://user:password@host:3128`; without it that of the
    /// environment, and `none` for none at all.
    #[serde(default)]
    pub proxy: Option<String>,
}

impl ServerSettings {
    /// [`ServerSettings::auth_timeout_seconds`] as a duration.
    #[must_use]
    pub fn auth_timeout(&self) -> Duration {
        Duration::from_secs(self.auth_timeout_seconds)
    }

    /// [`ServerSettings::idle_timeout_seconds`] as a duration.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }
}

impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("url", &self.url)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// Where the agent keeps its identity; the configuration file's directory if missing.
    pub state_dir: Option<PathBuf>,
    /// Time between heartbeats.
    pub heartbeat_seconds: u64,
    /// Time between looks at the network interfaces.
    pub network_check_seconds: u64,
    /// Takes the place of the hardware's identity, for cloned images and tests.
    pub device_id: Option<String>,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            state_dir: None,
            heartbeat_seconds: 30,
            network_check_seconds: 30,
            device_id: None,
        }
    }
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Time between samples, 10 to 3600.
    pub interval_seconds: u64,
    /// Whether the load of the CPUs is measured.
    pub collect_cpu: bool,
    /// Whether memory is measured.
    pub collect_memory: bool,
    /// Whether disks are measured.
    pub collect_disk: bool,
    /// Whether network traffic is measured.
    pub collect_network: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            interval_seconds: 60,
            collect_cpu: true,
            collect_memory: true,
            collect_disk: true,
            collect_network: true,
        }
    }
}

/// `[inventory]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InventorySettings {
    /// Whether an inventory is taken.
    pub enabled: bool,
    /// Time between looks at the machine, 60 to 604800.
    pub interval_seconds: u64,
}

impl Default for InventorySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_seconds: 3600,
        }
    }
}

/// `[commands]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandSettings {
    /// How long a command may run that does not say so itself.
    pub timeout_seconds: u64,
    /// How long any command may run.
    pub max_timeout_seconds: u64,
    /// How many commands may run at once, inside and outside tunnels each.
    pub max_running: usize,
    /// How many commands outside tunnels may wait for that.
    pub max_queued: usize,
    /// How much of both streams of a command outside a tunnel is kept, as JSON writes it.
    pub output_limit_bytes: usize,
    /// The interpreter of `python` commands.
    pub python: String,
    /// The interpreter of `powershell` commands.
    pub powershell: String,
    /// The interpreter of `script` commands; the text comes behind `-c`.
    pub script_interpreter: String,
    /// Under this directory Claude tasks may work; without it they are refused.
    pub claude_task_root: Option<PathBuf>,
    /// The program of Claude tasks.
    pub claude_task_program: String,
}

impl CommandSettings {
    /// How long a command may run that asks for `seconds`.
    #[must_use]
    pub fn timeout(&self, seconds: Option<u64>) -> Duration {
        let wanted = seconds.unwrap_or(self.timeout_seconds);
        Duration::from_secs(wanted.clamp(1, self.max_timeout_seconds))
    }
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 300,
            max_timeout_seconds: 86_400,
            max_running: 32,
            max_queued: 256,
            output_limit_bytes: 1024 * 1024,
            python: platform::PYTHON.to_owned(),
            powershell: platform::POWERSHELL.to_owned(),
            script_interpreter: platform::SCRIPT_INTERPRETER.to_owned(),
            claude_task_root: None,
            claude_task_program: "claude".to_owned(),
        }
    }
}

/// `[consent]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsentSettings {
    /// The program that asks who sits at the machine; without it what their desktop has.
    pub program: Option<PathBuf>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What is logged, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
    /// The file that is written; without it standard error, and under the service manager of Windows `agent.log`
    /// in the state directory.
    pub file: Option<PathBuf>,
    /// How large the file becomes before a new one is begun, in MiB.
    pub max_mib: u64,
    /// How many older files are kept.
    pub keep: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
            file: None,
            max_mib: 10,
            keep: 4,
        }
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn ten() -> u64 {
    10
}

fn ninety() -> u64 {
    90
}

fn ten_fractional() -> f64 {
    10.0
}

fn sixty_fractional() -> f64 {
    60.0
}
