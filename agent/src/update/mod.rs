//! Updates of the agent itself: a signed release is fetched, tried and put in the place of the running program; what does
//! not reach the server in time gives way to the program before it. How and why: docs/decisions/0017-updates.md.
//!
//! ```text
//!   updater ──▶ attempt: verification ▶ download ▶ self_test ▶ quiet ▶ installed (record, swap) ──▶ restart
//!   main    ──▶ trial: record, step ──▶ goes on · on trial, with a watch · back to the program before
//! ```

mod attempt;
mod download;
mod failure;
mod program;
mod quiet;
mod record;
mod record_file;
pub mod rehearsal;
mod self_test;
mod step;
mod trial;
mod updater;
mod verification;
mod version;

pub use attempt::Attempt;
pub use program::Program;
pub use quiet::Quiet;
pub use self_test::perform as perform_self_test;
pub use trial::Trial;
pub use updater::{Input, Updater};
pub use version::own_version;

/// The agent installs signed releases.
pub const CAPABILITY: &str = "signed_update";
