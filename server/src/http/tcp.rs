//! The door to TCP connections of a machine.

use actix_web::dev;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, get};
use chrono::Utc;
use gururmm_shared::{ChannelKind, SessionId, TcpTarget};
use serde::Deserialize;
use std::time::Instant;
use utoipa::IntoParams;

use super::browser::check_origin;
use super::extract::{Authenticated, remote_address};
use super::operation_problems::of_session;
use super::problems::request_id;
use super::sessions::{closed, live_session};
use super::state::AppState;
use super::streams::bad_ticket;
use super::tunnel_work::open;
use crate::actors::stream_messages::{OpenStream, OpenedStream, StreamError};
use crate::db::users;
use crate::domain::stream_audit::describe_channel;
use crate::error::AppError;
use crate::services::audit::{self, Caller, Refusal};
use crate::ws::tcp_socket;

/// Bytes of a host's name (RFC 1035).
const HOST_BYTES: usize = 255;

/// Where to.
#[derive(Deserialize, IntoParams)]
pub struct Target {
    /// A name or an address, as seen from the machine.
    #[param(min_length = 1, max_length = 255)]
    host: String,
    /// The port.
    #[param(minimum = 1, maximum = 65_535)]
    port: u16,
    /// A ticket of the session's; without one the request is signed as others are.
    ticket: Option<String>,
}

fn check(target: Target) -> Result<(ChannelKind, Option<String>), AppError> {
    let Target { host, port, ticket } = target;
    let strange = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '@');
    if host.is_empty() || host.len() > HOST_BYTES || host.contains(strange) {
        let detail = "host is the name or address of a machine, of at most 255 bytes";
        return Err(AppError::invalid_field("host", detail));
    }
    if port == 0 {
        return Err(AppError::invalid_field("port", "port is 1 to 65535"));
    }
    // Brackets are for URLs; the agent is told the address itself.
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = bare.unwrap_or(&host).to_owned();
    Ok((ChannelKind::Tcp(TcpTarget { host, port }), ticket))
}

/// Opens the WebSocket of a TCP connection from the machine.
///
/// Binary messages are its bytes, both ways; the text `{"type":"eof"}` ends one way. It needs a ticket or a log-in.
#[utoipa::path(
    tag = "tunnels",
    operation_id = "connect_tcp",
    responses(
        (status = 101, description = "the connection is a WebSocket from here on"),
        (status = 400, description = "malformed, or no WebSocket handshake"),
        (status = 401, description = "`bad_ticket`, or no token that is good"),
        (status = 403, description = "`foreign_origin`, `feature_not_allowed`, `not_allowed`, or somebody else's session"),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 429, description = "`too_many_channels`, `too_many_operations`"),
        (status = 502, description = "`unreachable`: the other end refuses or cannot be reached"),
        (status = 504, description = "`timed_out`"),
    ),
    security(()),
)]
#[get("/api/v1/tunnel/{session_id}/tcp")]
pub async fn connect(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    target: Query<Target>,
) -> Result<HttpResponse, Error> {
    check_origin(&request, &state)?;
    tcp_socket::check(&request)?;
    let (kind, ticket) = check(target.into_inner())?;
    let stream = match ticket {
        Some(ticket) => {
            let session_id = SessionId(*session_id);
            by_ticket(&request, &state, session_id, &ticket, kind).await?
        }
        None => {
            let who = Authenticated::from_request(&request, &mut dev::Payload::None).await?;
            open(&state, &who, *session_id, kind).await?
        }
    };
    tcp_socket::start(&request, payload, stream.pipe)
}

/// A browser cannot send a header with a WebSocket's handshake: the ticket says whose it is.
async fn by_ticket(
    request: &HttpRequest,
    state: &AppState,
    session_id: SessionId,
    ticket: &str,
    kind: ChannelKind,
) -> Result<OpenedStream, AppError> {
    let admission = state.tickets.redeem(ticket, session_id, Instant::now());
    let admission = admission.ok_or_else(bad_ticket)?;
    if admission.read_only {
        return Err(AppError::forbidden(
            "read_only_ticket",
            "this ticket only lets look at terminals; ask for one of your own session",
        ));
    }
    // What was revoked since the ticket was made lets nobody in.
    let warrant = admission.warrant;
    if !warrant.holds(&state.db, Utc::now()).await? {
        return Err(bad_ticket());
    }
    let account = users::account(&state.db, warrant.user_id).await?;
    let account = account.ok_or_else(bad_ticket)?;
    let session = live_session(state, session_id).await?.ok_or_else(closed)?;
    let caller = Caller {
        user_id: account.user.id,
        email: account.user.email,
        key_id: warrant.key_id,
        remote_addr: remote_address(request).to_string(),
        request_id: request_id(request),
    };
    let refusal = Refusal {
        what: describe_channel(&kind),
        session_id: Some(session_id),
        ..Refusal::default()
    };
    let asked = OpenStream {
        kind,
        caller: caller.clone(),
    };
    let opened = session.send(asked).await;
    let error = match opened.unwrap_or(Err(StreamError::Closed)) {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    let answer = of_session(&error);
    if matches!(error, StreamError::Refused(_)) {
        let code = answer.code;
        audit::refused(&state.db, &caller, Refusal { code, ..refusal }).await;
    }
    Err(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: u16) -> Target {
        Target {
            host: host.to_owned(),
            port,
            ticket: None,
        }
    }

    #[test]
    fn a_target_has_a_host_and_a_port_and_brackets_are_left_out() {
        let (kind, _) = check(target("[::1]", 22)).unwrap();
        let wanted = TcpTarget {
            host: "::1".to_owned(),
            port: 22,
        };
        assert_eq!(kind, ChannelKind::Tcp(wanted));
        for bad in ["", "a b", "a\n", "user@host", &"x".repeat(256)] {
            assert_eq!(check(target(bad, 22)).unwrap_err().code, "invalid_field");
        }
        assert!(check(target("localhost", 0)).is_err());
    }
}
