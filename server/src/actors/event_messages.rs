//! What is said to the hub of events, and what it says to its subscribers.

use actix::{Message, Recipient};
use bytestring::ByteString;
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, AlertId, ApiKeyId, CommandId, JobId, RolloutId, SessionId, UserId};

use super::registry_messages::SessionsOf;
use crate::domain::agent_news::{Load, Mode};
use crate::domain::role::Role;
use crate::domain::scope::Scope;

/// Counts subscribers.
pub type SubscriberId = u64;

/// Something happened. What stands in the database is named only: it is read when it is told.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Happened {
    /// An agent came, went or changed its mode.
    AgentMode {
        /// Which.
        agent_id: AgentId,
        /// What it is doing now.
        mode: Mode,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// An agent told its load.
    AgentLoad {
        /// Which.
        agent_id: AgentId,
        /// The load.
        load: Load,
        /// When.
        at: DateTime<Utc>,
    },
    /// Agents came into being, were moved, named anew or deleted, or wait for approval.
    AgentsChanged(Vec<AgentId>),
    /// A tunnel opened or ended.
    Session {
        /// Which.
        session_id: SessionId,
        /// To which agent.
        agent_id: AgentId,
        /// Whose it is.
        owner: UserId,
        /// As its row says it.
        status: &'static str,
    },
    /// Commands are further, or new.
    Commands(Vec<CommandId>),
    /// Jobs are new, or were cancelled.
    Jobs(Vec<JobId>),
    /// Alerts were opened, taken, put off or resolved.
    Alerts(Vec<AlertId>),
    /// Updates of agents are further.
    Updates(Vec<AgentId>),
    /// Rollouts are further, or new.
    Rollouts(Vec<RolloutId>),
}

/// Who subscribes, and what lets them.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The user.
    pub user_id: UserId,
    /// The key, if it was not a log-in.
    pub key_id: Option<ApiKeyId>,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub scope: Scope,
    /// The user's token version then.
    pub token_version: i64,
    /// When what they came with ends.
    pub valid_until: Option<DateTime<Utc>>,
}

/// Keep a place for a subscriber, before its connection becomes a WebSocket.
#[derive(Debug, Message)]
#[rtype(result = "Result<SubscriberId, NotAdmitted>")]
pub struct Admit(pub Subscription);

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The user has so many.
    TooMany(u32),
    /// The server stops.
    Stopping,
}

/// A subscriber's socket is there.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach {
    /// Which subscriber.
    pub id: SubscriberId,
    /// Its socket.
    pub socket: Recipient<ToSubscriber>,
}

/// A subscriber's socket has taken what was on its way.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Taken(pub SubscriberId);

/// A subscriber is gone.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Left(pub SubscriberId);

/// End subscriptions of somebody who may have none any more.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct EndSubscriptions(pub SessionsOf);

/// How many subscribe?
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "usize")]
pub struct CountSubscribers;

/// To a subscriber's socket.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum ToSubscriber {
    /// Send these, and say [`Taken`].
    Texts(Vec<ByteString>),
    /// End.
    Close {
        /// With this close code.
        code: u16,
        /// And this reason.
        reason: &'static str,
    },
}
