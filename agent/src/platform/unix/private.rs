//! Files and folders that are the agent's user's alone, by their permission bits.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::platform::Exposure;

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Whether a file that is open can be replaced by another one.
pub const REPLACES_OPEN_FILES: bool = true;

/// Makes a folder, with those above it, that only its owner may enter; one that is there stays as it is.
///
/// # Errors
/// What the operating system said.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// Makes the folder of the agent's state, where it is missing: the files in it protect themselves.
///
/// # Errors
/// What the operating system said.
pub fn make_state_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Opens a file; where it is made, only its owner may read and write it.
///
/// # Errors
/// What the operating system said.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(FILE_MODE).open(path)
}

/// Takes from everybody but the owner what they may do with an open file.
///
/// # Errors
/// What the operating system said.
pub fn make_private(file: &File) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

/// Whether others than its owner may read or write a file, and what to do about that.
///
/// # Errors
/// What the operating system said.
pub fn exposure(file: &File, path: &Path) -> io::Result<Option<Exposure>> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then(|| Exposure {
        what: format!("mode {mode:03o}"),
        mend: format!("chmod 600 {}", path.display()),
    }))
}

/// Brings the names in a folder to the disk.
///
/// # Errors
/// What the operating system said.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Lets others read a file.
#[cfg(test)]
pub fn expose(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).expect("the file is ours");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bit_for_others_is_exposure_and_told_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut options = OpenOptions::new();
        let file = open_private(options.write(true).create_new(true), &path).unwrap();
        assert_eq!(exposure(&file, &path).unwrap(), None);
        for mode in [0o640, 0o604, 0o660, 0o601] {
            file.set_permissions(Permissions::from_mode(mode)).unwrap();
            let exposed = exposure(&file, &path).unwrap().unwrap();
            assert_eq!(exposed.what, format!("mode {mode:03o}"));
            assert_eq!(exposed.mend, format!("chmod 600 {}", path.display()));
        }
        make_private(&file).unwrap();
        assert_eq!(exposure(&file, &path).unwrap(), None);
    }
}
