//! The sections of `agent.toml` about services to be watched.

use serde::Deserialize;

/// `[watchdog]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchdogSettings {
    /// Whether services are watched.
    pub enabled: bool,
    /// Time between looks at them.
    pub check_interval_seconds: u64,
    /// Which ones.
    pub services: Vec<WatchedService>,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            check_interval_seconds: 30,
            services: Vec::new(),
        }
    }
}

/// `[[watchdog.services]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedService {
    /// The service's name.
    pub name: String,
    /// What is done when it does not run.
    #[serde(default)]
    pub action: ServiceAction,
    /// How often it is restarted before the agent gives up.
    #[serde(default = "three")]
    pub max_restarts: u32,
    /// Time between restarts.
    #[serde(default = "sixty")]
    pub restart_cooldown_seconds: u64,
}

/// What is done with a service that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceAction {
    /// It is started again.
    #[default]
    Restart,
    /// It is only reported.
    Alert,
    /// Nothing.
    Ignore,
}

fn three() -> u32 {
    3
}

fn sixty() -> u64 {
    60
}
