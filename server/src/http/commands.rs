//! Commands outside tunnels: give, list, look at, cancel.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, CommandId, CommandType, JobId, SiteId, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::command_body::{CommandBody, script_view};
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::once::Once;
use super::page::Page;
use super::sessions::refuse;
use super::state::AppState;
use crate::actors::command_messages::{Cancel, Wake};
use crate::actors::event_messages::Happened;
use crate::db::commands::{self, Cancelled, Command, CommandFilter};
use crate::db::{DbError, agents};
use crate::domain::command_state::Status;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services;
use crate::services::audit::{Refusal, now};
use crate::services::policies::CommandRefused;

/// A command as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Command)]
pub(super) struct CommandView {
    id: CommandId,
    agent_id: AgentId,
    job_id: Option<JobId>,
    #[schema(value_type = CommandType)]
    command_type: Value,
    command: String,
    timeout_seconds: i32,
    elevated: bool,
    /// The script that it runs, and what it is given.
    #[schema(value_type = Option<Object>)]
    script: Option<Value>,
    status: String,
    reason: Option<String>,
    exit_code: Option<i32>,
    duration_ms: Option<i64>,
    attempts: i32,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
}

impl From<Command> for CommandView {
    fn from(command: Command) -> Self {
        Self {
            id: command.id,
            agent_id: command.agent_id,
            job_id: command.job_id,
            command_type: command
                .parameters
                .unwrap_or(Value::String(command.command_type)),
            command: command.command,
            timeout_seconds: command.timeout_seconds,
            elevated: command.elevated,
            script: script_view(command.script, command.arguments),
            status: command.status,
            reason: command.reason,
            exit_code: command.exit_code,
            duration_ms: command.duration_ms,
            attempts: command.attempts,
            created_by: command.created_by,
            created_at: command.created_at,
            sent_at: command.sent_at,
            finished_at: command.finished_at,
            expires_at: command.expires_at,
            cancel_requested_at: command.cancel_requested_at,
            stdout: None,
            stderr: None,
        }
    }
}

/// A command that was given.
#[derive(Serialize, ToSchema)]
#[schema(as = GivenCommand)]
struct GivenView {
    command_id: CommandId,
    agent_id: AgentId,
    status: &'static str,
    expires_at: Option<DateTime<Utc>>,
}

/// A command that was cancelled.
#[derive(Serialize, ToSchema)]
#[schema(as = CancelledCommand)]
struct CancelledView {
    command_id: CommandId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Gives an agent a command, which waits until it is connected.
#[utoipa::path(
    tag = "commands",
    request_body = CommandBody,
    responses(
        (status = 202, description = "it is committed", body = GivenView),
        (status = 404, description = "no such agent"),
        (status = 429, description = "`too_many_commands`, `too_many_waiting`"),
    ),
)]
#[post("/api/agents/{id}/command")]
pub async fn give(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    once: Once,
    signed: Signed<CommandBody>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::RunCommands)?;
    let agent_id = AgentId(id.into_inner());
    let command_id = CommandId(once.id);
    let overview = agents::overview(&state.db, agent_id).await?;
    let overview = overview.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(Capability::RunCommands, overview.place())?;
    if once.again
        && let Some(given) = commands::by_id(&state.db, command_id).await?
    {
        return Ok(accepted_answer(command_id, agent_id, given.expires_at));
    }
    let wanted = body.resolve(&state.db).await?;
    let accepted = wanted.accept(&state.settings.commands, &state.settings.limits)?;
    state.command_rates.take(who.user.id)?;
    let waiting = commands::waiting(&state.db, vec![agent_id]).await?;
    let most = i64::from(state.settings.commands.max_waiting);
    if waiting.get(&agent_id).is_some_and(|count| *count >= most) {
        let detail = format!(
            "{most} commands wait for this agent already; cancel some, or wait until it is back"
        );
        return Err(AppError::too_many("too_many_waiting", detail, None));
    }
    let hostname = overview.agent.hostname.clone();
    let place = [overview];
    let left = services::jobs::left_out(&state.db, &place, &accepted).await?;
    if let Some(why) = left.into_values().next() {
        let refusal = Refusal {
            what: accepted.described(),
            agent: Some((agent_id, hostname)),
            ..Refusal::default()
        };
        return Err(refuse(&state, &who, refusal, why.into()).await);
    }
    let about = (agent_id, hostname.as_str());
    let mut rows = accepted.rows(&who.caller, about, None);
    rows.0.id = command_id;
    rows.1.command_id = Some(command_id);
    let expires_at = rows.0.expires_at;
    match commands::insert(&state.db, vec![rows]).await {
        Ok(()) => {}
        // The first try was committed in this very moment.
        Err(DbError::Duplicate { .. }) if once.again => {
            let given = commands::by_id(&state.db, command_id).await?;
            let expires_at = given.and_then(|given| given.expires_at);
            return Ok(accepted_answer(command_id, agent_id, expires_at));
        }
        Err(DbError::ForeignKey) => return Err(AppError::not_found("agent")),
        Err(error) => return Err(error.into()),
    }
    state.events.do_send(Happened::Commands(vec![command_id]));
    state.commands.do_send(Wake {
        agents: vec![agent_id],
    });
    Ok(accepted_answer(command_id, agent_id, Some(expires_at)))
}

fn accepted_answer(
    command_id: CommandId,
    agent_id: AgentId,
    expires_at: Option<DateTime<Utc>>,
) -> HttpResponse {
    HttpResponse::Accepted().json(GivenView {
        command_id,
        agent_id,
        status: Status::Pending.name(),
        expires_at,
    })
}

/// The answer to a command that the agent's policy does not allow.
pub(super) fn not_run(refused: CommandRefused) -> AppError {
    match refused {
        CommandRefused::ByPolicy(refusal) => {
            AppError::forbidden("command_not_allowed", refusal.to_string())
        }
        CommandRefused::Unknown(error) => error.into(),
    }
}

/// Lists commands, newest first.
#[utoipa::path(
    tag = "commands",
    params(list_parameters::Commands),
    responses(
        (status = 200, description = "a page, without output", body = Page<CommandView>),
    ),
)]
#[get("/api/commands")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Commands>(&request)?;
    let filter = CommandFilter {
        scope: who.scope,
        agent_id: asked.id("agent_id", AgentId)?,
        site_id: asked.id("site_id", SiteId)?,
        client_id: asked.id("client_id", ClientId)?,
        job_id: asked.id("job_id", JobId)?,
        created_by: asked.id("user_id", UserId)?,
        status: asked.choice("status", list_parameters::COMMAND_STATUSES)?,
        reason: asked.choice("reason", list_parameters::COMMAND_REASONS)?,
        words: asked.text("q")?,
        from: asked.time("from")?,
        to: asked.time("to")?,
    };
    let rows = commands::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Command::position);
    Ok(HttpResponse::Ok().json(page.map(CommandView::from)))
}

/// Finds a command that the caller may see, or act on.
async fn find(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
    capability: Capability,
) -> Result<Command, AppError> {
    who.require(capability)?;
    let found = commands::by_id(&state.db, CommandId(id)).await?;
    let command = found.ok_or_else(|| AppError::not_found("command"))?;
    let overview = agents::overview(&state.db, command.agent_id).await?;
    // Between the two looks its agent may have been deleted, and the command with it.
    let overview = overview.ok_or_else(|| AppError::not_found("command"))?;
    who.require_at(capability, overview.place())?;
    Ok(command)
}

/// Shows a command with its output.
#[utoipa::path(
    tag = "commands",
    responses(
        (status = 200, description = "the command", body = CommandView),
        (status = 404, description = "no such command"),
    ),
)]
#[get("/api/commands/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let command = find(&state, &who, id.into_inner(), Capability::ReadFleet).await?;
    let output = commands::output_of(&state.db, command.id).await?;
    Ok(HttpResponse::Ok().json(CommandView {
        stdout: Some(output.stdout),
        stderr: Some(output.stderr),
        ..CommandView::from(command)
    }))
}

/// Cancels a command.
#[utoipa::path(
    tag = "commands",
    responses(
        (status = 200, description = "it was not sent and never will be", body = CancelledView),
        (status = 202, description = "its agent is told to end it", body = CancelledView),
        (status = 404, description = "no such command"),
        (status = 409, description = "`command_ended`"),
    ),
)]
#[post("/api/commands/{id}/cancel")]
pub async fn cancel(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let command = find(&state, &who, id.into_inner(), Capability::RunCommands).await?;
    let (id, agent_id) = (command.id, command.agent_id);
    match commands::request_cancel(&state.db, id, now()).await? {
        Cancelled::Never => {
            state.events.do_send(Happened::Commands(vec![id]));
            Ok(HttpResponse::Ok().json(CancelledView {
                command_id: id,
                status: "failed",
                reason: Some("cancelled"),
            }))
        }
        Cancelled::Asked => {
            state.commands.do_send(Cancel { agent_id, id });
            Ok(HttpResponse::Accepted().json(CancelledView {
                command_id: id,
                status: "running",
                reason: None,
            }))
        }
        Cancelled::Over => Err(AppError::conflict(
            "command_ended",
            "the command has ended already",
        )),
    }
}
