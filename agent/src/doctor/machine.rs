//! What is on the machine itself: files, folders, disk, service. Blocks its thread for a moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use sysinfo::Disks;

use super::Finding;
use crate::identity::IdentityStore;
use crate::platform::{self, own_service};

const MIB: u64 = 1024 * 1024;
/// With less the agent soon cannot keep what it has to.
const LOW: u64 = 500 * MIB;
const FULL: u64 = 20 * MIB;
/// As much as a full disk is sure to refuse.
const PROBE_BYTES: usize = 64 * 1024;

/// The configuration, which can be used.
pub(super) fn config(path: &Path) -> Finding {
    let exposure = File::open(path).and_then(|file| platform::exposure(&file, path));
    match exposure {
        Ok(None) => Finding::ok("config", format!("{} can be used", path.display())),
        Ok(Some(exposure)) => Finding::warn(
            "config",
            format!(
                "{} can be used, and others may read it with the key in it ({})",
                path.display(),
                exposure.what
            ),
            exposure.mend,
        ),
        Err(error) => Finding::warn(
            "config",
            format!("who may read {} is not known: {error}", path.display()),
            "run it as the administrator",
        ),
    }
}

/// The state directory: whether it can be written, and has room.
pub(super) fn state(folder: &Path) -> Finding {
    let shown = folder.display();
    if let Err(error) = write_probe(folder) {
        let fix = match error.kind() {
            io::ErrorKind::NotFound => format!("make the folder {shown}"),
            io::ErrorKind::PermissionDenied => {
                "run it as the user of the agent, or give that user the folder".to_owned()
            }
            io::ErrorKind::StorageFull => "make room on its disk".to_owned(),
            _ => "look at its disk".to_owned(),
        };
        return Finding::fail("state", format!("{shown} cannot be written: {error}"), fix);
    }
    match free_bytes(folder) {
        Some(free) if free < FULL => Finding::fail(
            "state",
            format!("the disk of {shown} has {} MiB left", free / MIB),
            "make room on it",
        ),
        Some(free) if free < LOW => Finding::warn(
            "state",
            format!("the disk of {shown} has {} MiB left", free / MIB),
            "make room on it",
        ),
        Some(free) => Finding::ok(
            "state",
            format!("{shown} can be written, {} MiB are free", free / MIB),
        ),
        None => Finding::ok("state", format!("{shown} can be written")),
    }
}

fn write_probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let written = platform::open_private(&mut options, &path).and_then(|mut file| {
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    });
    match fs::remove_file(&path) {
        Err(error) if written.is_ok() => Err(error),
        _ => written,
    }
}

/// What is free on the disk of a folder, where that is known.
fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = fs::canonicalize(folder).ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    disks
        .iter()
        .filter(|disk| folder.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(|disk| disk.available_space())
}

/// Who the agent is.
pub(super) fn identity(folder: &Path) -> Finding {
    let store = IdentityStore::new(folder);
    match store.load() {
        Ok(Some(identity)) if identity.api_key.is_some() => {
            let id = identity.agent_id.map(|id| format!(" as {id}"));
            Finding::ok("identity", format!("enrolled{}", id.unwrap_or_default()))
        }
        Ok(_) => Finding::ok(
            "identity",
            "not enrolled yet: the first connection does that with server.api_key",
        ),
        Err(error) => Finding::fail(
            "identity",
            error.to_string(),
            "do what it says; the agent does not start before",
        ),
    }
}

/// The agent as a service.
pub(super) fn service() -> Finding {
    match own_service::status() {
        Ok(state) if state == "running" => Finding::ok("service", "installed and running"),
        Ok(state) if state == "not installed" => Finding::warn(
            "service",
            "not installed, so the agent does not start with the machine",
            "run `gururmm-agent service install --config FILE` as the administrator",
        ),
        Ok(state) => Finding::warn(
            "service",
            format!("installed, and {state}"),
            "run `gururmm-agent service start`, and look at its log if it does not stay",
        ),
        Err(error) => Finding::warn("service", error, "run it as the administrator"),
    }
}
