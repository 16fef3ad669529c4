//! A job as the API shows it: its row, and how far its commands are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gururmm_shared::{CommandType, JobId, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::command_body::script_view;
use crate::db::jobs::{Job, Progress};
use crate::domain::job_targets::Targets;

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
