//! `agent.toml`: read once at the start, unknown keys refused, every limit checked. Knows nothing of
//! what the values are used for.

mod last_good;
mod limits;
mod sections;
mod watchdog;

use std::path::{Path, PathBuf};

pub use limits::watched;
pub use sections::{
    AgentSettings, CommandSettings, ConsentSettings, InventorySettings, LogFormat, LogSettings,
    MetricsSettings, ServerSettings,
};
pub use watchdog::{ServiceAction, WatchdogSettings, WatchedProcess, WatchedService};

use serde::Deserialize;

/// Everything that `agent.toml` holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server is and how patient the agent is with it.
    pub server: ServerSettings,
    /// What belongs to the agent itself.
    #[serde(default)]
    pub agent: AgentSettings,
    /// What is measured and how often.
    #[serde(default)]
    pub metrics: MetricsSettings,
    /// How often the inventory is taken.
    #[serde(default)]
    pub inventory: InventorySettings,
    /// The services to be watched.
    #[serde(default)]
    pub watchdog: WatchdogSettings,
    /// How commands are run.
    #[serde(default)]
    pub commands: CommandSettings,
    /// How who sits at the machine is asked.
    #[serde(default)]
    pub consent: ConsentSettings,
    /// What is logged and how.
    #[serde(default)]
    pub log: LogSettings,
    /// The file that this is the content of.
    #[serde(skip)]
    pub file: PathBuf,
    /// Why this is not what is in that file, but the last good one.
    #[serde(skip)]
    pub problem: Option<String>,
}

/// Why a configuration cannot be used; one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key that does not exist or does not fit.
    #[error("{} line {line}: {message}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value is outside its limits.
    #[error("{}: {key} {problem}", path.display())]
    OutOfLimits {
        /// Which file.
        path: PathBuf,
        /// Which key, with its section.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`], whose text is one line that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads and checks the text of a file; `path` is for messages and for [`Config::state_dir`].
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            line: error
                .span()
                .map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
            // What TOML calls a field is a key to who writes the file.
            message: error
                .message()
                .replace('\n', " ")
                .replace("unknown field", "unknown key")
                .replace("missing field", "missing key"),
        })?;
        limits::check(&config).map_err(|(key, problem)| ConfigError::OutOfLimits {
            path: path.to_owned(),
            key,
            problem,
        })?;
        if config.agent.state_dir.is_none() {
            config.agent.state_dir = Some(beside(path));
        }
        path.clone_into(&mut config.file);
        Ok(config)
    }

    /// The directory of `identity.json`: the configured one, or the configuration file's own.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.agent
            .state_dir
            .as_deref()
            .unwrap_or_else(|| Path::new("."))
    }
}

/// The folder of a file.
fn beside(path: &Path) -> PathBuf {
    path.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = r#"
[server]
url = "wss://rmm.example.com/ws"
api_key = "DARK-GROVE-7839"        # a site code, or a grmm_… key
[metrics]
interval_seconds = 60              # 10 to 3600
collect_cpu = true
collect_memory = true
collect_disk = true
collect_network = true
[watchdog]
enabled = true
check_interval_seconds = 30
[[watchdog.services]]
name = "ServiceName"
action = "restart"
max_restarts = 3
restart_cooldown_seconds = 60
"#;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/gururmm/agent.toml")).map_err(|error| error.to_string())
    }

    fn with(extra: &str) -> Result<Config, String> {
        parse(&format!(
            "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"A-B-1\"\n{extra}\n"
        ))
    }

    #[test]
    fn the_original_file_is_understood() {
        let config = parse(REFERENCE).unwrap();
        assert_eq!(config.metrics.interval_seconds, 60);
        assert_eq!(config.watchdog.services[0].name, "ServiceName");
        assert_eq!(config.state_dir(), Path::new("/etc/gururmm"));
        assert_eq!(config.agent.heartbeat_seconds, 30);
        assert_eq!(config.commands.timeout_seconds, 300);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_in_one_line() {
        let error = with("[metrics]\ninterval = 5").unwrap_err();
        assert!(
            error.starts_with("/etc/gururmm/agent.toml line 5: unknown key `interval`"),
            "{error}"
        );
        assert!(!error.contains('\n'));
        assert!(with("[metric]").unwrap_err().contains("`metric`"));
        assert!(parse("[server]\nurl=1").unwrap_err().contains(" line 2: "));
        assert!(
            parse("[agent]")
                .unwrap_err()
                .contains("missing key `server`")
        );
    }

    #[test]
    fn a_value_outside_its_limits_is_named() {
        for (extra, key) in [
            (
                "[metrics]\ninterval_seconds = 9",
                "metrics.interval_seconds",
            ),
            (
                "[metrics]\ninterval_seconds = 3601",
                "metrics.interval_seconds",
            ),
            ("[agent]\nheartbeat_seconds = 0", "agent.heartbeat_seconds"),
            ("[commands]\nmax_running = 0", "commands.max_running"),
            ("[commands]\nmax_queued = 5000", "commands.max_queued"),
            (
                "[commands]\noutput_limit_bytes = 1048577",
                "commands.output_limit_bytes",
            ),
            (
                "[commands]\nclaude_task_root = \"srv\"",
                "commands.claude_task_root",
            ),
            (
                "[commands]\ntimeout_seconds = 90000",
                "commands.timeout_seconds",
            ),
            ("[consent]\nprogram = \"ask\"", "consent.program"),
            ("reconnect_seconds = 0.0", "server.reconnect_seconds"),
            ("reconnect_seconds = nan", "server.reconnect_seconds"),
            ("reconnect_max_seconds = 1", "server.reconnect_max_seconds"),
            ("proxy = \"socks5://a:1\"", "server.proxy"),
            ("proxy = \"a:3128\"", "server.proxy"),
            ("[log]\nmax_mib = 0", "log.max_mib"),
            ("[log]\nkeep = 101", "log.keep"),
            ("[log]\nfile = \"agent.log\"", "log.file"),
            ("[[watchdog.processes]]", "watchdog.processes"),
            (
                "[[watchdog.processes]]\npath = \"nginx\"",
                "watchdog.processes",
            ),
            (
                "[[watchdog.services]]\nname = \"--now\"",
                "watchdog.services",
            ),
            (
                "[[watchdog.services]]\nname = \"a\"\nmax_restarts = 101",
                "watchdog.services",
            ),
        ] {
            let error = with(extra).unwrap_err();
            assert!(error.contains(key), "{extra}: {error}");
        }
        assert!(with("reconnect_seconds = 0.2").is_ok());
        assert!(with("reconnect_seconds = 2").is_ok());
        assert!(with("proxy = \"http://u:p@proxy.example.com:3128\"").is_ok());
        assert!(with("proxy = \"none\"").is_ok());
        assert!(with("[[watchdog.processes]]\nname = \"nginx\"").is_ok());
    }

    #[test]
    fn an_address_that_is_no_websocket_is_refused() {
        for url in ["http://a/ws", "rmm.example.com", "ws:///ws", ""] {
            let error = parse(&format!("[server]\nurl = \"{url}\"\napi_key = \"x\"")).unwrap_err();
            assert!(error.contains("server.url"), "{url}: {error}");
        }
        let error = parse("[server]\nurl = \"ws://a/ws\"\napi_key = \"\"").unwrap_err();
        assert!(error.contains("server.api_key"), "{error}");
    }

    #[test]
    fn a_missing_file_is_one_clear_line() {
        let error = Config::load(Path::new("/nowhere/agent.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot read /nowhere/agent.toml: "),
            "{error}"
        );
    }

    #[test]
    fn the_key_is_not_shown_by_debug() {
        let shown = format!("{:?}", parse(REFERENCE).unwrap());
        assert!(!shown.contains("DARK-GROVE"), "{shown}");
    }
}
