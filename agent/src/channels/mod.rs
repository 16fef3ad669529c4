//! Channels of a tunnel, one file a capability.

mod outlet;
pub mod terminal;
