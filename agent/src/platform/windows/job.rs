//! A job object: a program with all that it starts, whatever that does, ended together. Its handle is the
//! agent's alone, so the end of the agent, were it by force, is the end of the job.

use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{from_mut, from_ref, null, null_mut};

use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectBasicAccountingInformation, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};

use super::status::ENDED_BY_FORCE;

/// A job; to drop it ends what is in it, unless it was released.
#[derive(Debug)]
pub(super) struct Job {
    handle: OwnedHandle,
}

impl Job {
    /// An empty job.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no name and no attributes; the answer is a handle or null.
        #[allow(unsafe_code)]
        let handle = unsafe { CreateJobObjectW(null(), null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just made, and nobody else owns it.
        #[allow(unsafe_code)]
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        let job = Self { handle };
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        Ok(job)
    }

    /// Puts a process in, and with it all that it starts from now on. It may be in other jobs already:
    /// this one is then inside of those.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn take(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are open while they are borrowed.
        #[allow(unsafe_code)]
        let done = unsafe {
            AssignProcessToJobObject(self.handle.as_raw_handle(), process.as_raw_handle())
        };
        checked(done)
    }

    /// Ends all that is in it.
    pub fn end(&self) {
        // SAFETY: the handle is open.
        #[allow(unsafe_code)]
        let done = unsafe { TerminateJobObject(self.handle.as_raw_handle(), ENDED_BY_FORCE) };
        if let Err(error) = checked(done) {
            tracing::warn!(%error, "a job cannot be ended");
        }
    }

    /// Lets what is in it outlive it.
    pub fn release(&self) {
        if let Err(error) = self.limit(0) {
            tracing::warn!(%error, "what a program has left running ends with it");
        }
    }

    /// How many processes are in it.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn count(&self) -> io::Result<usize> {
        let mut told = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        // SAFETY: the structure is as long as is said, and of the kind that is asked for.
        #[allow(unsafe_code)]
        let done = unsafe {
            QueryInformationJobObject(
                self.handle.as_raw_handle(),
                JobObjectBasicAccountingInformation,
                from_mut(&mut told).cast(),
                length_of(&told),
                null_mut(),
            )
        };
        checked(done)?;
        usize::try_from(told.ActiveProcesses).map_err(io::Error::other)
    }

    fn limit(&self, flags: u32) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        // SAFETY: the structure is as long as is said, and of the kind that is named.
        #[allow(unsafe_code)]
        let done = unsafe {
            SetInformationJobObject(
                self.handle.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                from_ref(&limits).cast(),
                length_of(&limits),
            )
        };
        checked(done)
    }
}

fn length_of<T>(_value: &T) -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn checked(done: i32) -> io::Result<()> {
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
