//! What a crash left open is ended before anybody can connect, unless agents may come back to it.

use super::{access, audit, audit_trail, policies};
use crate::actors::session_messages::{LeftOpen, Unfinished};
use crate::db::tech_sessions::TechSession;
use crate::db::tunnel_audit::AuditFilter;
use crate::db::{Db, DbError, agents, tech_sessions, tunnel_audit, users};
use crate::domain::close_reason::CloseReason;
use crate::domain::role::Capability;

/// Rows of a session's audit that are looked through for what ran in it.
const ROWS: i64 = 10_000;

/// Completes open audit rows as interrupted, closes open sessions with a row each, and sets every
/// agent offline. Sessions that agents may have kept (`resumable`) are left open and answered.
///
/// # Errors
/// The database does not answer.
pub async fn clear_up(db: &Db, resumable: bool) -> Result<Vec<LeftOpen>, DbError> {
    let mut kept = Vec::new();
    if resumable {
        for session in tech_sessions::list_open(db).await? {
            kept.extend(left_open(db, &session).await?);
        }
    }
    let ids = || kept.iter().map(|left| left.session_id).collect();
    let reason = CloseReason::ServerCrashed;
    let outcome = reason.command_outcome().to_owned();
    tunnel_audit::finish_left_open(db, outcome, audit::now(), ids()).await?;
    let left = tech_sessions::close_left_open(db, reason.name(), audit::now(), ids()).await?;
    if !left.is_empty() {
        tracing::warn!(
            count = left.len(),
            "sessions that a crash left open were closed"
        );
    }
    for session in left {
        record_close(db, &session, reason).await?;
    }
    let left = audit_trail::end_left_open(db).await?;
    if left > 0 {
        tracing::warn!(
            count = left,
            "changes whose end nobody knows were ended in the audit"
        );
    }
    agents::set_all_offline(db).await?;
    Ok(kept)
}

/// A session that may go on: it was ready, and its technician may still use it.
async fn left_open(db: &Db, session: &TechSession) -> Result<Option<LeftOpen>, DbError> {
    if session.status != "ready" {
        return Ok(None);
    }
    let owner = users::by_id(db, session.tech_id).await?;
    let owner = owner.filter(|user| !user.disabled);
    let role = owner.as_ref().and_then(|user| user.role.parse().ok());
    let role = role.filter(|role| access::authorise(*role, Capability::UseTunnels).is_ok());
    let agent = agents::by_id(db, session.agent_id).await?;
    let (Some(owner), Some(role), Some(agent)) = (owner, role, agent) else {
        return Ok(None);
    };
    let settings = policies::effective(db, session.agent_id).await?.settings;
    let recording = settings.recording.rules();
    let policy = settings.tunnel;
    if !policy.admits(role) {
        return Ok(None);
    }
    let filter = AuditFilter {
        session_id: Some(session.session_id),
        limit: ROWS,
        ..AuditFilter::default()
    };
    let rows = tunnel_audit::list(db, filter).await?;
    let unfinished = rows.into_iter().filter(|row| row.outcome.is_none());
    Ok(Some(LeftOpen {
        session_id: session.session_id,
        agent_id: session.agent_id,
        hostname: agent.hostname,
        owner: audit::Caller {
            user_id: owner.id,
            email: owner.email,
            key_id: None,
            remote_addr: String::new(),
            request_id: String::new(),
        },
        opened_at: session.opened_at,
        idle_timeout_seconds: policy.idle_timeout_seconds,
        max_session_seconds: policy.max_session_seconds,
        rules: policy.rules(role),
        recording,
        unfinished: unfinished
            .map(|row| Unfinished {
                audit_id: row.id,
                channel_id: row.channel_id,
                command_id: row.command_id,
            })
            .collect(),
    }))
}

async fn record_close(db: &Db, session: &TechSession, reason: CloseReason) -> Result<(), DbError> {
    let owner = users::by_id(db, session.tech_id).await?;
    let caller = audit::Caller {
        user_id: session.tech_id,
        email: owner.map(|user| user.email).unwrap_or_default(),
        key_id: None,
        remote_addr: String::new(),
        request_id: String::new(),
    };
    let agent = agents::by_id(db, session.agent_id).await?;
    let hostname = agent.map(|agent| agent.hostname).unwrap_or_default();
    let about = (session.agent_id, hostname.as_str());
    let row = audit::close(&caller, about, session.session_id, reason.name());
    tunnel_audit::insert(db, row).await
}
