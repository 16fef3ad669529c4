//! A job as the API shows it: its row, and how far its commands are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, CommandType, JobId, SiteId, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::command_body::script_view;
use crate::db::jobs::{Job, Progress};
use crate::db::{Db, places};
use crate::domain::job_targets::Targets;
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;

/// Agents whose places are read at once.
const PLACES_AT_ONCE: usize = 1000;

/// How far a job is.
#[derive(Serialize, ToSchema)]
#[schema(as = JobProgress)]
struct ProgressView {
    total: i64,
    pending: i64,
    running: i64,
    completed: i64,
    failed: i64,
    /// How many failed why.
    reasons: BTreeMap<String, i64>,
}

/// A job as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    id: JobId,
    name: String,
    #[schema(value_type = CommandType)]
    command_type: Value,
    command: String,
    timeout_seconds: i32,
    elevated: bool,
    /// The script that it runs, and what it is given.
    #[schema(value_type = Option<Object>)]
    script: Option<Value>,
    #[schema(value_type = Targets)]
    filter: Value,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    cancelled_at: Option<DateTime<Utc>>,
    progress: ProgressView,
}

/// Puts it together.
pub fn view(job: Job, progress: &Progress) -> JobView {
    let count = |status: &str| -> i64 {
        progress
            .iter()
            .filter(|((known, _), _)| known == status)
            .map(|(_, count)| count)
            .sum()
    };
    let mut reasons = BTreeMap::new();
    for ((_, reason), count) in progress {
        if let Some(reason) = reason {
            reasons.insert(reason.clone(), *count);
        }
    }
    JobView {
        id: job.id,
        name: job.name,
        command_type: job.parameters.unwrap_or(Value::String(job.command_type)),
        command: job.command,
        timeout_seconds: job.timeout_seconds,
        elevated: job.elevated,
        script: script_view(job.script, job.arguments),
        filter: job.filter,
        created_by: job.created_by,
        created_at: job.created_at,
        cancelled_at: job.cancelled_at,
        progress: ProgressView {
            total: progress.values().sum(),
            pending: count("pending"),
            running: count("running"),
            completed: count("completed"),
            failed: count("failed"),
            reasons,
        },
    }
}

/// Takes out of the filters of jobs what lies outside of a scope: who sees a job for one client's sake is not
/// told of the others that it is for.
///
/// # Errors
/// 503.
pub async fn hide_elsewhere(db: &Db, scope: &Scope, jobs: &mut [Job]) -> Result<(), AppError> {
    if *scope == Scope::Everything {
        return Ok(());
    }
    let filters = jobs.iter().map(|job| job.filter.clone());
    let mut filters: Vec<Targets> = filters
        .map(|filter| serde_json::from_value(filter).unwrap_or_default())
        .collect();
    let named: BTreeSet<uuid::Uuid> = filters
        .iter()
        .flat_map(|filter| filter.agent_ids.iter().flatten().copied())
        .collect();
    let named: Vec<AgentId> = named.into_iter().map(AgentId).collect();
    let mut seen = HashSet::new();
    for some in named.chunks(PLACES_AT_ONCE) {
        let found = places::of_named(db, some.to_vec()).await?;
        let within = found
            .into_iter()
            .filter(|(_, (place, _))| scope.covers(*place));
        seen.extend(within.map(|(id, _)| id.0));
    }
    for (job, filter) in jobs.iter_mut().zip(&mut filters) {
        if let Some(ids) = &mut filter.agent_ids {
            ids.retain(|id| seen.contains(id));
        }
        let client = filter.client_id.map(|id| Place::client(ClientId(id)));
        if client.is_some_and(|place| !scope.covers(place)) {
            filter.client_id = None;
        }
        if let Some(id) = filter.site_id {
            let place = places::of_site(db, SiteId(id)).await?;
            if !place.is_some_and(|place| scope.covers(place)) {
                filter.site_id = None;
            }
        }
        job.filter = serde_json::to_value(filter).map_err(|error| AppError::internal(&error))?;
    }
    Ok(())
}
