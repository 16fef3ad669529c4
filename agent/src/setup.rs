//! The first configuration, as installers write it: `gururmm-agent setup`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::config::Config;
use crate::platform;

/// The longest certificate file that is taken.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// What a new agent has to know.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The server as people name it (`https://rmm.example.com`), or its WebSocket (`wss://…/ws`).
    pub server: String,
    /// A registration token, a site's key or a site code.
    pub token: String,
    /// Where the agent keeps its identity; beside its configuration if missing.
    pub state_dir: Option<PathBuf>,
    /// Certificates to trust in place of the public authorities; copied beside the configuration.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy that leads to the server.
    pub proxy: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The file is written.
    Written,
    /// There was one, and it stays.
    Kept,
}

impl Setup {
    /// Writes the configuration, in one step, for its owner only. One that is there stays, unless it is to be
    /// replaced.
    ///
    /// # Errors
    /// A line for the operator: what was told cannot be used, or not be written.
    pub fn write(&self, path: &Path, replace: bool) -> Result<Done, String> {
        if path.exists() && !replace {
            return Ok(Done::Kept);
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        let ca_file = self.ca_file.is_some().then(|| folder.join("ca.pem"));
        let text = self.text(ca_file.as_deref())?;
        // As the agent will read it: what it would refuse is not written.
        Config::parse(&text, path).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        if let Some(state) = &self.state_dir {
            platform::make_private_folder(state)
                .map_err(|error| format!("cannot make {}: {error}", state.display()))?;
        }
        if let (Some(from), Some(to)) = (&self.ca_file, &ca_file) {
            copy_certificates(from, to)?;
        }
        write_private(path, text.as_bytes())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Done::Written)
    }

    fn text(&self, ca_file: Option<&Path>) -> Result<String, String> {
        let mut lines = vec![
            "# Written by gururmm-agent setup; all keys: docs/agent.md of GuruRMM.".to_owned(),
            "[server]".to_owned(),
            line("url", &socket_url(self.server.trim())?),
            "# Used once, until the agent has a key of its own.".to_owned(),
            line("api_key", self.token.trim()),
        ];
        if let Some(file) = ca_file {
            lines.push(line("ca_file", utf8(file)?));
        }
        if let Some(proxy) = &self.proxy {
            lines.push(line("proxy", proxy));
        }
        if let Some(state) = &self.state_dir {
            lines.push("\n[agent]".to_owned());
            lines.push(line("state_dir", utf8(state)?));
        }
        Ok(lines.join("\n") + "\n")
    }
}

fn line(key: &str, value: &str) -> String {
    format!("{key} = {}", Value::String(value.to_owned()))
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8; name another path", path.display()))
}

/// `https://host/base` is `wss://host/base/ws`.
fn socket_url(server: &str) -> Result<String, String> {
    for (page, socket) in [("https://", "wss://"), ("http://", "ws://")] {
        if let Some(rest) = server.strip_prefix(page) {
            return Ok(format!("{socket}{}/ws", rest.trim_end_matches('/')));
        }
    }
    if server.starts_with("wss://") || server.starts_with("ws://") {
        return Ok(server.to_owned());
    }
    Err(format!(
        "--server: {server:?} is no address of a server; it is like https://rmm.example.com"
    ))
}

fn copy_certificates(from: &Path, to: &Path) -> Result<(), String> {
    let problem = |error: std::io::Error| format!("--ca-file: {}: {error}", from.display());
    let size = std::fs::metadata(from).map_err(problem)?.len();
    if size > MAX_CA_BYTES {
        return Err(format!(
            "--ca-file: {} is larger than {MAX_CA_BYTES} bytes",
            from.display()
        ));
    }
    let text = std::fs::read(from).map_err(problem)?;
    std::fs::write(to, text).map_err(|error| format!("cannot write {}: {error}", to.display()))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("toml.new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = platform::open_private(&mut options, &temporary)?;
    platform::make_private(&file)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)?;
    platform::sync_names(path.parent().unwrap_or_else(|| Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(server: &str) -> Setup {
        Setup {
            server: server.to_owned(),
            token: "grmt_x\"y\n".to_owned(),
            ..Setup::default()
        }
    }

    #[test]
    fn a_configuration_is_written_once_for_its_owner_and_replaced_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/agent.toml");
        let state = folder.path().join("var/state");
        let mut first = setup("https://rmm.example.com/");
        first.state_dir = Some(state.clone());
        assert_eq!(first.write(&path, false).unwrap(), Done::Written);
        let config = Config::load(&path).unwrap();
        assert_eq!(config.server.url, "wss://rmm.example.com/ws");
        assert_eq!(config.server.api_key, "grmt_x\"y");
        assert_eq!(config.state_dir(), state);
        assert!(state.is_dir());
        let file = std::fs::File::open(&path).unwrap();
        assert!(platform::exposure(&file, &path).unwrap().is_none());
        assert_eq!(
            setup("https://other").write(&path, false).unwrap(),
            Done::Kept
        );
        assert_eq!(
            Config::load(&path).unwrap().server.url,
            "wss://rmm.example.com/ws"
        );
        setup("http://127.0.0.1:3001").write(&path, true).unwrap();
        assert_eq!(
            Config::load(&path).unwrap().server.url,
            "ws://127.0.0.1:3001/ws"
        );
    }

    #[test]
    fn certificates_are_kept_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        let given = folder.path().join("given.pem");
        std::fs::write(&given, "-----BEGIN CERTIFICATE-----").unwrap();
        let mut with = setup("wss://rmm.example.com/ws");
        with.ca_file = Some(given);
        with.write(&path, false).unwrap();
        let kept = Config::load(&path).unwrap().server.ca_file.unwrap();
        assert_eq!(kept, folder.path().join("ca.pem"));
        assert_eq!(
            std::fs::read_to_string(kept).unwrap(),
            "-----BEGIN CERTIFICATE-----"
        );
    }

    #[test]
    fn what_cannot_be_used_is_told_and_nothing_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        let told = setup("rmm.example.com").write(&path, false).unwrap_err();
        assert!(told.contains("https://rmm.example.com"), "{told}");
        let empty = Setup {
            token: String::new(),
            ..setup("https://a")
        };
        assert!(
            empty
                .write(&path, false)
                .unwrap_err()
                .contains("server.api_key")
        );
        assert!(!path.exists());
    }
}
