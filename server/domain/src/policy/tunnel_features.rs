//! What a policy lets people do inside of tunnels: the part of it that becomes [`TunnelRules`].

use garde::Validate;
use gururmm_shared::{Feature, TunnelRules};
use serde::{Deserialize, Serialize};

use super::TunnelPolicy;
use crate::role::Role;

/// Folders, shells or targets of a list.
const MOST: usize = 100;
/// The longest path.
const PATH_BYTES: usize = 4096;
/// The longest name of a host (RFC 1035), with brackets and a port.
const TARGET_BYTES: usize = 262;

/// Who of those who may open a tunnel may use what in it; missing means all of them, an empty list nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[serde(default, deny_unknown_fields)]
#[derive(utoipa::ToSchema)]
pub struct FeatureRoles {
    /// Commands without a terminal.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Role>>,
    /// Programs under a pseudo-terminal.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Vec<Role>>,
    /// Files and folders.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<Role>>,
    /// Services.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<Role>>,
    /// Processes.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<Role>>,
    /// The Windows registry.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Vec<Role>>,
    /// TCP forwards.
    #[garde(inner(length(max = 3)))]
    #[schema(max_items = 3)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Vec<Role>>,
}

impl FeatureRoles {
    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(&self, feature: Feature) -> Option<&[Role]> {
        let roles = match feature {
            Feature::Commands => &self.commands,
            Feature::Terminal => &self.terminal,
            Feature::Files => &self.files,
            Feature::Services => &self.services,
            Feature::Processes => &self.processes,
            Feature::Registry => &self.registry,
            Feature::Tcp => &self.tcp,
        };
        roles.as_deref()
    }
}

impl TunnelPolicy {
    /// What somebody of this role may do in a tunnel that this policy lets them open.
    #[must_use]
    pub fn rules(&self, role: Role) -> TunnelRules {
        let may = |feature: &Feature| {
            let roles = self.features.of(*feature);
            roles.is_none_or(|roles| roles.contains(&role))
        };
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        TunnelRules {
            features: Feature::ALL.into_iter().filter(may).collect(),
            shells: list(&self.shells),
            file_roots: list(&self.file_roots),
            file_writes: self.file_writes.unwrap_or(true),
            tcp_targets: list(&self.tcp_targets),
        }
    }
}

/// A list of absolute paths of either system.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "garde's signature"
)]
pub(super) fn paths(list: &Option<Vec<String>>, (): &()) -> garde::Result {
    check(list.as_deref(), |path| {
        let absolute = path.starts_with('/') || path.starts_with(r"\\") || has_drive(path);
        if !absolute || path.len() > PATH_BYTES || path.contains(char::is_control) {
            return Err("must be absolute paths of at most 4096 bytes, as /srv or C:\\Data");
        }
        Ok(())
    })
}

/// A list of `HOST:PORT` or `HOST:*`.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "garde's signature"
)]
pub(super) fn targets(list: &Option<Vec<String>>, (): &()) -> garde::Result {
    check(list.as_deref(), |target| {
        let fits = |(host, port): (&str, &str)| {
            let host = host.strip_prefix('[').map_or(host, |rest| {
                // Without its end it is no address, and refused below.
                rest.strip_suffix(']').unwrap_or("[")
            });
            let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let known = host == "*"
                || host.parse::<std::net::IpAddr>().is_ok()
                || (!host.is_empty() && host.chars().all(named));
            known && (port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0))
        };
        if target.len() > TARGET_BYTES || !target.rsplit_once(':').is_some_and(fits) {
            return Err("must be HOST:PORT or HOST:*, as db.example.com:5432 or [fd00::1]:*");
        }
        Ok(())
    })
}

fn check(list: Option<&[String]>, one: impl Fn(&str) -> Result<(), &'static str>) -> garde::Result {
    let list = list.unwrap_or_default();
    if list.len() > MOST {
        let problem = format!("must have at most {MOST} entries");
        return Err(garde::Error::new(problem));
    }
    list.iter()
        .try_for_each(|text| one(text))
        .map_err(garde::Error::new)
}

fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(value: serde_json::Value) -> TunnelPolicy {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_policy_that_says_nothing_allows_what_the_wire_does_by_itself() {
        for role in Role::ALL {
            assert_eq!(
                TunnelPolicy::default().rules(role),
                TunnelRules::default(),
                "{role:?}"
            );
        }
    }

    #[test]
    fn a_feature_is_for_the_roles_that_are_named_and_others_are_for_all() {
        let policy = policy(json!({"features": {"terminal": ["administrator"], "registry": []}}));
        let administrator = policy.rules(Role::Administrator);
        assert!(administrator.allows(Feature::Terminal));
        assert!(!administrator.allows(Feature::Registry), "nobody may");
        let technician = policy.rules(Role::Technician);
        assert!(!technician.allows(Feature::Terminal));
        assert!(technician.allows(Feature::Files));
        assert!(technician.allows(Feature::Commands));
    }

    #[test]
    fn lists_and_writes_go_over_as_they_are() {
        let policy = policy(json!({"shells": ["/bin/zsh"], "file_roots": ["/srv"],
            "file_writes": false, "tcp_targets": ["10.0.0.5:3389"]}));
        let rules = policy.rules(Role::Technician);
        assert_eq!(rules.shells, ["/bin/zsh"]);
        assert_eq!(rules.file_roots, ["/srv"]);
        assert!(!rules.file_writes);
        assert!(rules.allows_tcp("10.0.0.5", 3389) && !rules.allows_tcp("localhost", 80));
    }

    #[test]
    fn paths_are_absolute_and_targets_have_a_host_and_a_port() {
        let list = |items: &[&str]| Some(items.iter().map(|&item| item.to_owned()).collect());
        for good in ["/srv", r"C:\Data", "d:/x", r"\\server\share"] {
            assert!(paths(&list(&[good]), &()).is_ok(), "{good}");
        }
        for bad in ["", "srv", "../x", "C:x", "/a\nb"] {
            assert!(paths(&list(&[bad]), &()).is_err(), "{bad:?}");
        }
        for good in ["10.0.0.5:22", "db.example.com:*", "[fd00::1]:22", "*:443"] {
            assert!(targets(&list(&[good]), &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "host",
            "host:",
            "host:0",
            "host:70000",
            ":22",
            "a b:1",
            "[fd00::1:22",
        ] {
            assert!(targets(&list(&[bad]), &()).is_err(), "{bad:?}");
        }
        assert!(paths(&Some(vec!["/a".to_owned(); 101]), &()).is_err());
    }

    #[test]
    fn a_role_or_a_feature_that_does_not_exist_is_refused() {
        for bad in [
            json!({"features": {"desktop": []}}),
            json!({"features": {"files": ["root"]}}),
        ] {
            assert!(serde_json::from_value::<TunnelPolicy>(bad).is_err());
        }
    }
}
