//! Jobs: the same command for many agents.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use gururmm_shared::{AgentId, JobId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::command_body::CommandBody;
use super::extract::{Authenticated, Signed};
use super::job_view::{JobView, hide_elsewhere, view};
use super::list_parameters;
use super::listing::Listing;
use super::once::Once;
use super::page::Page;
use super::schemas::Name;
use super::sessions::refuse;
use super::state::AppState;
use crate::actors::command_messages::{Cancel, Wake};
use crate::actors::event_messages::Happened;
use crate::db::commands::{self, Cancelled};
use crate::db::jobs::{self, Job, JobFilter, Progress};
use crate::domain::job_targets::Targets;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services;
use crate::services::audit::{Refusal, now};
use crate::services::commands::Accepted;

/// Body of a job.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewJob {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(dive)]
    filter: Targets,
    #[garde(dive)]
    #[serde(flatten)]
    command: CommandBody,
}

/// A job that was given.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedJob)]
struct CreatedView {
    id: JobId,
    /// For how many agents.
    total: usize,
}

/// A job that was cancelled.
#[derive(Serialize, ToSchema)]
#[schema(as = CancelledJob)]
struct JobCancelledView {
    id: JobId,
    /// How many were not sent.
    cancelled: usize,
    /// How many agents are told to end theirs.
    asked: usize,
}

/// A job that was given again.
#[derive(Serialize, ToSchema)]
#[schema(as = RetriedJob)]
struct RetriedView {
    id: JobId,
    /// To how many agents.
    retried: usize,
    /// How many agents it was refused for, which their policy keeps from it.
    refused: usize,
    /// How many of those for which reason.
    #[schema(value_type = Object)]
    reasons: BTreeMap<&'static str, usize>,
}

/// Gives a command to many agents.
#[utoipa::path(
    tag = "jobs",
    request_body = NewJob,
    responses(
        (status = 201, description = "it is committed", body = CreatedView),
    ),
)]
#[post("/api/jobs")]
pub async fn create(
    state: Data<AppState>,
    once: Once,
    signed: Signed<NewJob>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::RunCommands)?;
    let id = JobId(once.id);
    if once.again && jobs::by_id(&state.db, id).await?.is_some() {
        let total = jobs::total(&state.db, id).await?;
        let total = usize::try_from(total).unwrap_or_default();
        return Ok(HttpResponse::Created().json(CreatedView { id, total }));
    }
    let wanted = body.command.resolve(&state.db).await?;
    let accepted = wanted.accept(&state.settings.commands, &state.settings.limits)?;
    state.command_rates.take(who.user.id)?;
    let found = services::jobs::targets(&state.db, &who.scope, &body.filter).await?;
    if found.is_empty() {
        return Err(AppError::invalid_field(
            "filter",
            "no agent that you may act on fits the filter",
        ));
    }
    let left = services::jobs::left_out(&state.db, &found, &accepted).await?;
    if let Some((agent_id, why)) = left.iter().next() {
        // All or none: a job that leaves out machines in silence would be taken for done.
        let hostname = found
            .iter()
            .find(|overview| overview.agent.id == *agent_id)
            .map(|overview| overview.agent.hostname.clone())
            .unwrap_or_default();
        let count = left.len();
        let refusal = Refusal {
            what: accepted.described(),
            agent: Some((*agent_id, hostname.clone())),
            ..Refusal::default()
        };
        let mut error = AppError::from(why.clone());
        error.detail = format!(
            "{} ({count} of {} agents, {hostname} among them)",
            error.detail,
            found.len()
        );
        return Err(refuse(&state, &who, refusal, error).await);
    }
    let filter = serde_json::to_value(&body.filter).map_err(|error| AppError::internal(&error))?;
    let name = body.name.trim();
    let (job, rows) = services::jobs::rows(id, name, filter, &accepted, &who.caller, found.iter());
    jobs::insert(&state.db, job, rows).await?;
    let agents: Vec<AgentId> = found.iter().map(|overview| overview.agent.id).collect();
    let total = agents.len();
    state.events.do_send(Happened::Jobs(vec![id]));
    state.commands.do_send(Wake { agents });
    Ok(HttpResponse::Created().json(CreatedView { id, total }))
}

/// Lists jobs, newest first.
#[utoipa::path(
    tag = "jobs",
    params(list_parameters::Jobs),
    responses(
        (status = 200, description = "a page", body = Page<JobView>),
    ),
)]
#[get("/api/jobs")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Jobs>(&request)?;
    let going_on = asked.choice("state", list_parameters::JOB_STATES)?;
    let filter = JobFilter {
        scope: who.scope.clone(),
        created_by: asked.id("user_id", UserId)?,
        active: going_on.map(|state| state == "active"),
        words: asked.text("q")?,
        from: asked.time("from")?,
        to: asked.time("to")?,
    };
    let rows = jobs::list(&state.db, filter, asked.page()).await?;
    let mut page = asked.cut(rows, Job::position);
    hide_elsewhere(&state.db, &who.scope, &mut page.items).await?;
    let ids = page.items.iter().map(|job| job.id).collect();
    let progress = jobs::progress(&state.db, who.scope.clone(), ids).await?;
    let nothing = Progress::new();
    Ok(HttpResponse::Ok().json(page.map(|job| {
        let progress = progress.get(&job.id).unwrap_or(&nothing);
        view(job, progress)
    })))
}

/// Finds a job of which the caller may see at least one command; its progress is what they may see.
async fn find(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
) -> Result<(Job, Progress), AppError> {
    let id = JobId(id);
    let job = jobs::by_id(&state.db, id).await?;
    let job = job.ok_or_else(|| AppError::not_found("job"))?;
    let mut progress = jobs::progress(&state.db, who.scope.clone(), vec![id]).await?;
    let own = who.owns(job.created_by);
    match progress.remove(&id) {
        Some(progress) => Ok((job, progress)),
        None if own || who.scope == crate::domain::scope::Scope::Everything => {
            Ok((job, Progress::new()))
        }
        None => Err(AppError::forbidden(
            "out_of_scope",
            "this job is for agents that you have no access to; ask an administrator",
        )),
    }
}

/// Shows a job with its progress.
#[utoipa::path(
    tag = "jobs",
    responses(
        (status = 200, description = "the job", body = JobView),
        (status = 404, description = "no such job"),
    ),
)]
#[get("/api/jobs/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let (mut job, progress) = find(&state, &who, id.into_inner()).await?;
    hide_elsewhere(&state.db, &who.scope, std::slice::from_mut(&mut job)).await?;
    Ok(HttpResponse::Ok().json(view(job, &progress)))
}

/// Cancels what has not ended of a job.
#[utoipa::path(
    tag = "jobs",
    responses(
        (status = 202, description = "what was done", body = JobCancelledView),
        (status = 404, description = "no such job"),
    ),
)]
#[post("/api/jobs/{id}/cancel")]
pub async fn cancel(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::RunCommands)?;
    let (job, _) = find(&state, &who, id.into_inner()).await?;
    let left = jobs::request_cancel(&state.db, who.scope.clone(), job.id, now()).await?;
    let (mut cancelled, mut asked) = (0, 0);
    let mut ended = Vec::new();
    for (id, agent_id) in left {
        match commands::request_cancel(&state.db, id, now()).await? {
            Cancelled::Never => {
                cancelled += 1;
                ended.push(id);
            }
            Cancelled::Asked => {
                asked += 1;
                state.commands.do_send(Cancel { agent_id, id });
            }
            Cancelled::Over => {}
        }
    }
    state.events.do_send(Happened::Commands(ended));
    state.events.do_send(Happened::Jobs(vec![job.id]));
    Ok(HttpResponse::Accepted().json(JobCancelledView {
        id: job.id,
        cancelled,
        asked,
    }))
}

/// Gives the command again to each agent where its last try failed.
#[utoipa::path(
    tag = "jobs",
    responses(
        (status = 202, description = "what was done", body = RetriedView),
        (status = 404, description = "no such job"),
    ),
)]
#[post("/api/jobs/{id}/retry")]
pub async fn retry(
    who: Authenticated,
    state: Data<AppState>,
    once: Once,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::RunCommands)?;
    let (job, _) = find(&state, &who, id.into_inner()).await?;
    if once.again {
        let ids = services::jobs::ids_of_retry(once.id);
        let given = jobs::count_within(&state.db, job.id, ids).await?;
        if given > 0 {
            // Who was left out then is not known any more.
            return Ok(HttpResponse::Accepted().json(RetriedView {
                id: job.id,
                retried: usize::try_from(given).unwrap_or_default(),
                refused: 0,
                reasons: BTreeMap::new(),
            }));
        }
    }
    state.command_rates.take(who.user.id)?;
    let accepted = Accepted {
        command_type: job.command_type,
        command: job.command,
        parameters: job.parameters,
        timeout_seconds: job.timeout_seconds,
        elevated: job.elevated,
        expires_in: chrono::Duration::seconds(state.settings.commands.expiry_seconds.into()),
        script: job.script,
        arguments: job.arguments,
        on_behalf: None,
    };
    // As everywhere, agents outside of the caller's scope are not there.
    let failed = jobs::failed_agents(&state.db, who.scope.clone(), job.id).await?;
    let found = services::jobs::located(&state.db, &who.scope, &failed).await?;
    let left = services::jobs::left_out(&state.db, &found, &accepted).await?;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for why in left.values() {
        *reasons.entry(why.code).or_default() += 1;
    }
    let kept: Vec<_> = found
        .iter()
        .filter(|overview| !left.contains_key(&overview.agent.id))
        .collect();
    let kept = kept.into_iter();
    let rows = services::jobs::retries_of(job.id, once.id, &accepted, &who.caller, kept);
    let agents = jobs::retry(&state.db, job.id, rows).await?;
    let retried = agents.len();
    state.events.do_send(Happened::Jobs(vec![job.id]));
    state.commands.do_send(Wake { agents });
    Ok(HttpResponse::Accepted().json(RetriedView {
        id: job.id,
        retried,
        refused: left.len(),
        reasons,
    }))
}
