//! Commands outside tunnels: pending -> running -> completed or failed, and what is to be done with
//! one that was sent when its agent comes back.

use std::collections::HashSet;

use chrono::{DateTime, Duration, Utc};
use gururmm_shared::{CommandId, CommandResult, EndReason};

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits for its agent.
    Pending,
    /// It was sent.
    Running,
    /// It ended with exit code 0.
    Completed,
    /// It ended otherwise; the reason says how.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Completed, Self::Failed];

    /// The word for it in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `completed` or `failed`.
    pub status: Status,
    /// Why, where it failed: `exit_code`, `timed_out`, `cancelled`, `interrupted`, `expired`, `refused`,
    /// `signalled`.
    pub reason: Option<&'static str>,
    /// Its exit code, where it has one.
    pub exit_code: Option<i32>,
}

impl Verdict {
    /// A failure that no result tells of.
    #[must_use]
    pub fn failed(reason: &'static str) -> Self {
        Self {
            status: Status::Failed,
            reason: Some(reason),
            exit_code: None,
        }
    }

    /// What a result says.
    #[must_use]
    pub fn of(result: &CommandResult) -> Self {
        let exit_code = result.exit_code;
        let reason = match (result.reason, exit_code) {
            (Some(EndReason::TimedOut), _) => "timed_out",
            (Some(EndReason::Cancelled), _) => "cancelled",
            (Some(EndReason::Interrupted), _) => "interrupted",
            (Some(EndReason::Refused), _) => "refused",
            (Some(EndReason::Signalled), _) => "signalled",
            (None, Some(0)) => {
                return Self {
                    status: Status::Completed,
                    reason: None,
                    exit_code,
                };
            }
            (None, _) => "exit_code",
        };
        Self {
            status: Status::Failed,
            reason: Some(reason),
            exit_code,
        }
    }

    /// The word of the audit for it.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        match self.reason {
            None => "completed",
            Some("exit_code" | "signalled") => "failed",
            Some(reason) => reason,
        }
    }
}

/// What is to be done with a command that was sent, now that its agent is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is known there, or may run there: its result will come.
    Wait,
    /// It never arrived, or the agent answers a repeat without running it twice.
    Resend,
    /// It is to end.
    Cancel,
}

/// Decides over a command that was sent on an earlier connection.
///
/// Only an agent with a journal can be asked twice: another one might run it twice.
#[must_use]
pub fn on_return(
    id: CommandId,
    cancel_requested: bool,
    in_flight: &HashSet<CommandId>,
    journal: bool,
) -> Again {
    match (cancel_requested, journal) {
        (true, _) => Again::Cancel,
        (false, true) if !in_flight.contains(&id) => Again::Resend,
        (false, _) => Again::Wait,
    }
}

/// When the server gives up on a command of a connected agent: the agent should have ended it `grace`
/// before, and its result should have come.
#[must_use]
pub fn overdue_at(
    sent_at: DateTime<Utc>,
    connected_at: DateTime<Utc>,
    timeout_seconds: i32,
    grace: Duration,
) -> DateTime<Utc> {
    let limit = Duration::seconds(timeout_seconds.into()) + grace;
    // Who has just come back has its results still to tell.
    (sent_at + limit).max(connected_at + grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: Option<i32>, reason: Option<EndReason>) -> CommandResult {
        CommandResult {
            id: CommandId::generate(),
            exit_code,
            stdout: String::new(),
            stderr: String::new(),
            duration_ms: 1,
            reason,
        }
    }

    #[test]
    fn only_exit_code_0_without_a_reason_is_completed() {
        let verdict = |code, reason| Verdict::of(&result(code, reason));
        assert_eq!(verdict(Some(0), None).status, Status::Completed);
        assert_eq!(verdict(Some(0), None).outcome(), "completed");
        assert_eq!(verdict(Some(1), None).reason, Some("exit_code"));
        assert_eq!(verdict(Some(1), None).outcome(), "failed");
        assert_eq!(verdict(None, None).reason, Some("exit_code"));
        let cancelled = verdict(Some(0), Some(EndReason::Cancelled));
        assert_eq!(
            (cancelled.status, cancelled.outcome()),
            (Status::Failed, "cancelled")
        );
        let timed_out = verdict(Some(124), Some(EndReason::TimedOut));
        assert_eq!(timed_out.reason, Some("timed_out"));
        assert_eq!(timed_out.exit_code, Some(124));
    }

    #[test]
    fn only_an_agent_with_a_journal_is_sent_a_command_again() {
        let id = CommandId::generate();
        let (none, there) = (HashSet::new(), HashSet::from([id]));
        assert_eq!(on_return(id, false, &none, true), Again::Resend);
        assert_eq!(on_return(id, false, &there, true), Again::Wait);
        assert_eq!(on_return(id, false, &none, false), Again::Wait);
        assert_eq!(on_return(id, true, &there, true), Again::Cancel);
        assert_eq!(on_return(id, true, &none, true), Again::Cancel);
    }

    #[test]
    fn an_agent_that_comes_back_late_has_time_to_tell_its_results() {
        let sent = Utc::now();
        let grace = Duration::seconds(30);
        let overdue = |back| overdue_at(sent, back, 300, grace);
        assert_eq!(overdue(sent), sent + Duration::seconds(330));
        let back = sent + Duration::hours(5);
        assert_eq!(overdue(back), back + grace);
    }
}
