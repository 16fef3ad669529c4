//! Why an update was not made.

use std::io;

use gururmm_release::Refusal;
use gururmm_shared::UpdateResult;

/// Why an update was not made: a stable word for the server, and a text for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// As [`UpdateResult::code`] carries it.
    pub code: &'static str,
    /// What was wrong, and what to do about it where that can be said.
    pub reason: String,
}

impl Failure {
    /// A failure with its word.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }

    /// What the operating system refused; a full disk has a word of its own.
    pub fn of_disk(code: &'static str, action: &str, error: &io::Error) -> Self {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        if full {
            let reason = format!("cannot {action}: {error}; make room beside the agent's program");
            return Self::new("no_space", reason);
        }
        let forbidden = matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        );
        if forbidden {
            let way_out =
                "the agent has to be able to write to its state and to the folder of its program";
            return Self::new(code, format!("cannot {action}: {error}; {way_out}"));
        }
        Self::new(code, format!("cannot {action}: {error}"))
    }

    /// What the server is told about it.
    pub fn result(&self, version: &str) -> UpdateResult {
        UpdateResult {
            version: Some(version.to_owned()),
            success: false,
            error: Some(self.reason.clone()),
            code: Some(self.code.to_owned()),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_word_of_its_own_and_a_folder_that_is_not_ours_a_way_out() {
        let of = |kind: io::ErrorKind| Failure::of_disk("install_failed", "write", &kind.into());
        for kind in [
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::FileTooLarge,
        ] {
            assert_eq!(of(kind).code, "no_space");
        }
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ] {
            assert_eq!(of(kind).code, "install_failed");
            assert!(of(kind).reason.contains("has to be able to write"));
        }
        assert_eq!(of(io::ErrorKind::NotFound).code, "install_failed");
    }
}
