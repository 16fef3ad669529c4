//! The files of recordings, for the server's user alone:
//! `<yyyy>/<mm>/<session>/<channel>.cast`, and `.idx` beside it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use gururmm_shared::{ChannelId, SessionId};

/// Recordings of one channel's name in one session, as after restarts of the server.
const MOST_OF_A_NAME: u32 = 100;

/// The two files of a recording that is written.
#[derive(Debug)]
pub(super) struct OpenFiles {
    pub(super) cast: File,
    pub(super) index: File,
    /// What is in the first already.
    pub(super) header: Vec<u8>,
}

impl OpenFiles {
    /// Makes them, with the folders on the way, and brings the header to the disk.
    pub(super) fn create(root: &Path, path: &str, header: &[u8]) -> io::Result<Self> {
        let path = place(root, path)?;
        match Self::try_create(root, &path, header) {
            // Its folder was empty, and was removed with the last of what was old there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::try_create(root, &path, header)
            }
            done => done,
        }
    }

    fn try_create(root: &Path, path: &Path, header: &[u8]) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(root);
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let mut cast = create(path)?;
        let index = create(&index_of(path))?;
        cast.write_all(header)?;
        cast.sync_all()?;
        // A name lasts only when its folder is on the disk, too.
        for folder in path.ancestors().skip(1) {
            sync_folder(folder)?;
            if folder == root {
                break;
            }
        }
        Ok(Self {
            cast,
            index,
            header: header.to_vec(),
        })
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A name that is free, below the root.
pub(super) fn free_path(
    root: &Path,
    at: DateTime<Utc>,
    session_id: SessionId,
    channel_id: &ChannelId,
) -> io::Result<String> {
    let folder = format!("{}/{session_id}", at.format("%Y/%m"));
    for number in 1..=MOST_OF_A_NAME {
        let path = match number {
            1 => format!("{folder}/{channel_id}.cast"),
            _ => format!("{folder}/{channel_id}.{number}.cast"),
        };
        if !place(root, &path)?.try_exists()? {
            return Ok(path);
        }
    }
    let problem =
        format!("there are {MOST_OF_A_NAME} recordings of {channel_id}; open a new session");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
}

/// Where a recording's file is. Rows are the server's own; a path that leaves the root is refused all the
/// same.
pub(super) fn place(root: &Path, path: &str) -> io::Result<PathBuf> {
    let relative = Path::new(path);
    let within = |part| matches!(part, Component::Normal(_));
    if !relative.components().all(within) {
        let problem = format!("{path:?} is no path of a recording");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    Ok(root.join(relative))
}

/// The index beside a recording. `with_extension` would make `..` of `..cast`.
pub(super) fn index_of(cast: &Path) -> PathBuf {
    let name = cast.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".cast").unwrap_or(&name);
    cast.with_file_name(format!("{stem}.idx"))
}

/// Removes a recording's files, and the folders that become empty. What is gone already is no error.
pub(super) fn remove(root: &Path, path: &str) -> io::Result<()> {
    let path = place(root, path)?;
    for file in [index_of(&path), path.clone()] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for folder in path.ancestors().skip(1) {
        if folder == root || fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(root: &Path, session: SessionId, channel: &str) -> String {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let channel = ChannelId::try_from(channel.to_owned()).unwrap();
        free_path(root, at, session, &channel).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("recordings");
        let session = SessionId::generate();
        let name = path(&root, session, "terminal-1");
        assert_eq!(name, format!("2023/11/{session}/terminal-1.cast"));
        OpenFiles::create(&root, &name, b"{}\n").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let cast = root.join(&name);
        assert_eq!(mode(&cast), 0o600);
        assert_eq!(mode(&index_of(&cast)), 0o600);
        for folder in cast.ancestors().skip(1).take(4) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_and_no_channel_leaves_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let session = SessionId::generate();
        for (channel, file) in [
            ("a", "a.cast"),
            ("a", "a.2.cast"),
            ("..", "...cast"),
            (".", "..cast"),
        ] {
            let name = path(dir.path(), session, channel);
            assert!(name.ends_with(&format!("/{file}")), "{name}");
            OpenFiles::create(dir.path(), &name, b"{}\n").unwrap();
        }
        for bad in ["../x.cast", "/etc/passwd", "2023/../../x"] {
            assert!(place(dir.path(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_removed_recording_takes_its_empty_folders_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (SessionId::generate(), SessionId::generate());
        let names = [path(dir.path(), one, "a"), path(dir.path(), two, "a")];
        for name in &names {
            OpenFiles::create(dir.path(), name, b"{}\n").unwrap();
        }
        remove(dir.path(), &names[0]).unwrap();
        assert!(!dir.path().join(&names[0]).parent().unwrap().exists());
        assert!(dir.path().join(&names[1]).exists());
        remove(dir.path(), &names[0]).unwrap();
        remove(dir.path(), &names[1]).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
