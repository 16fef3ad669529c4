//! The operating system behind one façade: how programs are started and ended, and whatever they leave
//! with them; terminals, files, services, the registry, the agent's own service; the socket's options. Each
//! platform's room promises the same, so that nothing above asks which one it is. The only place for
//! `unsafe`.

#[cfg(not(feature = "service"))]
#[path = "no_service.rs"]
pub mod own_service;
mod terms;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("the agent runs on Linux and on Windows");

pub use terms::{Exposure, KillError, Leader, Order, Remains, SESSION_MARK, Sweep, TERMINAL_MARK};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
