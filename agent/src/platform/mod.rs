//! The operating system behind one façade: how programs are started and ended, the guard process that
//! outlives the agent and the sweep where it failed, the socket's options. The only place for `unsafe`.

#[cfg(not(target_os = "linux"))]
compile_error!("the agent runs on Linux only so far; the Windows agent is not there yet");

mod unix;

pub use unix::{
    Guard, Launched, Launcher, Leader, Login, Order, Pty, Remains, Running, SESSION_MARK, Sweep,
    guard_main, home_directory, is_administrator, is_program, shell, sweep, tell_people,
    tune_socket,
};
