//! What is installed on the machine, for its inventory: programs as the registry lists them for their
//! removal, and services.

use std::collections::BTreeMap;

use gururmm_shared::{ServiceInfo, SoftwareInfo, UserInfo};
use winreg::RegKey;
use winreg::enums::HKEY_LOCAL_MACHINE;

use super::services;

/// Where programs are listed: those of 64 and those of 32 bits.
const LISTS: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];
/// Programs that are told.
const MOST_SOFTWARE: usize = 20_000;
/// Services that are told.
const MOST_SERVICES: usize = 2000;

/// What is installed.
#[must_use]
pub fn software() -> Option<Vec<SoftwareInfo>> {
    let machine = RegKey::predef(HKEY_LOCAL_MACHINE);
    let lists: Vec<RegKey> = LISTS
        .iter()
        .filter_map(|list| machine.open_subkey(list).ok())
        .collect();
    if lists.is_empty() {
        return None;
    }
    let mut found = BTreeMap::new();
    for list in &lists {
        for name in list.enum_keys().flatten() {
            if let Some((name, version)) = list.open_subkey(name).ok().and_then(|key| program(&key))
            {
                found.insert(name, version);
            }
        }
    }
    let told = found
        .into_iter()
        .map(|(name, version)| SoftwareInfo { name, version });
    Some(told.take(MOST_SOFTWARE).collect())
}

/// Name and version of a program that people are shown.
fn program(key: &RegKey) -> Option<(String, String)> {
    let hidden: u32 = key.get_value("SystemComponent").unwrap_or(0);
    let name: String = key.get_value("DisplayName").ok()?;
    let version: String = key.get_value("DisplayVersion").unwrap_or_default();
    let name = services::plain(name.trim());
    (hidden != 1 && !name.is_empty()).then(|| {
        (
            name,
            version
                .chars()
                .filter(|c| !c.is_control())
                .take(128)
                .collect(),
        )
    })
}

/// The services that the service manager knows.
#[must_use]
pub fn services() -> Option<Vec<ServiceInfo>> {
    let all = services::list().ok()?;
    let told = all.into_iter().map(|service| ServiceInfo {
        name: service.name,
        state: service.state,
        description: service.description,
    });
    Some(told.take(MOST_SERVICES).collect())
}

/// Who is logged in: not looked at yet.
#[must_use]
pub fn users() -> Option<Vec<UserInfo>> {
    None
}
