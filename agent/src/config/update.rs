//! The section of `agent.toml` about updates of the agent itself.

use serde::Deserialize;

/// `[update]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSettings {
    /// Whether the server may update this agent.
    pub enabled: bool,
    /// How long an update waits for commands and tunnels to end, 0 to 86400.
    pub wait_seconds: u64,
    /// How long a new version may take to reach the server, 1 to 3600.
    pub confirm_seconds: u64,
    /// How long the download may take, 1 to 86400.
    pub download_seconds: u64,
    /// A download of which nothing came for so long is given up, 1 to 3600.
    pub stall_seconds: u64,
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            wait_seconds: 900,
            confirm_seconds: 120,
            download_seconds: 1800,
            stall_seconds: 60,
        }
    }
}
