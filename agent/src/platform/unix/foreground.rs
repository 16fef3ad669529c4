//! A program on a terminal: the leader of a session of its own, whose controlling terminal it is.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::platform::Order;

/// What starts a program on `terminal`.
///
/// The hook between fork and exec gives up posix_spawn, which has no way to take a controlling terminal;
/// the guard is small enough for that to cost little.
///
/// # Errors
/// What the operating system said.
pub(super) fn command(order: &Order, terminal: OwnedFd) -> io::Result<Command> {
    let mut command = Command::new(&order.program);
    if let Some(name) = &order.name {
        command.arg0(name);
    }
    command
        .args(&order.arguments)
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.directory)
        .stdin(Stdio::from(terminal.try_clone()?))
        .stdout(Stdio::from(terminal.try_clone()?))
        .stderr(Stdio::from(terminal));
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(take_terminal);
    }
    Ok(command)
}

fn take_terminal() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: standard input is the terminal by now; the request takes an integer.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
