//! The door to the stream of events.

use actix_web::web::{Data, Payload};
use actix_web::{Error, HttpRequest, HttpResponse, get};

use super::browser::check_origin;
use super::extract::Authenticated;
use super::state::AppState;
use crate::actors::event_messages::{Admit, NotAdmitted, Subscription};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::ws::{events_socket, tcp_socket};

/// Opens the WebSocket of a subscriber of events.
///
/// A browser comes with its cookie and its Origin, a tool with `Authorization`. The messages stand in docs/api.md.
#[utoipa::path(
    tag = "events",
    responses(
        (status = 101, description = "the connection is a WebSocket from here on"),
        (status = 400, description = "no WebSocket handshake"),
        (status = 403, description = "`foreign_origin`"),
        (status = 429, description = "`too_many_event_streams`"),
    ),
)]
#[get("/api/events")]
pub async fn subscribe(
    who: Authenticated,
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, Error> {
    who.require(Capability::ReadFleet)?;
    check_origin(&request, &state)?;
    tcp_socket::check(&request)?;
    let subscription = Subscription {
        user_id: who.user.id,
        key_id: who.key,
        role: who.role,
        scope: who.scope,
        token_version: who.user.token_version,
        valid_until: who.valid_until,
    };
    let admitted = state.events.send(Admit(subscription)).await;
    let id = admitted.map_err(AppError::from)?.map_err(|why| match why {
        NotAdmitted::TooMany(most) => AppError::too_many(
            "too_many_event_streams",
            format!("you have {most} streams of events; close one first"),
            None,
        ),
        NotAdmitted::Stopping => AppError::unavailable("the server is stopping"),
    })?;
    events_socket::start(&request, payload, state.events.clone(), id)
}
