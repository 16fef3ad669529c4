//! Whose session it is: found in memory while it lives, in the database after.

use actix::Addr;
use gururmm_shared::{AgentId, ApiKeyId, SessionId, UserId};

use super::extract::Authenticated;
use super::state::AppState;
use crate::actors::registry_messages::FindSession;
use crate::actors::tunnel::TunnelSession;
use crate::db::{agents, tech_sessions, tunnel_audit};
use crate::domain::role::Capability;
use crate::domain::scope::Scope;
use crate::error::AppError;
use crate::services::audit::{self, Refusal};

/// A session of the caller's own.
pub struct OwnSession {
    /// To which agent.
    pub agent_id: AgentId,
    /// Its actor, while it lives.
    tunnel: Option<Addr<TunnelSession>>,
}

impl OwnSession {
    /// Its actor.
    ///
    /// # Errors
    /// 409: it has ended.
    pub fn live(self) -> Result<Addr<TunnelSession>, AppError> {
        self.tunnel.ok_or_else(closed)
    }
}

/// 409 for a session that has ended.
pub fn closed() -> AppError {
    AppError::conflict("session_closed", "the session is closed; open a new one")
}

/// Writes a refusal down, with the agent's name where there is one, and hands it on.
pub async fn refuse(
    state: &AppState,
    who: &Authenticated,
    refusal: Refusal,
    error: AppError,
) -> AppError {
    let agent = match refusal.agent {
        Some((id, name)) if name.is_empty() => {
            // The refusal is written without the name rather than not at all.
            let found = agents::by_id(&state.db, id).await.ok().flatten();
            Some((id, found.map(|agent| agent.hostname).unwrap_or_default()))
        }
        known => known,
    };
    let code = error.code;
    audit::refused(
        &state.db,
        &who.caller,
        Refusal {
            code,
            agent,
            ..refusal
        },
    )
    .await;
    who.noted.set();
    error
}

/// Finds the actor of a session, while it lives.
///
/// # Errors
/// 503: the server stops.
pub async fn live_session(
    state: &AppState,
    session_id: SessionId,
) -> Result<Option<Addr<TunnelSession>>, AppError> {
    let live = state.registry.send(FindSession { session_id }).await?;
    Ok(live.map(|live| live.tunnel))
}

/// Who opened a session, and with which key while it lives.
type Opener = (UserId, Option<ApiKeyId>);

async fn find(state: &AppState, session_id: SessionId) -> Result<(Opener, OwnSession), AppError> {
    if let Some(live) = state.registry.send(FindSession { session_id }).await? {
        let session = OwnSession {
            agent_id: live.agent_id,
            tunnel: Some(live.tunnel),
        };
        return Ok(((live.user_id, live.key_id), session));
    }
    let row = tech_sessions::by_session_id(&state.db, session_id).await?;
    let row = row.ok_or_else(|| AppError::not_found("session"))?;
    let session = OwnSession {
        agent_id: row.agent_id,
        tunnel: None,
    };
    Ok(((row.tech_id, None), session))
}

/// Finds a session to look at: the caller's own, or, written down before it is shown, another's.
///
/// # Errors
/// 404, 409, or 403 where the caller may not watch what others do.
pub async fn watched_session(
    state: &AppState,
    who: &Authenticated,
    session_id: SessionId,
) -> Result<Addr<TunnelSession>, AppError> {
    let found = find(state, session_id).await.ok();
    let others = found.is_some_and(|((owner, _), _)| owner != who.user.id);
    if !others || who.require(Capability::WatchTunnels).is_err() {
        return own_session(state, who, session_id, "watch").await?.live();
    }
    let (_, session) = find(state, session_id).await?;
    let agent = agents::located(&state.db, session.agent_id).await?;
    let (hostname, place) = agent
        .map(|(agent, place)| (agent.hostname, place))
        .unwrap_or_default();
    if let Err(error) = who.require_at(Capability::WatchTunnels, place) {
        let refusal = Refusal {
            what: "watch".to_owned(),
            agent: Some((session.agent_id, hostname)),
            session_id: Some(session_id),
            ..Refusal::default()
        };
        return Err(refuse(state, who, refusal, error).await);
    }
    let row = audit::watch(&who.caller, (session.agent_id, &hostname), session_id);
    let tunnel = session.live()?;
    if let Err(error) = tunnel_audit::insert(&state.db, row).await {
        tracing::error!(%error, session.id = %session_id, "watching could not be audited and was refused");
        return Err(AppError::unavailable(
            "the audit cannot be written, so you cannot watch; try again in a moment",
        ));
    }
    Ok(tunnel)
}

/// Finds a session of the caller's own; `what` is what they want of it, for the audit.
///
/// # Errors
/// 404, or 403 where it is somebody else's.
pub async fn own_session(
    state: &AppState,
    who: &Authenticated,
    session_id: SessionId,
    what: &str,
) -> Result<OwnSession, AppError> {
    let found = find(state, session_id).await;
    // Who may have no sessions is not told which there are.
    if found.is_err() {
        who.require(Capability::UseTunnels)?;
    }
    let ((owner, key), session) = found?;
    let mut allowed = who.require(Capability::UseTunnels).and_then(|()| {
        // What may be done in it was settled with the rights of the log-in or the key that opened it.
        let by_another_key = who.key.is_some() && session.tunnel.is_some() && who.key != key;
        if owner == who.user.id && !by_another_key {
            return Ok(());
        }
        Err(AppError::forbidden(
            "not_your_session",
            "only the one who opened a session may use it, and a key only what was opened with it",
        ))
    });
    // What an ended session told of its machine goes when the machine left the scope.
    if allowed.is_ok() && who.scope != Scope::Everything {
        let agent = agents::located(&state.db, session.agent_id).await?;
        let place = agent.map(|(_, place)| place).unwrap_or_default();
        allowed = who.require_at(Capability::UseTunnels, place);
    }
    let Err(error) = allowed else {
        return Ok(session);
    };
    let refusal = Refusal {
        what: what.to_owned(),
        agent: Some((session.agent_id, String::new())),
        session_id: Some(session_id),
        ..Refusal::default()
    };
    Err(refuse(state, who, refusal, error).await)
}
