//! What of a policy concerns the agent itself.

use gururmm_shared::{
    CommandsConfig, ConfigUpdate, InventoryConfig, MetricsConfig, ServiceConfig, TunnelConfig,
    UpdateConfig, WatchdogConfig,
};

use super::{MetricsPolicy, PolicySettings, WatchdogPolicy, WatchedService};

/// `None` for a section that sets nothing, so that an empty policy makes an empty message.
fn unless_empty<T: Default + PartialEq>(section: T) -> Option<T> {
    (section != T::default()).then_some(section)
}

impl PolicySettings {
    /// What the agent is told.
    #[must_use]
    pub fn for_agent(&self) -> ConfigUpdate {
        ConfigUpdate {
            metrics: unless_empty(metrics(&self.metrics)),
            watchdog: unless_empty(watchdog(&self.watchdog)),
            inventory: unless_empty(InventoryConfig {
                interval_seconds: self.inventory.interval_seconds,
            }),
            commands: unless_empty(CommandsConfig {
                allow: self.commands.allow.clone(),
                deny: self.commands.deny.clone(),
            }),
            tunnel: unless_empty(TunnelConfig {
                tell_person: self.tunnel.tell_person,
            }),
            update: unless_empty(UpdateConfig {
                channel: self.update.channel.map(|channel| channel.name().to_owned()),
            }),
        }
    }
}

fn metrics(policy: &MetricsPolicy) -> MetricsConfig {
    MetricsConfig {
        interval_seconds: policy.interval_seconds,
        collect_cpu: policy.collect_cpu,
        collect_memory: policy.collect_memory,
        collect_disk: policy.collect_disk,
        collect_network: policy.collect_network,
    }
}

fn watchdog(policy: &WatchdogPolicy) -> WatchdogConfig {
    WatchdogConfig {
        enabled: policy.enabled,
        check_interval_seconds: policy.check_interval_seconds,
        services: policy
            .services
            .as_ref()
            .map(|services| services.iter().map(service).collect()),
    }
}

fn service(service: &WatchedService) -> ServiceConfig {
    ServiceConfig {
        name: service.name.clone(),
        action: service.action.name().to_owned(),
        max_restarts: service.max_restarts,
        restart_cooldown_seconds: service.restart_cooldown_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_told_which_commands_may_run() {
        let commands = serde_json::json!({"allow": [], "deny": [{"glob": "reboot"}]});
        let settings = serde_json::json!({"commands": commands});
        let settings: PolicySettings = serde_json::from_value(settings).unwrap();
        let told = serde_json::to_value(settings.for_agent()).unwrap();
        assert_eq!(told["commands"], commands, "an empty list allows nothing");
    }

    #[test]
    fn rules_that_the_server_keeps_to_itself_are_not_told() {
        let settings: PolicySettings = serde_json::from_value(serde_json::json!({
            "alerts": {"offline": {}},
            "tunnel": {"roles": ["administrator"]},
        }))
        .unwrap();
        assert!(settings.for_agent().is_empty());
        let settings: PolicySettings =
            serde_json::from_value(serde_json::json!({"metrics": {"interval_seconds": 30}}))
                .unwrap();
        assert_eq!(
            settings.for_agent().metrics.unwrap().interval_seconds,
            Some(30)
        );
    }
}
