//! Which paths and names may be used at all: pure rules, for the semantics of Unix and of Windows on any
//! platform. What a name leads to is not looked at here.

use std::fmt;

/// The most bytes of one component.
pub const MOST_NAME_BYTES: usize = 255;
/// The most bytes of a path.
pub const MOST_PATH_BYTES: usize = 4096;
/// The most folders above one another.
pub const MOST_DEPTH: usize = 128;

/// How a system reads paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Semantics {
    /// `/a/b`; case counts; every byte but NUL and `/` is a part of a name.
    Unix,
    /// `C:\a\b` or `C:/a/b`; case does not count; many names mean devices or other streams.
    Windows,
}

impl Semantics {
    /// This machine's.
    pub const OWN: Self = if cfg!(windows) {
        Self::Windows
    } else {
        Self::Unix
    };
}

/// Why a path or a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing.
    #[error("the path is empty")]
    Empty,
    /// A relative path.
    #[error("the path is not absolute: begin it with {0}")]
    NotAbsolute(&'static str),
    /// An absolute path where none may be.
    #[error("the name is absolute")]
    Absolute,
    /// A NUL.
    #[error("the path holds a NUL")]
    Nul,
    /// A character that the system does not allow.
    #[error("the name holds {0:?}, which this system does not allow")]
    Forbidden(char),
    /// Longer than [`MOST_PATH_BYTES`].
    #[error("the path is {0} bytes long; at most {MOST_PATH_BYTES} are allowed")]
    PathTooLong(usize),
    /// Longer than [`MOST_NAME_BYTES`].
    #[error("a name of {0} bytes; at most {MOST_NAME_BYTES} are allowed")]
    NameTooLong(usize),
    /// More than [`MOST_DEPTH`] components.
    #[error("the path has {0} components; at most {MOST_DEPTH} are allowed")]
    TooDeep(usize),
    /// Two separators in a row, or one at the end.
    #[error("a name between two separators, or after the last one, is empty")]
    EmptyName,
    /// `.` or `..`.
    #[error("\"{0}\" is not allowed in a path: name the folder itself")]
    Dots(&'static str),
    /// A name that means a device.
    #[error("{0:?} is the name of a device")]
    Device(String),
    /// `file:stream`.
    #[error("{0:?} names an alternate stream")]
    Stream(String),
    /// `\\server\share`, `\\?\`, `\\.\`.
    #[error("paths of the network and of devices (\\\\…) are not allowed")]
    Network,
    /// A name that Windows would cut.
    #[error("{0:?} ends with a dot or a space, which this system cuts off")]
    CutOff(String),
}

/// An absolute path, cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanPath {
    /// `/`, or the drive as `C:\`.
    pub anchor: String,
    /// The names below it.
    pub names: Vec<String>,
    semantics: Semantics,
}

impl CleanPath {
    /// Reads an absolute path.
    ///
    /// # Errors
    /// [`BadPath`].
    pub fn parse(text: &str, semantics: Semantics) -> Result<Self, BadPath> {
        check_text(text)?;
        let (anchor, rest) = match semantics {
            Semantics::Unix => {
                let rest = text
                    .strip_prefix('/')
                    .ok_or(BadPath::NotAbsolute("a slash"))?;
                ("/".to_owned(), rest.to_owned())
            }
            Semantics::Windows => split_drive(&text.replace('/', "\\"))?,
        };
        let separator = match semantics {
            Semantics::Unix => '/',
            Semantics::Windows => '\\',
        };
        let mut names = Vec::new();
        if !rest.is_empty() {
            for name in rest.split(separator) {
                check_name(name, semantics)?;
                names.push(name.to_owned());
            }
        }
        check_depth(&names)?;
        Ok(Self {
            anchor,
            names,
            semantics,
        })
    }

    /// The names below `root`; none where this path is not in it.
    #[must_use]
    pub fn below(&self, root: &Self) -> Option<&[String]> {
        let same = |one: &str, other: &str| match self.semantics {
            Semantics::Unix => one == other,
            Semantics::Windows => one.to_lowercase() == other.to_lowercase(),
        };
        if !same(&self.anchor, &root.anchor) || self.names.len() < root.names.len() {
            return None;
        }
        let (above, below) = self.names.split_at(root.names.len());
        let fits = above
            .iter()
            .zip(&root.names)
            .all(|(one, other)| same(one, other));
        fits.then_some(below)
    }
}

impl fmt::Display for CleanPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.semantics {
            Semantics::Unix => "/",
            Semantics::Windows => "\\",
        };
        write!(f, "{}{}", self.anchor, self.names.join(separator))
    }
}

/// Reads the name of an archive's member: relative, with `/`; a `./` before it and a `/` after it are
/// left out. No names are the folder itself.
///
/// # Errors
/// [`BadPath`].
pub fn member_names(text: &str, semantics: Semantics) -> Result<Vec<String>, BadPath> {
    check_text(text)?;
    if text.starts_with('/') {
        return Err(BadPath::Absolute);
    }
    let inner = text.strip_prefix("./").unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() || inner == "." {
        return Ok(Vec::new());
    }
    let names: Vec<String> = inner.split('/').map(str::to_owned).collect();
    for name in &names {
        check_name(name, semantics)?;
    }
    check_depth(&names)?;
    Ok(names)
}

/// Whether a link with this target, `depth` folders below a folder, stays inside of it.
///
/// `..` is allowed at the beginning only: behind another name it would be that of what the name, which
/// may be a link itself, leads to.
#[must_use]
pub fn link_stays_inside(target: &str, depth: usize, semantics: Semantics) -> bool {
    if check_text(target).is_err() || target.starts_with('/') {
        return false;
    }
    let mut names = target.strip_suffix('/').unwrap_or(target).split('/');
    let mut ups = 0;
    let mut first = names.next();
    while let Some("." | "..") = first {
        ups += usize::from(first == Some(".."));
        first = names.next();
    }
    let inside = first.into_iter().chain(names);
    ups <= depth
        && inside
            .into_iter()
            .all(|name| check_name(name, semantics).is_ok())
}

/// Whether a name can be a component of a path.
///
/// # Errors
/// [`BadPath`].
pub fn check_name(name: &str, semantics: Semantics) -> Result<(), BadPath> {
    match name {
        "" => return Err(BadPath::EmptyName),
        "." => return Err(BadPath::Dots(".")),
        ".." => return Err(BadPath::Dots("..")),
        _ => {}
    }
    if name.contains('\0') {
        return Err(BadPath::Nul);
    }
    if name.len() > MOST_NAME_BYTES {
        return Err(BadPath::NameTooLong(name.len()));
    }
    match semantics {
        Semantics::Unix if name.contains('/') => Err(BadPath::Forbidden('/')),
        Semantics::Unix => Ok(()),
        Semantics::Windows => check_windows_name(name),
    }
}

fn check_text(text: &str) -> Result<(), BadPath> {
    if text.is_empty() {
        return Err(BadPath::Empty);
    }
    if text.contains('\0') {
        return Err(BadPath::Nul);
    }
    if text.len() > MOST_PATH_BYTES {
        return Err(BadPath::PathTooLong(text.len()));
    }
    Ok(())
}

fn check_depth(names: &[String]) -> Result<(), BadPath> {
    if names.len() > MOST_DEPTH {
        return Err(BadPath::TooDeep(names.len()));
    }
    Ok(())
}

fn split_drive(text: &str) -> Result<(String, String), BadPath> {
    if text.starts_with("\\\\") {
        return Err(BadPath::Network);
    }
    let mut characters = text.chars();
    let (drive, colon, separator) = (characters.next(), characters.next(), characters.next());
    match (drive, colon, separator) {
        (Some(drive), Some(':'), Some('\\')) if drive.is_ascii_alphabetic() => Ok((
            format!("{}:\\", drive.to_ascii_uppercase()),
            characters.as_str().to_owned(),
        )),
        _ => Err(BadPath::NotAbsolute("a drive, as C:\\")),
    }
}

fn check_windows_name(name: &str) -> Result<(), BadPath> {
    // First what it would mean to Windows, which looks at the part before the first dot or colon.
    let stem = name.split(['.', ':']).next().unwrap_or(name);
    if is_device(stem.trim_end_matches(' ')) {
        return Err(BadPath::Device(name.to_owned()));
    }
    if name.contains(':') {
        return Err(BadPath::Stream(name.to_owned()));
    }
    let forbidden =
        |c: char| c < ' ' || matches!(c, '<' | '>' | '"' | '/' | '\\' | '|' | '?' | '*');
    if let Some(character) = name.chars().find(|c| forbidden(*c)) {
        return Err(BadPath::Forbidden(character));
    }
    if name.ends_with(['.', ' ']) {
        return Err(BadPath::CutOff(name.to_owned()));
    }
    Ok(())
}

/// The names that Windows keeps for devices, in every folder and with every extension.
fn is_device(stem: &str) -> bool {
    let upper = stem.to_uppercase();
    if matches!(
        upper.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$"
    ) {
        return true;
    }
    ["COM", "LPT"].iter().any(|port| {
        upper.strip_prefix(port).is_some_and(|number| {
            matches!(
                number,
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
        })
    })
}
