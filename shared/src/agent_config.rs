//! What policies say to an agent: the payload of `config_update`.

use serde::{Deserialize, Serialize};

use crate::CommandPattern;

/// Settings that hold until the connection ends or the next of these comes; what is missing is as
/// the agent's own configuration file has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfigUpdate {
    /// What is measured and how often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// Which services are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<WatchdogConfig>,
    /// How often the inventory is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryConfig>,
    /// Which commands may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<CommandsConfig>,
    /// What happens on the machine when a tunnel opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelConfig>,
    /// Which builds the agent is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateConfig>,
}

/// What is measured and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MetricsConfig {
    /// Time between samples, 10 to 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// Whether the load of the CPUs is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_cpu: Option<bool>,
    /// Whether memory is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_memory: Option<bool>,
    /// Whether disks are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_disk: Option<bool>,
    /// Whether network traffic is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_network: Option<bool>,
}

/// Which services are watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchdogConfig {
    /// Whether services are watched at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time between looks at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_interval_seconds: Option<u64>,
    /// In place of those of the agent's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<ServiceConfig>>,
}

/// A service that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceConfig {
    /// Its name.
    pub name: String,
    /// `restart`, `alert` or `ignore`.
    pub action: String,
    /// How often it is restarted before the agent gives up.
    pub max_restarts: u32,
    /// Time between restarts.
    pub restart_cooldown_seconds: u64,
}

/// How often the inventory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InventoryConfig {
    /// Time between looks at the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
}

/// Which commands may run, inside of tunnels and outside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommandsConfig {
    /// Only these, where there is a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<CommandPattern>>,
    /// And none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<CommandPattern>>,
}

/// What happens on the machine when a tunnel opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TunnelConfig {
    /// Whether who sits there is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tell_person: Option<bool>,
}

/// Which builds the agent is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateConfig {
    /// `stable`, `beta` or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl ConfigUpdate {
    /// Whether everything is as the agent's own configuration has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
