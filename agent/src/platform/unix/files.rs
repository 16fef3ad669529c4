//! What files have on Unix and nowhere else: permission bits, owners, renames that replace nothing, and
//! how a folder gets to the disk. Names are single components, relative to an open folder.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use nix::unistd::{Gid, Group, Uid, User, geteuid};
use rustix::fs::{AtFlags, RenameFlags};

/// What a file is beside its size and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Permission bits with set-user-id, set-group-id and the sticky bit; none where there are none.
    pub mode: Option<u32>,
    /// The user's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// The file system's number.
    pub device: u64,
    /// The file's number in its file system.
    pub inode: u64,
    /// Names that it has.
    pub links: u64,
    /// Nanoseconds since 1970 of the last change.
    pub modified_nanos: i128,
}

impl FileFacts {
    /// Reads them.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            mode: Some(metadata.mode() & 0o7777),
            owner: metadata.uid(),
            group: metadata.gid(),
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            modified_nanos: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    /// Whether the agent's own user owns it and nobody else knows it by another name.
    #[must_use]
    pub fn is_the_agents_alone(&self) -> bool {
        self.owner == geteuid().as_raw() && self.links == 1
    }
}

/// Names of users and groups, each asked for once.
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl OwnerNames {
    /// The user of a file: the name, or the number where there is none.
    pub fn user(&mut self, file: &FileFacts) -> Option<String> {
        Some(self.named(file.owner))
    }

    /// The user of a process, in the same way.
    pub fn user_of_process(&mut self, id: &sysinfo::Uid) -> Option<String> {
        Some(self.named(**id))
    }

    fn named(&mut self, id: u32) -> String {
        let ask = || User::from_uid(Uid::from_raw(id)).ok().flatten();
        let entry = self.users.entry(id);
        entry
            .or_insert_with(|| ask().map_or_else(|| id.to_string(), |user| user.name))
            .clone()
    }

    /// The group of a file: the name, or the number where there is none.
    pub fn group(&mut self, file: &FileFacts) -> Option<String> {
        let id = file.group;
        let ask = || Group::from_gid(Gid::from_raw(id)).ok().flatten();
        let entry = self.groups.entry(id);
        let name =
            entry.or_insert_with(|| ask().map_or_else(|| id.to_string(), |group| group.name));
        Some(name.clone())
    }
}

/// Sees to it that opening a pipe or a device does not wait.
pub fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
}

/// Sees to it that a new file is the agent's user's alone.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// The folders that all files lie in.
#[must_use]
pub fn whole_file_system() -> Vec<String> {
    vec!["/".to_owned()]
}

/// Makes a file that was opened as [`private`] its owner's alone, which it is by its permission bits.
///
/// # Errors
/// None here.
pub fn protect(_file: &cap_std::fs::File) -> io::Result<()> {
    Ok(())
}

/// Whether somebody else has a file open in a way that keeps others out: nobody can here.
#[must_use]
pub fn is_in_use(_error: &io::Error) -> bool {
    false
}

/// Whether a link was in the way where none is followed.
#[must_use]
pub fn is_link_in_the_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR))
}

/// Whether the file has nothing to read there, or its disk is broken.
#[must_use]
pub fn is_input_output(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// Whether two names would have to lie in one file system.
#[must_use]
pub fn is_other_file_system(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EXDEV)
}

/// Sets the permission bits.
///
/// # Errors
/// What the operating system said.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Sets the permission bits of a folder.
///
/// # Errors
/// What the operating system said.
pub fn set_folder_mode(folder: &Dir, mode: u32) -> io::Result<()> {
    let permissions = std::fs::Permissions::from_mode(mode);
    folder.set_permissions(".", cap_std::fs::Permissions::from_std(permissions))
}

/// Gives a file to who owns another one; without the administrator's rights it stays the agent's user's.
///
/// # Errors
/// What the operating system said.
pub fn give_to_owner_of(file: &File, other: &FileFacts) -> io::Result<()> {
    let (owner, group) = (Some(other.owner), Some(other.group));
    match std::os::unix::fs::fchown(file, owner, group) {
        Err(error) if !geteuid().is_root() && error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        done => done,
    }
}

/// Renames, and replaces nothing: decided by the kernel in one step.
///
/// # Errors
/// What the operating system said; [`io::ErrorKind::AlreadyExists`] where there is something.
pub fn rename_to_new(
    folder: &Dir,
    name: &OsStr,
    new_folder: &Dir,
    new_name: &OsStr,
) -> io::Result<()> {
    let flags = RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(folder, name, new_folder, new_name, flags) {
        // A file system without it; a second name and the end of the first one is the same for files.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            match rustix::fs::linkat(folder, name, new_folder, new_name, AtFlags::empty()) {
                // A folder: there is no such way for it, and it may be that it was to go into itself.
                Err(rustix::io::Errno::PERM) => Err(rustix::io::Errno::INVAL.into()),
                linked => {
                    Ok(linked
                        .and_then(|()| rustix::fs::unlinkat(folder, name, AtFlags::empty()))?)
                }
            }
        }
        done => Ok(done?),
    }
}

/// Brings a folder's names to the disk.
///
/// # Errors
/// What the operating system said.
pub fn sync_folder(folder: &Dir) -> io::Result<()> {
    folder.open(".")?.sync_all()
}

/// Brings all of the file system that a folder lies in to the disk.
///
/// # Errors
/// What the operating system said.
pub fn sync_file_system(folder: &Dir) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder.open(".")?.as_fd())?)
}

/// Lets the disk begin with a part of a file, so that little is left to wait for at its end.
pub fn begin_write_back(file: &File, offset: u64, length: u64) {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(0);
    // SAFETY: sync_file_range(2) takes an open descriptor and numbers, and touches no memory of ours. It
    // is a hint: what it answers changes nothing.
    #[allow(unsafe_code)]
    unsafe {
        libc::sync_file_range(
            file.as_fd().as_raw_fd(),
            number(offset),
            number(length),
            libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}

/// Makes a symbolic link; its target may be anything.
///
/// # Errors
/// What the operating system said.
pub fn make_link(folder: &Dir, name: &OsStr, target: &[u8]) -> io::Result<()> {
    folder.symlink_contents(OsStr::from_bytes(target), name)
}

/// The bytes of a name.
#[must_use]
pub fn name_bytes(name: &OsStr) -> &[u8] {
    name.as_bytes()
}

/// Makes a pipe with a name.
#[cfg(test)]
pub fn make_pipe(path: &std::path::Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe can be made");
}
