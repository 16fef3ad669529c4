//! Channels of a tunnel, one file a capability.

pub mod files;
pub mod operations;
mod outlet;
pub mod stream;
pub mod terminal;
