//! Lanes of agents: a request of its own for the bytes of one channel (`gururmm_shared::lane`). The channel was opened,
//! checked against the policy and written down before its lane was offered.

use std::convert::Infallible;
use std::time::Instant;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, get, put};
use futures_util::{StreamExt, stream};
use gururmm_shared::lane::{LaneError, LaneReader, TOKEN_HEADER};
use gururmm_shared::{
    ChannelId, Frame, ResetCode, ServerMessage, SessionId, TunnelData, TunnelPayload,
};

use super::legacy::bearer;
use super::state::AppState;
use crate::actors::connection_messages::ToConnection;
use crate::actors::lanes::{Lane, LaneReceiver, Way};
use crate::db::approvals;
use crate::error::AppError;
use crate::services::polling::with_key;

/// Takes the bytes of a channel from a machine.
///
/// The agent shows its key and, in the header `x-lane-token`, the token that the server told it; it is good once.
/// `lane_joined` on its WebSocket says that the body is read.
#[utoipa::path(
    tag = "polling",
    operation_id = "lane_from_machine",
    params(
        ("x-lane-token" = Option<String>, Header, description = "the token"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "all of it has come"),
        (status = 400, description = "`broken_lane`: it broke off"),
        (status = 401, description = "no key, or none that is good"),
        (status = 404, description = "no such lane is offered"),
        (status = 409, description = "`gone`: the channel has ended"),
    ),
    security(("agent_key" = [])),
)]
#[put("/api/agent/lanes/{session_id}/{channel_id}")]
pub async fn receive(
    request: HttpRequest,
    state: Data<AppState>,
    path: Path<(uuid::Uuid, String)>,
    mut payload: Payload,
) -> Result<HttpResponse, AppError> {
    let lane = admit(&request, &state, path.into_inner(), Way::Down).await?;
    metrics::counter!("gururmm_lanes_total", "way" => "down").increment(1);
    lane.connection.do_send(ToConnection::Send {
        session_id: lane.session_id,
        message: ServerMessage::TunnelData(TunnelData {
            channel_id: lane.channel_id.clone(),
            data: TunnelPayload::LaneJoined,
        }),
    });
    let mut incoming = Incoming {
        lane,
        reader: LaneReader::default(),
        received: 0,
    };
    loop {
        let chunk = tokio::select! {
            chunk = payload.next() => chunk,
            _ = incoming.lane.stream.until_cut_off() => return Err(gone()),
        };
        match chunk {
            Some(Ok(bytes)) => {
                if incoming.take(bytes).is_err() {
                    return Err(incoming.broke_off());
                }
                if incoming.reader.has_ended() {
                    return Ok(HttpResponse::NoContent().finish());
                }
            }
            Some(Err(_)) | None => return Err(incoming.broke_off()),
        }
    }
}

/// Brings the bytes of a channel to a machine.
///
/// The agent shows its key and, in the header `x-lane-token`, the token that the server told it; it is good once.
#[utoipa::path(
    tag = "polling",
    operation_id = "lane_to_machine",
    params(
        ("x-lane-token" = Option<String>, Header, description = "the token"),
    ),
    responses(
        (status = 200, description = "the bytes, in pieces", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 401, description = "no key, or none that is good"),
        (status = 404, description = "no such lane is offered"),
    ),
    security(("agent_key" = [])),
)]
#[get("/api/agent/lanes/{session_id}/{channel_id}")]
pub async fn send(
    request: HttpRequest,
    state: Data<AppState>,
    path: Path<(uuid::Uuid, String)>,
) -> Result<HttpResponse, AppError> {
    let lane = admit(&request, &state, path.into_inner(), Way::Up).await?;
    metrics::counter!("gururmm_lanes_total", "way" => "up").increment(1);
    let body = stream::unfold(lane.slot.join(), |mut body: LaneReceiver| async move {
        let chunk = body.next().await?;
        Some((Ok::<_, Infallible>(chunk), body))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body))
}

async fn admit(
    request: &HttpRequest,
    state: &AppState,
    (session_id, channel_id): (uuid::Uuid, String),
    way: Way,
) -> Result<Lane, AppError> {
    let key = bearer(request).ok_or_else(|| {
        AppError::unauthorized(
            "token_missing",
            "send Authorization: Bearer <the agent's key>",
        )
    })?;
    let agent = with_key(&state.db, key).await?;
    if approvals::is_waiting(&state.db, agent.id).await? {
        return Err(AppError::not_found("lane"));
    }
    let token = request.headers().get(TOKEN_HEADER);
    let token = token.and_then(|value| value.to_str().ok()).unwrap_or("");
    let ids = (agent.id, SessionId(session_id));
    let channel_id = ChannelId::try_from(channel_id).ok();
    let lanes = &state.gateway.lanes;
    channel_id
        .and_then(|channel_id| lanes.take(token, ids, &channel_id, way, Instant::now()))
        .ok_or_else(|| AppError::not_found("lane"))
}

/// A body on its way into its channel.
struct Incoming {
    lane: Lane,
    reader: LaneReader,
    received: u64,
}

impl Incoming {
    /// Hands a chunk over. The channel's window bounds what is kept of it; who sends more has the channel reset.
    fn take(&mut self, mut chunk: Bytes) -> Result<(), LaneError> {
        let stream = self.lane.stream.id();
        while let Some(bytes) = self.reader.next(&mut chunk)? {
            let offset = self.received;
            self.received += bytes.len() as u64;
            self.hand_over(Frame::Data {
                stream,
                offset,
                bytes,
            });
        }
        if self.reader.has_ended() {
            let offset = self.received;
            self.hand_over(Frame::Eof { stream, offset });
        }
        Ok(())
    }

    fn hand_over(&self, frame: Frame) {
        if let Some(answer) = self.lane.stream.on_frame(frame) {
            self.tell(&answer);
        }
    }

    /// Ends the channel with its lane; one that carried nothing yet may go on over the WebSocket.
    fn broke_off(&self) -> AppError {
        if self.received > 0 {
            let reset = self
                .lane
                .stream
                .reset(ResetCode::Gone, "the lane of the machine broke off");
            if let Some(reset) = reset {
                self.tell(&reset);
            }
        }
        AppError::new(
            actix_web::http::StatusCode::BAD_REQUEST,
            "broken_lane",
            "the body broke off, or is none of a lane",
        )
    }

    fn tell(&self, frame: &Frame) {
        let frame = ToConnection::Frame(frame.encode());
        self.lane.connection.do_send(frame);
    }
}

fn gone() -> AppError {
    AppError::conflict("gone", "the channel has ended")
}
