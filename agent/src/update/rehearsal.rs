//! What only builds for tests can do: be another version, fail on purpose, and die at a named step. A test appends lines
//! to a copy of the program for the first two; the third stands in a file that the environment names, and happens once.
//! In a build for release none of it exists.

#[cfg(debug_assertions)]
pub use rehearsed::{fail_point, fault, version};
#[cfg(not(debug_assertions))]
pub use released::{fail_point, fault, version};

#[cfg(debug_assertions)]
mod rehearsed {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom};

    use crate::platform;

    /// How many bytes at the program's end may hold such lines.
    const TAIL: u64 = 256;

    /// The version that a line `GURURMM-TEST-VERSION:` says.
    #[must_use]
    pub fn version() -> Option<String> {
        line("GURURMM-TEST-VERSION:")
    }

    /// Fails as a line `GURURMM-TEST-FAULT:` says, where there is one: `crash` or `hang`.
    pub fn fault() {
        match line("GURURMM-TEST-FAULT:").as_deref() {
            Some("crash") => std::process::abort(),
            Some("hang") => loop {
                std::thread::park();
            },
            _ => {}
        }
    }

    /// Dies as by `kill -9` where the file that `GURURMM_TEST_KILL_AT` names holds this step. The file goes first, so that
    /// it happens once.
    pub fn fail_point(step: &str) {
        let Some(path) = std::env::var_os("GURURMM_TEST_KILL_AT") else {
            return;
        };
        if std::fs::read_to_string(&path).is_ok_and(|wanted| wanted.trim() == step)
            && std::fs::remove_file(&path).is_ok()
        {
            platform::die();
        }
    }

    fn line(start: &str) -> Option<String> {
        let mut program = File::open(platform::own_program().ok()?).ok()?;
        let length = program.metadata().ok()?.len();
        program
            .seek(SeekFrom::Start(length.saturating_sub(TAIL)))
            .ok()?;
        let mut tail = Vec::new();
        program.read_to_end(&mut tail).ok()?;
        let mut lines = tail.split(|byte| *byte == b'\n').rev();
        let found = lines.find_map(|line| line.strip_prefix(start.as_bytes()))?;
        String::from_utf8(found.to_vec()).ok()
    }
}

#[cfg(not(debug_assertions))]
mod released {
    /// None: a program is what it was built as.
    #[must_use]
    pub fn version() -> Option<String> {
        None
    }

    /// Nothing.
    pub fn fault() {}

    /// Nothing.
    pub fn fail_point(_step: &str) {}
}
