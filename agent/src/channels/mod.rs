//! Channels of a tunnel, one file a capability.

pub mod bulk_lane;
pub mod files;
pub mod operations;
mod outlet;
mod processes;
pub mod pty;
mod registry;
pub mod request;
mod service_watch;
mod services;
pub mod session;
pub mod stream;
#[cfg(test)]
#[cfg_attr(windows, allow(dead_code, reason = "some of its tests are Unix's"))]
mod stream_testing;
pub mod streams;
pub mod tcp;
pub mod terminal;
pub mod transfer;
