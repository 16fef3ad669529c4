//! Folders are made, files renamed.

use gururmm_shared::{ErrorCode, OperationError, Reply, TunnelRules};

use super::failure::failure;
use super::place::Place;
use crate::platform::{rename_to_new, sync_folder};

/// Makes a folder.
pub(super) fn make_folder(
    path: &str,
    parents: bool,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    let place = Place::find(path, rules)?;
    if parents {
        place.make_folders()?;
    } else {
        let (folder, name) = place.parent().map_err(|error| exists(error, &place))?;
        folder
            .create_dir(&name)
            .map_err(|error| failure(&error, place.path()))?;
    }
    Ok(Reply::Done)
}

/// A folder that the policy names is there.
fn exists(error: OperationError, place: &Place) -> OperationError {
    match error.code {
        ErrorCode::NotAllowed if place.folder().is_ok() => OperationError::new(
            ErrorCode::AlreadyExists,
            format!("{} is there already", place.path()),
        ),
        _ => error,
    }
}

/// Renames or moves within one file system.
pub(super) fn rename(
    from: &str,
    to: &str,
    overwrite: bool,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    let (from, to) = (Place::find(from, rules)?, Place::find(to, rules)?);
    let (old_folder, old_name) = from.parent()?;
    let (new_folder, new_name) = to.parent()?;
    // Which of the two an error is about: the source's being missing is the usual one.
    old_folder
        .symlink_metadata(&old_name)
        .map_err(|error| failure(&error, from.path()))?;
    let renamed = if overwrite {
        old_folder.rename(&old_name, &new_folder, &new_name)
    } else {
        rename_to_new(&old_folder, &old_name, &new_folder, &new_name)
    };
    renamed.map_err(|error| failure(&error, to.path()))?;
    for folder in [&new_folder, &old_folder] {
        if let Err(error) = sync_folder(folder) {
            tracing::debug!(%error, "a folder cannot be brought to the disk");
        }
    }
    Ok(Reply::Done)
}
