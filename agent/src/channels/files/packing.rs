//! A folder on its way out as a tar archive: walked by the handles of its folders, links as links, other
//! file systems and what has no bytes left out and counted. Memory for one hop, however large it is.

use std::fs::File;
use std::io::Read;

use bytes::Bytes;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, DirEntry, Metadata, OpenOptions, ReadDir};
use gururmm_shared::{ArchiveRead, Closed, ErrorCode, Opened, OperationError, TunnelRules};
use tar::EntryType;
use tokio::time::timeout;

use super::blocking::{HOP_BYTES, hop};
use super::failure::{failure, gone, stalled};
use super::path::{MOST_DEPTH, MOST_PATH_BYTES};
use super::place::Place;
use super::tar_header::{BLOCK, Said, pad, write_end, write_header};
use super::{STALL, check_readable};
use crate::channels::stream::Stream;
use crate::platform::{FileFacts, name_bytes, without_waiting};

/// Sends a folder.
pub(super) async fn send(
    stream: &Stream,
    open: ArchiveRead,
    rules: &TunnelRules,
    window: u64,
) -> Result<Closed, OperationError> {
    check_readable(rules)?;
    let rules = rules.clone();
    let packer = hop(move || Packer::open(&open, &rules)).await?;
    let opened = Opened {
        window,
        ..Opened::default()
    };
    stream.opened(opened).await.map_err(gone)?;
    let mut ahead = fill_ahead(packer);
    loop {
        let (packer, bytes) = ahead.await?;
        if packer.ended {
            pass(stream, bytes).await?;
            return Ok(Closed {
                bytes: Some(packer.bytes),
                members: Some(packer.members),
                skipped: Some(packer.skipped),
                ..Closed::default()
            });
        }
        // What follows is read while this waits for the window.
        ahead = fill_ahead(packer);
        pass(stream, bytes).await?;
    }
}

/// Begins to make the next bytes.
fn fill_ahead(packer: Packer) -> impl Future<Output = Result<(Packer, Bytes), OperationError>> {
    hop(move || packer.fill())
}

async fn pass(stream: &Stream, bytes: Bytes) -> Result<(), OperationError> {
    match timeout(STALL, stream.send(bytes)).await {
        Ok(sent) => sent.map_err(gone),
        Err(_) => Err(stalled()),
    }
}

/// A folder whose entries are being packed.
struct Level {
    folder: Dir,
    entries: ReadDir,
    /// What stands before its entries' names.
    prefix: Vec<u8>,
}

/// The file that is being packed.
struct Current {
    file: File,
    name: String,
    size: u64,
    left: u64,
}

struct Packer {
    path: String,
    device: u64,
    levels: Vec<Level>,
    current: Option<Current>,
    ended: bool,
    bytes: u64,
    members: u64,
    skipped: u64,
}

impl Packer {
    fn open(open: &ArchiveRead, rules: &TunnelRules) -> Result<Self, OperationError> {
        let place = Place::find(&open.path, rules)?;
        let folder = place.folder()?;
        let explained = |error: std::io::Error| failure(&error, place.path());
        let device = FileFacts::of(&folder.dir_metadata().map_err(explained)?).device;
        let entries = folder.entries().map_err(explained)?;
        Ok(Self {
            path: place.path().to_string(),
            device,
            levels: vec![Level {
                folder,
                entries,
                prefix: Vec::new(),
            }],
            current: None,
            ended: false,
            bytes: 0,
            members: 0,
            skipped: 0,
        })
    }

    /// The next bytes of the archive.
    fn fill(mut self) -> Result<(Self, Bytes), OperationError> {
        let mut out = Vec::with_capacity(HOP_BYTES + 4 * BLOCK);
        while out.len() < HOP_BYTES && !self.ended {
            if let Some(current) = self.current.take() {
                self.current = self.copy(current, &mut out)?;
                continue;
            }
            let Some(level) = self.levels.last_mut() else {
                write_end(&mut out);
                self.ended = true;
                break;
            };
            match level.entries.next() {
                Some(Ok(entry)) => self.begin(&entry, &mut out)?,
                Some(Err(error)) => return Err(failure(&error, &self.path)),
                None => {
                    self.levels.pop();
                }
            }
        }
        Ok((self, out.into()))
    }

    /// Copies bytes of a file; answers it where there are more.
    fn copy(
        &mut self,
        mut current: Current,
        out: &mut Vec<u8>,
    ) -> Result<Option<Current>, OperationError> {
        let room = HOP_BYTES.saturating_sub(out.len()) as u64;
        let wanted = usize::try_from(current.left.min(room)).unwrap_or(0);
        let begin = out.len();
        out.resize(begin + wanted, 0);
        let explained = |error: &std::io::Error| match error.kind() {
            // Its header has promised more.
            std::io::ErrorKind::UnexpectedEof => OperationError::new(
                ErrorCode::Changed,
                format!(
                    "{} in {} has become shorter meanwhile: begin again",
                    current.name, self.path
                ),
            ),
            _ => failure(error, format!("{} in {}", current.name, self.path)),
        };
        let read = current.file.read_exact(&mut out[begin..]);
        read.map_err(|error| explained(&error))?;
        current.left -= wanted as u64;
        self.bytes += wanted as u64;
        if current.left > 0 {
            return Ok(Some(current));
        }
        pad(current.size, out);
        Ok(None)
    }

    fn begin(&mut self, entry: &DirEntry, out: &mut Vec<u8>) -> Result<(), OperationError> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let file_name = entry.file_name();
        let mut name = level.prefix.clone();
        name.extend_from_slice(name_bytes(&file_name));
        if name.len() > MOST_PATH_BYTES {
            let text = format!(
                "{} holds paths of more than {MOST_PATH_BYTES} bytes",
                self.path
            );
            return Err(OperationError::new(ErrorCode::TooLarge, text));
        }
        // What has gone, or is not for the agent, is left out.
        let Ok(metadata) = level.folder.symlink_metadata(&file_name) else {
            self.skipped += 1;
            return Ok(());
        };
        let packed = if metadata.is_dir() {
            self.begin_folder(&file_name, name, &metadata, out)?
        } else if metadata.is_file() {
            self.begin_file(&file_name, &name, out)
        } else if metadata.is_symlink() {
            let target = level.folder.read_link_contents(&file_name);
            target.is_ok_and(|target| {
                let link = name_bytes(target.as_os_str());
                write_header(&said(&name, EntryType::Symlink, link, &metadata), out);
                true
            })
        } else {
            false
        };
        let count = if packed {
            &mut self.members
        } else {
            &mut self.skipped
        };
        *count += 1;
        Ok(())
    }

    fn begin_folder(
        &mut self,
        file_name: &std::ffi::OsStr,
        mut name: Vec<u8>,
        metadata: &Metadata,
        out: &mut Vec<u8>,
    ) -> Result<bool, OperationError> {
        if self.levels.len() >= MOST_DEPTH {
            let text = format!(
                "{} holds more than {MOST_DEPTH} folders inside of one another",
                self.path
            );
            return Err(OperationError::new(ErrorCode::TooLarge, text));
        }
        let Some(level) = self.levels.last() else {
            return Ok(false);
        };
        let open = || {
            let folder = level.folder.open_dir_nofollow(file_name)?;
            let device = FileFacts::of(&folder.dir_metadata()?).device;
            Ok::<_, std::io::Error>((folder.entries()?, folder, device))
        };
        let Ok((entries, folder, device)) = open() else {
            return Ok(false);
        };
        if device != self.device {
            return Ok(false);
        }
        name.push(b'/');
        write_header(&said(&name, EntryType::Directory, b"", metadata), out);
        self.levels.push(Level {
            folder,
            entries,
            prefix: name,
        });
        Ok(true)
    }

    fn begin_file(&mut self, file_name: &std::ffi::OsStr, name: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(level) = self.levels.last() else {
            return false;
        };
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        without_waiting(&mut options);
        let open = || {
            let file = level.folder.open_with(file_name, &options)?.into_std();
            Ok::<_, std::io::Error>((Metadata::from_file(&file)?, file))
        };
        // It may be something else by now.
        let Ok((metadata, file)) = open() else {
            return false;
        };
        if !metadata.is_file() {
            return false;
        }
        let mut said = said(name, EntryType::Regular, b"", &metadata);
        said.size = metadata.len();
        write_header(&said, out);
        self.current = Some(Current {
            file,
            name: String::from_utf8_lossy(name).into_owned(),
            size: metadata.len(),
            left: metadata.len(),
        });
        true
    }
}

fn said<'a>(name: &'a [u8], kind: EntryType, link: &'a [u8], metadata: &Metadata) -> Said<'a> {
    let facts = FileFacts::of(metadata);
    Said {
        name,
        kind,
        link,
        size: 0,
        mode: facts.mode.unwrap_or(0o644) & 0o777,
        modified: u64::try_from(facts.modified_nanos / 1_000_000_000).unwrap_or(0),
        owner: facts.owner,
        group: facts.group,
    }
}
