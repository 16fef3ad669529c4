//! Channels of a tunnel, one file a capability.

mod outlet;
pub mod stream;
pub mod terminal;
