//! What is said to the registry.

use std::collections::HashMap;
use std::time::Duration;

use actix::{Addr, Message};
use chrono::{DateTime, Utc};
use gururmm_shared::{
    AgentId, ApiKeyId, ConsentOutcome, ConsentRequest, KeptSession, ServerMessage, SessionId,
    TunnelRules, UserId,
};

use super::connection_messages::AgentHandle;
use super::session_messages::LeftOpen;
use super::tunnel::TunnelSession;
use crate::domain::close_reason::CloseReason;
use crate::domain::policy::recording::RecordingRules;
use crate::services::audit::Caller;

/// Counts an agent's connections, so that a late goodbye of an old one is told from the present's.
pub type Generation = u64;

/// An agent has authenticated.
#[derive(Message)]
#[rtype(result = "Result<Generation, Stopping>")]
pub struct Register {
    /// Where it is reached.
    pub handle: AgentHandle,
    /// The session that it kept over a lost connection.
    pub kept: Option<KeptSession>,
}

/// The server stops, or the agent was deleted: it is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping;

/// An agent that keeps no connection has asked for its commands.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Polled(pub AgentId);

/// An agent's connection has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unregister {
    /// Which agent.
    pub agent_id: AgentId,
    /// Which of its connections.
    pub generation: Generation,
}

/// Open a session; answered when the agent is ready or it has come to nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<OpenedTunnel, OpenError>")]
pub struct OpenTunnel {
    /// To which agent.
    pub agent_id: AgentId,
    /// Who asks.
    pub caller: Caller,
    /// The token version with which they ask.
    pub token_version: i64,
    /// When the key with which they ask expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// How long it may lie still, where a policy says so.
    pub idle_timeout_seconds: Option<u32>,
    /// How long it may be open, where a policy says so.
    pub max_session_seconds: Option<u32>,
    /// What may be done in it.
    pub rules: TunnelRules,
    /// What of its terminals is recorded.
    pub recording: RecordingRules,
    /// What who sits at the machine is asked or told before.
    pub consent: Option<ConsentRequest>,
}

/// A session that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedTunnel {
    /// Which.
    pub session_id: SessionId,
    /// What who sits at the machine said, where the policy has them asked or told.
    pub consent: Option<ConsentOutcome>,
}

fn no_consent(outcome: ConsentOutcome) -> &'static str {
    match outcome {
        ConsentOutcome::NoAnswer => {
            "who sits at the machine did not answer, and the policy lets no tunnel open then; call them and try again"
        }
        ConsentOutcome::NobodyThere => {
            "nobody sits at the machine who could be asked, and the policy lets no tunnel open then"
        }
        ConsentOutcome::CannotAsk => {
            "the machine cannot ask who sits there, and the policy lets no tunnel open then; update its agent"
        }
        _ => "who sits at the machine does not want a tunnel now",
    }
}

/// Why a session did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No connection of the agent.
    #[error("the agent is offline; open the tunnel when it is back")]
    Offline,
    /// The technician has a session there.
    #[error(
        "you have a session to this agent already; GET /api/v1/tunnel lists it: use or close that one"
    )]
    Duplicate,
    /// The technician has as many sessions as may be.
    #[error("you have {0} open sessions; close one first")]
    TooMany(u32),
    /// The server stops.
    #[error("the server is stopping; try again in a moment")]
    Stopping,
    /// The technician's log-in was ended meanwhile.
    #[error("log in again: this log-in was ended")]
    Revoked,
    /// The agent said no.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// Who sits at the machine, or the policy for where nobody does, said no.
    #[error("{}", no_consent(*.0))]
    NoConsent(ConsentOutcome),
    /// The agent's connection ended meanwhile.
    #[error("the agent went offline while the tunnel opened")]
    Gone,
    /// The agent said nothing.
    #[error("the agent did not answer within {0} s; try again, and look at its log if it stays so")]
    TimedOut(u32),
    /// It was ended while it opened.
    #[error("the session was ended while it opened: {0}")]
    Ended(&'static str),
    /// The database does not answer.
    #[error("the session cannot be written down; try again in a moment")]
    Unavailable,
}

/// Where is this session?
#[derive(Debug, Message)]
#[rtype(result = "Option<LiveSession>")]
pub struct FindSession {
    /// Which.
    pub session_id: SessionId,
}

/// A session that is open or opening.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// Its actor.
    pub tunnel: Addr<TunnelSession>,
    /// Whose it is.
    pub user_id: UserId,
    /// To which agent.
    pub agent_id: AgentId,
    /// The key it was opened with, if it was not a log-in.
    pub key_id: Option<ApiKeyId>,
    /// When that key expires.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Which sessions does a technician have?
#[derive(Debug, Message)]
#[rtype(result = "Vec<(SessionId, AgentId)>")]
pub struct ListSessions {
    /// Whose.
    pub user_id: UserId,
    /// Only those that were opened with this key, where there is one.
    pub key_id: Option<ApiKeyId>,
}

/// Which sessions are meant.
#[derive(Debug, Clone, Copy)]
pub enum SessionsOf {
    /// Those of a technician.
    User(UserId),
    /// Those that were opened with a key.
    Key(ApiKeyId),
    /// Those to an agent.
    Agent(AgentId),
}

/// End sessions.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseSessions {
    /// Which.
    pub of: SessionsOf,
    /// Why.
    pub reason: CloseReason,
}

/// End an agent's connection, because it was deleted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DropAgent {
    /// Which.
    pub agent_id: AgentId,
}

/// Say something to an agent, if it is connected.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TellAgent {
    /// To which.
    pub agent_id: AgentId,
    /// What.
    pub message: ServerMessage,
}

/// Which of these agents are connected, and how long ago did each give a sign of life?
#[derive(Debug, Message)]
#[rtype(result = "HashMap<AgentId, Duration>")]
pub struct Online {
    /// These.
    pub agents: Vec<AgentId>,
}

/// Go on with the sessions of an earlier run of the server, as soon as their agents come back with them.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Adopt(pub Vec<LeftOpen>);

/// How many are there? The registry's sign of life too.
#[derive(Debug, Message)]
#[rtype(result = "Census")]
pub struct Count;

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Connected agents.
    pub agents: usize,
    /// Open sessions.
    pub sessions: usize,
}

/// Take nothing new, end all sessions, then all connections; answered when that is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
