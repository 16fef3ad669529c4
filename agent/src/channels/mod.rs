//! Channels of a tunnel, one file a capability.

pub mod files;
pub mod operations;
mod outlet;
mod processes;
mod registry;
mod services;
pub mod stream;
#[cfg(test)]
mod stream_testing;
pub mod terminal;
