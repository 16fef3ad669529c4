//! Linux: what the façade promises, by signals, `/proc` and pidfds.

mod files;
mod foreground;
mod group;
mod guard;
mod launch;
mod login;
mod people;
mod processes;
mod pty;
mod sweep;
pub mod systemd;
mod trees;

use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

#[cfg(test)]
pub use files::make_pipe;
pub use files::{
    FileFacts, OwnerNames, begin_write_back, give_to_owner_of, is_input_output, is_link_in_the_way,
    is_other_file_system, make_link, name_bytes, private, rename_to_new, set_folder_mode, set_mode,
    sync_file_system, sync_folder, without_waiting,
};
pub use guard::{Guard, Remains, guard_main};
pub use launch::{Launched, Launcher, Order, Running};
pub use login::{Login, is_program};
pub use people::{ask, notify, tell_people};
pub use processes::{KillError, kill_process};
pub use pty::Pty;
pub use sweep::{SESSION_MARK, Sweep, TERMINAL_MARK, sweep};
pub use trees::Leader;

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

/// The shell and the option before its command line.
#[must_use]
pub fn shell() -> (&'static str, &'static str) {
    ("/bin/sh", "-c")
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
