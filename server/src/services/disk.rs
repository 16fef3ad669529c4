//! How much room there is on a disk.

use std::path::Path;

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// For programs without special rights.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// The room on the disk of a folder; none where the system does not tell.
#[cfg(unix)]
#[must_use]
pub fn space(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The room on the disk of a folder; none where the system does not tell.
#[cfg(not(unix))]
#[must_use]
pub fn space(_: &Path) -> Option<Space> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_there_has_room_and_one_that_is_not_has_none() {
        let space = space(Path::new("/")).unwrap();
        assert!(space.total > 0 && space.free <= space.total);
        assert_eq!(super::space(Path::new("/no/such/folder")), None);
    }
}
