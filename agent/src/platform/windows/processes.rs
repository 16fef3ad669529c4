//! Processes by handles: a handle names its process for as long as it is open, whatever gets its number.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{
    ERROR_INVALID_PARAMETER, FILETIME, STILL_ACTIVE, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, TerminateProcess, WaitForSingleObject,
};

use super::status::ENDED_BY_FORCE;
use crate::platform::KillError;

/// Opens a process.
///
/// # Errors
/// What the operating system said.
pub(super) fn open_process(pid: u32, access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: numbers only; the answer is a handle or null.
    #[allow(unsafe_code)]
    let handle = unsafe { OpenProcess(access, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made, and nobody else owns it.
    #[allow(unsafe_code)]
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// When a process was started, in the system's own count.
///
/// # Errors
/// What the operating system said.
pub(super) fn start_of(process: &OwnedHandle) -> io::Result<u64> {
    let mut times = [FILETIME::default(); 4];
    let [start, end, kernel, user] = &mut times;
    // SAFETY: the handle is open, and the four structures are ours to be written to.
    #[allow(unsafe_code)]
    let done = unsafe { GetProcessTimes(process.as_raw_handle(), start, end, kernel, user) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from(start.dwHighDateTime) << 32 | u64::from(start.dwLowDateTime))
}

/// Whether a process has not ended.
pub(super) fn is_running(process: &OwnedHandle) -> bool {
    exit_code(process).is_ok_and(|code| code == STILL_ACTIVE as u32)
}

/// The exit code of a process, which [`STILL_ACTIVE`] is while it runs.
///
/// # Errors
/// What the operating system said.
pub(super) fn exit_code(process: &OwnedHandle) -> io::Result<u32> {
    let mut code = 0;
    // SAFETY: the handle is open, and the number ours to be written to.
    #[allow(unsafe_code)]
    let done = unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(code)
}

/// Waits for the end of a process, for at most so many milliseconds; false when it has not ended then.
///
/// # Errors
/// What the operating system said.
pub(super) fn wait_for_end(process: &OwnedHandle, milliseconds: u32) -> io::Result<bool> {
    // SAFETY: the handle is open while it is waited for.
    #[allow(unsafe_code)]
    match unsafe { WaitForSingleObject(process.as_raw_handle(), milliseconds) } {
        0 => Ok(true),
        WAIT_TIMEOUT => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends a process for good, where `is_it` still holds once nothing can take its number over.
///
/// # Errors
/// [`KillError`].
pub fn kill_process(pid: u32, mut is_it: impl FnMut() -> bool) -> Result<(), KillError> {
    let access = PROCESS_TERMINATE | PROCESS_SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;
    let process = open_process(pid, access).map_err(|error| {
        let no_such = i32::try_from(ERROR_INVALID_PARAMETER).ok();
        match error.raw_os_error() == no_such {
            true => KillError::Gone,
            false => KillError::Refused(error),
        }
    })?;
    if !is_it() || !is_running(&process) {
        return Err(KillError::Gone);
    }
    // SAFETY: the handle is open.
    #[allow(unsafe_code)]
    let done = unsafe { TerminateProcess(process.as_raw_handle(), ENDED_BY_FORCE) };
    if done == 0 {
        let error = io::Error::last_os_error();
        // What ends by itself at this moment may not be ended any more.
        return Err(match is_running(&process) {
            true => KillError::Refused(error),
            false => KillError::Gone,
        });
    }
    Ok(())
}
