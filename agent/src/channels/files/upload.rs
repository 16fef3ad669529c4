//! The bytes of a file on their way in.
//!
//! ```text
//!   open the part ──▶ hash what an earlier channel wrote ──▶ write, hash, grant ──┬──▶ check, mode, time,
//!   (locked; the offset must fit)                             ▲                 │    fsync, rename
//!                                                             └── piece by piece┴──▶ ended early: fsync;
//!                                                                                    the part stays
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use cap_std::fs::{Dir, Metadata};
use gururmm_shared::{Closed, ErrorCode, FileWrite, Opened, OperationError, TunnelRules};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::batch::Batches;
use super::blocking::{HOP_BYTES, hop, long_hop};
use super::check_writable;
use super::failure::{failure, wrong_kind};
use super::part::{self, Taken};
use super::place::Place;
use crate::channels::stream::Stream;
use crate::device::hex;
use crate::platform::{
    FileFacts, begin_write_back, give_to_owner_of, rename_to_new, set_mode, sync_folder,
};

/// How long a channel that had the upload before may take to let go of it.
const HANDOVER: Duration = Duration::from_secs(5);

/// How long to wait before the upload is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Permission bits of a new file without any asked for.
const NEW_FILE_MODE: u32 = 0o644;

/// Bytes that are hashed in one hop where they are on the disk already.
const HASH_HOP_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes that are written before the disk is to begin with them.
const WRITE_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// Takes a file.
pub(super) async fn receive(
    stream: &Stream,
    open: FileWrite,
    rules: &TunnelRules,
    window: u64,
) -> Result<Closed, OperationError> {
    check_writable(rules)?;
    check(&open)?;
    let mut upload = begin(open, rules.clone()).await?;
    let opened = Opened {
        window,
        size: Some(upload.order.size),
        ..Opened::default()
    };
    stream.opened(opened).await.map_err(super::failure::gone)?;
    while upload.hashed < upload.written {
        upload = hop(move || upload.hash_more()).await?;
    }
    let begun_at = upload.written;
    let mut batches = Batches::new(stream, window);
    while upload.written < upload.order.size {
        match batches.next().await {
            Ok(Some(batch)) => upload = hop(move || upload.write(&batch)).await?,
            Ok(None) => {
                let (written, size) = (upload.written, upload.order.size);
                upload.keep().await?;
                let text =
                    format!("the upload ended at {written} of {size} bytes: go on from there");
                return Err(OperationError::new(ErrorCode::Cancelled, text));
            }
            Err(error) => {
                upload.keep().await?;
                return Err(error);
            }
        }
        batches.used().await?;
    }
    let bytes = upload.written - begun_at;
    let sha256 = long_hop(move || upload.finish()).await?;
    Ok(Closed {
        bytes: Some(bytes),
        sha256: Some(sha256),
        ..Closed::default()
    })
}

/// Checks what can be checked without the disk.
fn check(open: &FileWrite) -> Result<(), OperationError> {
    part::check_upload(&open.upload)?;
    let is_hash = |text: &String| text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
    if open.sha256.as_ref().is_some_and(|text| !is_hash(text)) {
        let text = "a SHA-256 is 64 hexadecimal digits";
        return Err(OperationError::new(ErrorCode::BadChecksum, text));
    }
    if open.mode.is_some_and(|mode| mode > 0o777) {
        let text =
            "permission bits beyond 0777 are not given by a transfer: set them in a terminal";
        return Err(OperationError::new(ErrorCode::NotAllowed, text));
    }
    if open.offset > open.size {
        let text = format!("offset {} is beyond the size {}", open.offset, open.size);
        return Err(OperationError::new(ErrorCode::BadOffset, text));
    }
    Ok(())
}

/// Opens the upload; where another channel still has it, waits a little for that one's end.
async fn begin(open: FileWrite, rules: TunnelRules) -> Result<Upload, OperationError> {
    let give_up = Instant::now() + HANDOVER;
    loop {
        let (order, rules) = (open.clone(), rules.clone());
        match hop(move || Upload::open(order, &rules)).await? {
            Taken::Ours(upload) => return Ok(upload),
            Taken::Elsewhere if Instant::now() < give_up => sleep(ASK_AGAIN).await,
            Taken::Elsewhere => {
                let text = "another channel is writing this upload: wait for its end";
                return Err(OperationError::new(ErrorCode::TooMany, text));
            }
        }
    }
}

/// An upload that is being written.
struct Upload {
    order: FileWrite,
    folder: Dir,
    target: OsString,
    part_name: String,
    part: File,
    written: u64,
    hashed: u64,
    hash: Sha256,
    /// Bytes that the disk has begun with.
    on_its_way: u64,
}

impl Upload {
    fn open(order: FileWrite, rules: &TunnelRules) -> Result<Taken<Self>, OperationError> {
        let (folder, target) = Place::find(&order.path, rules)?.parent()?;
        replaceable(&folder, &target, &order)?;
        if order.offset == 0
            && let Err(error) = part::remove_stale(&folder)
        {
            tracing::debug!(%error, "old uploads cannot be looked for");
        }
        let part_name = part::part_name(&target, &order.upload);
        // An upload that goes on has a file already: without one its offset does not fit.
        let file = match part::take(&folder, &part_name, order.offset == 0)? {
            Taken::Elsewhere => return Ok(Taken::Elsewhere),
            Taken::Ours(Some(file)) => file,
            Taken::Ours(None) => return Err(bad_offset(0, order.offset)),
        };
        let metadata = file.metadata();
        let written = metadata
            .map_err(|error| failure(&error, &order.path))?
            .len();
        if written != order.offset {
            return Err(bad_offset(written, order.offset));
        }
        Ok(Taken::Ours(Self {
            order,
            folder,
            target,
            part_name,
            part: file,
            written,
            hashed: 0,
            hash: Sha256::new(),
            on_its_way: written,
        }))
    }

    /// Hashes some of what an earlier channel wrote; the last of it leaves the file where writing goes on.
    fn hash_more(mut self) -> Result<Self, OperationError> {
        let end = self.written.min(self.hashed + HASH_HOP_BYTES);
        let mut buffer = vec![0; HOP_BYTES];
        while self.hashed < end {
            let left = usize::try_from(end - self.hashed).unwrap_or(HOP_BYTES);
            let piece = &mut buffer[..left.min(HOP_BYTES)];
            let read = self.part.read_exact(piece);
            read.map_err(|error| failure(&error, &self.order.path))?;
            self.hash.update(&*piece);
            self.hashed += piece.len() as u64;
        }
        Ok(self)
    }

    /// Writes a batch. What is on the disk when it fails, as when that is full, stays for later.
    fn write(mut self, batch: &[Bytes]) -> Result<Self, OperationError> {
        for piece in batch {
            let length = piece.len() as u64;
            if self.written + length > self.order.size {
                self.drop_part();
                let text = format!(
                    "more than the {} bytes that were announced came",
                    self.order.size
                );
                return Err(OperationError::new(ErrorCode::TooLarge, text));
            }
            if let Err(error) = self.part.write_all(piece) {
                // As much as possible of what is there is there for good.
                let _ = self.part.sync_data();
                return Err(failure(&error, &self.order.path));
            }
            self.hash.update(piece);
            self.written += length;
        }
        let behind = self.written - self.on_its_way;
        if behind >= WRITE_BACK_BYTES {
            begin_write_back(&self.part, self.on_its_way, behind);
            self.on_its_way = self.written;
        }
        Ok(self)
    }

    /// Brings what was written to the disk, so that another channel can go on.
    async fn keep(self) -> Result<(), OperationError> {
        let synced = move || {
            let synced = self.part.sync_all();
            synced.map_err(|error| failure(&error, &self.order.path))
        };
        long_hop(synced).await
    }

    /// Puts the file in its place; answers its SHA-256.
    fn finish(mut self) -> Result<String, OperationError> {
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        let wanted = self.order.sha256.as_deref();
        if wanted.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&sha256)) {
            self.drop_part();
            let text =
                format!("what came has the SHA-256 {sha256}: send it again from the beginning");
            return Err(OperationError::new(ErrorCode::BadChecksum, text));
        }
        let replaced = replaceable(&self.folder, &self.target, &self.order)?;
        self.dress(replaced.as_ref())
            .and_then(|()| self.part.sync_all())
            .map_err(|error| failure(&error, &self.order.path))?;
        if !part::is_named(&self.folder, &self.part_name, &self.part) {
            let text = format!("the upload of {} was dropped meanwhile", self.order.path);
            return Err(OperationError::new(ErrorCode::Changed, text));
        }
        self.rename()
            .map_err(|error| failure(&error, &self.order.path))?;
        if let Err(error) = sync_folder(&self.folder) {
            tracing::warn!(%error, "a folder cannot be brought to the disk after an upload");
        }
        Ok(sha256)
    }

    /// Gives it the owner, the permission bits and the time that it is to have.
    fn dress(&self, replaced: Option<&FileFacts>) -> std::io::Result<()> {
        // The owner first: a change of it takes bits away.
        if let Some(replaced) = replaced {
            give_to_owner_of(&self.part, replaced)?;
        }
        let kept = replaced.and_then(|replaced| replaced.mode);
        let mode = self.order.mode.or(kept).unwrap_or(NEW_FILE_MODE);
        set_mode(&self.part, mode & 0o777)?;
        match self.order.modified {
            Some(modified) => self.part.set_modified(modified.into()),
            None => Ok(()),
        }
    }

    fn rename(&self) -> std::io::Result<()> {
        let (folder, target) = (&self.folder, &self.target);
        if self.order.overwrite {
            folder.rename(&self.part_name, folder, target)
        } else {
            rename_to_new(folder, self.part_name.as_ref(), folder, target)
        }
    }

    fn drop_part(&self) {
        if part::is_named(&self.folder, &self.part_name, &self.part)
            && let Err(error) = self.folder.remove_file(&self.part_name)
        {
            tracing::warn!(%error, "what an upload has written cannot be removed");
        }
    }
}

/// What would be replaced, where that may be.
fn replaceable(
    folder: &Dir,
    target: &OsString,
    order: &FileWrite,
) -> Result<Option<FileFacts>, OperationError> {
    let path = &order.path;
    let metadata: Metadata = match folder.symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&error, path)),
    };
    if metadata.is_symlink() {
        return Err(wrong_kind(path, "is a link, which is not written through"));
    }
    if !metadata.is_file() {
        return Err(wrong_kind(path, "is no file"));
    }
    if !order.overwrite {
        let text = format!("{path} is there already: ask for it to be replaced");
        return Err(OperationError::new(ErrorCode::AlreadyExists, text));
    }
    Ok(Some(FileFacts::of(&metadata)))
}

fn bad_offset(written: u64, offset: u64) -> OperationError {
    let text = format!(
        "{written} bytes of the upload are on the disk: go on at {written}, not at {offset}"
    );
    OperationError::new(ErrorCode::BadOffset, text)
}
