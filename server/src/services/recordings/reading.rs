//! Reads recordings, also while they are written: what is there up to the last whole line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::files::{index_of, place};
use super::{Recordings, blocking};
use crate::db::recordings::Recording;
use crate::domain::recording::{Entry, EntryKind, Event, Found, LINE_BYTES, Search};

/// Searches at once; others wait.
pub(super) const SEARCHES: usize = 2;
/// How long a search waits for its turn.
const SEARCH_TURN: Duration = Duration::from_secs(10);
/// Bytes that one search reads.
const SEARCH_BYTES: u64 = 64 << 20;
/// Matches that one search tells.
const MATCHES: usize = 200;
/// Entries of an index that are told; more are thinned out.
const ENTRIES: usize = 5000;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its file is gone.
    #[error("the recording's file is gone")]
    Gone,
    /// No line begins there.
    #[error("no line of the recording begins at {0}; take an offset of its index")]
    NoLine(u64),
    /// Others search.
    #[error("others search; try again in a moment")]
    Busy,
    /// The disk.
    #[error("the recording cannot be read: {0}")]
    Disk(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Disk(error.to_string()),
        }
    }
}

/// The index of a recording.
#[derive(Debug, Default)]
pub struct Index {
    /// Its entries without the states of key frames.
    pub entries: Vec<Entry>,
    /// The last key frame up to the time that was asked for, with its state.
    pub key_frame: Option<Entry>,
}

/// What a search found.
#[derive(Debug)]
pub struct Matches {
    /// The matches, in the order of time.
    pub found: Vec<Found>,
    /// Where to go on; nothing where all was looked through.
    pub next: Option<u64>,
}

impl Recordings {
    /// Opens a recording from a line on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn open(&self, row: &Recording, from: u64) -> Result<Lines, ReadError> {
        self.read(row, move |path| Lines::open(path, from)).await
    }

    /// Reads the index, and the key frame for a time in seconds.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn index(&self, row: &Recording, at: Option<f64>) -> Result<Index, ReadError> {
        self.read(row, move |path| read_index(path, at)).await
    }

    /// Searches in what was shown, from a line on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn search(
        &self,
        row: &Recording,
        text: String,
        from: u64,
    ) -> Result<Matches, ReadError> {
        let turn = tokio::time::timeout(SEARCH_TURN, self.inner.searches.acquire()).await;
        let _turn = turn.map_err(|_| ReadError::Busy)?;
        let limit = SEARCH_BYTES;
        self.read(row, move |path| search(path, &text, from, limit))
            .await
    }

    async fn read<T: Send + 'static>(
        &self,
        row: &Recording,
        work: impl FnOnce(&Path) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let path = place(&self.inner.root, &row.path)?;
        blocking(move || Ok(work(&path)))
            .await
            .map_err(ReadError::Disk)?
    }
}

/// The whole lines of a recording, in pieces.
pub struct Lines {
    file: File,
    left: u64,
}

impl Lines {
    fn open(path: &Path, from: u64) -> Result<Self, ReadError> {
        let mut file = File::open(path)?;
        let end = whole_bytes(&mut file)?;
        check_line(&mut file, from, end)?;
        Ok(Self {
            file,
            left: end - from,
        })
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Reads the next piece; nothing at the end.
    ///
    /// # Errors
    /// The disk.
    pub async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let read = blocking(move || {
            let wanted = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
            let mut bytes = vec![0; wanted];
            self.file.read_exact(&mut bytes)?;
            self.left -= wanted as u64;
            Ok((Bytes::from(bytes), self))
        });
        let (bytes, rest) = read.await.map_err(io::Error::other)?;
        Ok((!bytes.is_empty()).then_some((bytes, rest)))
    }
}

/// Places the file at a line, if one begins there.
fn check_line(file: &mut File, from: u64, end: u64) -> Result<(), ReadError> {
    let mut before = [b'\n'];
    if from > end {
        return Err(ReadError::NoLine(from));
    }
    if let Some(at) = from.checked_sub(1) {
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut before)?;
    } else {
        file.seek(SeekFrom::Start(0))?;
    }
    if before == [b'\n'] {
        Ok(())
    } else {
        Err(ReadError::NoLine(from))
    }
}

/// Bytes up to and with the last line break.
fn whole_bytes(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let wanted = usize::try_from(end - begin).unwrap_or(CHUNK);
        let part = &mut chunk[..wanted];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Reads lines while `take` wants more; tells how many bytes were taken.
fn each_line(file: File, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(CHUNK, file);
    let (mut line, mut taken) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = (&mut reader)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") || !take(&line) {
            return Ok(taken);
        }
        taken += read as u64;
    }
}

fn read_index(path: &Path, at: Option<f64>) -> Result<Index, ReadError> {
    let file = File::open(index_of(path))?;
    let mut index = Index::default();
    // One of so many is kept.
    let (mut stride, mut seen) = (1, 0_usize);
    each_line(file, |line| {
        let Some(entry) = Entry::read(line) else {
            return false;
        };
        let wanted = at.is_some_and(|at| entry.time <= at);
        if wanted && entry.kind == EntryKind::KeyFrame {
            index.key_frame = Some(entry.clone());
        }
        if seen.is_multiple_of(stride) {
            if index.entries.len() >= ENTRIES {
                let mut keep = false;
                index.entries.retain(|_| {
                    keep = !keep;
                    keep
                });
                stride *= 2;
            }
            index.entries.push(Entry {
                state: None,
                ..entry
            });
        }
        seen += 1;
        true
    })?;
    Ok(index)
}

fn search(path: &Path, text: &str, from: u64, limit: u64) -> Result<Matches, ReadError> {
    let mut file = File::open(path)?;
    let end = whole_bytes(&mut file)?;
    check_line(&mut file, from, end)?;
    let mut search = Search::new(text);
    let mut read = 0;
    let taken = each_line(file, |line| {
        if search.count() >= MATCHES || read >= limit {
            return false;
        }
        read += line.len() as u64;
        // The header is no event.
        if let Some(event) = Event::read(line).filter(|event| event.kind == "o") {
            search.push(event.time, &event.data);
        }
        true
    })?;
    let next = from + taken;
    Ok(Matches {
        found: search.finish(),
        next: (next < end).then_some(next),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cast");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn what_is_there_ends_with_the_last_whole_line() {
        for (text, whole) in [("", 0), ("half", 0), ("one\n", 4), ("one\nhal", 4)] {
            let (_dir, path) = file(text);
            assert_eq!(Lines::open(&path, 0).unwrap().left(), whole, "{text:?}");
        }
        let long = format!("one\n{}", "x".repeat(CHUNK * 3));
        let (_dir, path) = file(&long);
        assert_eq!(Lines::open(&path, 0).unwrap().left(), 4);
    }

    #[test]
    fn reading_begins_where_a_line_does() {
        let (_dir, path) = file("one\ntwo\nhalf");
        for (from, left) in [(0, 8), (4, 4), (8, 0)] {
            assert_eq!(Lines::open(&path, from).unwrap().left(), left);
        }
        for from in [1, 5, 9, 12, 99] {
            let refused = Lines::open(&path, from);
            assert!(matches!(refused, Err(ReadError::NoLine(_))), "{from}");
        }
    }

    #[test]
    fn a_search_that_has_read_enough_says_where_to_go_on() {
        let line = |time: u32| format!("[{time}.000000, \"o\", \"needle {time}\\r\\n\"]\n");
        let text: String = "{\"version\":2}\n".to_owned() + &(1..=9).map(line).collect::<String>();
        let (_dir, path) = file(&text);
        let all = search(&path, "NEEDLE", 0, SEARCH_BYTES).unwrap();
        assert_eq!((all.found.len(), all.next), (9, None));
        let mut from = 0;
        let mut times = Vec::new();
        loop {
            let part = search(&path, "needle", from, 100).unwrap();
            times.extend(part.found.into_iter().map(|found| found.time));
            let Some(next) = part.next else { break };
            assert!(next > from);
            from = next;
        }
        assert_eq!(times, (1..=9).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn an_index_gives_the_key_frame_for_a_time_and_thins_out_what_is_much() {
        let mut lines = Vec::new();
        for second in 0..20_000_u64 {
            let at = Duration::from_secs(second);
            let size = gururmm_shared::TerminalSize::default();
            Entry::key_frame(at, (second, second), size, b"x").write(&mut lines);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cast");
        std::fs::write(index_of(&path), lines).unwrap();
        let index = read_index(&path, Some(1234.5)).unwrap();
        let frame = index.key_frame.unwrap();
        assert_eq!((frame.time, frame.state.is_some()), (1234.0, true));
        assert!(index.entries.len() <= ENTRIES && index.entries.len() > ENTRIES / 3);
        assert!(index.entries.iter().all(|entry| entry.state.is_none()));
        assert!(index.entries.last().unwrap().time > 19_000.0, "to its end");
        let none = read_index(&path, None).unwrap();
        assert!(none.key_frame.is_none());
    }
}
