//! What the machine is: its device id, its start, its name and its operating system.

use gururmm_shared::OsInfo;
use rand::RngCore;
use sha2::{Digest, Sha256};
use sysinfo::System;

use crate::config::Config;
use crate::identity::{Identity, IdentityError, IdentityStore};
use crate::platform;

/// What an `auth` message says about the machine.
#[derive(Debug, Clone)]
pub struct Device {
    /// Stays the same over restarts and reinstallations of the agent.
    pub device_id: String,
    /// Changes with every start of the machine.
    pub boot_id: Option<String>,
    /// The machine's name.
    pub hostname: String,
    /// Its operating system.
    pub os_info: OsInfo,
}

impl Device {
    /// Looks at the machine; where the hardware has no identity a made-up one is kept in `identity`.
    ///
    /// # Errors
    /// [`IdentityError`] when the made-up one cannot be kept.
    pub fn probe(
        config: &Config,
        store: &IdentityStore,
        identity: &mut Identity,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            device_id: device_id(config, store, identity)?,
            boot_id: platform::boot_id(),
            hostname: hostname::get().map_or_else(
                |_| "unknown".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ),
            os_info: os_info(),
        })
    }
}

fn device_id(
    config: &Config,
    store: &IdentityStore,
    identity: &mut Identity,
) -> Result<String, IdentityError> {
    if let Some(id) = &config.agent.device_id {
        return Ok(id.clone());
    }
    if let Some(id) = &identity.device_id {
        return Ok(id.clone());
    }
    // A machine id is 32 hexadecimal digits; images without one hold nothing or "uninitialized".
    if let Some(raw) = machine_uid::get().ok().filter(|raw| raw.trim().len() >= 16) {
        return Ok(hashed(raw.trim()));
    }
    let made_up = random_hex::<16>();
    identity.device_id = Some(made_up.clone());
    store.store(identity)?;
    Ok(made_up)
}

/// The raw id is confidential (machine-id(5)): only its hash leaves the machine.
fn hashed(raw: &str) -> String {
    hex(&Sha256::digest(format!("gururmm-device:{raw}")))
}

fn os_info() -> OsInfo {
    OsInfo::Parts {
        family: std::env::consts::OS.to_owned(),
        name: System::long_os_version()
            .or_else(|_| System::name())
            .unwrap_or_default(),
        version: System::os_version().unwrap_or_default(),
        arch: std::env::consts::ARCH.to_owned(),
    }
}

/// Makes `N` random bytes, as hexadecimal text.
#[must_use]
pub fn random_hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

/// Writes bytes as hexadecimal text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_machine_id_cannot_be_seen_in_the_device_id() {
        let id = hashed("0123456789abcdef");
        assert_eq!(id.len(), 64);
        assert!(!id.contains("0123456789abcdef"));
        assert_eq!(id, hashed("0123456789abcdef"));
    }

    #[test]
    fn the_operating_system_is_known_by_part() {
        let OsInfo::Parts { family, arch, .. } = os_info() else {
            panic!("parts")
        };
        assert_eq!(
            (family.as_str(), arch.as_str()),
            (std::env::consts::OS, std::env::consts::ARCH)
        );
    }
}
