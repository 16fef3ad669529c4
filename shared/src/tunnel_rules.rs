//! What a policy allows inside of a tunnel: told with `tunnel_open`, checked by server and agent.

use serde::{Deserialize, Serialize};

use crate::{ChannelKind, Operation};

/// The rules of one session; what is missing is as [`TunnelRules::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TunnelRules {
    /// What channels and requests may be for.
    pub features: Vec<Feature>,
    /// Paths of shells beside the machine's own names; empty: only `sh`, `bash`, `cmd`, `powershell` and the
    /// default.
    pub shells: Vec<String>,
    /// Folders that files may lie in; empty: all of the machine.
    pub file_roots: Vec<String>,
    /// Whether files may be changed, and not only read.
    pub file_writes: bool,
    /// Where TCP may go, as `HOST:PORT` or `HOST:*`; empty: the machine's own loopback.
    pub tcp_targets: Vec<String>,
}

/// What a channel or a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Commands without a terminal.
    Commands,
    /// Programs under a pseudo-terminal.
    Terminal,
    /// Files and folders.
    Files,
    /// Services.
    Services,
    /// Processes.
    Processes,
    /// The Windows registry.
    Registry,
    /// TCP forwards.
    Tcp,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Commands,
        Self::Terminal,
        Self::Files,
        Self::Services,
        Self::Processes,
        Self::Registry,
        Self::Tcp,
    ];

    /// Whether it is [`Feature::Commands`], which the first messages did not name.
    #[must_use]
    pub(crate) fn is_commands(&self) -> bool {
        *self == Self::Commands
    }

    /// Its word in messages and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Terminal => "terminal",
            Self::Files => "files",
            Self::Services => "services",
            Self::Processes => "processes",
            Self::Registry => "registry",
            Self::Tcp => "tcp",
        }
    }
}

impl Default for TunnelRules {
    fn default() -> Self {
        Self {
            features: Feature::ALL.to_vec(),
            shells: Vec::new(),
            file_roots: Vec::new(),
            file_writes: true,
            tcp_targets: Vec::new(),
        }
    }
}

impl TunnelRules {
    /// Whether something may be done at all.
    #[must_use]
    pub fn allows(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// Whether a TCP connection may go there.
    ///
    /// Without targets only `localhost`, `127.0.0.0/8` and `::1` are allowed. A name is compared as it is
    /// written: what it resolves to is checked by the agent for loopback only.
    #[must_use]
    pub fn allows_tcp(&self, host: &str, port: u16) -> bool {
        if self.tcp_targets.is_empty() {
            return is_loopback(host);
        }
        self.tcp_targets.iter().any(|target| {
            target.rsplit_once(':').is_some_and(|(allowed, ports)| {
                let allowed = allowed.trim_start_matches('[').trim_end_matches(']');
                (allowed == "*" || allowed.eq_ignore_ascii_case(host))
                    && (ports == "*" || ports.parse() == Ok(port))
            })
        })
    }

    /// Whether a shell may be used: one of the well-known names, or a path that the policy lists.
    #[must_use]
    pub fn allows_shell(&self, shell: &str) -> bool {
        matches!(shell, "sh" | "bash" | "cmd" | "powershell")
            || self.shells.iter().any(|allowed| allowed == shell)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl ChannelKind {
    /// What it is for.
    #[must_use]
    pub fn feature(&self) -> Feature {
        match self {
            Self::Terminal(_) => Feature::Terminal,
            Self::Tcp(_) => Feature::Tcp,
            Self::FileRead(_)
            | Self::FileWrite(_)
            | Self::ArchiveRead(_)
            | Self::ArchiveWrite(_) => Feature::Files,
        }
    }

    /// Whether it changes something on the machine, beyond what a program in a terminal does.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self, Self::FileWrite(_) | Self::ArchiveWrite(_))
    }
}

impl Operation {
    /// What it is for.
    #[must_use]
    pub fn feature(&self) -> Feature {
        match self {
            Self::FileList { .. }
            | Self::FileStat { .. }
            | Self::FileMkdir { .. }
            | Self::FileRename { .. }
            | Self::FileDelete { .. }
            | Self::UploadState { .. }
            | Self::UploadDrop { .. } => Feature::Files,
            Self::ServiceList
            | Self::ServiceStat { .. }
            | Self::ServiceControl { .. }
            | Self::ServiceStartType { .. } => Feature::Services,
            Self::ProcessList | Self::ProcessKill { .. } => Feature::Processes,
            Self::RegistryList { .. }
            | Self::RegistryWrite { .. }
            | Self::RegistryDelete { .. }
            | Self::RegistryExport { .. } => Feature::Registry,
        }
    }

    /// Whether it changes something on the machine.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::FileMkdir { .. }
                | Self::FileRename { .. }
                | Self::FileDelete { .. }
                | Self::UploadDrop { .. }
                | Self::ServiceControl { .. }
                | Self::ServiceStartType { .. }
                | Self::ProcessKill { .. }
                | Self::RegistryWrite { .. }
                | Self::RegistryDelete { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_targets_tcp_stays_on_the_machines_own_loopback() {
        let rules = TunnelRules::default();
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "[::1]",
        ] {
            assert!(rules.allows_tcp(host, 80), "{host}");
        }
        for host in [
            "10.0.0.1",
            "0.0.0.0",
            "localhost.example.com",
            "::ffff:10.0.0.1",
            "",
        ] {
            assert!(!rules.allows_tcp(host, 80), "{host}");
        }
    }

    #[test]
    fn a_target_of_the_policy_names_a_host_and_a_port() {
        let rules = TunnelRules {
            tcp_targets: vec![
                "10.0.0.5:3389".into(),
                "db.example.com:*".into(),
                "[fd00::1]:22".into(),
            ],
            ..TunnelRules::default()
        };
        assert!(rules.allows_tcp("10.0.0.5", 3389));
        assert!(!rules.allows_tcp("10.0.0.5", 22));
        assert!(rules.allows_tcp("DB.example.com", 1));
        assert!(rules.allows_tcp("fd00::1", 22));
        assert!(
            !rules.allows_tcp("127.0.0.1", 22),
            "what is listed replaces the default"
        );
    }

    #[test]
    fn a_path_is_a_shell_only_where_the_policy_lists_it() {
        let rules = TunnelRules {
            shells: vec!["/bin/zsh".into()],
            ..TunnelRules::default()
        };
        assert!(rules.allows_shell("bash"));
        assert!(rules.allows_shell("/bin/zsh"));
        assert!(!rules.allows_shell("/bin/bash"));
        assert!(!rules.allows_shell("../bash"));
    }
}
