//! How long the words of a channel or a request may be, and of which characters: both ends check, the server
//! what it is asked for and the agent what it is sent. What a path means is for the agent alone.

use crate::environment::check_environment;
use crate::{
    ChannelKind, ErrorCode, FileWrite, Operation, OperationError, RegistryData, RegistryValue,
    ServiceWatch, TcpTarget, TerminalOptions, TerminalSize,
};

const PATH_BYTES: usize = 4096;
const NAME_BYTES: usize = 256;
const FILE_NAME_BYTES: usize = 1024;
const HOST_BYTES: usize = 253;
const UPLOAD_BYTES: usize = 64;
const ARGUMENTS: usize = 64;
const ARGUMENTS_BYTES: usize = 32 * 1024;
const PAGE_ENTRIES: u32 = 1000;
const REGISTRY_NAME_BYTES: usize = 16 * 1024;
const REGISTRY_DATA_BYTES: usize = 128 * 1024;

type Checked = Result<(), OperationError>;

impl ChannelKind {
    /// Whether its words are such as may be.
    ///
    /// # Errors
    /// Which one is not, and what it may be: code `bad_name` or `too_large`.
    pub fn check(&self) -> Checked {
        match self {
            Self::Terminal(options) => options.check(),
            Self::Tcp(target) => target.check(),
            Self::FileRead(file) => text("the path", &file.path, PATH_BYTES),
            Self::FileWrite(file) => file.check(),
            Self::ArchiveRead(folder) => text("the path", &folder.path, PATH_BYTES),
            Self::ArchiveWrite(folder) => text("the path", &folder.path, PATH_BYTES),
            Self::ServiceWatch(watch) => watch.check(),
        }
    }
}

impl TerminalOptions {
    fn check(&self) -> Checked {
        if self.size != self.size.clamped() {
            let most = TerminalSize::MOST;
            return Err(bad(format!("a terminal has 1 to {most} columns and rows")));
        }
        for (what, word) in [
            ("the shell", &self.shell),
            ("the working directory", &self.working_directory),
        ] {
            word.iter()
                .try_for_each(|word| text(what, word, PATH_BYTES))?;
        }
        if let Some(term) = &self.term {
            word("TERM", term, 64, b"-_.+")?;
        }
        let arguments = self.arguments.as_deref().unwrap_or_default();
        if arguments.len() > ARGUMENTS {
            return Err(large(format!("a shell has at most {ARGUMENTS} arguments")));
        }
        if arguments.iter().map(String::len).sum::<usize>() > ARGUMENTS_BYTES {
            return Err(large(format!(
                "the arguments of a shell have at most {ARGUMENTS_BYTES} bytes"
            )));
        }
        for argument in arguments {
            without_nul("an argument", argument)?;
        }
        check_environment(&self.environment).map_err(bad)
    }
}

impl TcpTarget {
    fn check(&self) -> Checked {
        word("the host", &self.host, HOST_BYTES, b"-_.:[]%")?;
        if self.port == 0 {
            return Err(bad("the port is 1 to 65535"));
        }
        Ok(())
    }
}

impl ServiceWatch {
    fn check(&self) -> Checked {
        let most = Self::MOST_NAMES;
        if self.names.len() > most {
            return Err(large(format!(
                "at most {most} services are watched by name"
            )));
        }
        self.names
            .iter()
            .try_for_each(|name| name_of_service(name))?;
        let longest = Self::MOST_SECONDS;
        match self.interval_seconds {
            Some(seconds) if !(1..=longest).contains(&seconds) => Err(bad(format!(
                "the time between looks is 1 to {longest} seconds"
            ))),
            _ => Ok(()),
        }
    }
}

impl FileWrite {
    fn check(&self) -> Checked {
        text("the path", &self.path, PATH_BYTES)?;
        check_upload(&self.upload)?;
        if self.offset > self.size {
            return Err(OperationError::new(
                ErrorCode::BadOffset,
                "the offset is beyond the size of the file",
            ));
        }
        if let Some(sum) = &self.sha256 {
            let digits = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
            digits
                .then_some(())
                .ok_or_else(|| bad("a SHA-256 has 64 hexadecimal digits"))?;
        }
        match self.mode {
            Some(mode) if mode > 0o7777 => Err(bad("the mode is at most 7777 (octal)")),
            _ => Ok(()),
        }
    }
}

impl Operation {
    /// Whether its words are such as may be.
    ///
    /// # Errors
    /// Which one is not, and what it may be: code `bad_name` or `too_large`.
    pub fn check(&self) -> Checked {
        match self {
            Self::FileList { path, after, limit } => {
                text("the path", path, PATH_BYTES)?;
                if let Some(after) = after {
                    text("the name to go on after", after, FILE_NAME_BYTES)?;
                }
                if !(1..=PAGE_ENTRIES).contains(limit) {
                    return Err(bad(format!("the limit is 1 to {PAGE_ENTRIES}")));
                }
                Ok(())
            }
            Self::FileStat { path }
            | Self::FileMkdir { path, .. }
            | Self::FileDelete { path, .. } => text("the path", path, PATH_BYTES),
            Self::FileRename { from, to, .. } => {
                text("the path to rename", from, PATH_BYTES)?;
                text("the new path", to, PATH_BYTES)
            }
            Self::UploadState { path, upload } | Self::UploadDrop { path, upload } => {
                text("the path", path, PATH_BYTES)?;
                check_upload(upload)
            }
            Self::ServiceStat { name }
            | Self::ServiceControl { name, .. }
            | Self::ServiceStartType { name, .. } => name_of_service(name),
            Self::ServiceList | Self::ProcessList | Self::ProcessKill { .. } => Ok(()),
            Self::RegistryList { key } | Self::RegistryExport { key } => {
                text("the key", key, PATH_BYTES)
            }
            Self::RegistryWrite { key, value } => {
                text("the key", key, PATH_BYTES)?;
                value.check()
            }
            Self::RegistryDelete { key, name } => delete_of(key, name.as_deref()),
        }
    }
}

impl RegistryValue {
    fn check(&self) -> Checked {
        registry_name(&self.name)?;
        let (bytes, hexadecimal) = match &self.data {
            RegistryData::String(text) | RegistryData::ExpandString(text) => (text.len(), None),
            RegistryData::MultiString(texts) => (texts.iter().map(|it| it.len() + 1).sum(), None),
            RegistryData::Dword(_) | RegistryData::Qword(_) => (8, None),
            RegistryData::Binary(digits) | RegistryData::Other { bytes: digits, .. } => {
                (digits.len(), Some(digits))
            }
        };
        if bytes > REGISTRY_DATA_BYTES {
            return Err(large(format!(
                "a value has at most {REGISTRY_DATA_BYTES} characters; import longer ones from a file"
            )));
        }
        let is_hexadecimal = |digits: &String| {
            digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if hexadecimal.is_some_and(|digits| !is_hexadecimal(digits)) {
            return Err(bad("bytes are written as pairs of hexadecimal digits"));
        }
        Ok(())
    }
}

fn delete_of(key: &str, name: Option<&str>) -> Checked {
    text("the key", key, PATH_BYTES)?;
    match name {
        Some(name) => registry_name(name),
        // Without a name all that is under the key goes: not with a slip of the finger a whole hive.
        None if key
            .split_once('\\')
            .is_some_and(|(_, rest)| !rest.trim_matches('\\').is_empty()) =>
        {
            Ok(())
        }
        None => Err(bad("a hive cannot be deleted; name a key under it")),
    }
}

fn check_upload(upload: &str) -> Checked {
    word("the upload's name", upload, UPLOAD_BYTES, b"-_")
}

fn name_of_service(name: &str) -> Checked {
    text("the service's name", name, NAME_BYTES)?;
    if name.chars().any(char::is_control) {
        return Err(bad("the service's name must not hold control characters"));
    }
    Ok(())
}

fn registry_name(name: &str) -> Checked {
    if name.is_empty() {
        return Ok(());
    }
    text("the value's name", name, REGISTRY_NAME_BYTES)
}

/// A text of 1 to `most` bytes without NUL, which ends a text for the operating system.
fn text(what: &str, value: &str, most: usize) -> Checked {
    if value.is_empty() {
        return Err(bad(format!("{what} is missing")));
    }
    if value.len() > most {
        return Err(large(format!("{what} has at most {most} bytes")));
    }
    without_nul(what, value)
}

fn without_nul(what: &str, value: &str) -> Checked {
    if value.contains('\0') {
        return Err(bad(format!("{what} must not hold NUL")));
    }
    Ok(())
}

/// A text of 1 to `most` letters, digits and `others`, all of them ASCII.
fn word(what: &str, value: &str, most: usize, others: &[u8]) -> Checked {
    text(what, value, most)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || others.contains(&b);
    if !value.bytes().all(allowed) {
        let others = String::from_utf8_lossy(others);
        return Err(bad(format!("{what} has only a-z, A-Z, 0-9 and {others}")));
    }
    Ok(())
}

fn bad(message: impl Into<String>) -> OperationError {
    OperationError::new(ErrorCode::BadName, message)
}

fn large(message: impl Into<String>) -> OperationError {
    OperationError::new(ErrorCode::TooLarge, message)
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
