//! A real agent process with a state directory of its own.

use std::path::PathBuf;
use std::time::Duration;

use gururmm_shared::AgentId;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::api::Api;
use crate::deployment::wait_device_online;
use crate::process::Process;
use crate::windows;

/// The intervals of an agent, short enough for tests.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// `agent.heartbeat_seconds`.
    pub heartbeat_seconds: u64,
    /// `server.idle_timeout_seconds`.
    pub idle_timeout_seconds: u64,
    /// `server.reconnect_seconds`.
    pub reconnect_seconds: f64,
    /// `server.reconnect_max_seconds`.
    pub reconnect_max_seconds: f64,
    /// `commands.timeout_seconds`.
    pub command_timeout_seconds: u64,
    /// `server.ca_file`: whom it trusts in place of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// The id of the device; a new one where none is given.
    pub device_id: Option<String>,
    /// More lines for the end of the file.
    pub more: String,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 1,
            idle_timeout_seconds: 90,
            reconnect_seconds: 0.2,
            reconnect_max_seconds: 1.0,
            command_timeout_seconds: 300,
            ca_file: None,
            device_id: None,
            more: String::new(),
        }
    }
}

/// An agent process.
pub struct TestAgent {
    process: Process,
    directory: TempDir,
    device_id: String,
}

impl TestAgent {
    /// Starts one that dials `url` with `key`, a site's code or a `grmm_` key.
    #[must_use]
    pub fn start(url: &str, key: &str, settings: AgentSettings) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("gururmm-agent-")
            .tempdir()
            .unwrap();
        let device_id = settings
            .device_id
            .clone()
            .unwrap_or_else(|| format!("test-device-{}", uuid::Uuid::new_v4()));
        let state = windows::as_agents_see(&directory.path().join("state"));
        let text = config(url, key, &device_id, &state, &settings);
        std::fs::write(directory.path().join("agent.toml"), text).unwrap();
        let process = spawn(&directory);
        Self {
            process,
            directory,
            device_id,
        }
    }

    /// The id of its device.
    #[must_use]
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("agent.toml")
    }

    /// Where it keeps its key.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.exit().is_none()
    }

    /// Waits until the server says that it is online; answers its id.
    pub async fn wait_online(&self, api: &Api) -> AgentId {
        wait_device_online(api, &self.device_id).await
    }

    /// Kills it with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Holds it where it is: it takes and says nothing, and its connection stays.
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Stops it with SIGTERM; it must end with exit code 0.
    pub async fn stop(&mut self) {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait(Duration::from_secs(10)).await;
        assert_eq!(status.code(), Some(0), "the agent ended with {status:?}");
    }

    /// Starts it again on the same state.
    pub fn restart(&mut self) {
        self.process = spawn(&self.directory);
    }
}

fn spawn(directory: &TempDir) -> Process {
    let mut command = windows::agent();
    command
        .args(["run", "--config"])
        .arg(windows::as_agents_see(&directory.path().join("agent.toml")))
        .current_dir(directory.path());
    Process::start("gururmm-agent", command)
}

/// The text of an `agent.toml`.
#[must_use]
pub fn config(
    url: &str,
    key: &str,
    device_id: &str,
    state_dir: &str,
    settings: &AgentSettings,
) -> String {
    let AgentSettings {
        heartbeat_seconds,
        idle_timeout_seconds,
        reconnect_seconds,
        reconnect_max_seconds,
        command_timeout_seconds,
        ca_file,
        more,
        ..
    } = settings;
    let ca_file = ca_file.as_ref().map_or_else(String::new, |path| {
        format!("ca_file = \"{}\"\n", windows::as_agents_see(path))
    });
    format!(
        r#"[server]
url = "{url}"
api_key = "{key}"
idle_timeout_seconds = {idle_timeout_seconds}
reconnect_seconds = {reconnect_seconds:?}
reconnect_max_seconds = {reconnect_max_seconds:?}
{ca_file}
[agent]
state_dir = "{state_dir}"
device_id = "{device_id}"
heartbeat_seconds = {heartbeat_seconds}

[metrics]
interval_seconds = 10

[commands]
timeout_seconds = {command_timeout_seconds}
{more}"#
    )
}
