//! The sections of `agent.toml` about services and processes to be watched.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[watchdog]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchdogSettings {
    /// Whether services and processes are watched.
    pub enabled: bool,
    /// Time between looks at them.
    pub check_interval_seconds: u64,
    /// Which services.
    pub services: Vec<WatchedService>,
    /// Which processes.
    pub processes: Vec<WatchedProcess>,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            check_interval_seconds: 30,
            services: Vec::new(),
            processes: Vec::new(),
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

/// `[[watchdog.processes]]`: whether one runs is told, and nothing is done about it. One of both keys is needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedProcess {
    /// The name of its program's file.
    #[serde(default)]
    pub name: Option<String>,
    /// The path of its program's file.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

impl WatchedProcess {
    /// What it is called in events.
    #[must_use]
    pub fn label(&self) -> String {
        let path = self.path.as_deref().map(Path::to_string_lossy);
        self.name
            .clone()
            .or_else(|| path.map(std::borrow::Cow::into_owned))
            .unwrap_or_default()
    }
}

fn three() -> u32 {
    3
}

fn sixty() -> u64 {
    60
}
