//! What an agent leaves on a machine, removed again: `gururmm-agent service uninstall --purge`.
//!
//! Only what an agent writes goes, by its names: a state directory may be one that others use too.

use std::io;
use std::path::Path;

use crate::config::Config;

/// What lies in the state directory. What came before or after a file in turn (`.new`, `.1`) begins with its name.
const STATE: [&str; 6] = [
    "identity.json",
    "commands.journal",
    "heartbeat",
    "policy.json",
    "agent.log",
    "update",
];

/// Removes configuration, identity and state; the configuration may be broken, or not be there.
///
/// # Errors
/// A line for the operator: what could not be removed.
pub fn purge(config: &Path) -> Result<(), String> {
    let beside = config.parent().unwrap_or_else(|| Path::new("."));
    let loaded = Config::load_or_last_good(config).ok();
    let state = loaded
        .as_ref()
        .map_or(beside, |config| config.state_dir())
        .to_owned();
    let name = config.file_name().unwrap_or_default().to_string_lossy();
    for folder in [state.as_path(), beside] {
        remove_named(folder, |entry| {
            let of_state = STATE.iter().any(|known| is_of(entry, known));
            of_state || is_of(entry, &name) || entry == "ca.pem"
        })?;
    }
    for folder in [state.as_path(), beside] {
        // Others may keep something there.
        if let Err(error) = std::fs::remove_dir(folder) {
            tracing::debug!(%error, folder = %folder.display(), "the folder stays");
        }
    }
    Ok(())
}

/// `name` itself, or `name.` with more behind it.
fn is_of(entry: &str, name: &str) -> bool {
    entry
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn remove_named(folder: &Path, known: impl Fn(&str) -> bool) -> Result<(), String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot read {}: {error}", folder.display())),
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(&known) {
            continue;
        }
        let path = entry.path();
        // A link to a folder is removed as the link that it is.
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(&path),
            _ => std::fs::remove_file(&path),
        };
        removed.map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_an_agent_wrote_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (config, state) = (folder.path().join("etc"), folder.path().join("state"));
        let touch = |path: &Path| std::fs::write(path, "").unwrap();
        std::fs::create_dir(&config).unwrap();
        std::fs::create_dir_all(state.join("update")).unwrap();
        let file = config.join("agent.toml");
        let text = format!(
            "[server]\nurl = \"wss://a/ws\"\napi_key = \"A-B-1\"\n[agent]\nstate_dir = {:?}\n",
            state
        );
        std::fs::write(&file, text).unwrap();
        for name in [
            "identity.json",
            "commands.journal",
            "heartbeat",
            "policy.json",
            "agent.log.1",
            "update/state.json",
        ] {
            touch(&state.join(name));
        }
        touch(&config.join("ca.pem"));
        touch(&state.join("agent.toml.last-good"));
        purge(&file).unwrap();
        assert!(!config.exists() && !state.exists());
        // Nothing there is nothing to do.
        purge(&file).unwrap();

        std::fs::create_dir(&config).unwrap();
        for name in [
            "agent.toml",
            "identity.json",
            "identity.jsonx",
            "others.toml",
        ] {
            touch(&config.join(name));
        }
        purge(&file).unwrap();
        assert!(config.join("others.toml").exists() && config.join("identity.jsonx").exists());
        assert!(!config.join("agent.toml").exists() && !config.join("identity.json").exists());
    }
}
