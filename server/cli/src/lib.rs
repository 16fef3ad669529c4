//! The technician's command-line tool `gururmm`: the typed client of the server, and the commands that stand on it.

pub mod client;
pub mod commands;
mod credentials;
mod failure;
mod lease;
mod plain;
mod platform;
mod say;

pub use commands::Cli;
