//! What both platforms speak of: the words of the façade that have no operating system in them.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name of the environment variable that holds the mark of a session.
pub const SESSION_MARK: &str = "GURURMM_TUNNEL_MARK";

/// The name of the environment variable that holds the mark of a terminal.
pub const TERMINAL_MARK: &str = "GURURMM_TERMINAL_MARK";

/// A program to be started: with nothing to read, as the first of its tree, or with a terminal, as the
/// leader of that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The program; one without a separator is looked for in the path.
    pub program: String,
    /// What it is told of its own name; none means the program's path.
    pub name: Option<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables beside the agent's own environment.
    pub environment: Vec<(String, String)>,
    /// Where it starts.
    pub directory: PathBuf,
}

/// What becomes, at a guard's end, of processes that programs left behind which have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// They are killed.
    End,
    /// They stay. Programs that have not ended are killed, with their descendants.
    Stay,
}

/// The first process of a program, named so that no later one can be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its number; on Unix that of its process group too.
    pub pid: i32,
    /// When it started, in the system's own count.
    pub started: u64,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// How many processes were killed.
    pub killed: usize,
    /// How many were still there when its time was over.
    pub left: usize,
}

/// Why a process was not ended.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// It has ended, or another one has its number.
    #[error("it is not there any more")]
    Gone,
    /// The operating system does not let the agent, or something else.
    #[error("{0}")]
    Refused(io::Error),
}

/// Others than its owner may read or write a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// What lets them.
    pub what: String,
    /// The command that mends it.
    pub mend: String,
}
