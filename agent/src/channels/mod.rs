//! Channels of a tunnel, one file a capability.

pub mod files;
pub mod operations;
mod outlet;
pub mod pty;
pub mod request;
pub mod session;
pub mod stream;
pub mod streams;
pub mod tcp;
pub mod terminal;
pub mod transfer;
