//! Mends what a crash left: cuts a recording to its last whole line and hashes it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::files::{index_of, place};
use crate::domain::recording::cast::is_header;
use crate::domain::recording::{Entry, Event, LINE_BYTES};

const BUFFER: usize = 256 * 1024;

/// A recording as it is after that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mended {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) duration: Duration,
}

/// Mends a recording and its index; nothing where its file is gone.
pub(super) fn mend(root: &Path, path: &str) -> io::Result<Option<Mended>> {
    let path = place(root, path)?;
    let mut hash = Sha256::new();
    let mut last = 0.0;
    let mut lines = 0_u64;
    // What a machine that lost its power leaves behind its last line is no event: zeros, or half of one.
    let good = |line: &[u8]| {
        lines += 1;
        match Event::read(line) {
            Some(event) if lines > 1 => last = event.time,
            _ if lines == 1 && is_header(line) => {}
            _ => return false,
        }
        hash.update(line);
        true
    };
    let bytes = match cut_after(&path, good) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let within = |line: &[u8]| Entry::read(line).is_some_and(|entry| entry.offset <= bytes);
    match cut_after(&index_of(&path), within) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(Some(Mended {
        bytes,
        sha256: hash.finalize().into(),
        duration: Duration::try_from_secs_f64(last).unwrap_or_default(),
    }))
}

/// Cuts a file after its last line before the first that is not whole or not good.
fn cut_after(path: &Path, mut good: impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
    let file: File = OpenOptions::new().read(true).write(true).open(path)?;
    let mut reader = BufReader::with_capacity(BUFFER, &file);
    let mut line = Vec::new();
    let mut kept = 0;
    loop {
        line.clear();
        let read = (&mut reader)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") || !good(&line) {
            break;
        }
        kept += read as u64;
    }
    if file.metadata()?.len() != kept {
        file.set_len(kept)?;
    }
    file.sync_all()?;
    Ok(kept)
}
