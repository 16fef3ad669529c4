//! The name of a registry key: its root and the names below, checked.

use gururmm_shared::{ErrorCode, OperationError};
use winreg::HKEY;
use winreg::enums::{
    HKEY_CLASSES_ROOT, HKEY_CURRENT_CONFIG, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, HKEY_USERS,
};

/// The most characters of one name, and how many there may be: the registry's own limits.
const MOST_NAME: usize = 255;
const MOST_DEPTH: usize = 512;

/// A key by name; whether it is there is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPath {
    /// The root's handle, which is always open.
    pub root: HKEY,
    /// The root's whole name.
    pub root_name: &'static str,
    /// The names below it, with backslashes between; empty for the root itself.
    pub below: String,
}

impl KeyPath {
    /// Reads `HKLM\SOFTWARE\Example`; the root may have its long name too.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, OperationError> {
        let (root, below) = text.split_once('\\').unwrap_or((text, ""));
        let (root, root_name) = match root.to_ascii_uppercase().as_str() {
            "HKLM" | "HKEY_LOCAL_MACHINE" => (HKEY_LOCAL_MACHINE, "HKEY_LOCAL_MACHINE"),
            "HKCU" | "HKEY_CURRENT_USER" => (HKEY_CURRENT_USER, "HKEY_CURRENT_USER"),
            "HKCR" | "HKEY_CLASSES_ROOT" => (HKEY_CLASSES_ROOT, "HKEY_CLASSES_ROOT"),
            "HKU" | "HKEY_USERS" => (HKEY_USERS, "HKEY_USERS"),
            "HKCC" | "HKEY_CURRENT_CONFIG" => (HKEY_CURRENT_CONFIG, "HKEY_CURRENT_CONFIG"),
            _ => {
                return Err(OperationError::new(
                    ErrorCode::NotFound,
                    "a key begins with HKLM, HKCU, HKCR, HKU or HKCC",
                ));
            }
        };
        let bad = |text: &str| Err(OperationError::new(ErrorCode::BadName, text));
        if below.contains('\0') {
            return bad("the key's name holds a NUL");
        }
        let names: Vec<&str> = match below {
            "" => Vec::new(),
            below => below.split('\\').collect(),
        };
        if names.len() > MOST_DEPTH {
            return bad("a key has at most 512 names");
        }
        if names
            .iter()
            .any(|name| !(1..=MOST_NAME).contains(&name.encode_utf16().count()))
        {
            return bad(
                "each name of a key has 1 to 255 characters, with one backslash between two",
            );
        }
        Ok(Self {
            root,
            root_name,
            below: below.to_owned(),
        })
    }
}

impl std::fmt::Display for KeyPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.below.as_str() {
            "" => f.write_str(self.root_name),
            below => write!(f, "{}\\{below}", self.root_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_known_by_both_of_their_names_in_any_case() {
        for (text, whole) in [
            ("HKLM", "HKEY_LOCAL_MACHINE"),
            ("hklm\\SOFTWARE\\A b", "HKEY_LOCAL_MACHINE\\SOFTWARE\\A b"),
            ("HKEY_CURRENT_USER\\x/y", "HKEY_CURRENT_USER\\x/y"),
            ("HKU\\.DEFAULT", "HKEY_USERS\\.DEFAULT"),
        ] {
            assert_eq!(KeyPath::parse(text).unwrap().to_string(), whole);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("HKLM\\{}", "n".repeat(256));
        let deep = format!("HKLM{}", "\\a".repeat(513));
        for (text, code) in [
            ("", ErrorCode::NotFound),
            ("SOFTWARE\\A", ErrorCode::NotFound),
            ("HKXX\\A", ErrorCode::NotFound),
            ("\\HKLM", ErrorCode::NotFound),
            ("HKLM/SOFTWARE", ErrorCode::NotFound),
            ("HKLM\\", ErrorCode::NotFound),
            ("HKLM\\\\A", ErrorCode::BadName),
            ("HKLM\\A\\", ErrorCode::BadName),
            ("HKLM\\A\0B", ErrorCode::BadName),
            (&long, ErrorCode::BadName),
            (&deep, ErrorCode::BadName),
        ] {
            match KeyPath::parse(text) {
                // The root itself, with a backslash too many, is the root.
                Ok(path) => assert_eq!((text, path.below.as_str()), ("HKLM\\", "")),
                Err(error) => assert_eq!(error.code, code, "{text:?}"),
            }
        }
    }
}
