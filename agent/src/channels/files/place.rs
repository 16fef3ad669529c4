//! Where a path leads: found from the folders that the policy allows, by their handles, so that nothing
//! that is swapped meanwhile leads out of them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use gururmm_shared::{ErrorCode, OperationError, TunnelRules};

use super::failure::{bad_path, failure, is_escape, leads_out, wrong_kind};
use super::path::{CleanPath, Semantics};
use crate::platform::{whole_file_system, without_waiting};

/// The folders that files may lie in.
#[derive(Debug, Clone)]
struct Roots(Vec<CleanPath>);

impl Roots {
    fn of(rules: &TunnelRules) -> Self {
        if rules.file_roots.is_empty() {
            return Self::everything();
        }
        let parsed = rules.file_roots.iter().filter_map(|root| {
            let trimmed = root.trim_end_matches(['/', '\\']);
            let text = if trimmed.is_empty() || trimmed.ends_with(':') {
                root
            } else {
                trimmed
            };
            CleanPath::parse(text, Semantics::OWN)
                .inspect_err(
                    |error| tracing::warn!(root, %error, "a folder of the policy cannot be used"),
                )
                .ok()
        });
        Self(parsed.collect())
    }

    fn everything() -> Self {
        let all = whole_file_system().into_iter();
        Self(
            all.filter_map(|root| CleanPath::parse(&root, Semantics::OWN).ok())
                .collect(),
        )
    }

    /// The innermost allowed folder around a path, and the names from there.
    fn around<'a>(&self, path: &'a CleanPath) -> Option<(&CleanPath, &'a [String])> {
        let around = self
            .0
            .iter()
            .filter_map(|root| Some((root, path.below(root)?)));
        around.min_by_key(|(_, below)| below.len())
    }

    /// Whether it is one of the allowed folders, or above one.
    fn holds_root(&self, path: &CleanPath) -> bool {
        self.0.iter().any(|root| root.below(path).is_some())
    }
}

/// A path that the policy allows; whether there is something, and what, is another question.
#[derive(Debug, Clone)]
pub(super) struct Place {
    roots: Roots,
    path: CleanPath,
}

impl Place {
    /// Checks a path.
    ///
    /// # Errors
    /// It cannot be used, or lies outside of what the policy allows.
    pub fn find(path: &str, rules: &TunnelRules) -> Result<Self, OperationError> {
        let roots = Roots::of(rules);
        let path = CleanPath::parse(path, Semantics::OWN).map_err(|error| bad_path(&error))?;
        if roots.around(&path).is_none() {
            return Err(leads_out(&path));
        }
        Ok(Self { roots, path })
    }

    /// The folder it is in, and its name there. Links above it are followed inside of the allowed folders.
    ///
    /// # Errors
    /// It is an allowed folder itself; the folder cannot be opened.
    pub fn parent(&self) -> Result<(Dir, OsString), OperationError> {
        self.keep_roots()?;
        let mut above = self.path.clone();
        let name = above.names.pop().ok_or_else(|| leads_out(&self.path))?;
        let folder = self.reach(&above, |root, inside| root.open_dir(inside))?;
        Ok((folder, name.into()))
    }

    /// Refuses what would take away a folder that the policy names.
    fn keep_roots(&self) -> Result<(), OperationError> {
        if self.roots.holds_root(&self.path) {
            let text = format!(
                "{} is, or holds, a folder that the policy allows: it stays as it is",
                self.path
            );
            return Err(OperationError::new(ErrorCode::NotAllowed, text));
        }
        Ok(())
    }

    /// Opens it as a folder.
    ///
    /// # Errors
    /// It is none, or cannot be opened.
    pub fn folder(&self) -> Result<Dir, OperationError> {
        self.reach(&self.path, |root, inside| root.open_dir(inside))
    }

    /// Makes it, as a folder, with those above it.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn make_folders(&self) -> Result<(), OperationError> {
        let make = |root: &Dir, inside: &PathBuf| match root.create_dir_all(inside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                root.open_dir(inside).map(|_| ())
            }
            done => done,
        };
        self.reach(&self.path, make)
    }

    /// What is there; a link is not followed.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn metadata(&self) -> Result<Metadata, OperationError> {
        match self.parent() {
            Ok((folder, name)) => folder
                .symlink_metadata(&name)
                .map_err(|error| failure(&error, &self.path)),
            // An allowed folder, or one above another allowed one.
            Err(error) if error.code == ErrorCode::NotAllowed => {
                let told = self.folder()?.dir_metadata();
                told.map_err(|error| failure(&error, &self.path))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens it as a file with bytes, for reading; links are followed inside of the allowed folders.
    ///
    /// # Errors
    /// It is no file, or cannot be opened.
    pub fn open_file(&self) -> Result<File, OperationError> {
        let no_file = || wrong_kind(&self.path, "is no file with bytes that can be read");
        // Looked at before it is opened: to open a device can do something already.
        let before = self.reach(&self.path, |root, inside| root.metadata(inside))?;
        if !before.is_file() {
            return Err(no_file());
        }
        let mut options = OpenOptions::new();
        without_waiting(options.read(true));
        let opened = self.reach(&self.path, |root, inside| root.open_with(inside, &options))?;
        let opened = opened.into_std();
        let metadata = opened
            .metadata()
            .map_err(|error| failure(&error, &self.path))?;
        if !metadata.is_file() {
            return Err(no_file());
        }
        Ok(opened)
    }

    /// The path as text.
    pub fn path(&self) -> &CleanPath {
        &self.path
    }

    /// Does something with what is at `path`, from the allowed folder around it. Where a link with an
    /// absolute target is in the way, what it leads to is looked for in the allowed folders again.
    fn reach<T>(
        &self,
        path: &CleanPath,
        open: impl Fn(&Dir, &PathBuf) -> io::Result<T>,
    ) -> Result<T, OperationError> {
        let (root, inside) = self.enter(path)?;
        match open(&root, &inside) {
            Err(error) if is_escape(&error) => {
                let (root, inside) = self.enter(&resolved(path)?)?;
                open(&root, &inside).map_err(|error| failure(&error, path))
            }
            done => done.map_err(|error| failure(&error, path)),
        }
    }

    fn enter(&self, path: &CleanPath) -> Result<(Dir, PathBuf), OperationError> {
        let (root, below) = self.roots.around(path).ok_or_else(|| leads_out(path))?;
        let open = Dir::open_ambient_dir(root.to_string(), ambient_authority());
        let open = open.map_err(|error| failure(&error, root))?;
        let mut inside: PathBuf = below.iter().collect();
        if below.is_empty() {
            inside.push(".");
        }
        Ok((open, inside))
    }
}

/// Where a path with links leads. Only a question: what is opened is opened from an allowed folder.
fn resolved(path: &CleanPath) -> Result<CleanPath, OperationError> {
    let resolved = std::fs::canonicalize(path.to_string()).map_err(|_| leads_out(path))?;
    let text = resolved.to_str().ok_or_else(|| leads_out(path))?;
    // Windows answers in the form for long paths.
    let text = text.strip_prefix(r"\\?\").unwrap_or(text);
    CleanPath::parse(text, Semantics::OWN).map_err(|_| leads_out(path))
}
