//! The operating system behind one façade: process groups, the sweep of what a session left behind,
//! the guard process and the socket's options. The only place for `unsafe`.

#[cfg(not(target_os = "linux"))]
compile_error!("the agent runs on Linux only so far; the Windows agent is not there yet");

mod unix;

pub use unix::{
    Guard, ProcessGroup, SESSION_MARK, Sweep, guard_main, home_directory, is_administrator,
    prepare_command, shell, sweep, tune_socket,
};
