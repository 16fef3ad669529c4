//! The list of the machine's services, as the service manager keeps it.

use std::io;
use std::ptr::null;

use windows_sys::Win32::Foundation::ERROR_MORE_DATA;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUS_PROCESSW, EnumServicesStatusExW, OpenSCManagerW,
    SC_ENUM_PROCESS_INFO, SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_ENUMERATE_SERVICE,
    SERVICE_STATE_ALL, SERVICE_WIN32,
};

use super::text::read_wide;

/// More than any machine's list takes; the manager itself gives no more than 256 KiB at once.
const MOST_BYTES: usize = 256 * 1024;

/// A service, as the list tells it.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// The word for its state.
    pub state: &'static str,
    /// Its process; 0 where it has none.
    pub pid: u32,
}

struct Manager(SC_HANDLE);

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and not used any more.
        #[allow(unsafe_code)]
        unsafe {
            CloseServiceHandle(self.0);
        }
    }
}

/// All services that are programs.
///
/// # Errors
/// What the operating system said.
pub(super) fn all() -> io::Result<Vec<Found>> {
    // SAFETY: this machine and its only database; the answer is a handle or null.
    #[allow(unsafe_code)]
    let manager = unsafe {
        OpenSCManagerW(
            null(),
            null(),
            SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE,
        )
    };
    if manager.is_null() {
        return Err(io::Error::last_os_error());
    }
    let manager = Manager(manager);
    let mut found = Vec::new();
    let mut place = 0;
    // Aligned as the structures that it holds.
    let mut buffer = vec![0_u64; MOST_BYTES / size_of::<u64>()];
    loop {
        let (mut needed, mut count) = (0, 0);
        // SAFETY: the handle is open, the buffer as long as is said, and the numbers ours to be written to.
        #[allow(unsafe_code)]
        let done = unsafe {
            EnumServicesStatusExW(
                manager.0,
                SC_ENUM_PROCESS_INFO,
                SERVICE_WIN32,
                SERVICE_STATE_ALL,
                buffer.as_mut_ptr().cast(),
                u32::try_from(MOST_BYTES).unwrap_or(0),
                &raw mut needed,
                &raw mut count,
                &raw mut place,
                null(),
            )
        };
        let error = io::Error::last_os_error();
        let more = done == 0 && error.raw_os_error() == i32::try_from(ERROR_MORE_DATA).ok();
        if done == 0 && !more {
            return Err(error);
        }
        let entries: *const ENUM_SERVICE_STATUS_PROCESSW = buffer.as_ptr().cast();
        for index in 0..usize::try_from(count).unwrap_or(0) {
            // SAFETY: so many entries were told, and their texts lie in the buffer.
            #[allow(unsafe_code)]
            let one = unsafe {
                let entry = &*entries.add(index);
                Found {
                    name: read_wide(entry.lpServiceName),
                    display_name: read_wide(entry.lpDisplayName),
                    state: state(entry.ServiceStatusProcess.dwCurrentState),
                    pid: entry.ServiceStatusProcess.dwProcessId,
                }
            };
            found.push(one);
        }
        if !more || count == 0 {
            return Ok(found);
        }
    }
}

/// The word for a state.
pub(super) fn state(number: u32) -> &'static str {
    match number {
        1 => "stopped",
        2 => "starting",
        3 => "stopping",
        4 => "running",
        5 => "continuing",
        6 => "pausing",
        7 => "paused",
        _ => "unknown",
    }
}
