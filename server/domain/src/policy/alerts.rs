//! What raises an alert: one rule a kind, each with its severity.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
pub enum Severity {
    /// To be known.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == name)
    }
}

/// The rules; a kind without one raises nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct AlertsPolicy {
    /// The agent is not connected.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<OfflineRule>,
    /// The load of the CPUs.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<ThresholdRule>,
    /// Memory in use.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ThresholdRule>,
    /// Disk space in use.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ThresholdRule>,
    /// A watched service does not run.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_down: Option<EventRule>,
    /// The watchdog has given a service up.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog_gave_up: Option<EventRule>,
    /// An update of the agent has failed.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_failed: Option<EventRule>,
    /// The agent's clock is wrong.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockRule>,
}

/// An agent that is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct OfflineRule {
    /// Whether it counts.
    #[garde(skip)]
    pub enabled: bool,
    /// For how long; 0 means at once.
    #[garde(range(max = 10_080))]
    #[schema(maximum = 10_080)]
    pub for_minutes: u32,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
}

/// A share that is too high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct ThresholdRule {
    /// Whether it counts.
    #[garde(skip)]
    pub enabled: bool,
    /// Above this share.
    #[garde(range(min = 1, max = 100))]
    #[schema(minimum = 1, maximum = 100)]
    pub above_percent: u8,
    /// It is over only below the threshold less so much.
    #[garde(range(max = 50))]
    #[schema(maximum = 50)]
    pub margin_percent: u8,
    /// For how long; 0 means at once.
    #[garde(range(max = 1440))]
    #[schema(maximum = 1440)]
    pub for_minutes: u32,
    /// It is over after so long below; 0 means at once.
    #[garde(range(max = 1440))]
    #[schema(maximum = 1440)]
    pub resolve_minutes: u32,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct EventRule {
    /// Whether it counts.
    #[garde(skip)]
    pub enabled: bool,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
}

/// A clock that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct ClockRule {
    /// Whether it counts.
    #[garde(skip)]
    pub enabled: bool,
    /// By more than so much, either way.
    #[garde(range(min = 5, max = 86_400))]
    #[schema(minimum = 5, maximum = 86_400)]
    pub off_by_seconds: u32,
    /// How bad it is.
    #[garde(skip)]
    pub severity: Severity,
}

impl Default for OfflineRule {
    fn default() -> Self {
        Self {
            enabled: true,
            for_minutes: 5,
            severity: Severity::Critical,
        }
    }
}

impl Default for ThresholdRule {
    fn default() -> Self {
        Self {
            enabled: true,
            above_percent: 90,
            margin_percent: 5,
            for_minutes: 5,
            resolve_minutes: 5,
            severity: Severity::Warning,
        }
    }
}

impl Default for EventRule {
    fn default() -> Self {
        Self {
            enabled: true,
            severity: Severity::Warning,
        }
    }
}

impl Default for ClockRule {
    fn default() -> Self {
        Self {
            enabled: true,
            off_by_seconds: 60,
            severity: Severity::Warning,
        }
    }
}
