//! Commands: how they are run, inside and outside of tunnels, and what becomes of the results of
//! those outside.

pub mod dispatcher;
pub mod executor;
pub mod interpreter;
pub mod job;
mod kept;
pub mod ledger;
mod pipe;
