//! What files have on Windows: numbers of volume and file, renames that replace nothing, and the list of who
//! may use them. Names are single components, relative to an open folder.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions as PlainOptions};
use std::io;
use std::path::PathBuf;

use cap_fs_ext::MetadataExt;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use windows_sys::Win32::Foundation::{
    ERROR_CRC, ERROR_IO_DEVICE, ERROR_NOT_SAME_DEVICE, ERROR_SHARING_VIOLATION,
    ERROR_STOPPED_ON_SYMLINK, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_NAME_NORMALIZED, FILE_SHARE_DELETE, GetFinalPathNameByHandleW, GetLogicalDrives,
    MoveFileExW, READ_CONTROL, WRITE_DAC,
};

use super::private::{make_as_its_folder, make_private};
use super::text::wide;

/// Nanoseconds from 1601, where the system's time begins, to 1970.
const EPOCH_NANOS: i128 = 11_644_473_600 * 1_000_000_000;

/// The most characters of a path that the system itself takes.
const MOST_PATH: usize = 32_768;

/// What a file is beside its size and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// There are no permission bits.
    pub mode: Option<u32>,
    /// No user's number.
    pub owner: u32,
    /// No group's number.
    pub group: u32,
    /// The volume's number.
    pub device: u64,
    /// The file's number in its volume.
    pub inode: u64,
    /// Names that it has.
    pub links: u64,
    /// Nanoseconds since 1970 of the last change.
    pub modified_nanos: i128,
}

impl FileFacts {
    /// Reads them from what an open file has told.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        use cap_std::fs::MetadataExt as _;
        Self {
            mode: None,
            owner: 0,
            group: 0,
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            modified_nanos: i128::from(metadata.last_write_time()) * 100 - EPOCH_NANOS,
        }
    }

    /// Whether nobody knows it by another name. Who may use it its own list says.
    #[must_use]
    pub fn is_the_agents_alone(&self) -> bool {
        self.links == 1
    }
}

/// Nothing waits here that is opened as a file.
pub fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Sees to it that nobody else has a new file open before its list is its own, which [`protect`] sets.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
        .access_mode(GENERIC_READ | GENERIC_WRITE | READ_CONTROL | WRITE_DAC)
        .share_mode(FILE_SHARE_DELETE)
}

/// Makes a file that was opened as [`private`] the agent's alone.
///
/// # Errors
/// What the operating system said.
pub fn protect(file: &cap_std::fs::File) -> io::Result<()> {
    make_private(file)
}

/// The folders that all files lie in: the drives.
#[must_use]
pub fn whole_file_system() -> Vec<String> {
    // SAFETY: it takes and touches nothing.
    #[allow(unsafe_code)]
    let drives = unsafe { GetLogicalDrives() };
    (b'A'..=b'Z')
        .enumerate()
        .filter(|(index, _)| drives >> index & 1 == 1)
        .map(|(_, letter)| format!("{}:\\", char::from(letter)))
        .collect()
}

/// Whether a link was in the way where none is followed.
#[must_use]
pub fn is_link_in_the_way(error: &io::Error) -> bool {
    is(error, ERROR_STOPPED_ON_SYMLINK)
}

/// Whether somebody else has a file open in a way that keeps others out.
#[must_use]
pub fn is_in_use(error: &io::Error) -> bool {
    is(error, ERROR_SHARING_VIOLATION)
}

/// Whether the disk is broken there.
#[must_use]
pub fn is_input_output(error: &io::Error) -> bool {
    is(error, ERROR_IO_DEVICE) || is(error, ERROR_CRC)
}

/// Whether two names would have to lie in one file system.
#[must_use]
pub fn is_other_file_system(error: &io::Error) -> bool {
    is(error, ERROR_NOT_SAME_DEVICE)
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == i32::try_from(code).ok()
}

/// There are no permission bits: a file that was the agent's alone becomes as those in its folder are.
///
/// # Errors
/// What the operating system said.
pub fn set_mode(file: &File, _mode: u32) -> io::Result<()> {
    make_as_its_folder(file)
}

/// There are no permission bits.
///
/// # Errors
/// None here.
pub fn set_folder_mode(_folder: &Dir, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// A file has no owner here that would count.
///
/// # Errors
/// None here.
pub fn give_to_owner_of(_file: &File, _other: &FileFacts) -> io::Result<()> {
    Ok(())
}

/// Renames, and replaces nothing: decided by the system in one step.
///
/// # Errors
/// What the operating system said; [`io::ErrorKind::AlreadyExists`] where there is something.
pub fn rename_to_new(
    folder: &Dir,
    name: &OsStr,
    new_folder: &Dir,
    new_name: &OsStr,
) -> io::Result<()> {
    let from = wide(path_of(folder)?.join(name));
    let to = wide(path_of(new_folder)?.join(new_name));
    // SAFETY: both texts end with a NUL.
    #[allow(unsafe_code)]
    let done = unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Where an open folder is now.
fn path_of(folder: &Dir) -> io::Result<PathBuf> {
    use std::os::windows::ffi::OsStringExt;
    use std::os::windows::io::AsRawHandle;
    let mut path = vec![0_u16; MOST_PATH];
    // SAFETY: the handle is open, and the buffer is as long as is said.
    #[allow(unsafe_code)]
    let length = unsafe {
        GetFinalPathNameByHandleW(
            folder.as_raw_handle(),
            path.as_mut_ptr(),
            u32::try_from(MOST_PATH).unwrap_or(0),
            FILE_NAME_NORMALIZED,
        )
    };
    match usize::try_from(length) {
        Ok(length) if (1..path.len()).contains(&length) => {
            Ok(std::ffi::OsString::from_wide(&path[..length]).into())
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// The file system keeps its names by itself.
///
/// # Errors
/// None here.
pub fn sync_folder(_folder: &Dir) -> io::Result<()> {
    Ok(())
}

/// Brings all of the volume that a folder lies in to the disk. Needs the administrator's rights.
///
/// # Errors
/// What the operating system said.
pub fn sync_file_system(folder: &Dir) -> io::Result<()> {
    let path = path_of(folder)?;
    let text = path.to_string_lossy();
    let drive = text
        .trim_start_matches(r"\\?\")
        .get(..2)
        .filter(|drive| drive.ends_with(':'))
        .ok_or(io::ErrorKind::Unsupported)?
        .to_owned();
    PlainOptions::new()
        .write(true)
        .open(format!(r"\\.\{drive}"))?
        .sync_all()
}

/// The system begins by itself.
pub fn begin_write_back(_file: &File, _offset: u64, _length: u64) {}

/// Links need a right of their own here, and are of two kinds: an archive's are not made.
///
/// # Errors
/// Always.
pub fn make_link(_folder: &Dir, _name: &OsStr, _target: &[u8]) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "links of archives are not made on Windows",
    ))
}

/// The bytes of a name: UTF-8, where it is one.
#[must_use]
pub fn name_bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}
