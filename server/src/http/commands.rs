//! Commands outside tunnels: give, list, look at, cancel.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, CommandId, CommandType, JobId, ScriptId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Authenticated, Signed};
use super::once::Once;
use super::page::Page;
use super::schemas::CommandLine;
use super::sessions::refuse;
use super::state::AppState;
use crate::actors::command_messages::{Cancel, Wake};
use crate::db::commands::{self, Cancelled, Command, CommandFilter};
use crate::db::{Db, DbError, agents};
use crate::domain::command_state::Status;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services;
use crate::services::audit::{Refusal, now};
use crate::services::commands::Wanted;
use crate::services::policies::CommandRefused;
use crate::services::scripts::Call;

const PAGE_DEFAULT: i64 = 100;
const PAGE_MOST: i64 = 1000;

/// Body of a command: a line, or a script and what it is given.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewCommand)]
pub struct CommandBody {
    #[garde(skip)]
    command_type: Option<CommandType>,
    #[garde(skip)]
    #[schema(value_type = Option<CommandLine>)]
    command: Option<String>,
    #[garde(skip)]
    script_id: Option<uuid::Uuid>,
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<BTreeMap<String, Value>>,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 86_400)]
    timeout_seconds: Option<u64>,
    #[garde(skip)]
    #[serde(default)]
    elevated: bool,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 2_592_000)]
    expires_in_seconds: Option<u64>,
}

impl CommandBody {
    /// What is wanted: a script becomes its command.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) async fn resolve(self, db: &Db) -> Result<Wanted, AppError> {
        self.check()?;
        let Some(script_id) = self.script_id else {
            return Ok(Wanted {
                command_type: self.command_type.unwrap_or_default(),
                command: self.command.unwrap_or_default(),
                timeout_seconds: self.timeout_seconds,
                elevated: self.elevated,
                expires_in_seconds: self.expires_in_seconds,
                script: None,
            });
        };
        let call = Call {
            script_id: ScriptId(script_id),
            parameters: self.parameters.unwrap_or_default(),
            timeout_seconds: self.timeout_seconds,
            elevated: self.elevated,
            expires_in_seconds: self.expires_in_seconds,
        };
        call.resolve(db).await
    }

    /// As a schedule keeps it beside its command; what is out of its limits is refused elsewhere.
    pub(super) fn saved(&self) -> SavedCall {
        let seconds = |value: Option<u64>| value.and_then(|value| i32::try_from(value).ok());
        SavedCall {
            script_id: self.script_id.map(ScriptId),
            parameters: json!(self.parameters.clone().unwrap_or_default()),
            timeout_seconds: seconds(self.timeout_seconds),
            elevated: self.elevated,
            expires_in_seconds: seconds(self.expires_in_seconds),
        }
    }

    fn check(&self) -> Result<(), AppError> {
        let fault = match self.script_id {
            Some(_) if self.command.is_some() => "command",
            Some(_) if self.command_type.is_some() => "command_type",
            None if self.parameters.is_some() => "parameters",
            _ => return Ok(()),
        };
        let detail = "give a command and its type, or script_id and parameters";
        Err(AppError::invalid_field(fault, detail))
    }
}

/// What a schedule keeps of a body.
pub(super) struct SavedCall {
    pub script_id: Option<ScriptId>,
    pub parameters: Value,
    pub timeout_seconds: Option<i32>,
    pub elevated: bool,
    pub expires_in_seconds: Option<i32>,
}

/// The script that a command or a job was made of, as the API shows it.
pub(super) fn script_view(script: Option<Value>, arguments: Option<Value>) -> Option<Value> {
    let mut script = script?;
    script["parameters"] = arguments.unwrap_or_else(|| json!({}));
    Some(script)
}

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

/// Which commands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[derive(IntoParams)]
pub struct Filter {
    agent_id: Option<uuid::Uuid>,
    job_id: Option<uuid::Uuid>,
    /// `pending`, `running`, `completed` or `failed`.
    status: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// Lists commands, newest first.
#[utoipa::path(
    tag = "commands",
    responses(
        (status = 200, description = "a page, without output", body = Page<CommandView>),
    ),
)]
#[get("/api/commands")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let filter = filter.into_inner();
    let limit = page_limit(filter.limit)?;
    if let Some(status) = &filter.status
        && !Status::ALL.iter().any(|known| known.name() == status)
    {
        return Err(AppError::invalid_field(
            "status",
            "status is pending, running, completed or failed",
        ));
    }
    let rows = commands::list(
        &state.db,
        who.scope.clone(),
        CommandFilter {
            agent_id: filter.agent_id.map(AgentId),
            job_id: filter.job_id.map(JobId),
            status: filter.status,
            before: filter.cursor.map(CommandId),
            limit: limit + 1,
        },
    )
    .await?;
    let page = newest_first(rows, limit, |command| command.id.to_string());
    Ok(HttpResponse::Ok().json(page.map(CommandView::from)))
}

pub(super) fn page_limit(limit: Option<i64>) -> Result<i64, AppError> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MOST).contains(&limit) {
        return Ok(limit);
    }
    Err(AppError::invalid_field(
        "limit",
        format!("limit is 1 to {PAGE_MOST}"),
    ))
}

/// A page of `limit` rows out of one more than that.
pub(super) fn newest_first<T>(
    mut rows: Vec<T>,
    limit: i64,
    cursor: impl Fn(&T) -> String,
) -> Page<T> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > most;
    rows.truncate(most);
    let next_cursor = rows.last().filter(|_| more).map(cursor);
    Page {
        items: rows,
        next_cursor,
    }
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
        Cancelled::Never => Ok(HttpResponse::Ok().json(CancelledView {
            command_id: id,
            status: "failed",
            reason: Some("cancelled"),
        })),
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
