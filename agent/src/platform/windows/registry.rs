//! The registry: keys and values read, written and deleted. Each change answers what it has replaced, so
//! that it can be put back: a value as it is told, a key as the text of a .reg file.

use std::io;

use gururmm_shared::{ErrorCode, Operation, OperationError, RegistryValue, Reply};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BAD_FILE_TYPE, ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND,
};
use winreg::RegKey;
use winreg::enums::{KEY_READ, KEY_SET_VALUE, KEY_WRITE};

use super::reg_file;
use super::registry_path::KeyPath;
use super::registry_values::{check_name, kept, told};

/// What a change may replace: the server keeps no more of that.
const MOST_BEFORE_BYTES: usize = 64 * 1024;

/// Whether there is one.
pub const IS_THERE: bool = true;

/// Does what is asked of the registry; may block.
///
/// # Errors
/// Why it was not done.
pub fn perform(operation: &Operation) -> Result<Reply, OperationError> {
    match operation {
        Operation::RegistryList { key } => list(&KeyPath::parse(key)?),
        Operation::RegistryWrite { key, value } => write(&KeyPath::parse(key)?, value),
        Operation::RegistryDelete {
            key,
            name: Some(name),
        } => delete_value(&KeyPath::parse(key)?, name),
        Operation::RegistryDelete { key, name: None } => delete_key(&KeyPath::parse(key)?),
        Operation::RegistryExport { key } => {
            let path = KeyPath::parse(key)?;
            let text = reg_file::write(&open(&path, KEY_READ)?, &path.to_string())?;
            Ok(Reply::Text { text })
        }
        _ => Err(OperationError::new(
            ErrorCode::Unsupported,
            "this is no operation on the registry",
        )),
    }
}

fn list(path: &KeyPath) -> Result<Reply, OperationError> {
    let key = open(path, KEY_READ)?;
    let explained = |error: io::Error| failure(&error, path);
    let keys = key.enum_keys().collect::<io::Result<_>>();
    let values = key
        .enum_values()
        .map(|value| value.map(|(name, value)| told(name, &value)))
        .collect::<io::Result<_>>();
    Ok(Reply::Registry {
        keys: keys.map_err(explained)?,
        values: values.map_err(explained)?,
    })
}

fn write(path: &KeyPath, value: &RegistryValue) -> Result<Reply, OperationError> {
    check_name(&value.name)?;
    let new = kept(&value.data)?;
    if path.below.is_empty() {
        let text = "a root keeps no values of its own: name a key under it";
        return Err(OperationError::new(ErrorCode::NotAllowed, text));
    }
    let explained = |error: io::Error| failure(&error, path);
    let (key, _) = RegKey::predef(path.root)
        .create_subkey_with_flags(&path.below, KEY_READ | KEY_WRITE)
        .map_err(explained)?;
    let before = match value_of(&key, &value.name) {
        Ok(before) => Some(before),
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(explained(error)),
    };
    let before = before
        .as_ref()
        .map(|before| keepable(before, path))
        .transpose()?;
    key.set_raw_value(&value.name, &new).map_err(explained)?;
    Ok(Reply::Replaced { before })
}

fn delete_value(path: &KeyPath, name: &str) -> Result<Reply, OperationError> {
    check_name(name)?;
    let key = open(path, KEY_READ | KEY_SET_VALUE)?;
    let explained = |error: io::Error| failure(&error, format!("{name:?} of {path}"));
    let before = value_of(&key, name).map_err(explained)?;
    let before = Some(keepable(&before, path)?);
    key.delete_value(name).map_err(explained)?;
    Ok(Reply::Replaced { before })
}

fn delete_key(path: &KeyPath) -> Result<Reply, OperationError> {
    if !path.below.contains('\\') {
        let text = format!("{path} is too much to be deleted at once: name a key under it");
        return Err(OperationError::new(ErrorCode::NotAllowed, text));
    }
    let before = reg_file::write(&open(path, KEY_READ)?, &path.to_string())?;
    check_keepable(&before, path)?;
    RegKey::predef(path.root)
        .delete_subkey_all(&path.below)
        .map_err(|error| failure(&error, path))?;
    Ok(Reply::Replaced {
        before: Some(before),
    })
}

fn open(path: &KeyPath, access: u32) -> Result<RegKey, OperationError> {
    RegKey::predef(path.root)
        .open_subkey_with_flags(&path.below, access)
        .map_err(|error| failure(&error, path))
}

fn value_of(key: &RegKey, name: &str) -> io::Result<RegistryValue> {
    Ok(told(name.to_owned(), &key.get_raw_value(name)?))
}

fn keepable(before: &RegistryValue, path: &KeyPath) -> Result<String, OperationError> {
    let text = serde_json::to_string(before)
        .map_err(|error| OperationError::new(ErrorCode::Failed, error.to_string()))?;
    check_keepable(&text, path)?;
    Ok(text)
}

/// What cannot be kept is not replaced.
fn check_keepable(text: &str, path: &KeyPath) -> Result<(), OperationError> {
    if text.len() <= MOST_BEFORE_BYTES {
        return Ok(());
    }
    let text = format!(
        "what is replaced in {path} is more than the {MOST_BEFORE_BYTES} bytes that are kept of it: \
         export it, and do it in a terminal"
    );
    Err(OperationError::new(ErrorCode::TooLarge, text))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        code(error),
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND)
    )
}

fn code(error: &io::Error) -> Option<u32> {
    u32::try_from(error.raw_os_error()?).ok()
}

/// Says what the operating system answered for a key or a value.
pub(super) fn failure(error: &io::Error, what: impl std::fmt::Display) -> OperationError {
    let (kind, text) = match code(error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => (ErrorCode::NotFound, "is not there"),
        Some(ERROR_ACCESS_DENIED) => (
            ErrorCode::PermissionDenied,
            "is not for the agent: the system denies it permission",
        ),
        Some(ERROR_BAD_FILE_TYPE) => (
            ErrorCode::Unsupported,
            "has a value of a type that the agent does not know",
        ),
        _ => return OperationError::new(ErrorCode::Failed, format!("{what}: {error}")),
    };
    OperationError::new(kind, format!("{what} {text}"))
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
