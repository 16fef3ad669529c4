//! A tar archive on its way into a folder: each member's name is checked, no link is walked through, each
//! file is written beside its place and renamed. Memory for one hop, however large the archive is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions};
use gururmm_shared::{
    ArchiveWrite, Closed, ErrorCode, FileKind, Opened, OperationError, TunnelRules,
};
use uuid::Uuid;

use super::batch::Batches;
use super::blocking::{hop, long_hop};
use super::check_writable;
use super::failure::{failure, gone};
use super::info::kind;
use super::part::part_name;
use super::path::{Semantics, link_stays_inside, member_names};
use super::place::Place;
use super::tar_decoder::{Decoder, Event, Member, MemberKind};
use crate::channels::stream::Stream;
use crate::platform::{
    make_link, private, protect, rename_to_new, set_folder_mode, set_mode, sync_file_system,
};

/// Takes an archive into a folder.
pub(super) async fn receive(
    stream: &Stream,
    open: ArchiveWrite,
    rules: &TunnelRules,
    window: u64,
) -> Result<Closed, OperationError> {
    check_writable(rules)?;
    let rules = rules.clone();
    let mut unpacker = hop(move || Unpacker::open(&open, &rules)).await?;
    let opened = Opened {
        window,
        ..Opened::default()
    };
    stream.opened(opened).await.map_err(gone)?;
    let mut batches = Batches::new(stream, window);
    loop {
        match batches.next().await {
            Ok(Some(batch)) => unpacker = hop(move || unpacker.take(&batch)).await?,
            Ok(None) => return long_hop(move || unpacker.finish()).await,
            Err(error) => {
                // What was begun is removed where it may block.
                hop(move || {
                    drop(unpacker);
                    Ok(())
                })
                .await?;
                return Err(error);
            }
        }
        batches.used().await?;
    }
}

/// A file that is being written beside its place; removed unless it gets there.
struct Current {
    folder: Arc<Dir>,
    file: File,
    temporary: String,
    name: String,
    member: Member,
    in_place: bool,
}

impl Drop for Current {
    fn drop(&mut self) {
        if !self.in_place
            && let Err(error) = self.folder.remove_file(&self.temporary)
        {
            tracing::debug!(%error, "what was unpacked of a file cannot be removed");
        }
    }
}

struct Unpacker {
    path: String,
    root: Arc<Dir>,
    overwrite: bool,
    decoder: Decoder,
    current: Option<Current>,
    /// The folder of the last member: the next one's, mostly.
    last: (Vec<String>, Arc<Dir>),
    bytes: u64,
    members: u64,
}

impl Unpacker {
    fn open(open: &ArchiveWrite, rules: &TunnelRules) -> Result<Self, OperationError> {
        let place = Place::find(&open.path, rules)?;
        let root = match place.folder() {
            Err(error) if error.code == ErrorCode::NotFound => {
                place.make_folders()?;
                place.folder()?
            }
            opened => opened?,
        };
        let root = Arc::new(root);
        Ok(Self {
            path: place.path().to_string(),
            root: root.clone(),
            overwrite: open.overwrite,
            decoder: Decoder::new(),
            current: None,
            last: (Vec::new(), root),
            bytes: 0,
            members: 0,
        })
    }

    fn take(mut self, batch: &[Bytes]) -> Result<Self, OperationError> {
        for piece in batch {
            let mut input = piece.as_ref();
            while let Some(event) = self.decoder.next(&mut input)? {
                match event {
                    Event::Begin(member) => self.begin(member)?,
                    Event::Content(bytes) => self.write(bytes)?,
                    Event::End => self.end()?,
                }
            }
        }
        Ok(self)
    }

    fn finish(self) -> Result<Closed, OperationError> {
        if !self.decoder.has_ended() {
            let text = "the archive ends before its end: what was whole in it is unpacked";
            return Err(OperationError::new(ErrorCode::Cancelled, text));
        }
        if let Err(error) = sync_file_system(&self.root) {
            tracing::warn!(%error, "what was unpacked cannot be brought to the disk");
        }
        Ok(Closed {
            bytes: Some(self.bytes),
            members: Some(self.members),
            ..Closed::default()
        })
    }

    fn begin(&mut self, member: Member) -> Result<(), OperationError> {
        let bad = |text: String| {
            let text = format!(
                "{:?} in the archive cannot be unpacked: {text}",
                member.name
            );
            OperationError::new(ErrorCode::BadName, text)
        };
        let mut names =
            member_names(&member.name, Semantics::OWN).map_err(|error| bad(error.to_string()))?;
        if let MemberKind::Link(target) = &member.kind
            && !link_stays_inside(target, names.len().saturating_sub(1), Semantics::OWN)
        {
            return Err(bad(format!(
                "its target {target:?} may lie outside of the folder"
            )));
        }
        self.members += 1;
        if member.kind == MemberKind::Folder {
            return self.make_folder(&names, member.mode);
        }
        let name = names
            .pop()
            .ok_or_else(|| bad("it is the folder itself".into()))?;
        let folder = self.folder(&names)?;
        self.check_replaceable(&folder, &name, &member)?;
        let temporary = part_name(OsStr::new(&name), &Uuid::new_v4().simple().to_string());
        match &member.kind {
            MemberKind::Link(target) => {
                make_link(&folder, OsStr::new(&temporary), target.as_bytes())
                    .map_err(|error| self.explained(&error, &member.name))?;
                let placed = self.put_in_place(&folder, &temporary, &name);
                placed.map_err(|error| {
                    // Nothing else knows of it.
                    let _ = folder.remove_file(&temporary);
                    self.explained(&error, &member.name)
                })
            }
            _ => {
                let mut options = OpenOptions::new();
                options
                    .write(true)
                    .create_new(true)
                    .follow(FollowSymlinks::No);
                private(&mut options);
                let file = folder
                    .open_with(&temporary, &options)
                    .and_then(|file| protect(&file).map(|()| file.into_std()))
                    .map_err(|error| self.explained(&error, &member.name))?;
                self.current = Some(Current {
                    folder,
                    file,
                    temporary,
                    name,
                    member,
                    in_place: false,
                });
                Ok(())
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OperationError> {
        self.bytes += bytes.len() as u64;
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let written = current.file.write_all(bytes);
        written.map_err(|error| {
            failure(
                &error,
                format!("{:?} in {}", current.member.name, self.path),
            )
        })
    }

    fn end(&mut self) -> Result<(), OperationError> {
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        let modified =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(current.member.modified));
        let placed = set_mode(&current.file, current.member.mode & 0o777)
            .and_then(|()| modified.map_or(Ok(()), |at| current.file.set_modified(at)))
            .and_then(|()| self.put_in_place(&current.folder, &current.temporary, &current.name));
        placed.map_err(|error| self.explained(&error, &current.member.name))?;
        current.in_place = true;
        Ok(())
    }

    fn put_in_place(&self, folder: &Dir, temporary: &str, name: &str) -> std::io::Result<()> {
        if self.overwrite {
            folder.rename(temporary, folder, name)
        } else {
            rename_to_new(folder, temporary.as_ref(), folder, name.as_ref())
        }
    }

    fn check_replaceable(
        &self,
        folder: &Dir,
        name: &str,
        member: &Member,
    ) -> Result<(), OperationError> {
        let error = |code, text: &str| {
            let text = format!("{:?} in {} {text}", member.name, self.path);
            Err(OperationError::new(code, text))
        };
        let found = match folder.symlink_metadata(name) {
            Ok(metadata) => kind(&metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.explained(&error, &member.name)),
        };
        let fits = match member.kind {
            MemberKind::Link(_) => found == FileKind::Link,
            _ => found == FileKind::File,
        };
        match (fits, self.overwrite) {
            (false, _) => error(ErrorCode::WrongKind, "is something else already"),
            (true, false) => error(
                ErrorCode::AlreadyExists,
                "is there already: ask for it to be replaced",
            ),
            (true, true) => Ok(()),
        }
    }

    fn make_folder(&mut self, names: &[String], mode: u32) -> Result<(), OperationError> {
        let Some((name, above)) = names.split_last() else {
            return Ok(());
        };
        let holder = self.folder(above)?;
        let is_new = holder.symlink_metadata(name).is_err();
        let folder = self.folder(names)?;
        if is_new {
            // The agent has to get in, to unpack what follows.
            set_folder_mode(&folder, mode & 0o777 | 0o700)
                .map_err(|error| self.explained(&error, &names.join("/")))?;
        }
        Ok(())
    }

    /// The folder of these names, made where it is missing; no link is followed on the way.
    fn folder(&mut self, names: &[String]) -> Result<Arc<Dir>, OperationError> {
        if self.last.0 == names {
            return Ok(self.last.1.clone());
        }
        let mut folder = self.root.clone();
        for (depth, name) in names.iter().enumerate() {
            let inner = match folder.open_dir_nofollow(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    match folder.create_dir(name) {
                        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                        _ => folder.open_dir_nofollow(name),
                    }
                }
                opened => opened,
            };
            let inner =
                inner.map_err(|error| self.explained(&error, &names[..=depth].join("/")))?;
            folder = Arc::new(inner);
        }
        self.last = (names.to_vec(), folder.clone());
        Ok(folder)
    }

    fn explained(&self, error: &std::io::Error, name: &str) -> OperationError {
        failure(error, format!("{name:?} in {}", self.path))
    }
}
