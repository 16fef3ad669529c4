//! The agent's program as a file that is replaced while it runs, and the process that becomes another program.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{is_administrator, sync_names};

/// Gives a program a second name, `kept`, that is on the disk when this returns.
///
/// # Errors
/// What the operating system said.
pub fn keep_program(program: &Path, kept: &Path) -> io::Result<()> {
    if fs::hard_link(program, kept).is_err() {
        // Not every file system has hard links, and not everybody may make one of every file.
        fs::copy(program, kept)?;
        File::open(kept)?.sync_all()?;
    }
    sync_names(folder_of(kept))
}

/// Gives `from` the name `program`, at once and on the disk when this returns. The file that had it goes on running;
/// `_away` is where it would go on a system where it cannot.
///
/// # Errors
/// What the operating system said; nothing has changed then.
pub fn put_program(from: &Path, program: &Path, _away: &Path) -> io::Result<()> {
    fs::rename(from, program)?;
    sync_names(folder_of(program))
}

/// Takes those steps of [`put_program`] that are still to be taken: there is one.
///
/// # Errors
/// What the operating system said; nothing has changed then.
pub fn finish_put(entering: &Path, program: &Path, away: &Path) -> io::Result<()> {
    put_program(entering, program, away)
}

/// Gives a new program the owner, the group and the mode of another one.
///
/// # Errors
/// What the operating system said.
pub fn give_rights_of(program: &Path, new: &Path) -> io::Result<()> {
    let old = fs::metadata(program)?;
    match chown(new, Some(old.uid()), Some(old.gid())) {
        // Only root may give files away; what the agent's own user makes is good for that one too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_administrator() => {}
        done => done?,
    }
    fs::set_permissions(new, old.permissions())
}

/// Makes this process one of `program`, with the same arguments.
///
/// # Errors
/// A text that says why it could not become one; on success it does not return.
pub fn restart(program: &Path, _as_service: bool) -> Result<(), String> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let error = Command::new(program).args(arguments).exec();
    Err(format!("{} cannot be started: {error}", program.display()))
}

/// Ends this process as `kill -9` does.
#[cfg(debug_assertions)]
pub fn die() {
    // It cannot fail: it is this process, and what follows is never reached.
    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
