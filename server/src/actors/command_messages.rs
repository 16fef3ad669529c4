//! What is said to the dispatcher of commands.

use actix::{Message, Recipient};
use gururmm_shared::{AgentId, CommandId, CommandOutput, CommandResult};

use super::connection_messages::ToConnection;
use super::registry_messages::Generation;

/// An agent is connected and was told so: commands may be sent to it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AgentUp {
    /// Which agent.
    pub agent_id: AgentId,
    /// Which of its connections.
    pub generation: Generation,
    /// Where it is reached.
    pub connection: Recipient<ToConnection>,
    /// Whether it may be sent a command again without running it twice.
    pub journal: bool,
    /// Whether it understands that a command is to end.
    pub cancels: bool,
    /// Whether it gives commands their variables.
    pub environment: bool,
    /// What runs there, or waits to be acknowledged.
    pub in_flight: Vec<CommandId>,
}

/// An agent's connection is gone.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct AgentDown {
    /// Which agent.
    pub agent_id: AgentId,
    /// Which of its connections.
    pub generation: Generation,
}

/// There are new commands for these agents.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Wake {
    /// Which agents.
    pub agents: Vec<AgentId>,
}

/// A command that was sent is to end.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Cancel {
    /// Whose command.
    pub agent_id: AgentId,
    /// Which command.
    pub id: CommandId,
}

/// What an agent says of its commands.
#[derive(Message)]
#[rtype(result = "()")]
pub enum CommandReport {
    /// A command has written something.
    Output(AgentId, CommandOutput),
    /// A command has ended; to be acknowledged once that is kept.
    Result(AgentId, CommandResult, Recipient<ToConnection>),
}
