//! Policies: the settings of the fleet, each of which may be left to the level above.
//!
//! `merge` makes one of those that touch an agent; `agent_config` picks what the agent is told.

mod agent_config;
pub mod alerts;
mod merge;
pub mod recording;
mod tunnel_features;

pub use merge::{Effective, Layer, Level, Source, diff, merge};
pub use tunnel_features::FeatureRoles;

use garde::Validate;
use gururmm_shared::{CommandPattern, ConsentDefault, ConsentMode, ConsentRequest};
use serde::{Deserialize, Serialize};

use self::alerts::AlertsPolicy;
use self::recording::RecordingPolicy;
use super::command_rules::CommandRules;
use super::role::Role;

/// How long who sits at the machine has to answer.
const CONSENT_SECONDS: u32 = 60;

/// Patterns, or services, of a list.
const MOST: usize = 100;

/// What a policy sets; what is missing is left to the level above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct PolicySettings {
    /// What is measured and how often.
    #[garde(dive)]
    pub metrics: MetricsPolicy,
    /// Which services are watched.
    #[garde(dive)]
    pub watchdog: WatchdogPolicy,
    /// What raises an alert.
    #[garde(dive)]
    pub alerts: AlertsPolicy,
    /// Which commands may run.
    #[garde(dive)]
    pub commands: CommandPolicy,
    /// How tunnels are.
    #[garde(dive)]
    pub tunnel: TunnelPolicy,
    /// Which builds the agents are given.
    #[garde(dive)]
    pub update: UpdatePolicy,
    /// How often the inventory is taken.
    #[garde(dive)]
    pub inventory: InventoryPolicy,
    /// Whether terminals are recorded.
    #[garde(dive)]
    pub recording: RecordingPolicy,
    /// How long figures are kept.
    #[garde(dive)]
    pub retention: RetentionPolicy,
}

/// What is measured and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct MetricsPolicy {
    /// Time between samples.
    #[garde(range(min = 10, max = 3600))]
    #[schema(minimum = 10, maximum = 3600)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// Whether the load of the CPUs is measured.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_cpu: Option<bool>,
    /// Whether memory is measured.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_memory: Option<bool>,
    /// Whether disks are measured.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_disk: Option<bool>,
    /// Whether network traffic is measured.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_network: Option<bool>,
}

/// Which services are watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct WatchdogPolicy {
    /// Whether services are watched at all.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time between looks at them.
    #[garde(range(min = 1, max = 86_400))]
    #[schema(minimum = 1, maximum = 86_400)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_interval_seconds: Option<u64>,
    /// In place of those of the agent's own configuration.
    #[garde(custom(few), dive)]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<WatchedService>>,
}

/// A service that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct WatchedService {
    /// Its name.
    #[garde(custom(service_name))]
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What is done when it does not run.
    #[garde(skip)]
    #[serde(default)]
    pub action: ServiceAction,
    /// How often it is restarted before the agent gives up.
    #[garde(range(max = 100))]
    #[schema(maximum = 100)]
    #[serde(default = "three")]
    pub max_restarts: u32,
    /// Time between restarts.
    #[garde(range(max = 86_400))]
    #[schema(maximum = 86_400)]
    #[serde(default = "sixty")]
    pub restart_cooldown_seconds: u64,
}

/// What is done with a service that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
pub enum ServiceAction {
    /// It is started again.
    #[default]
    Restart,
    /// It is only reported.
    Alert,
    /// Nothing.
    Ignore,
}

impl ServiceAction {
    /// The word for it on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Alert => "alert",
            Self::Ignore => "ignore",
        }
    }
}

/// Which commands may run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct CommandPolicy {
    /// Only these, where there is a list.
    #[garde(custom(few), inner(inner(custom(pattern))))]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<CommandPattern>>,
    /// And none of these.
    #[garde(custom(few), inner(inner(custom(pattern))))]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<CommandPattern>>,
}

impl CommandPolicy {
    /// The compiled lists.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn rules(&self) -> Result<CommandRules, String> {
        CommandRules::compile(
            self.allow.as_deref(),
            self.deny.as_deref().unwrap_or_default(),
        )
    }
}

/// How tunnels are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct TunnelPolicy {
    /// Who may open one, of those who may at all.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// How long a session may lie still.
    #[garde(range(min = 1, max = 604_800))]
    #[schema(minimum = 1, maximum = 604_800)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u32>,
    /// Whether who sits at the machine is told.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tell_person: Option<bool>,
    /// Whether who sits at the machine is asked, or told, before one opens.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentMode>,
    /// How long they have to answer; 60 s where nobody says.
    #[garde(range(min = 5, max = 600))]
    #[schema(minimum = 5, maximum = 600)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_timeout_seconds: Option<u32>,
    /// What counts where they do not answer; `refuse` where nobody says.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_no_answer: Option<ConsentDefault>,
    /// What counts where nobody is there who can be asked; `refuse` where nobody says.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_nobody_is_there: Option<ConsentDefault>,
    /// Who may use what in it.
    #[garde(dive)]
    #[serde(skip_serializing_if = "FeatureRoles::is_empty")]
    pub features: FeatureRoles,
    /// Paths of shells beside `sh`, `bash`, `cmd`, `powershell` and the machine's default.
    #[garde(custom(tunnel_features::paths))]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shells: Option<Vec<String>>,
    /// Folders that files may lie in; empty means all of the machine.
    #[garde(custom(tunnel_features::paths))]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_roots: Option<Vec<String>>,
    /// Whether files may be changed, and not only read.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_writes: Option<bool>,
    /// Where TCP may go, as `HOST:PORT` or `HOST:*`; empty means the machine's own loopback.
    #[garde(custom(tunnel_features::targets))]
    #[schema(max_items = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_targets: Option<Vec<String>>,
    /// How long a session may be, whatever happens in it.
    #[garde(range(min = 1, max = 604_800))]
    #[schema(minimum = 1, maximum = 604_800)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_session_seconds: Option<u32>,
}

impl TunnelPolicy {
    /// Whether somebody of this role may open a tunnel.
    #[must_use]
    pub fn admits(&self, role: Role) -> bool {
        self.roles
            .as_ref()
            .is_none_or(|roles| roles.contains(&role))
    }

    /// What who sits at the machine is asked or told before `technician` works there; nothing where nobody says so.
    #[must_use]
    pub fn consent(&self, technician: &str) -> Option<ConsentRequest> {
        let mode = self.consent.unwrap_or_default();
        let refuse = ConsentDefault::Refuse;
        (mode != ConsentMode::None).then(|| ConsentRequest {
            mode,
            technician: technician.to_owned(),
            timeout_seconds: self.consent_timeout_seconds.unwrap_or(CONSENT_SECONDS),
            on_no_answer: self.on_no_answer.unwrap_or(refuse),
            when_nobody_is_there: self.when_nobody_is_there.unwrap_or(refuse),
        })
    }
}

/// Which builds the agents are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct UpdatePolicy {
    /// From which channel.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<UpdateChannel>,
}

/// A channel of builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
pub enum UpdateChannel {
    /// Releases.
    Stable,
    /// What is to be released.
    Beta,
    /// Nothing is updated.
    Off,
}

impl UpdateChannel {
    /// The word for it on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Beta => "beta",
            Self::Off => "off",
        }
    }
}

/// How often the inventory is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct InventoryPolicy {
    /// Time between looks at the machine.
    #[garde(range(min = 60, max = 604_800))]
    #[schema(minimum = 60, maximum = 604_800)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
}

/// How long figures are kept, in place of what the server's configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct RetentionPolicy {
    /// Samples as agents sent them.
    #[garde(range(min = 1, max = 3650))]
    #[schema(minimum = 1, maximum = 3650)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_days: Option<u32>,
    /// Samples by the minute.
    #[garde(range(min = 1, max = 3650))]
    #[schema(minimum = 1, maximum = 3650)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minute_days: Option<u32>,
    /// Samples by the hour.
    #[garde(range(min = 1, max = 36_500))]
    #[schema(minimum = 1, maximum = 36_500)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour_days: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
fn pattern(pattern: &CommandPattern, (): &()) -> garde::Result {
    pattern.check().map_err(garde::Error::new)
}

// A name that begins with a dash would be an option of the service manager.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
fn service_name(text: &str, (): &()) -> garde::Result {
    super::text::check_name(text, 200).map_err(garde::Error::new)?;
    if text.starts_with('-') || text.contains('/') {
        return Err(garde::Error::new("must be the name of a service"));
    }
    Ok(())
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "garde's signature"
)]
fn few<T>(list: &Option<Vec<T>>, (): &()) -> garde::Result {
    match list {
        Some(list) if list.len() > MOST => Err(garde::Error::new(format!(
            "must have at most {MOST} entries"
        ))),
        _ => Ok(()),
    }
}

fn three() -> u32 {
    3
}

fn sixty() -> u64 {
    60
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(settings: serde_json::Value) -> Result<(), String> {
        let settings: PolicySettings =
            serde_json::from_value(settings).map_err(|error| error.to_string())?;
        settings.validate().map_err(|report| report.to_string())
    }

    #[test]
    fn a_field_that_does_not_exist_is_named() {
        let error = check(json!({"metrics": {"interval": 60}})).unwrap_err();
        assert!(error.contains("`interval`"), "{error}");
        let error = check(json!({"backup": {}})).unwrap_err();
        assert!(error.contains("`backup`"), "{error}");
    }

    #[test]
    fn a_value_outside_its_limits_is_named() {
        for (settings, field) in [
            (
                json!({"metrics": {"interval_seconds": 9}}),
                "metrics.interval_seconds",
            ),
            (
                json!({"commands": {"deny": [{"regex": "("}]}}),
                "commands.deny[0]",
            ),
            (
                json!({"watchdog": {"services": [{"name": "--now"}]}}),
                "watchdog.services[0].name",
            ),
            (
                json!({"alerts": {"cpu": {"above_percent": 101}}}),
                "alerts.cpu.above_percent",
            ),
            (json!({"retention": {"raw_days": 0}}), "retention.raw_days"),
            (
                json!({"tunnel": {"idle_timeout_seconds": 0}}),
                "tunnel.idle_timeout_seconds",
            ),
            (
                json!({"tunnel": {"max_session_seconds": 0}}),
                "tunnel.max_session_seconds",
            ),
            (
                json!({"tunnel": {"consent_timeout_seconds": 4}}),
                "tunnel.consent_timeout_seconds",
            ),
            (
                json!({"tunnel": {"file_roots": ["data"]}}),
                "tunnel.file_roots",
            ),
            (
                json!({"tunnel": {"tcp_targets": ["10.0.0.5"]}}),
                "tunnel.tcp_targets",
            ),
            (
                json!({"tunnel": {"features": {"files": vec!["technician"; 4]}}}),
                "tunnel.features.files",
            ),
            (
                json!({"commands": {"deny": vec![json!({"glob": "x"}); 101]}}),
                "commands.deny",
            ),
        ] {
            let error = check(settings).unwrap_err();
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn without_a_word_nobody_is_asked_and_no_answer_is_a_no() {
        let policy = |tunnel| -> TunnelPolicy { serde_json::from_value(tunnel).unwrap() };
        for quiet in [json!({}), json!({"consent": "none"})] {
            assert_eq!(policy(quiet).consent("ada@example.com"), None);
        }
        let asked = policy(json!({"consent": "required", "when_nobody_is_there": "allow"}));
        let asked = asked.consent("ada@example.com").unwrap();
        assert_eq!(asked.timeout_seconds, 60);
        assert_eq!(asked.on_no_answer, ConsentDefault::Refuse);
        assert_eq!(asked.when_nobody_is_there, ConsentDefault::Allow);
        assert_eq!(asked.technician, "ada@example.com");
    }

    #[test]
    fn an_empty_policy_sets_nothing() {
        assert_eq!(check(json!({})), Ok(()));
    }
}
