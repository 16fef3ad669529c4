//! What is written down about tunnels: who, what, where, when, from which address, how it ended.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use gururmm_shared::{
    AgentId, ApiKeyId, AuditId, ChannelId, CommandId, ConsentMode, ConsentOutcome, SessionId,
    UserId,
};

use crate::db::tunnel_audit::{Ending, NewAudit};
use crate::db::{Db, tunnel_audit};

/// Who asks, as the audit names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The user's address at that time.
    pub email: String,
    /// The API key, if it was not a log-in.
    pub key_id: Option<ApiKeyId>,
    /// The address the request came from.
    pub remote_addr: String,
    /// The request.
    pub request_id: String,
}

/// Bytes of a detail that are kept.
const DETAIL_BYTES: usize = 64 * 1024;
/// Bytes of what was refused that are kept: refusals cost the one who asks nothing.
const REFUSED_BYTES: usize = 1024;

/// The time as rows keep it: to the microsecond.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A row about an agent, not finished.
#[must_use]
pub fn row(action: &'static str, caller: &Caller, agent: Option<(AgentId, &str)>) -> NewAudit {
    NewAudit {
        id: AuditId::generate(),
        at: now(),
        action: action.to_owned(),
        user_id: Some(caller.user_id),
        user_email: caller.email.clone(),
        key_id: caller.key_id,
        agent_id: agent.map(|(id, _)| id),
        agent_hostname: agent.map(|(_, hostname)| hostname.to_owned()),
        session_id: None,
        command_id: None,
        channel_id: None,
        detail: String::new(),
        remote_addr: caller.remote_addr.clone(),
        request_id: caller.request_id.clone(),
        outcome: None,
        exit_code: None,
        ended_at: None,
    }
}

/// What is asked for, as a row can hold it.
#[must_use]
pub fn detail(text: &str) -> String {
    cut(text, DETAIL_BYTES)
}

/// The row of a session's open.
#[must_use]
pub fn open(caller: &Caller, agent: (AgentId, &str), session_id: SessionId) -> NewAudit {
    NewAudit {
        session_id: Some(session_id),
        ..row("open", caller, Some(agent))
    }
}

/// The row of a command.
#[must_use]
pub fn command(
    caller: &Caller,
    agent: (AgentId, &str),
    session_id: SessionId,
    command: (CommandId, &ChannelId, &str),
) -> NewAudit {
    let (command_id, channel_id, line) = command;
    NewAudit {
        session_id: Some(session_id),
        command_id: Some(command_id),
        channel_id: Some(channel_id.to_string()),
        detail: cut(line, DETAIL_BYTES),
        ..row("command", caller, Some(agent))
    }
}

/// What rows of terminals are called.
const TERMINAL: &str = "terminal";
/// What rows of those are called who watch somebody else's session.
const WATCH: &str = "watch";

/// The row of a terminal.
#[must_use]
pub fn terminal(
    caller: &Caller,
    agent: (AgentId, &str),
    session_id: SessionId,
    terminal: (CommandId, &ChannelId, &str),
) -> NewAudit {
    let (command_id, channel_id, asked) = terminal;
    NewAudit {
        session_id: Some(session_id),
        command_id: Some(command_id),
        channel_id: Some(channel_id.to_string()),
        detail: cut(asked, DETAIL_BYTES),
        ..row(TERMINAL, caller, Some(agent))
    }
}

/// The row of a ticket to watch somebody else's session, finished.
#[must_use]
pub fn watch(caller: &Caller, agent: (AgentId, &str), session_id: SessionId) -> NewAudit {
    let row = row(WATCH, caller, Some(agent));
    NewAudit {
        session_id: Some(session_id),
        detail: "watch".to_owned(),
        outcome: Some("completed".to_owned()),
        ended_at: Some(row.at),
        ..row
    }
}

/// The row of what who sits at a machine said to a session, finished.
#[must_use]
pub fn consent(
    caller: &Caller,
    agent: (AgentId, &str),
    session_id: SessionId,
    (mode, outcome): (Option<ConsentMode>, ConsentOutcome),
) -> NewAudit {
    let row = row("consent", caller, Some(agent));
    let asked = match mode {
        Some(ConsentMode::Required) => "asked",
        _ => "told",
    };
    NewAudit {
        session_id: Some(session_id),
        detail: format!("who sits at the machine is {asked}"),
        outcome: Some(outcome.name().to_owned()),
        ended_at: Some(row.at),
        ..row
    }
}

/// The row of a session's end, finished.
#[must_use]
pub fn close(
    caller: &Caller,
    agent: (AgentId, &str),
    session_id: SessionId,
    reason: &str,
) -> NewAudit {
    let row = row("close", caller, Some(agent));
    NewAudit {
        session_id: Some(session_id),
        detail: reason.to_owned(),
        outcome: Some(reason.to_owned()),
        ended_at: Some(row.at),
        ..row
    }
}

/// What was refused, for the row of a refusal.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    /// What was asked for.
    pub what: String,
    /// The stable word of the refusal.
    pub code: &'static str,
    /// The agent it was about.
    pub agent: Option<(AgentId, String)>,
    /// The session it was about.
    pub session_id: Option<SessionId>,
}

/// Writes down a refusal; one that cannot be written is logged, for there is nothing to hold back.
pub async fn refused(db: &Db, caller: &Caller, refusal: Refusal) {
    let agent = refusal
        .agent
        .as_ref()
        .map(|(id, hostname)| (*id, hostname.as_str()));
    let row = row("refused", caller, agent);
    let row = NewAudit {
        session_id: refusal.session_id,
        detail: cut(&refusal.what, REFUSED_BYTES),
        outcome: Some(refusal.code.to_owned()),
        ended_at: Some(row.at),
        ..row
    };
    if let Err(error) = tunnel_audit::insert(db, row).await {
        log_failure("a refusal", &error);
    }
}

/// Notes how what a row speaks of ended; false if that could not be written.
pub async fn finish(db: &Db, id: AuditId, outcome: &str, exit_code: Option<i32>) -> bool {
    let written = tunnel_audit::finish(db, id, outcome.to_owned(), exit_code, now()).await;
    if let Err(error) = &written {
        log_failure("an outcome", error);
    }
    written.is_ok()
}

/// Pause before an end is written again to a database that did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is tried.
const TRIES: u32 = 60;

/// Notes how what a row speaks of ended, again and again while the database does not answer.
pub async fn finish_surely(db: Db, id: AuditId, ending: Ending) {
    for _ in 0..TRIES {
        match tunnel_audit::finish_with(&db, id, ending.clone(), now()).await {
            Ok(_) => return,
            Err(error) => log_failure("an outcome", &error),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn log_failure(what: &str, error: &dyn Display) {
    tracing::error!(%error, "{what} could not be written to the audit");
}

fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // PostgreSQL cannot keep NUL.
    text[..end].replace('\0', "\u{fffd}")
}
