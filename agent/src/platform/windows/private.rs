//! Files and folders that are the agent's alone, by their access control lists: the system and its
//! administrators may everything, and so may the agent's own user where that is another one. Nothing is
//! inherited from the folders above.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::offset_of;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT, SetSecurityInfo,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce,
    PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, SetFileSecurityW,
    SetKernelObjectSecurity, UNPROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_DELETE, READ_CONTROL, WRITE_DAC};
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;

use super::accounts::{identifier_text, own_identifier};
use super::text::wide;
use crate::platform::Exposure;

/// Whether a file that is open can be replaced by another one.
pub const REPLACES_OPEN_FILES: bool = false;

/// What is set: a list that inherits nothing.
const PROTECTED: u32 = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;

/// The system, and the group of administrators.
const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";

/// A list that is the system's, made from its text; freed at its end.
struct Descriptor(PSECURITY_DESCRIPTOR);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it was made by a call that says to free it so, and is not used any more.
        #[allow(unsafe_code)]
        unsafe {
            LocalFree(self.0);
        }
    }
}

impl Descriptor {
    /// A protected list that names who may; what is made below a folder inherits it.
    fn private() -> io::Result<Self> {
        let own = own_identifier()?;
        let mut text = format!("D:P(A;OICI;FA;;;{SYSTEM})(A;OICI;FA;;;{ADMINISTRATORS})");
        if own != SYSTEM {
            text.push_str(&format!("(A;OICI;FA;;;{own})"));
        }
        Self::read(&text)
    }

    fn read(text: &str) -> io::Result<Self> {
        let text = wide(text);
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a NUL; what is made is freed by our drop.
        #[allow(unsafe_code)]
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if made == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(descriptor))
    }
}

/// Makes a folder, with those above it, that is the agent's alone; one that is there becomes so.
///
/// # Errors
/// What the operating system said.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    set_list_of(path, &Descriptor::private()?)
}

fn set_list_of(path: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let name = wide(path);
    // SAFETY: the name ends with a NUL; the descriptor is whole.
    #[allow(unsafe_code)]
    let done = unsafe { SetFileSecurityW(name.as_ptr(), PROTECTED, descriptor.0) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes the folder of the agent's state, where it is missing; one that is there may be the
/// administrator's with other things in it, and stays as it is: the files in it protect themselves.
///
/// # Errors
/// What the operating system said.
pub fn make_state_folder(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => Ok(()),
        false => make_private_folder(path),
    }
}

/// Opens a file, the agent's alone from before its first byte: nobody else can have it open while it has
/// the list of its folder.
///
/// # Errors
/// What the operating system said.
pub fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options
        .access_mode(GENERIC_READ | GENERIC_WRITE | READ_CONTROL | WRITE_DAC)
        .share_mode(FILE_SHARE_DELETE)
        .open(path)?;
    make_private(&file)?;
    Ok(file)
}

/// Makes an open file the agent's alone. It has to be open for that (`WRITE_DAC`).
///
/// # Errors
/// What the operating system said.
pub fn make_private(file: &impl AsHandle) -> io::Result<()> {
    let descriptor = Descriptor::private()?;
    // SAFETY: the handle is open while it is borrowed; the descriptor is whole.
    #[allow(unsafe_code)]
    let done = unsafe {
        SetKernelObjectSecurity(file.as_handle().as_raw_handle(), PROTECTED, descriptor.0)
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives an open file what those that are made in its folder have.
///
/// # Errors
/// What the operating system said.
pub(super) fn make_as_its_folder(file: &impl AsHandle) -> io::Result<()> {
    let mut empty = ACL {
        AclRevision: 2,
        AclSize: u16::try_from(size_of::<ACL>()).unwrap_or(8),
        ..ACL::default()
    };
    // SAFETY: the handle is open while it is borrowed, and the list is an empty one. (This call, other than
    // the one that makes a file private, adds what the folder hands down.)
    #[allow(unsafe_code)]
    let code = unsafe {
        SetSecurityInfo(
            file.as_handle().as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | UNPROTECTED_DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &raw mut empty,
            null(),
        )
    };
    checked(code)
}

/// Whether others than the agent, the system and its administrators may do something with a file, and what
/// to do about that.
///
/// # Errors
/// What the operating system said.
pub fn exposure(file: &File, path: &Path) -> io::Result<Option<Exposure>> {
    let own = own_identifier()?;
    let expected = [own.as_str(), SYSTEM, ADMINISTRATORS];
    let others: Vec<String> = who_may(file)?
        .into_iter()
        .filter(|one| !expected.contains(&one.as_str()))
        .collect();
    if others.is_empty() {
        return Ok(None);
    }
    Ok(Some(Exposure {
        what: format!("its list names {}", others.join(", ")),
        mend: format!(
            "icacls \"{}\" /inheritance:r /grant:r *{SYSTEM}:F *{ADMINISTRATORS}:F",
            path.display()
        ),
    }))
}

/// The identifiers that a file's list lets do anything; `everybody` where there is no list.
fn who_may(file: &File) -> io::Result<Vec<String>> {
    let (mut list, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: the handle is open; the descriptor that is answered is freed by the guard below.
    #[allow(unsafe_code)]
    let code = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    checked(code)?;
    let _descriptor = Descriptor(descriptor);
    if list.is_null() {
        return Ok(vec!["everybody".to_owned()]);
    }
    let mut named = Vec::new();
    // SAFETY: the list is a part of the descriptor, which lives on; each entry is read as what its header
    // says that it is, and an identifier stands where such an entry has one.
    #[allow(unsafe_code)]
    unsafe {
        for index in 0..u32::from((*list).AceCount) {
            let mut entry = null_mut();
            if GetAce(list, index, &raw mut entry) == 0 {
                return Err(io::Error::last_os_error());
            }
            let kind = (*entry.cast::<ACE_HEADER>()).AceType;
            if u32::from(kind) == ACCESS_ALLOWED_ACE_TYPE
                && (*entry.cast::<ACCESS_ALLOWED_ACE>()).Mask != 0
            {
                let identifier = entry.byte_add(offset_of!(ACCESS_ALLOWED_ACE, SidStart));
                named.push(identifier_text(identifier)?);
            }
        }
    }
    Ok(named)
}

/// The file system keeps its names by itself: its own journal brings them back after a loss of power.
///
/// # Errors
/// None here.
pub fn sync_names(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn checked(code: u32) -> io::Result<()> {
    match i32::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(io::Error::from_raw_os_error(code)),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Lets everybody read a file.
#[cfg(test)]
pub fn expose(path: &Path) {
    let everybody = Descriptor::read("D:P(A;;FA;;;WD)").expect("it is a list");
    set_list_of(path, &everybody).expect("the file is ours");
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_private_file_is_nobody_elses_and_can_be_written_read_and_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("state");
        make_private_folder(&inner).unwrap();
        let path = inner.join("key");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = open_private(&mut options, &path).unwrap();
        file.write_all(b"secret").unwrap();
        file.sync_all().unwrap();
        assert_eq!(exposure(&file, &path).unwrap(), None);
        let renamed = inner.join("kept");
        std::fs::rename(&path, &renamed).unwrap();
        drop(file);
        assert_eq!(std::fs::read(&renamed).unwrap(), b"secret");
        assert_eq!(
            exposure(&File::open(&renamed).unwrap(), &renamed).unwrap(),
            None
        );
    }

    #[test]
    fn an_exposed_file_is_told_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "secret").unwrap();
        expose(&path);
        let exposed = exposure(&File::open(&path).unwrap(), &path)
            .unwrap()
            .unwrap();
        assert!(exposed.what.contains("S-1-1-0"), "{exposed:?}");
        assert!(exposed.mend.contains("icacls"), "{exposed:?}");
    }
}
