//! Files and folders are deleted: by the handles of the folders that hold them, never through a link,
//! never over to another file system, in steps that hold no thread for long.

use std::ffi::OsString;

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, ReadDir};
use gururmm_shared::{ErrorCode, OperationError, Reply, TunnelRules};

use super::blocking::hop;
use super::failure::failure;
use super::path::MOST_DEPTH;
use super::place::Place;
use crate::platform::FileFacts;

/// Files that one hop deletes.
const HOP_FILES: usize = 1000;

/// Deletes a file, a link or a folder.
pub(super) async fn delete(
    path: String,
    recursive: bool,
    rules: TunnelRules,
) -> Result<Reply, OperationError> {
    let begun = hop(move || Deletion::begin(&path, recursive, &rules)).await?;
    let mut deletion = begun;
    while let Some(going_on) = deletion {
        deletion = hop(move || going_on.step()).await?;
    }
    Ok(Reply::Done)
}

/// A folder that is being emptied.
struct Level {
    name: OsString,
    folder: Dir,
    entries: ReadDir,
}

/// A folder on its way out, with those inside of it that are open.
struct Deletion {
    place: Place,
    device: u64,
    /// Holds what is deleted.
    holder: Dir,
    levels: Vec<Level>,
}

impl Deletion {
    /// Deletes what is no folder, or an empty one; answers what else there is to be done.
    fn begin(
        path: &str,
        recursive: bool,
        rules: &TunnelRules,
    ) -> Result<Option<Self>, OperationError> {
        let place = Place::find(path, rules)?;
        let (folder, name) = place.parent()?;
        let explained = |error: std::io::Error| failure(&error, place.path());
        let metadata = folder.symlink_metadata(&name).map_err(explained)?;
        if !metadata.is_dir() {
            folder.remove_file_or_symlink(&name).map_err(explained)?;
            return Ok(None);
        }
        if !recursive {
            folder.remove_dir(&name).map_err(explained)?;
            return Ok(None);
        }
        let device = FileFacts::of(&metadata).device;
        let mut deletion = Self {
            place,
            device,
            holder: folder,
            levels: Vec::new(),
        };
        deletion.descend(name)?;
        Ok(Some(deletion))
    }

    /// Deletes some files; none when all is done.
    fn step(mut self) -> Result<Option<Self>, OperationError> {
        for _ in 0..HOP_FILES {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            match level.entries.next() {
                Some(entry) => {
                    let name = entry.map_err(|error| self.explained(&error))?.file_name();
                    self.delete_in_last(name)?;
                }
                None => {
                    let emptied = self.levels.pop().map(|level| level.name);
                    if let Some(name) = emptied {
                        ignore_gone(self.innermost().remove_dir(&name))
                            .map_err(|error| self.explained(&error))?;
                    }
                }
            }
        }
        Ok(Some(self))
    }

    fn delete_in_last(&mut self, name: OsString) -> Result<(), OperationError> {
        let metadata = match self.innermost().symlink_metadata(&name) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.explained(&error)),
        };
        if metadata.is_dir() {
            return self.descend(name);
        }
        ignore_gone(self.innermost().remove_file_or_symlink(&name))
            .map_err(|error| self.explained(&error))
    }

    fn innermost(&self) -> &Dir {
        self.levels
            .last()
            .map_or(&self.holder, |level| &level.folder)
    }

    fn descend(&mut self, name: OsString) -> Result<(), OperationError> {
        if self.levels.len() >= MOST_DEPTH {
            let text = format!(
                "{} holds more than {MOST_DEPTH} folders inside of one another: delete it in a terminal",
                self.place.path()
            );
            return Err(OperationError::new(ErrorCode::TooLarge, text));
        }
        // Opened without following: what was swapped for a link meanwhile is not entered.
        let open = || {
            let folder = self.innermost().open_dir_nofollow(&name)?;
            let device = FileFacts::of(&folder.dir_metadata()?).device;
            Ok((folder.entries()?, folder, device))
        };
        let (entries, folder, device) = open().map_err(|error| self.explained(&error))?;
        if device != self.device {
            let text = format!(
                "a file system is mounted at {:?} inside of {}: it is left alone",
                name,
                self.place.path()
            );
            return Err(OperationError::new(ErrorCode::NotAllowed, text));
        }
        self.levels.push(Level {
            name,
            folder,
            entries,
        });
        Ok(())
    }

    fn explained(&self, error: &std::io::Error) -> OperationError {
        let inside = self.levels.iter().skip(1).map(|level| &level.name);
        let below: std::path::PathBuf = inside.collect();
        let path = self.place.path();
        match below.as_os_str().is_empty() {
            true => failure(error, path),
            false => failure(error, format!("{below:?} in {path}")),
        }
    }
}

fn ignore_gone(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
