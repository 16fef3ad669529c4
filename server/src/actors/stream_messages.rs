//! What is asked of a tunnel session about its streams and requests.

use actix::Message;
use gururmm_shared::{ChannelId, ChannelKind, Feature, Opened, Operation, OperationError, Reply};

use super::pipe::Pipe;
use crate::domain::streams::Refused;
use crate::services::audit::Caller;

/// Open a stream; answered once the agent has opened it or has not.
#[derive(Debug, Message)]
#[rtype(result = "Result<OpenedStream, StreamError>")]
pub struct OpenStream {
    /// What for.
    pub kind: ChannelKind,
    /// Who asks.
    pub caller: Caller,
}

/// A stream that is open.
#[derive(Debug)]
pub struct OpenedStream {
    /// Its channel.
    pub channel_id: ChannelId,
    /// Its bytes.
    pub pipe: Pipe,
    /// What the agent told of it.
    pub opened: Opened,
}

/// Ask the agent for something; answered with what it says, a failure too.
#[derive(Debug, Message)]
#[rtype(result = "Result<Reply, StreamError>")]
pub struct Perform {
    /// For what.
    pub operation: Operation,
    /// Who asks.
    pub caller: Caller,
}

/// Whoever read and wrote a stream has let it go before it was over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LetGo {
    /// Its channel.
    pub channel_id: ChannelId,
    /// The audit's word for why.
    pub outcome: &'static str,
}

/// Why a session does not open a stream, or ask for something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It is closing or closed.
    #[error("the session is closed")]
    Closed,
    /// The policy forbids it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The agent cannot do it.
    #[error("this agent cannot do this ({}); it may be older than the server, or on another platform", .0.name())]
    Unsupported(Feature),
    /// As many as may be on their way are.
    #[error(
        "{0} streams and requests are on their way already; wait for one to end (tunnel.max_channels)"
    )]
    TooMany(usize),
    /// They come too fast.
    #[error("requests come too fast; at most {0} a minute (tunnel.operations_per_minute)")]
    TooFast(u32),
    /// The audit cannot be written, so nothing is done.
    #[error("the audit cannot be written, so nothing was done; try again in a moment")]
    AuditUnavailable,
    /// The agent said nothing.
    #[error("the agent did not answer within {0} s; whether it was done is not known")]
    TimedOut(u32),
    /// The agent said no.
    #[error(transparent)]
    Failed(#[from] OperationError),
}
