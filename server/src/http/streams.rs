//! The doors to the WebSockets: an agent's, and a viewer's with its ticket.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{Error, HttpRequest, HttpResponse, get, post};
use chrono::DateTime;
use chrono::{Duration as Span, Utc};
use garde::Validate;
use gururmm_shared::{ChannelId, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::browser::check_origin;
use super::extract::{MaybeSigned, remote_address};
use super::sessions::{closed, live_session, own_session, watched_session};
use super::state::AppState;
use crate::actors::session_messages::Onlooker;
use crate::domain::terminal_input::ViewerKey;
use crate::domain::terminals::Watch;
use crate::error::AppError;
use crate::services::tickets::Admission;
use crate::ws::viewer_socket::Visit;
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

/// Body of a wish for a ticket; none is as good as an empty one.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[schema(as = TicketWish)]
pub struct Wish {
    /// Whether the viewer is only to look. Who may watch others' sessions gets no other ticket for them.
    #[garde(skip)]
    #[serde(default)]
    read_only: bool,
}

/// Makes a ticket, which opens one stream, once.
#[utoipa::path(
    tag = "tunnels",
    operation_id = "issue_ticket",
    request_body = Option<Wish>,
    responses(
        (status = 201, description = "the ticket", body = TicketView),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/ticket")]
pub async fn issue_ticket(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    wish: MaybeSigned<Wish>,
) -> Result<HttpResponse, AppError> {
    let MaybeSigned(who, wish) = wish;
    let session_id = SessionId(session_id.into_inner());
    if wish.read_only {
        watched_session(&state, &who, session_id).await?;
    } else {
        own_session(&state, &who, session_id, "ticket")
            .await?
            .live()?;
    }
    let seconds = state.settings.tunnel.ticket_seconds;
    let admission = Admission {
        session_id,
        warrant: who.warrant(),
        name: who.user.name,
        read_only: wish.read_only,
    };
    let life = Duration::from_secs(seconds.into());
    let ticket = state.tickets.issue(admission, life, Instant::now());
    let expires_at = Utc::now() + Span::seconds(seconds.into());
    Ok(HttpResponse::Created().json(TicketView { ticket, expires_at }))
}

/// What a viewer asks for.
#[derive(Deserialize, IntoParams)]
pub struct Visiting {
    ticket: Option<String>,
    /// 2 shows terminals and takes frames of the data plane.
    #[param(minimum = 1, maximum = 2)]
    protocol: Option<u32>,
    /// The first byte of output that is wanted, of every channel; `from.CHANNEL` of one terminal.
    from: Option<u64>,
    /// By which the viewer is known when it comes back, chosen by itself.
    viewer: Option<uuid::Uuid>,
}

impl Visiting {
    fn visit(&self, request: &HttpRequest, admission: Admission) -> Result<Visit, AppError> {
        let mut terminals = None;
        if self.protocol.is_some_and(|protocol| protocol >= 2) {
            terminals = Some(Watch {
                key: self.viewer.map(|id| ViewerKey {
                    user_id: admission.warrant.user_id,
                    id,
                }),
                read_only: admission.read_only,
                from: self.from,
                from_channel: offsets(request.query_string())?,
            });
        }
        Ok(Visit {
            who: Onlooker {
                user_id: admission.warrant.user_id,
                name: admission.name,
                read_only: admission.read_only,
            },
            warrant: admission.warrant,
            from: self.from.unwrap_or(0),
            terminals,
        })
    }
}

/// The parameters `from.CHANNEL=OFFSET` of a query.
fn offsets(query: &str) -> Result<BTreeMap<ChannelId, u64>, AppError> {
    let bad = |name: &str| {
        let field = name.chars().take(80).collect::<String>();
        AppError::invalid_field(field, "write it as from.CHANNEL=OFFSET")
    };
    let parameters = Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| AppError::malformed(error.to_string()))?;
    let mut offsets = BTreeMap::new();
    for (name, value) in parameters.into_inner() {
        let Some(channel) = name.strip_prefix("from.") else {
            continue;
        };
        let channel = ChannelId::try_from(channel.to_owned()).map_err(|_| bad(&name))?;
        let offset = value.parse().map_err(|_| bad(&name))?;
        offsets.insert(channel, offset);
    }
    Ok(offsets)
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
    visiting: Query<Visiting>,
) -> Result<HttpResponse, Error> {
    let session_id = SessionId(session_id.into_inner());
    check_origin(&request, &state)?;
    let admission = visiting
        .ticket
        .as_deref()
        .and_then(|ticket| state.tickets.redeem(ticket, session_id, Instant::now()));
    let admission = admission.ok_or_else(bad_ticket)?;
    // What was revoked since the ticket was made lets nobody in.
    let holds = admission.warrant.holds(&state.db, Utc::now()).await;
    if !holds.map_err(AppError::from)? {
        return Err(bad_ticket().into());
    }
    let session = live_session(&state, session_id).await?.ok_or_else(closed)?;
    let bytes = state.settings.limits.viewer_message_bytes;
    let visit = visiting.visit(&request, admission)?;
    viewer_socket::start(&request, payload, (state.db.clone(), session), visit, bytes)
}

/// 401 for a ticket that opens nothing.
pub(super) fn bad_ticket() -> AppError {
    AppError::unauthorized(
        "bad_ticket",
        "get a new ticket from POST …/ticket; each opens one stream, once",
    )
}
