//! Agents that poll: register, heartbeat, result. No user's token: the agent's own key.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use garde::Validate;
use gururmm_shared::{
    AgentId, Auth, Command, CommandId, CommandResult, FIRST_GENERATION, Metrics, OsInfo,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Valid, remote_address};
use super::state::AppState;
use crate::actors::command_reports::finish;
use crate::actors::commands::order;
use crate::actors::event_messages::Happened;
use crate::actors::metrics_messages::Report;
use crate::actors::registry_messages::Polled;
use crate::db::agents::Agent;
use crate::db::approvals;
use crate::db::commands::{self, Settled};
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::clearance;
use crate::services::enrollment::{self, Refused};

/// What a polling agent is told to be capable of.
const POLLING: &str = "polling";

/// Bytes of a result: two streams of 1 MiB as JSON may write them.
pub const RESULT_BYTES: usize = 4 << 20;

/// Body of a registration.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = PollingRegistration)]
pub struct Registration {
    /// A site's code, or its key.
    #[serde(alias = "api_key")]
    #[garde(length(chars, min = 1, max = 256))]
    #[schema(min_length = 1, max_length = 256)]
    site_code: String,
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    device_id: String,
    #[serde(default)]
    #[garde(length(chars, max = 253))]
    #[schema(max_length = 253)]
    hostname: String,
    #[garde(skip)]
    os_info: Option<OsInfo>,
    #[serde(alias = "agent_version")]
    #[garde(inner(length(chars, max = 64)))]
    #[schema(max_length = 64)]
    version: Option<String>,
    #[garde(inner(length(chars, max = 256)))]
    #[schema(max_length = 256)]
    enrollment_nonce: Option<String>,
}

/// A polling agent that was enrolled.
#[derive(Serialize, ToSchema)]
#[schema(as = EnrolledAgent)]
struct EnrolledView {
    agent_id: AgentId,
    api_key: String,
}

/// A result that is stored.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredResult)]
struct StoredView {
    command_id: CommandId,
    status: &'static str,
}

fn refused(refused: &Refused) -> AppError {
    let detail = refused.to_string();
    match refused {
        Refused::UnknownKey | Refused::UnknownSiteCode | Refused::BadToken => {
            AppError::unauthorized(refused.code(), detail)
        }
        Refused::AlreadyEnrolled => AppError::conflict(refused.code(), detail),
        Refused::RateLimited => AppError::too_many(refused.code(), detail, Some(60)),
        Refused::DeviceIdRequired => AppError::invalid_field("device_id", detail),
        Refused::BadAuth(_) => AppError::malformed(detail),
        Refused::Unavailable(_) => AppError::unavailable(detail),
    }
}

/// Enrols an agent that polls.
#[utoipa::path(
    tag = "polling",
    request_body = Registration,
    responses(
        (status = 201, description = "its key, told this once; with a token that asks for approval it waits for that", body = EnrolledView),
        (status = 401, description = "`unknown_site_code`"),
        (status = 409, description = "`already_enrolled`"),
        (status = 429, description = "too many requests or wrong codes"),
    ),
    security(()),
)]
#[post("/api/agent/register-legacy")]
pub async fn register(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<Registration>,
) -> Result<HttpResponse, AppError> {
    let Valid(body) = body;
    let from = remote_address(&request);
    state.poll_rates.from_address(from)?;
    let auth = Auth {
        api_key: body.site_code,
        hostname: body.hostname,
        os_info: body.os_info,
        version: body.version,
        device_id: Some(body.device_id),
        protocol: Some(FIRST_GENERATION),
        capabilities: vec![POLLING.to_owned()],
        enrollment_nonce: body.enrollment_nonce,
        ..Auth::default()
    };
    let gateway = &state.gateway;
    let named = (auth.hostname.clone(), auth.device_id.clone());
    let admitted = match enrollment::admit(&state.db, auth, false, &gateway.doors, from).await {
        Ok(admitted) => admitted,
        Err(error) => {
            enrollment::note_refused(&state.db, &state.audit_limits, &error, named, from).await;
            return Err(refused(&error));
        }
    };
    let Some(key) = admitted.new_key else {
        // What came was a key of the agent's own: it is registered, and its key is not told again.
        return Err(refused(&Refused::AlreadyEnrolled));
    };
    let agent_id = admitted.agent.id;
    tracing::info!(agent.id = %agent_id, "a polling agent was registered");
    let changed = Happened::AgentsChanged(vec![agent_id]);
    gateway.events.do_send(changed);
    // One that waits for its approval is not there yet.
    if !admitted.waiting {
        gateway
            .writer
            .do_send(Report::Connected(admitted.connected));
        state.registry.do_send(Polled(agent_id));
    }
    Ok(HttpResponse::Created().json(EnrolledView {
        agent_id,
        api_key: key,
    }))
}

/// The key in the header.
pub(super) fn bearer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(header::AUTHORIZATION)?;
    let (scheme, key) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Who asks: the key in the header, or in the body as older agents send it.
async fn caller(
    request: &HttpRequest,
    state: &AppState,
    in_body: Option<&str>,
) -> Result<Agent, AppError> {
    let key = bearer(request).or(in_body).ok_or_else(|| {
        AppError::unauthorized(
            "token_missing",
            "send Authorization: Bearer <the agent's key>",
        )
    })?;
    let from = remote_address(request);
    let agent = state.poll_rates.authenticate(&state.db, key, from).await?;
    if approvals::is_waiting(&state.db, agent.id).await? {
        return Err(AppError::forbidden(
            "approval_pending",
            "this agent waits for an administrator's approval; ask again later",
        ));
    }
    Ok(agent)
}

/// Body of a heartbeat.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Heartbeat {
    #[garde(inner(length(max = 256)))]
    #[schema(max_length = 256)]
    api_key: Option<String>,
    #[garde(skip)]
    metrics: Option<Metrics>,
    /// The number of this poll: a repeat of it gets the same commands again.
    #[garde(inner(length(chars, min = 1, max = 64), ascii))]
    #[schema(min_length = 1, max_length = 64)]
    poll_id: Option<String>,
}

/// Answer to a heartbeat.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingCommands)]
struct Pending {
    agent_id: AgentId,
    pending_commands: Vec<Command>,
}

/// Tells that an agent is alive, and asks for its commands.
#[utoipa::path(
    tag = "polling",
    request_body = Heartbeat,
    responses(
        (status = 200, description = "its commands", body = Pending),
        (status = 401, description = "no key, or none that is good"),
        (status = 403, description = "`approval_pending`"),
        (status = 429, description = "too many requests"),
    ),
    security(("agent_key" = []), ()),
)]
#[post("/api/agent/heartbeat")]
pub async fn heartbeat(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<Heartbeat>,
) -> Result<HttpResponse, AppError> {
    let Valid(body) = body;
    let agent = caller(&request, &state, body.api_key.as_deref()).await?;
    let at = now();
    let writer = &state.gateway.writer;
    writer.do_send(Report::Seen(agent.id, at));
    if let Some(metrics) = body.metrics {
        writer.do_send(Report::Sample(agent.id, at, metrics));
    }
    state.registry.do_send(Polled(agent.id));
    if body.poll_id.as_deref().is_some_and(|id| id.contains('\0')) {
        return Err(AppError::invalid_field(
            "poll_id",
            "poll_id must not hold NUL",
        ));
    }
    let most = i64::from(state.settings.commands.max_in_flight);
    let sent = clearance::poll(&state.db, agent.id, body.poll_id, most, at).await?;
    if !sent.is_empty() {
        let ids = sent.iter().map(|command| command.id).collect();
        state.events.do_send(Happened::Commands(ids));
    }
    Ok(HttpResponse::Ok().json(Pending {
        agent_id: agent.id,
        pending_commands: sent.iter().filter_map(order).collect(),
    }))
}

/// Body of a result.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = CommandResult)]
pub struct ResultBody {
    #[garde(inner(length(max = 256)))]
    #[schema(max_length = 256)]
    api_key: Option<String>,
    #[serde(alias = "id", rename = "command_id")]
    #[garde(skip)]
    id: CommandId,
    #[garde(skip)]
    exit_code: Option<i32>,
    #[serde(default)]
    #[garde(skip)]
    stdout: String,
    #[serde(default)]
    #[garde(skip)]
    stderr: String,
    #[serde(default)]
    #[garde(skip)]
    duration_ms: u64,
}

/// Tells how a command ended, at most 4 MiB.
#[utoipa::path(
    tag = "polling",
    request_body = ResultBody,
    responses(
        (status = 200, description = "it is stored, again and again", body = StoredView),
        (status = 401, description = "no key, or none that is good"),
        (status = 403, description = "`approval_pending`"),
        (status = 404, description = "no such command of this agent"),
        (status = 429, description = "too many requests"),
    ),
    security(("agent_key" = []), ()),
)]
#[post("/api/agent/command-result")]
pub async fn result(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<ResultBody, RESULT_BYTES>,
) -> Result<HttpResponse, AppError> {
    let Valid(body) = body;
    let agent = caller(&request, &state, body.api_key.as_deref()).await?;
    let id = body.id;
    let told = CommandResult {
        id,
        exit_code: body.exit_code,
        stdout: body.stdout,
        stderr: body.stderr,
        duration_ms: body.duration_ms,
        reason: None,
    };
    state.gateway.writer.do_send(Report::Seen(agent.id, now()));
    let settled = commands::finish(&state.db, vec![finish(agent.id, told)], now()).await?;
    state.events.do_send(Happened::Commands(vec![id]));
    match settled.first() {
        Some(Settled::Ended | Settled::Late) => Ok(HttpResponse::Ok().json(StoredView {
            command_id: id,
            status: "stored",
        })),
        Some(Settled::Unknown) | None => Err(AppError::not_found("command of this agent")),
    }
}
