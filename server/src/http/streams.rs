//! The doors to the WebSockets: an agent's, and a viewer's with its ticket.

use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{Error, HttpRequest, HttpResponse, get, post};
use chrono::DateTime;
use chrono::{Duration as Span, Utc};
use gururmm_shared::SessionId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Authenticated, remote_address};
use super::sessions::{closed, live_session, own_session};
use super::state::AppState;
use crate::error::AppError;
use crate::services::tickets::Admission;
use crate::ws::{agent_socket, viewer_socket};

/// Opens the WebSocket of an agent.
///
/// The first message authenticates; the messages stand in docs/api.md.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 101, description = "the connection is a WebSocket from here on"),
        (status = 400, description = "no WebSocket handshake"),
    ),
    security(()),
)]
#[get("/ws")]
pub async fn agent(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, Error> {
    let from = remote_address(&request);
    agent_socket::start(&request, payload, state.gateway.clone(), from)
}

/// A ticket as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
struct TicketView {
    ticket: String,
    expires_at: DateTime<Utc>,
}

/// Makes a ticket, which opens one stream, once.
#[utoipa::path(
    tag = "tunnels",
    operation_id = "issue_ticket",
    responses(
        (status = 201, description = "the ticket", body = TicketView),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/ticket")]
pub async fn issue_ticket(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let session_id = SessionId(session_id.into_inner());
    own_session(&state, &who, session_id, "ticket")
        .await?
        .live()?;
    let seconds = state.settings.tunnel.ticket_seconds;
    let admission = Admission {
        session_id,
        user_id: who.user.id,
        token_version: who.user.token_version,
    };
    let life = Duration::from_secs(seconds.into());
    let ticket = state.tickets.issue(admission, life, Instant::now());
    let expires_at = Utc::now() + Span::seconds(seconds.into());
    Ok(HttpResponse::Created().json(TicketView { ticket, expires_at }))
}

/// What a viewer asks for.
#[derive(Deserialize, IntoParams)]
pub struct Watch {
    ticket: Option<String>,
    from: Option<u64>,
}

/// Opens the WebSocket of a viewer.
///
/// The messages stand in docs/api.md.
#[utoipa::path(
    tag = "tunnels",
    responses(
        (status = 101, description = "the connection is a WebSocket from here on"),
        (status = 400, description = "no WebSocket handshake"),
        (status = 401, description = "`bad_ticket`"),
        (status = 403, description = "`foreign_origin`"),
        (status = 409, description = "`session_closed`"),
    ),
    security(()),
)]
#[get("/api/v1/tunnel/{session_id}/stream")]
pub async fn viewer(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    watch: Query<Watch>,
) -> Result<HttpResponse, Error> {
    let session_id = SessionId(session_id.into_inner());
    check_origin(&request, &state.settings.http.allowed_origins)?;
    let admission = watch
        .ticket
        .as_deref()
        .and_then(|ticket| state.tickets.redeem(ticket, session_id, Instant::now()));
    let admission = admission.ok_or_else(bad_ticket)?;
    // What was revoked since the ticket was made lets nobody in.
    state
        .accounts
        .check_version(&state.db, admission.user_id, admission.token_version)
        .await?;
    let session = live_session(&state, session_id).await?.ok_or_else(closed)?;
    let bytes = state.settings.limits.viewer_message_bytes;
    viewer_socket::start(&request, payload, session, watch.from.unwrap_or(0), bytes)
}

/// 401 for a ticket that opens nothing.
pub(super) fn bad_ticket() -> AppError {
    AppError::unauthorized(
        "bad_ticket",
        "get a new ticket from POST …/ticket; each opens one stream, once",
    )
}

/// A browser says where a page came from; only our own pages and configured ones may open a
/// stream. What is no browser sends no Origin.
pub(super) fn check_origin(request: &HttpRequest, allowed: &[String]) -> Result<(), AppError> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_own = own.is_some_and(|host| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            == Some(host)
    });
    if is_own || allowed.iter().any(|one| one == origin) {
        return Ok(());
    }
    Err(AppError::forbidden(
        "foreign_origin",
        "pages of that origin may not open streams; add it to http.allowed_origins if they should",
    ))
}
