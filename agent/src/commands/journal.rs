//! The journal's file: records appended and forced to disk, read back after a crash, and rewritten as
//! a whole when it has grown. It knows no command's state; that is the ledger's.
//!
//! Kept for the owner only and locked, so that two agents cannot share it. What a crash or
//! a full disk left of a line is cut off, and a damaged line among whole ones is passed over.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
use crate::platform::{self, REPLACES_OPEN_FILES};

const FILE_NAME: &str = "commands.journal";

/// Above this, and above twice what was left by the last time, it is worth to rewrite the file.
const REWRITE_ABOVE_BYTES: u64 = 4 * 1024 * 1024;

/// The file is never made larger: waiting results and remembered ids take a quarter of it at most.
pub const LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// No record is longer; what is, is damage without a line end.
const LINE_BYTES: u64 = 32 * 1024 * 1024;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    bytes: u64,
    rewrite_above: u64,
    limit: u64,
    /// Whether it is not sure yet that a rewritten file is found after a loss of power.
    unsettled: bool,
}

/// What a journal held when it was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its records, oldest first.
    pub records: Vec<Record>,
    /// Damaged lines that were passed over.
    pub damaged: usize,
    /// Bytes behind the last whole line that were cut off.
    pub torn: u64,
}

impl Journal {
    /// Opens the journal in `directory`, made where there is none; it never grows over `limit` bytes.
    ///
    /// # Errors
    /// What the operating system said, or that another agent uses it. What it holds is never a reason.
    pub fn open(directory: &Path, limit: u64) -> io::Result<(Self, Found)> {
        platform::make_private_folder(directory)?;
        let file = open_locked(&directory.join(FILE_NAME))?;
        platform::make_private(&file)?;
        // Always: who made the file may have died before this.
        platform::sync_names(directory)?;
        let (found, whole) = read(&file)?;
        if found.torn > 0 {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        let journal = Self {
            directory: directory.to_owned(),
            file,
            bytes: whole,
            rewrite_above: REWRITE_ABOVE_BYTES,
            limit,
            unsettled: false,
        };
        Ok((journal, found))
    }

    /// Appends records; if `durable` they survive a loss of power when this returns.
    ///
    /// # Errors
    /// What the operating system said. Nothing more may be appended then before [`Journal::rewrite`]
    /// has succeeded: what of it has reached the disk is not known.
    pub fn append(&mut self, records: &[Record], durable: bool) -> io::Result<()> {
        self.settle()?;
        let lines = encode(records)?;
        let length = self.bytes + lines.len() as u64;
        if length > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // Where the system has no appending that can also cut off, the place is ours to find.
        self.file.seek(SeekFrom::Start(self.bytes))?;
        if let Err(error) = self.file.write_all(&lines) {
            // Room for others; where this fails too, the next start cuts it off.
            if let Err(error) = self.file.set_len(self.bytes) {
                tracing::debug!(%error, "half a record stays in the journal for now");
            }
            return Err(error);
        }
        self.bytes = length;
        if durable {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Whether the file has grown so far that it should be rewritten.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.bytes > self.rewrite_above
    }

    /// Puts `records` in the place of everything; they survive a loss of power when this returns.
    ///
    /// # Errors
    /// What the operating system said; nothing that was in the old file is lost then.
    pub fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        // However this ends, it is not to be tried again with every record.
        self.rewrite_above = REWRITE_ABOVE_BYTES.max(2 * self.bytes);
        let lines = encode(records)?;
        if lines.len() as u64 > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let temporary = self.directory.join(".commands.journal.new");
        let replaced = self.replace(&temporary, &lines);
        if replaced.is_err()
            && let Err(error) = fs::remove_file(&temporary)
        {
            tracing::debug!(%error, "there is no half-written journal to be removed");
        }
        replaced?;
        self.bytes = lines.len() as u64;
        self.rewrite_above = REWRITE_ABOVE_BYTES.max(2 * self.bytes);
        self.unsettled = true;
        self.settle()
    }

    fn settle(&mut self) -> io::Result<()> {
        if self.unsettled {
            platform::sync_names(&self.directory)?;
            self.unsettled = false;
        }
        Ok(())
    }

    /// Replaces the file. Where that cannot be done to one that is open, it is closed for that moment.
    fn replace(&mut self, temporary: &Path, lines: &[u8]) -> io::Result<()> {
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        let mut file = platform::open_private(&mut options, temporary)?;
        lock(&file)?;
        file.write_all(lines)?;
        file.sync_all()?;
        let path = self.directory.join(FILE_NAME);
        if REPLACES_OPEN_FILES {
            fs::rename(temporary, &path)?;
            self.file = file;
            return Ok(());
        }
        self.file = file;
        if let Err(error) = fs::rename(temporary, &path) {
            self.file = open_locked(&path)?;
            return Err(error);
        }
        Ok(())
    }
}

fn open_locked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    match platform::open_private(&mut options, path) {
        Err(error) if platform::is_in_use(&error) => Err(used()),
        opened => {
            let file = opened?;
            lock(&file)?;
            Ok(file)
        }
    }
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(used()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn used() -> io::Error {
    io::Error::other(
        "another agent uses it: stop that one, or give this one a state_dir of its own",
    )
}

fn encode(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        record.encode(&mut lines)?;
    }
    Ok(lines)
}

/// Reads all records; tells also where the last whole line ends.
fn read(file: &File) -> io::Result<(Found, u64)> {
    let mut reader = BufReader::new(file);
    let mut found = Found::default();
    let mut whole = 0;
    // Damaged lines count only once a whole one comes behind them: before, they are the torn end.
    let (mut damaged, mut place) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if length == 0 {
            found.torn = place - whole;
            return Ok((found, whole));
        }
        place += length as u64;
        match Record::decode(&line) {
            Some(record) => {
                found.records.push(record);
                found.damaged += std::mem::take(&mut damaged);
                whole = place;
            }
            None => damaged += 1,
        }
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
