//! The record of updates on the disk: `update/state.json` in the state directory, replaced as a whole, so that a crash
//! leaves the old or the new one. A damaged one is set aside, and the program that runs is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::record::{FORMAT, Record};
use crate::platform;

const FOLDER: &str = "update";
const NAME: &str = "state.json";
const ASIDE: &str = "state.json.damaged";
const TEMPORARY: &str = ".state.json.new";
const MAX_BYTES: u64 = 64 * 1024;

/// The record and its file.
#[derive(Debug)]
pub struct RecordFile {
    folder: PathBuf,
    record: Record,
    /// The file is behind.
    unwritten: bool,
}

impl RecordFile {
    /// Reads the record of the agent whose state is in `state_dir`; tells also what was wrong with it, where something
    /// was: it is empty then.
    #[must_use]
    pub fn open(state_dir: &Path) -> (Self, Option<String>) {
        let folder = state_dir.join(FOLDER);
        let path = folder.join(NAME);
        let (record, problem) = match read(&path) {
            Ok(record) => (record, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Record::default(), None),
            Err(error) => {
                let aside = folder.join(ASIDE);
                let kept = match fs::rename(&path, &aside) {
                    Ok(()) => format!("it is set aside as {}", aside.display()),
                    Err(error) => format!("it cannot be set aside: {error}"),
                };
                let problem = format!("{} cannot be used ({error}); {kept}", path.display());
                (Record::default(), Some(problem))
            }
        };
        let file = Self {
            folder,
            record,
            unwritten: false,
        };
        (file, problem)
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Changes the record; when this returns the change survives a loss of power. What cannot be written holds in memory,
    /// and is written with the next call.
    ///
    /// # Errors
    /// What the operating system said; the file is then as it was.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Record) -> T) -> io::Result<T> {
        let before = self.record.clone();
        let changed = change(&mut self.record);
        if self.unwritten || self.record != before {
            self.unwritten = true;
            self.write()?;
            self.unwritten = false;
        }
        Ok(changed)
    }

    fn write(&self) -> io::Result<()> {
        let path = self.folder.join(NAME);
        if self.record.is_empty() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                removed => removed?,
            }
            return platform::sync_names(&self.folder);
        }
        platform::make_private_folder(&self.folder)?;
        let temporary = self.folder.join(TEMPORARY);
        let written = self.fill(&temporary);
        let written = written.and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // What is left of it only takes room.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        platform::sync_names(&self.folder)
    }

    fn fill(&self, temporary: &Path) -> io::Result<()> {
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = platform::open_private(options.write(true).create_new(true), temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&self.record)?)?;
        file.write_all(b"\n")?;
        file.sync_all()
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let mut text = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_BYTES} bytes"
        )));
    }
    let record: Record = serde_json::from_slice(&text)?;
    if record.format != FORMAT {
        return Err(io::Error::other(format!("its format is not {FORMAT}")));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join(FOLDER).join(NAME)
    }

    #[test]
    fn what_was_changed_is_there_for_the_next_one_and_an_empty_record_has_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, problem) = RecordFile::open(directory.path());
        assert_eq!(problem, None);
        file.change(|record| record.begin("0.2.0")).unwrap();
        let (mut again, problem) = RecordFile::open(directory.path());
        assert_eq!(problem, None);
        assert_eq!(again.record().under_way.as_deref(), Some("0.2.0"));
        let opened = File::open(path(&directory)).unwrap();
        assert_eq!(
            platform::exposure(&opened, &path(&directory)).unwrap(),
            None
        );
        drop(opened);
        again.change(|record| *record = Record::default()).unwrap();
        assert!(!path(&directory).exists());
    }

    #[test]
    fn what_could_not_be_written_is_written_with_the_next_change() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = RecordFile::open(directory.path());
        // No folder can be made where a file is.
        fs::write(directory.path().join(FOLDER), "").unwrap();
        assert!(file.change(|record| record.begin("0.2.0")).is_err());
        assert_eq!(file.record().under_way.as_deref(), Some("0.2.0"));
        fs::remove_file(directory.path().join(FOLDER)).unwrap();
        file.change(|_| ()).unwrap();
        let (again, _) = RecordFile::open(directory.path());
        assert_eq!(again.record(), file.record());
    }

    #[test]
    fn a_damaged_record_is_set_aside_and_counts_as_none() {
        let long = " ".repeat(MAX_BYTES as usize + 1);
        for damage in [
            "",
            "{",
            "{}",
            r#"{"format": 2}"#,
            r#"{"format":1,"new":1}"#,
            &long,
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join(FOLDER)).unwrap();
            fs::write(path(&directory), damage).unwrap();
            let (file, problem) = RecordFile::open(directory.path());
            assert!(problem.unwrap().contains("set aside"), "{damage:?}");
            assert!(file.record().is_empty());
            let aside = directory.path().join(FOLDER).join(ASIDE);
            assert_eq!(fs::read_to_string(aside).unwrap(), damage);
            assert!(!path(&directory).exists());
        }
    }

    #[test]
    fn what_a_crash_left_of_a_write_is_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(FOLDER)).unwrap();
        fs::write(directory.path().join(FOLDER).join(TEMPORARY), "half").unwrap();
        let (mut file, _) = RecordFile::open(directory.path());
        file.change(|record| record.begin("0.2.0")).unwrap();
        let (again, _) = RecordFile::open(directory.path());
        assert_eq!(again.record(), file.record());
    }
}
