//! Commands: how they are run, inside and outside of tunnels, and what becomes of the results of
//! those outside: they are never lost, and no command runs twice.
//!
//! ```text
//!   server ──▶ dispatcher ──events──▶ ledger (pure) ──effects──▶ scribe ──▶ journal (the file)
//!                  ▲                                       └───▶ running ──▶ executor ──▶ platform
//!                  └──────────────── results ──────────────────────┘
//! ```

pub mod claude_task;
mod courier;
pub mod dispatcher;
pub mod executor;
pub mod interpreter;
pub mod job;
pub mod journal;
pub mod kept;
pub mod ledger;
pub mod lists;
pub mod live;
mod pipe;
mod preparation;
pub mod record;
pub mod running;
pub mod scribe;
pub mod step;
pub mod verdict;
pub mod warden;
