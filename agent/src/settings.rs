//! The settings that the server may change while the agent runs: what `agent.toml` has, and over it
//! what the policies say until the connection ends.

use std::sync::Arc;

use gururmm_shared::{ConfigUpdate, ServiceConfig};
use tokio::sync::watch;

use crate::commands::lists::CommandLists;
use crate::config::{
    Config, InventorySettings, MetricsSettings, ServiceAction, WatchdogSettings, WatchedService,
    watched,
};
use crate::kept_policy::KeptPolicy;

const DAY: u64 = 86_400;

/// What holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// What is measured and how often.
    pub metrics: MetricsSettings,
    /// Which services are watched.
    pub watchdog: WatchdogSettings,
    /// How often the inventory is taken.
    pub inventory: InventorySettings,
    /// Which commands may run.
    pub commands: CommandLists,
    /// Whether who sits at the machine is told of a tunnel.
    pub tell_person: bool,
}

impl LiveSettings {
    /// As the configuration file has it.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            metrics: config.metrics.clone(),
            watchdog: config.watchdog.clone(),
            inventory: config.inventory.clone(),
            commands: CommandLists::default(),
            tell_person: false,
        }
    }

    /// The same with what the server says put over it.
    ///
    /// # Errors
    /// The first field that is outside of its limits; then nothing of it is taken.
    pub fn with(mut self, update: &ConfigUpdate) -> Result<Self, String> {
        if let Some(metrics) = &update.metrics {
            let own = &mut self.metrics;
            put(&mut own.interval_seconds, metrics.interval_seconds);
            put(&mut own.collect_cpu, metrics.collect_cpu);
            put(&mut own.collect_memory, metrics.collect_memory);
            put(&mut own.collect_disk, metrics.collect_disk);
            put(&mut own.collect_network, metrics.collect_network);
        }
        if let Some(watchdog) = &update.watchdog {
            let own = &mut self.watchdog;
            put(&mut own.enabled, watchdog.enabled);
            put(
                &mut own.check_interval_seconds,
                watchdog.check_interval_seconds,
            );
            if let Some(services) = &watchdog.services {
                own.services = services.iter().map(service).collect::<Result<_, _>>()?;
            }
        }
        if let Some(inventory) = &update.inventory {
            put(
                &mut self.inventory.interval_seconds,
                inventory.interval_seconds,
            );
        }
        if let Some(commands) = &update.commands {
            self.commands = CommandLists::of(commands);
        }
        if let Some(tunnel) = &update.tunnel {
            put(&mut self.tell_person, tunnel.tell_person);
        }
        within(
            "metrics.interval_seconds",
            self.metrics.interval_seconds,
            10,
            3600,
        )?;
        let check = self.watchdog.check_interval_seconds;
        within("watchdog.check_interval_seconds", check, 1, DAY)?;
        watched(&self.watchdog).map_err(|(key, problem)| format!("{key} {problem}"))?;
        let inventory = self.inventory.interval_seconds;
        within("inventory.interval_seconds", inventory, 60, 7 * DAY)?;
        Ok(self)
    }
}

fn put<T: Copy>(own: &mut T, said: Option<T>) {
    if let Some(said) = said {
        *own = said;
    }
}

fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(format!("{key} is {value}, it must be from {min} to {max}"))
}

fn service(said: &ServiceConfig) -> Result<WatchedService, String> {
    let action = match said.action.as_str() {
        "restart" => ServiceAction::Restart,
        "alert" => ServiceAction::Alert,
        "ignore" => ServiceAction::Ignore,
        other => return Err(format!("watchdog.services: {other:?} is no action")),
    };
    Ok(WatchedService {
        name: said.name.clone(),
        action,
        max_restarts: said.max_restarts,
        restart_cooldown_seconds: said.restart_cooldown_seconds,
    })
}

/// The settings and who waits for them to change.
#[derive(Debug, Clone)]
pub struct SettingsStore {
    own: Arc<LiveSettings>,
    live: watch::Sender<LiveSettings>,
    kept: KeptPolicy,
}

impl SettingsStore {
    /// A store that holds what the configuration file has, and over it the policy that was kept.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let own = LiveSettings::of(config);
        let kept = KeptPolicy::new(config.state_dir());
        let begin = kept
            .load()
            .and_then(|policy| own.clone().with(&policy).ok());
        let (live, _) = watch::channel(begin.unwrap_or_else(|| own.clone()));
        Self {
            own: Arc::new(own),
            live,
            kept,
        }
    }

    /// What holds, and a word when that changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<LiveSettings> {
        self.live.subscribe()
    }

    /// Goes back to the configuration file: a new connection has its own policy.
    pub fn reset(&self) {
        self.kept.begin_connection();
        self.set(LiveSettings::clone(&self.own));
    }

    /// Takes what the server says; what it does not say is as the configuration file has it.
    pub fn take(&self, update: &ConfigUpdate) {
        match LiveSettings::clone(&self.own).with(update) {
            Ok(settings) => {
                let interval_seconds = settings.metrics.interval_seconds;
                let services = settings.watchdog.services.len();
                tracing::info!(interval_seconds, services, "the server's policy is applied");
                self.set(settings);
                self.kept.keep(update);
            }
            Err(problem) => tracing::warn!(problem, "the server's policy is not applied"),
        }
    }

    fn set(&self, settings: LiveSettings) {
        self.live.send_if_modified(|live| {
            let changed = *live != settings;
            *live = settings;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gururmm_shared::{MetricsConfig, TunnelConfig, WatchdogConfig};

    use super::*;

    fn own() -> LiveSettings {
        let text = "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"A-B-1\"\n\
            [metrics]\ninterval_seconds = 20\ncollect_disk = false";
        LiveSettings::of(&Config::parse(text, Path::new("/etc/gururmm/agent.toml")).unwrap())
    }

    fn every(interval_seconds: u64) -> ConfigUpdate {
        ConfigUpdate {
            metrics: Some(MetricsConfig {
                interval_seconds: Some(interval_seconds),
                ..MetricsConfig::default()
            }),
            ..ConfigUpdate::default()
        }
    }

    #[test]
    fn what_a_policy_does_not_say_stays_as_the_file_has_it() {
        let settings = own().with(&every(30)).unwrap();
        assert_eq!(settings.metrics.interval_seconds, 30);
        assert!(!settings.metrics.collect_disk);
        let told = ConfigUpdate {
            tunnel: Some(TunnelConfig {
                tell_person: Some(true),
            }),
            ..ConfigUpdate::default()
        };
        assert_eq!(own().with(&told).unwrap().metrics, own().metrics);
        assert_eq!(own().with(&ConfigUpdate::default()), Ok(own()));
    }

    #[test]
    fn a_policy_outside_of_the_limits_is_not_taken_at_all() {
        for seconds in [0, 9, 3601, u64::MAX] {
            assert!(own().with(&every(seconds)).is_err(), "{seconds}");
        }
        for (name, action) in [
            ("--now", "restart"),
            ("a", "explode"),
            ("", "alert"),
            ("a/b", "alert"),
        ] {
            let service = ServiceConfig {
                name: name.to_owned(),
                action: action.to_owned(),
                max_restarts: 3,
                restart_cooldown_seconds: 60,
            };
            let update = ConfigUpdate {
                watchdog: Some(WatchdogConfig {
                    services: Some(vec![service]),
                    ..WatchdogConfig::default()
                }),
                ..ConfigUpdate::default()
            };
            assert!(own().with(&update).is_err(), "{name:?} {action:?}");
        }
    }
}
