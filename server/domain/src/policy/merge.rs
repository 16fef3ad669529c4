//! One policy of many: field by field, the nearest wins.
//!
//! ```text
//!   default ──▶ client ──▶ site ──▶ agent
//! ```

use std::collections::{BTreeMap, BTreeSet};

use gururmm_shared::PolicyId;
use serde::Serialize;
use serde_json::{Map, Value};

use super::PolicySettings;

/// How near to an agent a policy is; the later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[derive(utoipa::ToSchema)]
#[schema(as = PolicyLevel)]
pub enum Level {
    /// For all.
    Default,
    /// For a client's agents.
    Client,
    /// For a site's agents.
    Site,
    /// For one agent.
    Agent,
}

/// One policy that touches an agent.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Which.
    pub policy_id: PolicyId,
    /// Its name.
    pub name: String,
    /// How near it is.
    pub level: Level,
    /// What it sets.
    pub settings: PolicySettings,
}

/// Where a field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PolicySource)]
pub struct Source {
    /// Which policy.
    pub policy_id: PolicyId,
    /// Its name.
    pub name: String,
    /// How near it is.
    pub level: Level,
}

/// What holds for an agent, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = EffectivePolicy)]
pub struct Effective {
    /// What holds.
    #[serde(rename = "effective")]
    pub settings: PolicySettings,
    /// Where each field comes from, as `metrics.interval_seconds`.
    pub sources: BTreeMap<String, Source>,
}

/// Fields that hold fields of their own, each of which is left to the level above where it is missing: else a
/// policy that is nearer and speaks of files would open terminals again.
const NESTED: [&str; 1] = ["tunnel.features"];

/// The fields that settings set, as `metrics.interval_seconds`.
fn fields(settings: &PolicySettings) -> BTreeMap<String, Value> {
    let value = serde_json::to_value(settings).expect("settings hold only maps with string keys");
    let sections = value.as_object().cloned().unwrap_or_default();
    let mut fields = BTreeMap::new();
    for (section, value) in sections {
        for (field, value) in value.as_object().cloned().unwrap_or_default() {
            let path = format!("{section}.{field}");
            match value {
                Value::Object(inner) if NESTED.contains(&path.as_str()) => {
                    let inner = inner.into_iter();
                    fields.extend(inner.map(|(name, value)| (format!("{path}.{name}"), value)));
                }
                value => {
                    fields.insert(path, value);
                }
            }
        }
    }
    fields
}

fn settings(fields: BTreeMap<String, Value>) -> PolicySettings {
    let mut sections = Value::Object(Map::new());
    for (path, value) in fields {
        let mut at = &mut sections;
        for name in path.split('.') {
            // Indexing makes an object of what is null.
            at = &mut at[name];
        }
        *at = value;
    }
    serde_json::from_value(sections).expect("each field comes from settings of this type")
}

/// Merges the policies that touch an agent.
#[must_use]
pub fn merge(mut layers: Vec<Layer>) -> Effective {
    layers.sort_by_key(|layer| layer.level);
    let mut merged = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for layer in layers {
        let source = Source {
            policy_id: layer.policy_id,
            name: layer.name,
            level: layer.level,
        };
        for (path, value) in fields(&layer.settings) {
            sources.insert(path.clone(), source.clone());
            merged.insert(path, value);
        }
    }
    Effective {
        settings: settings(merged),
        sources,
    }
}

/// The fields that differ.
#[must_use]
pub fn diff(before: &PolicySettings, after: &PolicySettings) -> BTreeSet<String> {
    let (before, after) = (fields(before), fields(after));
    let paths = before.keys().chain(after.keys());
    paths
        .filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::role::Role;

    fn layer(level: Level, settings: Value) -> Layer {
        Layer {
            policy_id: PolicyId::generate(),
            name: format!("{level:?}"),
            level,
            settings: serde_json::from_value(settings).unwrap(),
        }
    }

    #[test]
    fn the_nearest_wins_field_by_field() {
        let client = layer(
            Level::Client,
            json!({"metrics": {"interval_seconds": 60, "collect_cpu": false},
                "alerts": {"cpu": {"above_percent": 80}}}),
        );
        let agent = layer(
            Level::Agent,
            json!({"metrics": {"interval_seconds": 10}, "alerts": {"disk": {}}}),
        );
        let default = layer(
            Level::Default,
            json!({"metrics": {"interval_seconds": 300}}),
        );
        let effective = merge(vec![agent.clone(), default.clone(), client.clone()]);
        let metrics = &effective.settings.metrics;
        assert_eq!(metrics.interval_seconds, Some(10));
        assert_eq!(metrics.collect_cpu, Some(false));
        assert_eq!(effective.settings.alerts.cpu.unwrap().above_percent, 80);
        assert!(effective.settings.alerts.disk.is_some());
        let source = |path: &str| effective.sources[path].policy_id;
        assert_eq!(source("metrics.interval_seconds"), agent.policy_id);
        assert_eq!(source("metrics.collect_cpu"), client.policy_id);
        assert_eq!(effective.sources.len(), 4);
        let wanted = merge(vec![default, client, agent]);
        assert_eq!(effective, wanted, "their order does not matter");
    }

    #[test]
    fn each_feature_of_tunnels_is_a_field_of_its_own() {
        let client = layer(
            Level::Client,
            json!({"tunnel": {"features": {"terminal": ["administrator"], "files": []}}}),
        );
        let site = layer(
            Level::Site,
            json!({"tunnel": {"features": {"files": ["technician"]}, "file_writes": false}}),
        );
        let effective = merge(vec![site.clone(), client.clone()]);
        let features = &effective.settings.tunnel.features;
        assert_eq!(features.terminal, Some(vec![Role::Administrator]));
        assert_eq!(features.files, Some(vec![Role::Technician]));
        let source = |path: &str| effective.sources[path].policy_id;
        assert_eq!(source("tunnel.features.terminal"), client.policy_id);
        assert_eq!(source("tunnel.features.files"), site.policy_id);
        assert_eq!(source("tunnel.file_writes"), site.policy_id);
        let paths = diff(&client.settings, &site.settings);
        assert!(paths.contains("tunnel.features.terminal"), "{paths:?}");
    }

    #[test]
    fn an_empty_list_is_a_value_of_its_own() {
        let default = layer(
            Level::Default,
            json!({"commands": {"deny": [{"glob": "reboot"}]}}),
        );
        let site = layer(Level::Site, json!({"commands": {"deny": []}}));
        let effective = merge(vec![default, site]);
        assert_eq!(effective.settings.commands.deny, Some(Vec::new()));
    }

    #[test]
    fn nothing_merges_to_nothing() {
        assert_eq!(merge(Vec::new()), Effective::default());
    }

    #[test]
    fn a_difference_names_what_came_went_and_changed() {
        let of = |value: Value| -> PolicySettings { serde_json::from_value(value).unwrap() };
        let before = of(json!({"metrics": {"interval_seconds": 60, "collect_cpu": true}}));
        let after = of(json!({"metrics": {"interval_seconds": 30}, "update": {"channel": "beta"}}));
        let paths: Vec<String> = diff(&before, &after).into_iter().collect();
        let wanted = [
            "metrics.collect_cpu",
            "metrics.interval_seconds",
            "update.channel",
        ];
        assert_eq!(paths, wanted);
        assert!(diff(&after, &after).is_empty());
    }
}
