//! A typed client of the server: the HTTP API, the stream of a session, files and forwarded connections.
//!
//! Knows nothing of terminals, arguments or output: the tool's commands, tests and benchmarks stand on it.

mod address;
mod agents;
mod error;
pub mod files;
mod rest;
mod session;
mod socket;
mod tcp;
mod trust;
mod viewer;

pub use address::{InvalidAddress, ServerAddress};
pub use agents::{Agent, AgentNameError, Named, Os, pick};
pub use error::{ClientError, Problem};
pub use rest::{Client, LoggedIn, User};
pub use session::{
    NewCommand, NewTerminal, OpenSession, SessionClient, SessionStatus, StartedCommand,
};
pub use socket::Socket;
pub use tcp::{TcpForward, TcpTunnel};
pub use trust::Trust;
pub use viewer::{
    LinkState, Output, RunningCommand, Terminal, TerminalInput, Viewer, ViewerOptions, Watch,
};
