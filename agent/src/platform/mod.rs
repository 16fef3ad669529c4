//! The operating system behind one façade: how programs are started and ended, the guard process that
//! outlives the agent and the sweep where it failed, the socket's options. The only place for `unsafe`.

#[cfg(not(target_os = "linux"))]
compile_error!("the agent runs on Linux only so far; the Windows agent is not there yet");

mod unix;

#[cfg(test)]
pub use unix::make_pipe;
pub use unix::systemd;
pub use unix::{
    FileFacts, KillError, OwnerNames, begin_write_back, give_to_owner_of, is_input_output,
    is_link_in_the_way, is_other_file_system, kill_process, make_link, name_bytes, private,
    rename_to_new, set_folder_mode, set_mode, sync_file_system, sync_folder, without_waiting,
};
pub use unix::{
    Guard, Launched, Launcher, Leader, Login, Order, Pty, Remains, Running, SESSION_MARK, Sweep,
    TERMINAL_MARK, ask, guard_main, home_directory, is_administrator, is_program, notify, shell,
    sweep, tell_people, tune_socket,
};
