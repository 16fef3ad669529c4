//! Files and folders, as bytes of a channel: not by this build.

use gururmm_shared::{
    ArchiveRead, ArchiveWrite, Closed, ErrorCode, FileRead, FileWrite, OperationError, TunnelRules,
};

use super::stream::Stream;

/// Sends a file.
pub async fn read(_: &Stream, _: FileRead, _: &TunnelRules, _: u64) -> Closed {
    unsupported()
}

/// Takes a file.
pub async fn write(_: &Stream, _: FileWrite, _: &TunnelRules, _: u64) -> Closed {
    unsupported()
}

/// Sends a folder.
pub async fn archive_read(_: &Stream, _: ArchiveRead, _: &TunnelRules, _: u64) -> Closed {
    unsupported()
}

/// Takes a folder.
pub async fn archive_write(_: &Stream, _: ArchiveWrite, _: &TunnelRules, _: u64) -> Closed {
    unsupported()
}

fn unsupported() -> Closed {
    Closed::failed(OperationError::new(
        ErrorCode::Unsupported,
        "this agent moves no files yet",
    ))
}
