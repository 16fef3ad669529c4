//! Users: the agent's own, and the names of others.

use std::collections::HashMap;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{from_mut, null, null_mut};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{ConvertSidToStringSidW, ConvertStringSidToSidW};
use windows_sys::Win32::Security::{
    GetTokenInformation, LookupAccountSidW, PSID, TOKEN_ELEVATION, TOKEN_QUERY, TOKEN_USER,
    TokenElevation, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::files::FileFacts;
use super::text::{read_wide, wide};

/// Characters of an account's name, and of its domain's; more is none.
const MOST_NAME: usize = 512;

/// Bytes of a user's identity in a token: the structure and the longest identifier.
const MOST_USER: usize = 128;

/// Names of users, each asked for once.
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: HashMap<String, String>,
}

impl OwnerNames {
    /// The user of a file, who is not told here: rights are lists, and no owner's matter.
    pub fn user(&mut self, _file: &FileFacts) -> Option<String> {
        None
    }

    /// The group of a file: there is none.
    pub fn group(&mut self, _file: &FileFacts) -> Option<String> {
        None
    }

    /// The user of a process: domain and name, or the identifier where there is none.
    pub fn user_of_process(&mut self, id: &sysinfo::Uid) -> Option<String> {
        let id = id.to_string();
        let name = self
            .users
            .entry(id.clone())
            .or_insert_with(|| account_name(&id).unwrap_or(id));
        Some(name.clone())
    }
}

/// Whether the agent has the rights of the administrator.
#[must_use]
pub fn is_administrator() -> bool {
    let asked = || -> io::Result<bool> {
        let token = own_token()?;
        let mut elevation = TOKEN_ELEVATION::default();
        let mut length = 0;
        // SAFETY: the handle is open, and the structure is as long as is said and of the kind asked for.
        #[allow(unsafe_code)]
        let done = unsafe {
            GetTokenInformation(
                token.as_raw_handle(),
                TokenElevation,
                from_mut(&mut elevation).cast(),
                u32::try_from(size_of::<TOKEN_ELEVATION>()).unwrap_or(0),
                &raw mut length,
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(elevation.TokenIsElevated != 0)
    };
    asked().unwrap_or(false)
}

/// The identifier of the agent's own user, as `S-1-5-18`.
///
/// # Errors
/// What the operating system said.
pub(super) fn own_identifier() -> io::Result<String> {
    let token = own_token()?;
    // Aligned as the structure that it begins with.
    let mut buffer = [0_u64; MOST_USER / 8];
    let mut length = 0;
    // SAFETY: the handle is open, and the buffer is as long as is said.
    #[allow(unsafe_code)]
    let done = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            u32::try_from(MOST_USER).unwrap_or(0),
            &raw mut length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has filled the buffer with this structure, whose pointer leads into the buffer.
    #[allow(unsafe_code)]
    unsafe {
        identifier_text((*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid)
    }
}

/// Writes an identifier as text.
///
/// # Safety
/// `identifier` points to one.
///
/// # Errors
/// What the operating system said.
#[allow(unsafe_code)]
pub(super) unsafe fn identifier_text(identifier: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: by this function's own terms the identifier can be read; the text is freed below.
    unsafe {
        if ConvertSidToStringSidW(identifier, &raw mut text) == 0 {
            return Err(io::Error::last_os_error());
        }
        let read = read_wide(text);
        LocalFree(text.cast());
        Ok(read)
    }
}

fn own_token() -> io::Result<OwnedHandle> {
    let mut token = null_mut();
    // SAFETY: the pseudo-handle of the own process is always good; the token is ours then.
    #[allow(unsafe_code)]
    unsafe {
        if OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedHandle::from_raw_handle(token))
    }
}

fn account_name(identifier: &str) -> Option<String> {
    let identifier = wide(identifier);
    let mut raw: PSID = null_mut();
    let (mut name, mut domain) = (vec![0_u16; MOST_NAME], vec![0_u16; MOST_NAME]);
    let (mut name_length, mut domain_length) = (512_u32, 512_u32);
    let mut kind = 0;
    // SAFETY: the text ends with a NUL; the buffers are as long as is said; the identifier is freed here.
    #[allow(unsafe_code)]
    let found = unsafe {
        if ConvertStringSidToSidW(identifier.as_ptr(), &raw mut raw) == 0 {
            return None;
        }
        let found = LookupAccountSidW(
            null(),
            raw,
            name.as_mut_ptr(),
            &raw mut name_length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut kind,
        );
        LocalFree(raw);
        found
    };
    if found == 0 {
        return None;
    }
    let text = |units: &[u16], length: u32| {
        let length = usize::try_from(length).ok()?.min(units.len());
        Some(String::from_utf16_lossy(&units[..length]))
    };
    let (name, domain) = (text(&name, name_length)?, text(&domain, domain_length)?);
    if domain.is_empty() {
        return Some(name);
    }
    Some(format!("{domain}\\{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_user_has_an_identifier_and_a_name() {
        let identifier = own_identifier().unwrap();
        assert!(identifier.starts_with("S-1-"), "{identifier}");
        assert!(account_name(&identifier).is_some(), "{identifier}");
        assert_eq!(account_name("S-1-5-21-1-2-3-4"), None);
    }
}
