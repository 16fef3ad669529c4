//! What the executor is asked for and what it tells.

use std::path::PathBuf;
use std::time::Duration;

use gururmm_shared::EndReason;

use super::interpreter::Invocation;

/// A program to be run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which program.
    pub invocation: Invocation,
    /// Variables beside the agent's own environment.
    pub environment: Vec<(String, String)>,
    /// Where it starts; none means the home directory.
    pub directory: Option<PathBuf>,
    /// How long it may run.
    pub timeout: Duration,
}

/// Which of its streams a program wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What became of a program since it was last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It wrote something.
    Output(Stream, String),
    /// It has ended, and no output of it will come any more.
    Ended(Ending),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Its exit code; 128 + n for signal n.
    pub exit_code: i32,
    /// Why, where it did not end by itself.
    pub reason: Option<EndReason>,
    /// How long it ran.
    pub duration: Duration,
}
