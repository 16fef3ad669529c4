//! A log file that never grows beyond its bound: a full one is put aside as `FILE.1`, that as `FILE.2`, and the
//! oldest goes. Where another program rotates it, SIGHUP opens it anew.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::LogSettings;

/// The file that lines go to.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    file: File,
    size: u64,
    again: Arc<AtomicBool>,
}

impl LogFile {
    /// Opens the file of the settings, and goes on at its end. What sets the flag has it opened anew before the next line.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(settings: &LogSettings, again: Arc<AtomicBool>) -> io::Result<Self> {
        let (file, size) = open(&settings.file)?;
        Ok(Self {
            path: settings.file.clone(),
            max_bytes: u64::from(settings.max_mib) << 20,
            keep: settings.keep,
            file,
            size,
            again,
        })
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }

    /// Puts the full file aside. Where that cannot be, it is emptied: the bound holds in any case.
    fn rotate(&mut self) -> io::Result<()> {
        let put = || -> io::Result<()> {
            for number in (1..self.keep).rev() {
                match fs::rename(self.aside(number), self.aside(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            fs::rename(&self.path, self.aside(1))
        };
        if put().and_then(|()| self.reopen()).is_err() {
            self.file.set_len(0)?;
            self.size = 0;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.again.swap(false, Ordering::Relaxed) {
            // The old one is better than none.
            let _ = self.reopen();
        }
        if self.size > 0 && self.size.saturating_add(line.len() as u64) > self.max_bytes {
            self.rotate()?;
        }
        let count = self.file.write(line)?;
        self.size = self.size.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, keep: u32) -> (LogFile, Arc<AtomicBool>) {
        let settings = LogSettings {
            file: dir.join("server.log"),
            max_mib: 1,
            keep,
            ..LogSettings::default()
        };
        let again = Arc::new(AtomicBool::new(false));
        (LogFile::open(&settings, again.clone()).unwrap(), again)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_log_keeps_its_newest_lines_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = log(dir.path(), 2);
        let filler = "x".repeat(1000);
        for number in 0..5000 {
            // In one piece, as lines of the log come.
            let line = format!("{number} {filler}\n");
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(
            names(dir.path()),
            ["server.log", "server.log.1", "server.log.2"]
        );
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        for name in names(dir.path()) {
            assert!(read(&name).len() <= 1 << 20, "{name}");
        }
        let first = |text: &str| text.split(' ').next().unwrap().parse::<u32>().unwrap();
        let (newest, before) = (read("server.log"), read("server.log.1"));
        assert!(newest.lines().last().unwrap().starts_with("4999 "));
        // No line is lost between two files.
        assert_eq!(
            first(before.lines().last().unwrap()) + 1,
            first(newest.lines().next().unwrap())
        );
    }

    #[test]
    fn a_log_goes_on_at_its_end_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        for word in ["one\n", "two\n"] {
            log(dir.path(), 1).0.write_all(word.as_bytes()).unwrap();
        }
        let text = fs::read_to_string(dir.path().join("server.log")).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn a_log_that_was_moved_away_is_opened_anew_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, again) = log(dir.path(), 1);
        let at = |name: &str| dir.path().join(name);
        log.write_all(b"one\n").unwrap();
        fs::rename(at("server.log"), at("moved")).unwrap();
        log.write_all(b"two\n").unwrap();
        again.store(true, Ordering::Relaxed);
        log.write_all(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(at("moved")).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(at("server.log")).unwrap(), "three\n");
    }

    #[test]
    fn the_bound_holds_where_nothing_can_be_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = log(dir.path(), 1);
        // A folder in the way, which no file replaces.
        fs::create_dir_all(dir.path().join("server.log.1/x")).unwrap();
        for _ in 0..3 {
            log.write_all(&vec![b'x'; 700_000]).unwrap();
        }
        assert!(fs::metadata(dir.path().join("server.log")).unwrap().len() <= 1 << 20);
    }
}
