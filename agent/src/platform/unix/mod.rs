//! Linux: what the façade promises, by signals, `/proc` and pidfds.

mod files;
mod foreground;
mod group;
mod guard;
mod launch;
pub mod listing;
mod login;
#[cfg(feature = "service")]
pub mod own_service;
mod people;
mod private;
mod processes;
mod pty;
pub mod registry;
pub mod services;
mod status;
mod stops;
mod sweep;
mod systemd;
mod trees;

use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

#[cfg(test)]
pub use files::make_pipe;
pub use files::{
    FileFacts, OwnerNames, begin_write_back, give_to_owner_of, is_in_use, is_input_output,
    is_link_in_the_way, is_other_file_system, make_link, name_bytes, private, protect,
    rename_to_new, set_folder_mode, set_mode, sync_file_system, sync_folder, whole_file_system,
    without_waiting,
};
pub use guard::{Guard, guard_main};
pub use launch::{Launched, Launcher, Output, Running};
pub use login::{Login, is_program};
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
pub use sweep::sweep;

/// Where the configuration is, unless it is said.
pub const CONFIG_FILE: &str = "/etc/gururmm/agent.toml";

/// How a clock that is wrong is set.
pub const SET_CLOCK: &str = "run `timedatectl set-ntp true`, or set the clock by hand";

/// What runs commands where the configuration names nothing else.
pub const POWERSHELL: &str = "pwsh";
/// The same for Python.
pub const PYTHON: &str = "python3";
/// The same for scripts; it takes `-c` and the text.
pub const SCRIPT_INTERPRETER: &str = "/bin/sh";

/// Sent data that nobody acknowledged for so long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(45);

/// Bytes the kernel takes before they can be sent; the rest waits where control can overtake it.
const NOT_SENT_BYTES: u32 = 64 * 1024;

/// Makes a connection quick for small messages and quick to notice that its peer is gone.
///
/// # Errors
/// What the operating system said.
pub fn tune_socket(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)
}

/// The shell and the options before its command line.
#[must_use]
pub fn shell() -> (&'static str, &'static [&'static str]) {
    ("/bin/sh", &["-c"])
}

/// What a guard is started from: the running program, even after an update has replaced its file.
///
/// # Errors
/// None here.
pub fn own_program() -> std::io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Whether two names stand for the same program's file.
#[must_use]
pub fn is_same_program(one: &str, other: &str) -> bool {
    one == other
}

/// What changes with every start of the machine.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// What the firmware says of the machine: its vendor, model and serial number, which root only may read.
#[must_use]
pub fn board() -> [Option<String>; 3] {
    ["sys_vendor", "product_name", "product_serial"]
        .map(|name| std::fs::read_to_string(format!("/sys/class/dmi/id/{name}")).ok())
}

/// Whether the agent has the rights of the administrator.
#[must_use]
pub fn is_administrator() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Where commands start: the home directory of the agent's user, or the root.
#[must_use]
pub fn home_directory() -> PathBuf {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .filter(|home| home.is_absolute() && home.is_dir())
        .unwrap_or_else(|| PathBuf::from("/"))
}
