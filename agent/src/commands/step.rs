//! What the ledger is told and what it wants done.

use std::sync::Arc;

use gururmm_shared::{Command, CommandId, CommandResult};

use super::record::Record;
use crate::platform::Leader;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server wants this run.
    Ordered(Box<Command>),
    /// It runs, and this is its first process.
    Begun(CommandId, Leader),
    /// It has ended, or could not be started.
    Ended(CommandResult),
    /// The server wants it ended, or not started.
    Cancelled(CommandId),
    /// The server has the result.
    Acknowledged(CommandId),
    /// The agent is being stopped.
    Stopping,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write that it starts, and only then start it; else tell that it has ended, refused.
    Start(Box<Command>),
    /// Write this result, and only then send it.
    Keep(Record, Arc<CommandResult>),
    /// Send this: it was written before.
    Send(Arc<CommandResult>),
    /// Write this some time: if it is lost, no harm is done.
    Note(Record),
    /// End a running command on the server's wish.
    Cancel(CommandId),
    /// End a running command because the agent ends.
    Interrupt(CommandId),
}

/// How much may run and wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Commands that may run at once.
    pub running: usize,
    /// Commands that may wait for that.
    pub queued: usize,
}
