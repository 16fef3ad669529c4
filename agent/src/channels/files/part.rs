//! The temporary file of an upload, beside its target: its name, who may use it, how long it stays.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};
use gururmm_shared::{ErrorCode, OperationError, Reply, TunnelRules};
use sha2::{Digest, Sha256};

use super::failure::{failure, wrong_kind};
use super::path::MOST_NAME_BYTES;
use super::place::Place;
use crate::device::hex;
use crate::platform::{FileFacts, is_in_use, private, protect, without_waiting};

/// How every temporary file's name ends.
const SUFFIX: &str = ".gururmm-part";

/// One that was not written to for so long is not gone on with.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest name of an upload.
const MOST_UPLOAD_BYTES: usize = 64;

/// The temporary file's name, which fits whatever the target's name is.
pub(super) fn part_name(target: &OsStr, upload: &str) -> String {
    let target = target.to_string_lossy();
    let whole = format!(".{target}.{upload}{SUFFIX}");
    if whole.len() <= MOST_NAME_BYTES {
        return whole;
    }
    // Cut, and told from others that begin alike.
    let mut mark = hex(&Sha256::digest(target.as_bytes()));
    mark.truncate(16);
    let room = MOST_NAME_BYTES - upload.len() - SUFFIX.len() - mark.len() - 3;
    let begin = &target[..target.floor_char_boundary(room)];
    format!(".{begin}~{mark}.{upload}{SUFFIX}")
}

/// Checks an upload's name.
pub(super) fn check_upload(upload: &str) -> Result<(), OperationError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=MOST_UPLOAD_BYTES).contains(&upload.len()) && upload.chars().all(plain) {
        return Ok(());
    }
    let text = format!("an upload's name is 1 to {MOST_UPLOAD_BYTES} of a-z, A-Z, 0-9, - and _");
    Err(OperationError::new(ErrorCode::BadName, text))
}

/// Whether somebody else is writing this upload.
#[derive(Debug)]
pub(super) enum Taken<T> {
    /// It is ours.
    Ours(T),
    /// Another channel has it.
    Elsewhere,
}

/// Opens the temporary file, or makes it; ours alone until it is closed.
///
/// # Errors
/// It cannot be made; what is there is not the agent's own file.
pub(super) fn take(
    folder: &Dir,
    name: &str,
    make: bool,
) -> Result<Taken<Option<File>>, OperationError> {
    let explained = |error: io::Error| failure(&error, name);
    // The file of this name may be another one once the lock is ours: its upload has ended meanwhile.
    for _ in 0..100 {
        let file = match open(folder, name, make) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => {
                return Ok(Taken::Ours(None));
            }
            Err(error) if is_in_use(&error) => return Ok(Taken::Elsewhere),
            Err(error) => return Err(explained(error)),
        };
        let metadata = Metadata::from_file(&file).map_err(explained)?;
        let facts = FileFacts::of(&metadata);
        // Others may write to the folder: what they put there under this name is not written to.
        if !metadata.is_file() || !facts.is_the_agents_alone() {
            return Err(wrong_kind(name, "is not the agent's own file: remove it"));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(Taken::Elsewhere),
            Err(std::fs::TryLockError::Error(error)) => return Err(explained(error)),
        }
        if is_named(folder, name, &file) {
            return Ok(Taken::Ours(Some(file)));
        }
    }
    Ok(Taken::Elsewhere)
}

/// Whether the name still is that of the open file.
pub(super) fn is_named(folder: &Dir, name: &str, file: &File) -> bool {
    let facts = |metadata: io::Result<Metadata>| {
        let facts = FileFacts::of(&metadata.ok()?);
        Some((facts.device, facts.inode))
    };
    let named = facts(folder.symlink_metadata(name));
    named.is_some() && named == facts(Metadata::from_file(file))
}

fn open(folder: &Dir, name: &str, make: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).follow(FollowSymlinks::No);
    private(without_waiting(&mut options));
    match folder.open_with(name, &options) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && make => {
            options.create_new(true);
            match folder.open_with(name, &options) {
                // Somebody was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    options.create_new(false);
                    folder.open_with(name, &options)
                }
                Ok(made) => protect(&made).map(|()| made),
                failed => failed,
            }
        }
        opened => opened,
    }
    .map(cap_std::fs::File::into_std)
}

/// Tells how far an upload is.
pub(super) fn state(
    path: &str,
    upload: &str,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    check_upload(upload)?;
    let (folder, target) = Place::find(path, rules)?.parent()?;
    let offset = match folder.symlink_metadata(part_name(&target, upload)) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(wrong_kind(path, "has something else in its upload's place")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failure(&error, path)),
    };
    Ok(Reply::Upload { offset })
}

/// Drops what an upload has written; one that is being written goes on without a name and ends with an
/// error.
pub(super) fn forget(
    path: &str,
    upload: &str,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    check_upload(upload)?;
    let (folder, target) = Place::find(path, rules)?.parent()?;
    match folder.remove_file(part_name(&target, upload)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(&error, path)),
        _ => Ok(Reply::Done),
    }
}

/// Removes what uploads have left in a folder a week ago or earlier.
pub(super) fn remove_stale(folder: &Dir) -> io::Result<()> {
    for entry in folder.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = name
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(SUFFIX));
        if is_part && entry.metadata().is_ok_and(|metadata| is_stale(&metadata)) {
            entry.remove_file()?;
            tracing::info!(?name, "an upload that nobody went on with was removed");
        }
    }
    Ok(())
}

fn is_stale(metadata: &Metadata) -> bool {
    let modified = metadata
        .modified()
        .ok()
        .map(cap_std::time::SystemTime::into_std);
    let age = modified.and_then(|at| SystemTime::now().duration_since(at).ok());
    metadata.is_file() && age.is_some_and(|age| age > STALE)
}
