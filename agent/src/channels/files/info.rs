//! What is told of a file.

use cap_std::fs::{Dir, Metadata};
use chrono::{DateTime, Utc};
use gururmm_shared::{FileInfo, FileKind};
use std::ffi::OsStr;
use std::time::SystemTime;

use crate::platform::{FileFacts, OwnerNames};

/// Tells of the file `name` in `folder`.
pub(super) fn describe(
    folder: Option<&Dir>,
    name: &OsStr,
    metadata: &Metadata,
    names: &mut OwnerNames,
) -> FileInfo {
    let facts = FileFacts::of(metadata);
    let kind = kind(metadata);
    let link_target = folder
        .filter(|_| kind == FileKind::Link)
        .and_then(|folder| folder.read_link_contents(name).ok())
        .map(|target| target.to_string_lossy().into_owned());
    FileInfo {
        name: name.to_string_lossy().into_owned(),
        kind,
        size: if kind == FileKind::File {
            metadata.len()
        } else {
            0
        },
        modified: metadata.modified().ok().and_then(|at| time(at.into_std())),
        mode: facts.mode,
        owner: names.user(&facts),
        group: names.group(&facts),
        link_target,
        unnameable: name.to_str().is_none(),
    }
}

/// What a file is.
pub(super) fn kind(metadata: &Metadata) -> FileKind {
    match () {
        () if metadata.is_file() => FileKind::File,
        () if metadata.is_dir() => FileKind::Directory,
        () if metadata.is_symlink() => FileKind::Link,
        () => FileKind::Other,
    }
}

/// A time of the system's as it is told; none where it is beyond all calendars.
pub(super) fn time(at: SystemTime) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = -i64::try_from(before.as_secs()).ok()?;
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds - 1, 1_000_000_000 - nanos),
            }
        }
    };
    DateTime::from_timestamp(seconds, nanos)
}

/// Names the state of a file: another one means that it was changed or replaced.
pub(super) fn version(metadata: &Metadata) -> String {
    let facts = FileFacts::of(metadata);
    format!(
        "{:x}-{:x}-{:x}-{:x}",
        facts.device,
        facts.inode,
        facts.modified_nanos,
        metadata.len()
    )
}
