//! Windows: what the façade promises, by job objects, access control lists, the service manager and the
//! pseudo-console.

mod accounts;
mod command_line;
mod console;
mod files;
mod guard;
mod job;
mod launch;
mod leader;
pub mod listing;
mod login;
#[cfg(feature = "service")]
pub mod own_service;
mod people;
mod pipes;
mod private;
mod processes;
mod pty;
mod reg_file;
pub mod registry;
mod registry_path;
mod registry_values;
mod service_control;
mod service_list;
pub mod services;
mod status;
mod stops;
#[cfg(test)]
pub mod testing;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use winreg::RegKey;
use winreg::enums::HKEY_LOCAL_MACHINE;

pub use accounts::{OwnerNames, is_administrator};
pub use files::{
    FileFacts, begin_write_back, give_to_owner_of, is_in_use, is_input_output, is_link_in_the_way,
    is_other_file_system, make_link, name_bytes, private, protect, rename_to_new, set_folder_mode,
    set_mode, sync_file_system, sync_folder, whole_file_system, without_waiting,
};
pub use guard::{Guard, guard_main};
pub use launch::{Launched, Launcher, Output, Running};
pub use leader::sweep;
pub use login::{Login, home_directory, is_program};
pub use people::{ask, notify, tell_people};
#[cfg(test)]
pub use private::expose;
pub use private::{
    REPLACES_OPEN_FILES, exposure, make_private, make_private_folder, make_state_folder,
    open_private, sync_names,
};
pub use processes::kill_process;
pub use pty::Pty;
pub use status::{signal_code, unknown_end};
pub use stops::Stops;

/// Where the configuration is, unless it is said.
pub const CONFIG_FILE: &str = r"C:\ProgramData\GuruRMM\agent.toml";

/// How a clock that is wrong is set.
pub const SET_CLOCK: &str = "run `w32tm /resync`, or set the clock by hand";

/// What runs commands where the configuration names nothing else.
pub const POWERSHELL: &str = "powershell.exe";
/// The same for Python.
pub const PYTHON: &str = "python.exe";
/// The same for scripts; it takes `-c` and the text.
pub const SCRIPT_INTERPRETER: &str = "powershell.exe";

/// A connection without a word for so long is asked whether it lives, and how often while it does not answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

/// Where the firmware's words are kept.
const BOARD: &str = r"HARDWARE\DESCRIPTION\System\BIOS";

/// Makes a connection quick for small messages and quick to notice that its peer is gone.
///
/// # Errors
/// What the operating system said.
pub fn tune_socket(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (quiet, again) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(quiet).with_interval(again);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// The shell and the options before its command line: nothing is run before it (`/D`), and the line is
/// taken as it is (`/S`).
#[must_use]
pub fn shell() -> (&'static str, &'static [&'static str]) {
    ("cmd.exe", &["/D", "/S", "/C"])
}

/// The running program.
///
/// # Errors
/// What the operating system said.
pub fn own_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Whether two names stand for the same program's file, with or without `.exe`.
#[must_use]
pub fn is_same_program(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let name = name.to_lowercase();
        name.strip_suffix(".exe")
            .map_or(name.clone(), str::to_owned)
    };
    plain(one) == plain(other)
}

/// What changes with every start of the machine: Windows keeps no such name.
#[must_use]
pub fn boot_id() -> Option<String> {
    None
}

/// What the firmware says of the machine: its vendor and model. The serial number it tells to WMI only.
#[must_use]
pub fn board() -> [Option<String>; 3] {
    let Ok(key) = RegKey::predef(HKEY_LOCAL_MACHINE).open_subkey(BOARD) else {
        return [None, None, None];
    };
    let value = |name: &str| key.get_value(name).ok();
    [
        value("SystemManufacturer"),
        value("SystemProductName"),
        None,
    ]
}
