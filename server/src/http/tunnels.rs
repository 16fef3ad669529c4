//! Tunnels: open, close, status, command.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{
    AgentId, ChannelId, ChannelSummary, CommandId, CommandType, ConsentOutcome, ErrorCode,
    SessionId, UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::commands::not_run;
use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::schemas::CommandLine;
use super::sessions::{closed, live_session, own_session, refuse};
use super::state::AppState;
use crate::actors::registry_messages::{ListSessions, OpenError, OpenTunnel};
use crate::actors::session_messages::{CloseSession, GetSession, RunCommand, SessionError};
use crate::db::{agents, places, tech_sessions};
use crate::domain::close_reason::CloseReason;
use crate::domain::role::Capability;
use crate::domain::scope::Scope;
use crate::error::AppError;
use crate::services::audit::Refusal;
use crate::services::commands::check_line;
use crate::services::policies;

/// How long a close may take: the agent's word and the database's.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Body of an open.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = TunnelOpening)]
pub struct Open {
    #[garde(skip)]
    agent_id: uuid::Uuid,
}

/// Body of a close.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = TunnelClosing)]
pub struct Close {
    #[garde(skip)]
    session_id: uuid::Uuid,
}

/// Body of a command.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = TunnelCommand)]
pub struct NewCommand {
    #[garde(skip)]
    #[schema(value_type = CommandLine)]
    command: String,
    #[garde(skip)]
    command_type: Option<CommandType>,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 86_400)]
    timeout_seconds: Option<u64>,
}

/// A session that was opened.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenedTunnel)]
struct OpenedView {
    session_id: SessionId,
    agent_id: AgentId,
    status: &'static str,
    /// What who sits at the machine said, where the policy has them asked or told.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<ConsentOutcome>,
}

/// An open session.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenSession)]
struct SessionView {
    session_id: SessionId,
    agent_id: AgentId,
}

/// A session that was closed.
#[derive(Serialize, ToSchema)]
#[schema(as = ClosedTunnel)]
struct ClosedView {
    session_id: SessionId,
    status: &'static str,
}

/// A session as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct StatusView {
    session_id: SessionId,
    agent_id: AgentId,
    tech_id: UserId,
    status: String,
    opened_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    close_reason: Option<String>,
    channels: Vec<ChannelSummary>,
}

/// A command that was started.
#[derive(Serialize, ToSchema)]
#[schema(as = StartedCommand)]
struct StartedView {
    command_id: CommandId,
    channel_id: ChannelId,
}

fn open_error(error: &OpenError) -> AppError {
    let detail = error.to_string();
    match error {
        OpenError::Offline | OpenError::Gone => AppError::conflict("agent_offline", detail),
        OpenError::Refused(_) => AppError::conflict("agent_refused", detail),
        OpenError::NoConsent(outcome) => {
            let code = match outcome {
                ConsentOutcome::NoAnswer => "consent_not_answered",
                ConsentOutcome::NobodyThere | ConsentOutcome::CannotAsk => "nobody_to_ask",
                _ => "consent_refused",
            };
            AppError::forbidden(code, detail)
        }
        OpenError::Duplicate => AppError::conflict("session_exists", detail),
        OpenError::TooMany(_) => AppError::too_many("too_many_sessions", detail, None),
        OpenError::TimedOut(_) => {
            AppError::new(StatusCode::GATEWAY_TIMEOUT, "open_timed_out", detail)
        }
        OpenError::Ended("fault") => {
            AppError::internal(&"a session ended by a fault while it opened")
        }
        OpenError::Ended(_) => AppError::conflict("session_closed", detail),
        OpenError::Revoked => AppError::unauthorized("token_revoked", detail),
        OpenError::Stopping => AppError::unavailable(detail),
        OpenError::Unavailable => AppError::unavailable(detail),
    }
}

/// Opens a tunnel to an agent.
#[utoipa::path(
    tag = "tunnels",
    request_body = Open,
    responses(
        (status = 201, description = "it is open", body = OpenedView),
        (status = 403, description = "`tunnel_not_allowed`; `consent_refused`, `consent_not_answered`, `nobody_to_ask`: who sits at the machine"),
        (status = 404, description = "no such agent"),
        (status = 409, description = "`agent_offline`, `agent_refused`, `session_exists`, `session_closed`"),
        (status = 429, description = "`too_many_sessions`"),
        (status = 504, description = "`open_timed_out`"),
    ),
)]
#[post("/api/v1/tunnel/open")]
pub async fn open(state: Data<AppState>, signed: Signed<Open>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let agent_id = AgentId(body.agent_id);
    let refusal = |agent| Refusal {
        what: "open".to_owned(),
        agent,
        ..Refusal::default()
    };
    if let Err(error) = who.require(Capability::UseTunnels) {
        let refusal = refusal(Some((agent_id, String::new())));
        return Err(refuse(&state, &who, refusal, error).await);
    }
    let found = agents::located(&state.db, agent_id).await?;
    let (agent, place) = found.ok_or_else(|| AppError::not_found("agent"))?;
    if let Err(error) = who.require_at(Capability::UseTunnels, place) {
        let refusal = refusal(Some((agent_id, agent.hostname)));
        return Err(refuse(&state, &who, refusal, error).await);
    }
    let settings = policies::effective(&state.db, agent_id).await?.settings;
    let recording = settings.recording.rules();
    let policy = settings.tunnel;
    if !policy.admits(who.role) {
        let error = AppError::forbidden(
            "tunnel_not_allowed",
            "the policy of this agent lets other roles open tunnels; ask an administrator",
        );
        let refusal = refusal(Some((agent_id, agent.hostname)));
        return Err(refuse(&state, &who, refusal, error).await);
    }
    let asked = OpenTunnel {
        agent_id,
        caller: who.caller.clone(),
        token_version: who.user.token_version,
        expires_at: who.expires_at,
        idle_timeout_seconds: policy.idle_timeout_seconds,
        max_session_seconds: policy.max_session_seconds,
        rules: policy.rules(who.role),
        recording,
        consent: policy.consent(&who.caller.email),
    };
    match state.registry.send(asked).await? {
        Ok(opened) => Ok(HttpResponse::Created().json(OpenedView {
            session_id: opened.session_id,
            agent_id,
            status: "ready",
            consent: opened.consent,
        })),
        Err(error) => {
            let refusal = refusal(Some((agent_id, agent.hostname)));
            Err(refuse(&state, &who, refusal, open_error(&error)).await)
        }
    }
}

/// Lists the caller's open sessions.
#[utoipa::path(
    tag = "tunnels",
    responses(
        (status = 200, description = "all of them", body = Page<SessionView>),
    ),
)]
#[get("/api/v1/tunnel")]
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::UseTunnels)?;
    let user_id = who.user.id;
    let key_id = who.key;
    let own = state
        .registry
        .send(ListSessions { user_id, key_id })
        .await?;
    let mut items = Vec::new();
    for (session_id, agent_id) in own {
        // A key may be for fewer places than its maker.
        if who.scope != Scope::Everything {
            let place = places::of_agent(&state.db, agent_id).await?;
            if !who.scope.covers(place.unwrap_or_default()) {
                continue;
            }
        }
        items.push(SessionView {
            session_id,
            agent_id,
        });
    }
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}

/// Closes a tunnel.
#[utoipa::path(
    tag = "tunnels",
    request_body = Close,
    responses(
        (status = 200, description = "it is closed", body = ClosedView),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`"),
    ),
)]
#[post("/api/v1/tunnel/close")]
pub async fn close(state: Data<AppState>, signed: Signed<Close>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let session_id = SessionId(body.session_id);
    let session = own_session(&state, &who, session_id, "close")
        .await?
        .live()?;
    let reason = CloseReason::ClosedByTechnician;
    let asked = session.send(CloseSession {
        reason,
        caller: Some(who.caller),
    });
    match tokio::time::timeout(CLOSE_PATIENCE, asked).await {
        Ok(Ok(Ok(()))) => Ok(HttpResponse::Ok().json(ClosedView {
            session_id,
            status: reason.status(),
        })),
        // An actor that has just stopped no longer answers: the session is closed.
        Ok(Ok(Err(_)) | Err(_)) => Err(closed()),
        Err(_) => Err(AppError::unavailable(
            "the session is closed on the machine, but that cannot be written yet",
        )),
    }
}

/// Shows a session of the caller's.
#[utoipa::path(
    tag = "tunnels",
    responses(
        (status = 200, description = "the session", body = StatusView),
        (status = 404, description = "no such session"),
    ),
)]
#[get("/api/v1/tunnel/status/{session_id}")]
pub async fn status(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let session_id = SessionId(session_id.into_inner());
    own_session(&state, &who, session_id, "status").await?;
    let live = match live_session(&state, session_id).await? {
        Some(session) => session.send(GetSession).await.ok(),
        None => None,
    };
    // After the live look: if it has just ended, the row says how.
    let row = tech_sessions::by_session_id(&state.db, session_id).await?;
    let row = row.ok_or_else(|| AppError::not_found("session"))?;
    let last_activity = live
        .as_ref()
        .map_or(row.last_activity, |live| live.last_activity);
    Ok(HttpResponse::Ok().json(StatusView {
        session_id,
        agent_id: row.agent_id,
        tech_id: row.tech_id,
        status: row.status,
        opened_at: row.opened_at,
        last_activity,
        closed_at: row.closed_at,
        close_reason: row.close_reason,
        channels: live.map(|live| live.channels).unwrap_or_default(),
    }))
}

fn check_command(state: &AppState, body: &NewCommand) -> Result<u64, AppError> {
    let command_type = body.command_type.clone().unwrap_or_default();
    check_line(&state.settings.limits, &command_type, &body.command)?;
    let settings = &state.settings.tunnel;
    let timeout = body
        .timeout_seconds
        .unwrap_or(settings.command_timeout_seconds.into());
    let longest = u64::from(settings.max_command_timeout_seconds);
    if !(1..=longest).contains(&timeout) {
        let detail = format!("timeout_seconds is 1 to {longest}");
        return Err(AppError::invalid_field("timeout_seconds", detail));
    }
    Ok(timeout)
}

/// What a session does not do, as HTTP says it.
pub(super) fn session_error(error: &SessionError) -> AppError {
    let detail = error.to_string();
    match error {
        SessionError::Closed => closed(),
        SessionError::NotAllowed(_) => AppError::forbidden("feature_not_allowed", detail),
        SessionError::TooManyCommands(_) => AppError::too_many("too_many_commands", detail, None),
        SessionError::TooFast(_) => AppError::too_many("too_many_commands", detail, Some(1)),
        SessionError::TooManyViewers(_) => AppError::too_many("too_many_viewers", detail, None),
        SessionError::NotRecorded(_) => {
            AppError::new(StatusCode::SERVICE_UNAVAILABLE, "not_recorded", detail)
        }
        SessionError::AuditUnavailable => AppError::unavailable(detail),
        SessionError::Suspended => AppError::conflict("agent_offline", detail),
        SessionError::AgentCannot => AppError::conflict("agent_cannot", detail),
        SessionError::TooManyChannels(_) => AppError::too_many("too_many_channels", detail, None),
        SessionError::NotAnswered(_) => {
            AppError::new(StatusCode::GATEWAY_TIMEOUT, "not_answered", detail)
        }
        SessionError::Refused(refused) => match refused.code {
            ErrorCode::NotAllowed => AppError::forbidden("not_allowed", detail),
            ErrorCode::Unsupported => AppError::conflict("agent_cannot", detail),
            ErrorCode::TooMany => AppError::too_many("too_many_channels", detail, None),
            _ => AppError::conflict("agent_refused", detail),
        },
    }
}

/// Starts a command in a tunnel.
#[utoipa::path(
    tag = "tunnels",
    request_body = NewCommand,
    responses(
        (status = 202, description = "it was started", body = StartedView),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`"),
        (status = 429, description = "`too_many_commands`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/command")]
pub async fn command(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    signed: Signed<NewCommand>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let session_id = SessionId(session_id.into_inner());
    let session = own_session(&state, &who, session_id, &body.command).await?;
    let timeout_seconds = check_command(&state, &body)?;
    let refusal = Refusal {
        what: body.command.clone(),
        agent: Some((session.agent_id, String::new())),
        session_id: Some(session_id),
        ..Refusal::default()
    };
    let asked = match &body.command_type {
        Some(CommandType::ClaudeTask { task, .. }) => task,
        _ => &body.command,
    };
    let kind = body
        .command_type
        .as_ref()
        .map_or(CommandType::Shell.name(), CommandType::name);
    let asked = (kind, asked.as_str());
    if let Err(refused) = policies::check_command(&state.db, session.agent_id, asked).await {
        return Err(refuse(&state, &who, refusal, not_run(refused)).await);
    }
    let run = RunCommand {
        command: body.command,
        command_type: body.command_type.unwrap_or_default(),
        timeout_seconds,
        caller: who.caller.clone(),
    };
    let started = match session.live() {
        Ok(tunnel) => tunnel.send(run).await.unwrap_or(Err(SessionError::Closed)),
        Err(_) => Err(SessionError::Closed),
    };
    match started {
        Ok(started) => Ok(HttpResponse::Accepted().json(StartedView {
            command_id: started.command_id,
            channel_id: started.channel_id,
        })),
        Err(error) => Err(refuse(&state, &who, refusal, session_error(&error)).await),
    }
}
