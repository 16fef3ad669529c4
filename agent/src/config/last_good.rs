//! The last good configuration: kept in the state directory once the agent has connected with it, and taken in place
//! of a file that cannot be used, so that a slip of the pen does not take the machine away from who could mend it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, beside};
use crate::platform;

/// More than any configuration has.
const MOST_BYTES: u64 = 1024 * 1024;

impl Config {
    /// Reads and checks a file as [`Config::load`] does; where it cannot be used, the last good one takes its place,
    /// and [`Config::problem`] says why.
    ///
    /// # Errors
    /// As [`Config::load`], where there is no last good one.
    pub fn load_or_last_good(path: &Path) -> Result<Self, ConfigError> {
        let error = match Self::load(path) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let kept = candidates(path)
            .into_iter()
            .find_map(|kept| Self::parse(&private_text(&kept)?, path).ok());
        let Some(mut config) = kept else {
            return Err(error);
        };
        config.problem = Some(error.to_string());
        Ok(config)
    }

    /// Keeps the file as the last good one, if it still is what this was read from.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn keep_as_last_good(&self) -> io::Result<()> {
        if self.problem.is_some() {
            return Ok(());
        }
        let text = fs::read_to_string(&self.file)?;
        if Self::parse(&text, &self.file).ok().as_ref() != Some(self) {
            // It was changed since: what is in it now has not been tried.
            return Ok(());
        }
        let path = last_good(self.state_dir(), &self.file);
        if private_text(&path).as_ref() == Some(&text) {
            return Ok(());
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut file = platform::open_private(&mut options, &temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    }
}

/// The text of a file that nobody else can have written.
fn private_text(path: &Path) -> Option<String> {
    let file = fs::File::open(path).ok()?;
    if platform::exposure(&file, path).ok()?.is_some() {
        return None;
    }
    io::read_to_string(io::Read::take(file, MOST_BYTES)).ok()
}

fn last_good(folder: &Path, config: &Path) -> PathBuf {
    let mut name = OsString::from(config.file_name().unwrap_or_default());
    name.push(".last-good");
    folder.join(name)
}

/// Where it may be: in the folder that the broken file seems to name, or beside the file.
fn candidates(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        let value = value.split('#').next()?.trim().trim_matches(['"', '\'']);
        matches!(key, "state_dir" | "agent.state_dir").then(|| PathBuf::from(value))
    });
    let folders = named.into_iter().chain([beside(path)]);
    folders.map(|folder| last_good(&folder, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[server]\nurl = \"wss://rmm.example.com/ws\"\napi_key = \"A-B-1\"\n";

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            place.write(GOOD);
            place
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("agent.toml")
        }

        fn write(&self, text: &str) {
            fs::write(self.file(), text).unwrap();
        }

        fn load(&self) -> Result<Config, ConfigError> {
            Config::load_or_last_good(&self.file())
        }
    }

    #[test]
    fn a_broken_file_is_replaced_by_the_last_good_one_and_the_line_is_told() {
        let place = Place::new();
        let good = place.load().unwrap();
        good.keep_as_last_good().unwrap();
        for (broken, what) in [
            (
                format!("{GOOD}[metrics]\nintervall = 1"),
                "line 5: unknown key",
            ),
            (format!("{GOOD}["), "line 4"),
            (String::new(), "missing key"),
        ] {
            place.write(&broken);
            let config = place.load().unwrap();
            let problem = config.problem.clone().unwrap();
            assert!(problem.contains(what), "{problem}");
            assert_eq!(config.server, good.server);
            assert!(Config::load(&place.file()).is_err(), "a check stays strict");
        }
        fs::remove_file(place.file()).unwrap();
        assert!(
            place
                .load()
                .unwrap()
                .problem
                .unwrap()
                .contains("cannot read")
        );
    }

    #[test]
    fn without_a_last_good_one_the_error_stands() {
        let place = Place::new();
        place.write("[");
        assert!(place.load().is_err());
    }

    #[test]
    fn what_was_never_tried_is_not_kept() {
        let place = Place::new();
        let config = place.load().unwrap();
        place.write(&GOOD.replace("rmm", "other"));
        config.keep_as_last_good().unwrap();
        assert!(!last_good(place.0.path(), &place.file()).exists());
    }

    #[test]
    fn one_that_others_can_read_is_not_taken() {
        let place = Place::new();
        place.load().unwrap().keep_as_last_good().unwrap();
        platform::expose(&last_good(place.0.path(), &place.file()));
        place.write("[");
        assert!(place.load().is_err());
    }

    #[test]
    fn it_is_found_in_the_folder_that_the_broken_file_names() {
        let place = Place::new();
        let state = tempfile::tempdir().unwrap();
        let text = format!(
            "{GOOD}[agent]\nstate_dir = '{}' # here\n",
            state.path().display()
        );
        place.write(&text);
        place.load().unwrap().keep_as_last_good().unwrap();
        place.write(&(text + "nonsense = 1"));
        let config = place.load().unwrap();
        assert_eq!(config.state_dir(), state.path());
        assert!(config.problem.is_some());
    }
}
