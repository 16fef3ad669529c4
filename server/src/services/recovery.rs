//! What a crash left open is ended before anybody can connect.

use super::{audit, audit_trail};
use crate::db::tech_sessions::TechSession;
use crate::db::{Db, DbError, agents, tech_sessions, tunnel_audit, users};
use crate::domain::close_reason::CloseReason;

/// Completes open audit rows as interrupted, closes open sessions with a row each, and sets every
/// agent offline.
///
/// # Errors
/// The database does not answer.
pub async fn clear_up(db: &Db) -> Result<(), DbError> {
    let reason = CloseReason::ServerCrashed;
    let outcome = reason.command_outcome().to_owned();
    tunnel_audit::finish_left_open(db, outcome, audit::now()).await?;
    let left = tech_sessions::close_left_open(db, reason.name(), audit::now()).await?;
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
    Ok(())
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
