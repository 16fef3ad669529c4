//! A page of a folder, by name, with memory for one page however large the folder is.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};

use cap_std::fs::Dir;
use gururmm_shared::{ErrorCode, OperationError, Reply, TunnelRules};

use super::failure::failure;
use super::info::describe;
use super::place::Place;
use crate::channels::operations::fitting;
use crate::platform::OwnerNames;

/// The most entries of a page.
const MOST_ENTRIES: u32 = 1000;

/// Lists a folder.
pub(super) fn list(
    path: &str,
    after: Option<&str>,
    limit: u32,
    rules: &TunnelRules,
) -> Result<Reply, OperationError> {
    if !(1..=MOST_ENTRIES).contains(&limit) {
        let text = format!("a page holds 1 to {MOST_ENTRIES} entries, not {limit}");
        return Err(OperationError::new(ErrorCode::TooLarge, text));
    }
    let place = Place::find(path, rules)?;
    let folder = place.folder()?;
    let limit = limit as usize;
    let mut first =
        first_names(&folder, after, limit + 1).map_err(|error| failure(&error, place.path()))?;
    let more = first.len() > limit;
    first.truncate(limit);
    let mut names = OwnerNames::default();
    let entries = first.iter().filter_map(|(_, name)| {
        // One that has gone meanwhile is not there.
        let metadata = folder.symlink_metadata(name).ok()?;
        Some(describe(Some(&folder), name, &metadata, &mut names))
    });
    let (entries, all) = fitting(entries);
    Ok(Reply::Files {
        more: more || !all,
        entries,
    })
}

/// Tells about one file.
pub(super) fn stat(path: &str, rules: &TunnelRules) -> Result<Reply, OperationError> {
    let place = Place::find(path, rules)?;
    let metadata = place.metadata()?;
    let folder = if metadata.is_symlink() {
        Some(place.parent()?.0)
    } else {
        None
    };
    let path = place.path();
    let name = path.names.last().unwrap_or(&path.anchor);
    let mut names = OwnerNames::default();
    Ok(Reply::File {
        entry: describe(folder.as_ref(), OsStr::new(name), &metadata, &mut names),
    })
}

/// The first `count` names after `after`, as they are told and as they are; sorted.
fn first_names(
    folder: &Dir,
    after: Option<&str>,
    count: usize,
) -> std::io::Result<Vec<(String, OsString)>> {
    let mut first: BinaryHeap<(String, OsString)> = BinaryHeap::with_capacity(count + 1);
    for entry in folder.entries()? {
        let name = entry?.file_name();
        let told = name.to_string_lossy();
        if after.is_some_and(|after| *told <= *after) {
            continue;
        }
        if first.len() == count && first.peek().is_some_and(|(last, _)| *told > **last) {
            continue;
        }
        first.push((told.into_owned(), name));
        if first.len() > count {
            first.pop();
        }
    }
    Ok(first.into_sorted_vec())
}
