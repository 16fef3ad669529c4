//! Files and folders: read, written, listed, changed, each through the handle of a folder that the policy
//! allows. Bytes go through a channel's stream; what has one answer is an operation.
//!
//! ```text
//!   path ──▶ place (allowed? where?) ──▶ listing · changes · deletion            one answer
//!                                   ├──▶ download · packing ──▶ stream           out
//!                                   └──▶ upload · unpacking ◀── batch ◀── stream in
//! ```

mod batch;
mod blocking;
mod changes;
mod deletion;
mod download;
mod failure;
mod info;
mod listing;
mod packing;
mod part;
pub mod path;
mod place;
mod tar_decoder;
mod tar_header;
mod unpacking;
mod upload;

#[cfg(test)]
#[cfg(unix)]
mod archive_tests;
#[cfg(test)]
#[cfg(unix)]
mod download_tests;
#[cfg(test)]
#[cfg(unix)]
mod operation_tests;
#[cfg(test)]
mod path_tests;
#[cfg(test)]
#[cfg(unix)]
mod race_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
#[cfg(unix)]
mod upload_tests;
#[cfg(test)]
#[cfg(windows)]
mod windows_tests;

use std::time::Duration;

use gururmm_shared::{
    ArchiveRead, ArchiveWrite, Closed, ErrorCode, Feature, FileRead, FileWrite, Operation,
    OperationError, Reply, TunnelRules,
};

use super::stream::Stream;

/// A peer that takes or brings nothing for so long has left.
const STALL: Duration = Duration::from_secs(600);

/// Sends the bytes of a file; answers the channel's last word.
pub async fn read(stream: &Stream, open: FileRead, rules: &TunnelRules, window: u64) -> Closed {
    last_word(download::send(stream, open, rules, window).await)
}

/// Takes the bytes of a file; answers the channel's last word.
pub async fn write(stream: &Stream, open: FileWrite, rules: &TunnelRules, window: u64) -> Closed {
    last_word(upload::receive(stream, open, rules, window).await)
}

/// Sends a folder as a tar archive; answers the channel's last word.
pub async fn archive_read(
    stream: &Stream,
    open: ArchiveRead,
    rules: &TunnelRules,
    window: u64,
) -> Closed {
    last_word(packing::send(stream, open, rules, window).await)
}

/// Takes a tar archive into a folder; answers the channel's last word.
pub async fn archive_write(
    stream: &Stream,
    open: ArchiveWrite,
    rules: &TunnelRules,
    window: u64,
) -> Closed {
    last_word(unpacking::receive(stream, open, rules, window).await)
}

/// Does what has one answer. Who calls has checked that the rules allow it.
pub(super) async fn perform(
    operation: Operation,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    let rules = rules.clone();
    if let Operation::FileDelete { path, recursive } = operation {
        return deletion::delete(path, recursive, rules).await;
    }
    blocking::hop(move || at_once(&operation, &rules)).await
}

fn at_once(operation: &Operation, rules: &TunnelRules) -> Result<Reply, OperationError> {
    match operation {
        Operation::FileList { path, after, limit } => {
            listing::list(path, after.as_deref(), *limit, rules)
        }
        Operation::FileStat { path } => listing::stat(path, rules),
        Operation::FileMkdir { path, parents } => changes::make_folder(path, *parents, rules),
        Operation::FileRename {
            from,
            to,
            overwrite,
        } => changes::rename(from, to, *overwrite, rules),
        Operation::UploadState { path, upload } => part::state(path, upload, rules),
        Operation::UploadDrop { path, upload } => part::forget(path, upload, rules),
        _ => Err(OperationError::new(
            ErrorCode::Unsupported,
            "this is no operation on files",
        )),
    }
}

fn last_word(done: Result<Closed, OperationError>) -> Closed {
    done.unwrap_or_else(Closed::failed)
}

fn check_readable(rules: &TunnelRules) -> Result<(), OperationError> {
    if rules.allows(Feature::Files) {
        return Ok(());
    }
    Err(OperationError::new(
        ErrorCode::NotAllowed,
        "the policy does not allow files",
    ))
}

fn check_writable(rules: &TunnelRules) -> Result<(), OperationError> {
    check_readable(rules)?;
    if rules.file_writes {
        return Ok(());
    }
    Err(OperationError::new(
        ErrorCode::NotAllowed,
        "the policy does not allow files to be changed",
    ))
}
