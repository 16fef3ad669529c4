//! What a policy allows inside of a tunnel: told with `tunnel_open`, checked by server and agent.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{ChannelKind, Operation};

/// The rules of one session; what is missing is as [`TunnelRules::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TunnelRules {
    /// What channels and requests may be for; a word that this build does not know allows nothing.
    #[serde(deserialize_with = "known_features")]
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

    /// Whether a channel may be opened, as far as it can be told without its path.
    #[must_use]
    pub fn allows_channel(&self, kind: &ChannelKind) -> bool {
        let special = match kind {
            ChannelKind::Terminal(options) => {
                let shell = options.shell.as_deref();
                shell.is_none_or(|shell| self.allows_shell(shell))
            }
            ChannelKind::Tcp(target) => self.allows_tcp(&target.host, target.port),
            _ => self.file_writes || !kind.writes(),
        };
        self.allows(kind.feature()) && special
    }

    /// Whether a request may be carried out, as far as it can be told without its path.
    #[must_use]
    pub fn allows_operation(&self, operation: &Operation) -> bool {
        let feature = operation.feature();
        let changes_files = feature == Feature::Files && operation.writes();
        self.allows(feature) && (self.file_writes || !changes_files)
    }

    /// Whether a TCP connection may go there.
    ///
    /// Without targets only `localhost`, `127.0.0.0/8` and `::1` are allowed. A name is compared as it is
    /// written: what it resolves to is checked by the agent for loopback only. An address is the same however it is
    /// written.
    #[must_use]
    pub fn allows_tcp(&self, host: &str, port: u16) -> bool {
        if self.tcp_targets.is_empty() {
            return is_loopback(host);
        }
        self.tcp_targets.iter().any(|target| {
            target.rsplit_once(':').is_some_and(|(allowed, ports)| {
                (allowed == "*" || is_same_host(allowed, host))
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

/// Reads the features that this build knows.
fn known_features<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Feature>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let known = |word: String| Feature::ALL.into_iter().find(|it| it.name() == word);
    Ok(words.into_iter().filter_map(known).collect())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || address(host).is_some_and(|address| address.is_loopback())
}

fn is_same_host(one: &str, other: &str) -> bool {
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

/// Reads an address, as `10.0.0.5`, `fd00::1` or `[fd00::1]`.
fn address(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
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
            Self::ServiceWatch(_) => Feature::Services,
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
    fn an_address_is_the_same_however_it_is_written() {
        let rules = TunnelRules {
            tcp_targets: vec!["[fd00:0:0::0:1]:22".into()],
            ..TunnelRules::default()
        };
        assert!(rules.allows_tcp("fd00::1", 22));
        assert!(rules.allows_tcp("[FD00::1]", 22));
        assert!(!rules.allows_tcp("fd00::2", 22));
        assert!(!rules.allows_tcp("[[fd00::1]]", 22));
    }

    #[test]
    fn a_feature_of_a_newer_server_allows_nothing_and_breaks_nothing() {
        let rules: TunnelRules =
            serde_json::from_str(r#"{"features":["files","teleport"],"file_writes":false}"#)
                .unwrap();
        assert_eq!(rules.features, [Feature::Files]);
    }

    #[test]
    fn reading_files_only_refuses_what_changes_them_and_nothing_else() {
        let rules = TunnelRules {
            file_writes: false,
            ..TunnelRules::default()
        };
        let path = || "/a".to_owned();
        assert!(rules.allows_operation(&Operation::FileStat { path: path() }));
        assert!(rules.allows_operation(&Operation::ProcessKill { pid: 2, started: 1 }));
        let delete = Operation::FileDelete {
            path: path(),
            recursive: false,
        };
        assert!(!rules.allows_operation(&delete));
        let read = crate::ArchiveRead { path: path() };
        assert!(rules.allows_channel(&ChannelKind::ArchiveRead(read)));
        let write = crate::ArchiveWrite {
            path: path(),
            overwrite: false,
        };
        assert!(!rules.allows_channel(&ChannelKind::ArchiveWrite(write)));
    }

    #[test]
    fn a_channel_is_refused_with_its_feature_its_shell_or_its_target() {
        let mut rules = TunnelRules::default();
        let terminal = |shell: Option<&str>| {
            ChannelKind::Terminal(crate::TerminalOptions {
                shell: shell.map(str::to_owned),
                ..Default::default()
            })
        };
        let tcp = |host: &str| {
            ChannelKind::Tcp(crate::TcpTarget {
                host: host.to_owned(),
                port: 80,
            })
        };
        assert!(rules.allows_channel(&terminal(None)));
        assert!(!rules.allows_channel(&terminal(Some("/tmp/x"))));
        assert!(rules.allows_channel(&tcp("localhost")));
        assert!(!rules.allows_channel(&tcp("10.0.0.1")));
        rules.features = vec![Feature::Files];
        assert!(!rules.allows_channel(&terminal(None)));
        assert!(!rules.allows_operation(&Operation::ProcessList));
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
