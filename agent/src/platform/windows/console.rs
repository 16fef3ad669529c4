//! A pseudo-console (ConPTY): what a program takes for its console, and the two pipes behind it. A program
//! is started on it asleep, so that it is in its job before it does anything.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{from_ref, null, null_mut};

use gururmm_shared::TerminalSize;
use windows_sys::Win32::System::Console::{
    COORD, ClosePseudoConsole, CreatePseudoConsole, HPCON, ResizePseudoConsole,
};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList,
    EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    UpdateProcThreadAttribute,
};

use super::command_line::{command_line, environment_block};
use super::text::wide;
use crate::platform::Order;

/// A pseudo-console.
#[derive(Debug)]
pub(super) struct Console(HPCON);

/// A process that sleeps still.
#[derive(Debug)]
pub(super) struct Process {
    /// The process.
    pub handle: OwnedHandle,
    /// Its number.
    pub pid: u32,
}

impl Console {
    /// Makes one that reads from `input` and writes to `output`; it has handles of its own then.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn new(size: TerminalSize, input: &OwnedHandle, output: &OwnedHandle) -> io::Result<Self> {
        let mut console: HPCON = 0;
        // SAFETY: both handles are open while they are borrowed, and the number is ours to be written to.
        #[allow(unsafe_code)]
        let result = unsafe {
            CreatePseudoConsole(
                coordinates(size),
                input.as_raw_handle(),
                output.as_raw_handle(),
                0,
                &raw mut console,
            )
        };
        succeeded(result)?;
        Ok(Self(console))
    }

    /// Sets the size; who runs in it hears of that.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        // SAFETY: the console is open.
        #[allow(unsafe_code)]
        succeeded(unsafe { ResizePseudoConsole(self.0, coordinates(size)) })
    }

    /// Starts a program that sleeps.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn start(&self, order: &Order) -> io::Result<Process> {
        let mut attributes = Attributes::with_console(self.0)?;
        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = u32::try_from(size_of::<STARTUPINFOEXW>()).unwrap_or(0);
        // Without this the program would get the agent's own streams, where those are no console.
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        startup.lpAttributeList = attributes.list();
        let program = wide(&order.program);
        let mut line = command_line(&order.program, &order.arguments)?;
        let environment = environment_block(&order.environment);
        let directory = wide(plain(&order.directory));
        let mut made = PROCESS_INFORMATION::default();
        // SAFETY: every text ends with a NUL, the environment with two; the attributes and the console live
        // on; the two handles that are answered are owned below.
        #[allow(unsafe_code)]
        unsafe {
            let done = CreateProcessW(
                program.as_ptr(),
                line.as_mut_ptr(),
                null(),
                null(),
                0,
                EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | CREATE_SUSPENDED,
                environment.as_ptr().cast(),
                directory.as_ptr(),
                from_ref(&startup).cast(),
                &raw mut made,
            );
            if done == 0 {
                return Err(io::Error::last_os_error());
            }
            drop(OwnedHandle::from_raw_handle(made.hThread));
            Ok(Process {
                handle: OwnedHandle::from_raw_handle(made.hProcess),
                pid: made.dwProcessId,
            })
        }
    }
}

impl Drop for Console {
    /// To close it may wait for who runs in it to go: that is no worker's time.
    fn drop(&mut self) {
        let console = self.0;
        let close = move || {
            // SAFETY: this was the only owner.
            #[allow(unsafe_code)]
            unsafe {
                ClosePseudoConsole(console);
            }
        };
        let thread = std::thread::Builder::new()
            .name("console's end".to_owned())
            .stack_size(64 * 1024);
        if let Err(error) = thread.spawn(close) {
            tracing::warn!(%error, "a pseudo-console is left open");
        }
    }
}

/// What a process is made with beside the usual: its console.
struct Attributes(Vec<usize>);

impl Attributes {
    fn with_console(console: HPCON) -> io::Result<Self> {
        let mut length = 0;
        // SAFETY: without a list it only tells how long one is.
        #[allow(unsafe_code)]
        unsafe {
            InitializeProcThreadAttributeList(null_mut(), 1, 0, &raw mut length);
        }
        let mut attributes = Self(vec![0; length.div_ceil(size_of::<usize>())]);
        let list = attributes.list();
        let attribute = usize::try_from(PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE).unwrap_or(0);
        // SAFETY: the list has the length that was told; of a console the handle itself is the value.
        #[allow(unsafe_code)]
        let done = unsafe {
            InitializeProcThreadAttributeList(list, 1, 0, &raw mut length) != 0
                && UpdateProcThreadAttribute(
                    list,
                    0,
                    attribute,
                    std::ptr::without_provenance(console.cast_unsigned()),
                    size_of::<HPCON>(),
                    null_mut(),
                    null(),
                ) != 0
        };
        if !done {
            return Err(io::Error::last_os_error());
        }
        Ok(attributes)
    }

    fn list(&mut self) -> *mut core::ffi::c_void {
        self.0.as_mut_ptr().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the list was initialised, or is all zeros, which holds nothing.
        #[allow(unsafe_code)]
        unsafe {
            DeleteProcThreadAttributeList(self.list());
        }
    }
}

/// A folder without the prefix of long paths, which no program starts in.
fn plain(folder: &Path) -> &Path {
    folder
        .to_str()
        .and_then(|text| text.strip_prefix(r"\\?\"))
        .map_or(folder, Path::new)
}

fn coordinates(size: TerminalSize) -> COORD {
    let number = |value: u16| i16::try_from(value).unwrap_or(i16::MAX);
    COORD {
        X: number(size.cols),
        Y: number(size.rows),
    }
}

fn succeeded(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    Ok(())
}
