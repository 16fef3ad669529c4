//! What went wrong with a file, as the technician is told.

use std::io::{self, ErrorKind};

use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{ErrorCode, OperationError};

use super::path::BadPath;
use crate::platform::{is_link_in_the_way, is_other_file_system};

/// Says what the operating system answered for a path.
pub(super) fn failure(error: &io::Error, path: impl std::fmt::Display) -> OperationError {
    if is_escape(error) {
        return leads_out(path);
    }
    let (code, text) = match error.kind() {
        ErrorKind::NotFound => (ErrorCode::NotFound, "is not there"),
        ErrorKind::PermissionDenied => (
            ErrorCode::PermissionDenied,
            "is not for the agent: the system denies it permission",
        ),
        ErrorKind::AlreadyExists => (ErrorCode::AlreadyExists, "is there already"),
        ErrorKind::DirectoryNotEmpty => (
            ErrorCode::NotEmpty,
            "is a folder that is not empty: delete it recursively",
        ),
        ErrorKind::NotADirectory => (ErrorCode::WrongKind, "is no folder, or lies below none"),
        ErrorKind::IsADirectory => (ErrorCode::WrongKind, "is a folder"),
        ErrorKind::StorageFull => (ErrorCode::DiskFull, "cannot be written: the disk is full"),
        ErrorKind::QuotaExceeded => (
            ErrorCode::DiskFull,
            "cannot be written: the quota is used up",
        ),
        ErrorKind::FileTooLarge => (
            ErrorCode::TooLarge,
            "cannot be written: it is too large for the file system",
        ),
        ErrorKind::InvalidFilename => (
            ErrorCode::BadName,
            "cannot be used: the file system does not take the name",
        ),
        ErrorKind::ReadOnlyFilesystem => (
            ErrorCode::PermissionDenied,
            "cannot be changed: the file system is read-only",
        ),
        ErrorKind::WouldBlock => (
            ErrorCode::WrongKind,
            "has nothing to read now: read it in a terminal",
        ),
        _ if is_other_file_system(error) => (
            ErrorCode::Unsupported,
            "cannot be moved to another file system: copy it",
        ),
        _ if is_link_in_the_way(error) => (
            ErrorCode::WrongKind,
            "is a link, or has one above it, that is not followed",
        ),
        _ => return OperationError::new(ErrorCode::Failed, format!("{path}: {error}")),
    };
    OperationError::new(code, format!("{path} {text}"))
}

/// Whether an open folder was to be left.
pub(super) fn is_escape(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

pub(super) fn leads_out(path: impl std::fmt::Display) -> OperationError {
    OperationError::new(
        ErrorCode::NotAllowed,
        format!("{path} is not, or leads out of, a folder that the policy allows"),
    )
}

pub(super) fn bad_path(error: &BadPath) -> OperationError {
    OperationError::new(ErrorCode::BadName, error.to_string())
}

pub(super) fn wrong_kind(path: impl std::fmt::Display, what: &str) -> OperationError {
    OperationError::new(ErrorCode::WrongKind, format!("{path} {what}"))
}

/// The stream has been cut off meanwhile.
pub(super) fn gone(reset: Reset) -> OperationError {
    OperationError::new(ErrorCode::Gone, reset.reason)
}

/// The other side takes or brings nothing.
pub(super) fn stalled() -> OperationError {
    OperationError::new(
        ErrorCode::TimedOut,
        "nothing was taken or brought for too long: go on from where it is",
    )
}
