//! The demo's log-in, kept in a file that only its owner can read.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

const EMAIL: &str = "admin@example.com";

/// An administrator's log-in.
pub struct Credentials {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Reads what an earlier run kept, or makes new ones and keeps them before they are used.
    pub fn load_or_make(directory: &Path) -> Result<Self> {
        let path = directory.join("credentials");
        if let Ok(text) = std::fs::read_to_string(&path) {
            let mut lines = text.lines();
            let mut line = || lines.next().map(str::to_owned);
            if let (Some(email), Some(password)) = (line(), line()) {
                return Ok(Self { email, password });
            }
        }
        let password = uuid::Uuid::new_v4().simple().to_string();
        write_private(&path, &format!("{EMAIL}\n{password}\n"))?;
        Ok(Self {
            email: EMAIL.to_owned(),
            password,
        })
    }
}

/// Writes a file of mode 0600.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
