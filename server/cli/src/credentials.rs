//! Tokens of servers, in a file that only its owner reads.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::client::ServerAddress;
use crate::failure::Failure;
use crate::platform;

/// What is kept of a log-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub email: String,
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

/// The file's contents.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// The server that is meant where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

/// The tool's folder of settings.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute("XDG_CONFIG_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".config")))
        .or_else(|| absolute("APPDATA"));
    base.map(|base| base.join("gururmm"))
        .ok_or_else(|| Failure::local("there is no home directory; set XDG_CONFIG_HOME"))
}

/// Makes a folder that only its owner opens.
pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

impl Credentials {
    /// Reads them from a folder; none are as good.
    pub fn load(folder: &Path) -> Result<Self, Failure> {
        let file = folder.join("credentials.toml");
        let unreadable = |error: String| {
            Failure::local(format!(
                "cannot read {}: {error}; remove it and log in again",
                file.display()
            ))
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Writes them as a whole.
    pub fn save(&self, folder: &Path) -> Result<(), Failure> {
        let file = folder.join("credentials.toml");
        let failed = |error: &dyn std::fmt::Display| {
            Failure::local(format!("cannot write {}: {error}", file.display()))
        };
        let text = toml::to_string(self).map_err(|error| failed(&error))?;
        private_folder(folder).map_err(|error| failed(&error))?;
        let fresh = folder.join(format!("credentials.toml.{}", std::process::id()));
        let written = platform::private()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&fresh)
            .and_then(|mut out| {
                out.write_all(text.as_bytes())?;
                out.sync_all()
            })
            .and_then(|()| std::fs::rename(&fresh, &file));
        written.map_err(|error| failed(&error))
    }

    /// The log-in at a server.
    pub fn login(&self, server: &ServerAddress) -> Option<&Login> {
        self.logins.get(server.as_str())
    }

    /// Keeps a log-in; its server is the one that is meant from now on.
    pub fn keep(&mut self, server: &ServerAddress, login: Login) {
        self.server = Some(server.to_string());
        self.logins.insert(server.to_string(), login);
    }

    /// Forgets a log-in; tells whether there was one.
    pub fn forget(&mut self, server: &ServerAddress) -> bool {
        self.logins.remove(server.as_str()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ServerAddress {
        text.parse().unwrap()
    }

    fn login(token: &str) -> Login {
        Login {
            email: "a@example.com".to_owned(),
            token: token.to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_only_by_its_owner() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("gururmm");
        let mut credentials = Credentials::default();
        credentials.keep(&server("https://a.example.com"), login("secret"));
        credentials.save(&folder).unwrap();
        credentials.keep(&server("https://b.example.com"), login("other"));
        credentials.save(&folder).unwrap();
        let read = Credentials::load(&folder).unwrap();
        assert!(read == credentials);
        assert_eq!(read.server.as_deref(), Some("https://b.example.com"));
        assert_eq!(
            read.login(&server("https://a.example.com")).unwrap().token,
            "secret"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder.join("credentials.toml")), 0o600);
            assert_eq!(mode(&folder), 0o700);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_was_forgotten_is_gone() {
        let mut credentials = Credentials::default();
        credentials.keep(&server("a"), login("x"));
        assert!(credentials.forget(&server("a")));
        assert!(!credentials.forget(&server("a")));
    }

    #[test]
    fn a_file_that_cannot_be_read_names_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("credentials.toml"), "token = [").unwrap();
        let message = Credentials::load(folder.path())
            .err()
            .unwrap()
            .message
            .unwrap();
        assert!(message.contains("log in again"), "{message}");
    }
}
