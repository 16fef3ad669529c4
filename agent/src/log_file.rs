//! The log's file, bounded: when it is full it becomes `NAME.1`, `NAME.1` becomes `NAME.2`, and the last one goes. What
//! cannot be written (a full disk, a folder that is gone) is lost, counted, and said as soon as there is room
//! again; it holds nobody up for longer than the attempt takes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use crate::platform;

/// After a failure the file is left alone for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// The file; clones are the same.
#[derive(Debug, Clone)]
pub struct LogFile(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    most_bytes: u64,
    keep: u64,
    file: Option<File>,
    bytes: u64,
    failed: Option<Instant>,
    lost: u64,
}

impl LogFile {
    /// A log at this path, with so many older ones of so many bytes each. What is there already is kept and gone on with.
    #[must_use]
    pub fn new(path: &Path, most_bytes: u64, keep: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            path: path.to_owned(),
            most_bytes,
            keep,
            file: None,
            bytes: 0,
            failed: None,
            lost: 0,
        })))
    }

    /// Opens the file, so that one that cannot be written is known at the start.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(&self) -> io::Result<()> {
        self.lock().open()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn line(&mut self, line: &[u8]) {
        let rests = self.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        if rests || self.write(line).is_err() {
            if !rests {
                self.failed = Some(Instant::now());
            }
            self.file = None;
            self.lost += 1;
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.open()?;
        }
        let longer = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(longer) > self.most_bytes {
            self.rotate()?;
        }
        if self.lost > 0 {
            let said = format!("… {} lines could not be written here …\n", self.lost);
            self.put(said.as_bytes())?;
            self.lost = 0;
        }
        self.failed = None;
        self.put(line)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_all(bytes)?;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            platform::make_state_folder(folder)?;
        }
        let file =
            platform::open_private(OpenOptions::new().append(true).create(true), &self.path)?;
        self.bytes = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// The file is closed first: Windows renames none that is open.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (1..=self.keep).rev() {
            let from = match number {
                1 => self.path.clone(),
                _ => self.numbered(number - 1),
            };
            match fs::rename(&from, self.numbered(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.open()
    }

    fn numbered(&self, number: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

/// Writes one event.
#[derive(Debug)]
pub struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(folder: &Path) -> Vec<(String, u64)> {
        let mut sizes: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, entry.metadata().unwrap().len())
            })
            .collect();
        sizes.sort();
        sizes
    }

    fn write(log: &LogFile, line: &str) {
        log.make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn the_log_never_takes_more_than_its_files_and_the_newest_lines_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.log");
        for start in 0..3 {
            // As after a restart: what is there is gone on with.
            let log = LogFile::new(&path, 100, 2);
            for number in 0..50 {
                write(&log, &format!("line {start} {number:04}\n"));
            }
        }
        let sizes = sizes(folder.path());
        let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["agent.log", "agent.log.1", "agent.log.2"]);
        assert!(sizes.iter().all(|(_, size)| *size <= 100), "{sizes:?}");
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .ends_with("line 2 0049\n")
        );
        let all: String = ["agent.log.2", "agent.log.1", "agent.log"]
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
            .concat();
        let numbers: Vec<u32> = all
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(
            numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{numbers:?}"
        );
    }

    #[test]
    fn with_no_older_files_there_is_one_and_a_line_that_is_too_long_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::new(&folder.path().join("agent.log"), 100, 0);
        write(&log, "short\n");
        write(&log, &"x".repeat(300));
        assert_eq!(sizes(folder.path()), [("agent.log".to_owned(), 300)]);
        write(&log, "short\n");
        assert_eq!(sizes(folder.path()), [("agent.log".to_owned(), 6)]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_once_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/agent.log");
        // A file is where the folder should be.
        fs::write(folder.path().join("logs"), "").unwrap();
        let log = LogFile::new(&path, 1000, 1);
        assert!(log.open().is_err());
        for _ in 0..3 {
            write(&log, "lost\n");
        }
        fs::remove_file(folder.path().join("logs")).unwrap();
        log.lock().failed = None;
        write(&log, "here\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "… 3 lines could not be written here …\nhere\n");
    }

    #[test]
    fn a_folder_that_goes_while_the_agent_runs_is_made_again_with_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/agent.log");
        let log = LogFile::new(&path, 10, 1);
        write(&log, "one\n");
        fs::remove_dir_all(folder.path().join("logs")).unwrap();
        write(&log, "two two two\n");
        log.lock().failed = None;
        write(&log, "three\n");
        assert!(fs::read_to_string(&path).unwrap().ends_with("three\n"));
    }
}
