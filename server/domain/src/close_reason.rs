//! Why a session ended, as stable words.

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Its technician closed it.
    ClosedByTechnician,
    /// Nothing happened in it for too long.
    IdleTimeout,
    /// It was open for as long as the policy lets a session be.
    SessionTooLong,
    /// The agent's connection went away.
    AgentDisconnected,
    /// The agent left the session by itself.
    AgentClosed,
    /// The agent did not want it.
    AgentRefused,
    /// Who sits at the machine, or the policy for where nobody does, did not let it open.
    NoConsent,
    /// The agent did not answer the open.
    OpenTimedOut,
    /// The technician's account, role or log-in changed.
    AccessRevoked,
    /// The agent was deleted.
    AgentDeleted,
    /// The agent moved to another site.
    AgentMoved,
    /// The server was stopped.
    ServerStopped,
    /// The server found it open when it started.
    ServerCrashed,
    /// It never had a row.
    NotOpened,
    /// A fault of the server.
    Fault,
}

impl CloseReason {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClosedByTechnician => "closed_by_technician",
            Self::IdleTimeout => "idle_timeout",
            Self::SessionTooLong => "session_too_long",
            Self::AgentDisconnected => "agent_disconnected",
            Self::AgentClosed => "agent_closed",
            Self::AgentRefused => "agent_refused",
            Self::NoConsent => "no_consent",
            Self::OpenTimedOut => "open_timed_out",
            Self::AccessRevoked => "access_revoked",
            Self::AgentDeleted => "agent_deleted",
            Self::AgentMoved => "agent_moved",
            Self::ServerStopped => "server_stopped",
            Self::ServerCrashed => "server_crashed",
            Self::NotOpened => "not_opened",
            Self::Fault => "fault",
        }
    }

    /// The session's last status in the database: `error` where it never worked or broke.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::AgentRefused
            | Self::NoConsent
            | Self::OpenTimedOut
            | Self::NotOpened
            | Self::Fault => "error",
            _ => "closed",
        }
    }

    /// What becomes of commands that still run when the session ends.
    #[must_use]
    pub fn command_outcome(self) -> &'static str {
        match self {
            Self::AgentDisconnected => "lost",
            Self::ServerStopped | Self::ServerCrashed | Self::Fault => "interrupted",
            _ => "cancelled",
        }
    }
}
