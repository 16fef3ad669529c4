//! Jobs: the same command for many agents.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use garde::Validate;
use gururmm_shared::{AgentId, ClientId, JobId, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::commands::{CommandBody, newest_first, not_run, page_limit};
use super::extract::{Authenticated, Signed};
use super::job_view::{JobView, view};
use super::page::Page;
use super::schemas::Name;
use super::sessions::refuse;
use super::state::AppState;
use crate::actors::command_messages::{Cancel, Wake};
use crate::db::agents::{self, AgentFilter, AgentOverview, AgentSort};
use crate::db::commands::{self, Cancelled};
use crate::db::jobs::{self, Job, Progress};
use crate::db::page::PageOf;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit::{Refusal, now};
use crate::services::commands::{Accepted, Wanted};
use crate::services::policies;

/// Agents that are read at once.
const PAGE: i64 = 1000;
/// Agents that one job may reach.
const MOST_AGENTS: usize = 10_000;

/// Which agents a job is for: all that fit every part that is given.
#[derive(Debug, Clone, Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(ToSchema)]
#[schema(as = JobFilter)]
pub struct Targets {
    #[garde(inner(length(min = 1, max = 1000)))]
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_ids: Option<BTreeSet<uuid::Uuid>>,
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<uuid::Uuid>,
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site_id: Option<uuid::Uuid>,
    #[garde(inner(length(max = 64), custom(super::agents::plain)))]
    #[schema(max_length = 64)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    os_family: Option<String>,
}

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
}

/// All agents of a filter that the caller may act on.
async fn targets(
    state: &AppState,
    who: &Authenticated,
    filter: &Targets,
) -> Result<Vec<AgentOverview>, AppError> {
    let mut found: Vec<AgentOverview> = Vec::new();
    let mut page = PageOf {
        sort: AgentSort::Created,
        descending: false,
        after: None,
        limit: PAGE,
    };
    loop {
        let fitting = AgentFilter {
            scope: who.scope.clone(),
            site_id: filter.site_id.map(SiteId),
            client_id: filter.client_id.map(ClientId),
            os_family: filter.os_family.clone(),
            ..AgentFilter::default()
        };
        let rows = agents::list(&state.db, fitting, page.clone()).await?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count >= PAGE);
        page.after = rows.last().map(|row| row.position(page.sort));
        let named = |row: &AgentOverview| {
            let ids = filter.agent_ids.as_ref();
            ids.is_none_or(|ids| ids.contains(&row.agent.id.0))
        };
        found.extend(rows.into_iter().filter(named));
        if found.len() > MOST_AGENTS {
            return Err(AppError::invalid_field(
                "filter",
                format!("a job reaches at most {MOST_AGENTS} agents; narrow its filter"),
            ));
        }
        if !full {
            return Ok(found);
        }
    }
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
    signed: Signed<NewJob>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::RunCommands)?;
    let accepted =
        Wanted::from(body.command).accept(&state.settings.commands, &state.settings.limits)?;
    state.command_rates.take(who.user.id)?;
    let found = targets(&state, &who, &body.filter).await?;
    if found.is_empty() {
        return Err(AppError::invalid_field(
            "filter",
            "no agent that you may act on fits the filter",
        ));
    }
    for overview in &found {
        let agent_id = overview.agent.id;
        if let Err(refused) = policies::check_command(&state.db, agent_id, &accepted.command).await
        {
            // All or none: a job that leaves out machines in silence would be taken for done.
            let refusal = Refusal {
                what: accepted.described(),
                agent: Some((agent_id, overview.agent.hostname.clone())),
                ..Refusal::default()
            };
            return Err(refuse(&state, &who, refusal, not_run(refused)).await);
        }
    }
    let filter = serde_json::to_value(&body.filter).map_err(|error| AppError::internal(&error))?;
    let job = Job {
        id: JobId::generate(),
        name: body.name.trim().to_owned(),
        created_by: Some(who.user.id),
        command_type: accepted.command_type.clone(),
        command: accepted.command.clone(),
        parameters: accepted.parameters.clone(),
        timeout_seconds: accepted.timeout_seconds,
        elevated: accepted.elevated,
        filter,
        created_at: now(),
        cancelled_at: None,
    };
    let id = job.id;
    let rows = found
        .iter()
        .map(|overview| {
            let agent = (overview.agent.id, overview.agent.hostname.as_str());
            accepted.rows(&who.caller, agent, Some(id))
        })
        .collect();
    jobs::insert(&state.db, job, rows).await?;
    let agents: Vec<AgentId> = found.iter().map(|overview| overview.agent.id).collect();
    let total = agents.len();
    state.commands.do_send(Wake { agents });
    Ok(HttpResponse::Created().json(CreatedView { id, total }))
}

/// Which jobs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[derive(IntoParams)]
pub struct Filter {
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// Lists jobs, newest first.
#[utoipa::path(
    tag = "jobs",
    responses(
        (status = 200, description = "a page", body = Page<JobView>),
    ),
)]
#[get("/api/jobs")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let limit = page_limit(filter.limit)?;
    let rows = jobs::list(
        &state.db,
        who.scope.clone(),
        filter.cursor.map(JobId),
        limit + 1,
    )
    .await?;
    let ids = rows.iter().map(|job| job.id).collect();
    let progress = jobs::progress(&state.db, who.scope.clone(), ids).await?;
    let nothing = Progress::new();
    let page = newest_first(rows, limit, |job| job.id.to_string());
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
    let own = job.created_by == Some(who.user.id);
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
    let (job, progress) = find(&state, &who, id.into_inner()).await?;
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
    for (id, agent_id) in left {
        match commands::request_cancel(&state.db, id, now()).await? {
            Cancelled::Never => cancelled += 1,
            Cancelled::Asked => {
                asked += 1;
                state.commands.do_send(Cancel { agent_id, id });
            }
            Cancelled::Over => {}
        }
    }
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
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::RunCommands)?;
    let (job, _) = find(&state, &who, id.into_inner()).await?;
    state.command_rates.take(who.user.id)?;
    let accepted = Accepted {
        command_type: job.command_type,
        command: job.command,
        parameters: job.parameters,
        timeout_seconds: job.timeout_seconds,
        elevated: job.elevated,
        expires_in: chrono::Duration::seconds(state.settings.commands.expiry_seconds.into()),
    };
    let mut rows = Vec::new();
    let mut woken = Vec::new();
    for agent_id in jobs::failed_agents(&state.db, job.id).await? {
        let Some(overview) = agents::overview(&state.db, agent_id).await? else {
            continue;
        };
        let allowed = policies::check_command(&state.db, agent_id, &accepted.command).await;
        if who.scope.covers(overview.place()) && allowed.is_ok() {
            let agent = (agent_id, overview.agent.hostname.as_str());
            rows.push(accepted.rows(&who.caller, agent, Some(job.id)));
            woken.push(agent_id);
        }
    }
    let total = rows.len();
    jobs::retry(&state.db, job.id, rows).await?;
    state.commands.do_send(Wake { agents: woken });
    Ok(HttpResponse::Accepted().json(RetriedView {
        id: job.id,
        retried: total,
    }))
}
