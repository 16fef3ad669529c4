//! Schedules and their runs as the API shows them.

use chrono::{DateTime, Utc};
use gururmm_shared::{CommandType, JobId, ScheduleId, ScheduleRunId, ScriptId, UserId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::db::schedules::{Run, Schedule};
use crate::domain::job_targets::Targets;
use crate::domain::schedule::Calendar;
use crate::services::audit::now;

/// Times to come that are shown.
const UPCOMING: usize = 5;

/// A schedule as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleView {
    id: ScheduleId,
    name: String,
    /// Its `id` and `email`.
    #[schema(value_type = Option<Object>)]
    owner: Option<Value>,
    cron: String,
    time_zone: String,
    enabled: bool,
    script_id: Option<ScriptId>,
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    #[schema(value_type = Option<CommandType>)]
    command_type: Option<Value>,
    command: Option<String>,
    timeout_seconds: Option<i32>,
    elevated: bool,
    #[schema(value_type = Targets)]
    filter: Value,
    when_offline: String,
    expires_in_seconds: Option<i32>,
    next_runs: Vec<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<RunView>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ScheduleView {
    /// Shows a schedule with its owner's address, and its last run where that is asked for.
    pub(super) fn new(
        (schedule, email): (Schedule, Option<String>),
        last_run: Option<Run>,
    ) -> Self {
        let next_runs = Calendar::parse(&schedule.cron, &schedule.time_zone)
            .map(|calendar| calendar.upcoming(now(), UPCOMING));
        Self {
            id: schedule.id,
            name: schedule.name,
            owner: schedule
                .owner_id
                .map(|id| json!({ "id": id, "email": email })),
            cron: schedule.cron,
            time_zone: schedule.time_zone,
            enabled: schedule.enabled,
            script_id: schedule.script_id,
            parameters: schedule.script_id.map(|_| schedule.arguments),
            command_type: schedule.command_type,
            command: schedule.command,
            timeout_seconds: schedule.timeout_seconds,
            elevated: schedule.elevated,
            filter: schedule.filter,
            when_offline: schedule.when_offline,
            expires_in_seconds: schedule.expires_in_seconds,
            next_runs: next_runs
                .ok()
                .filter(|_| schedule.enabled)
                .unwrap_or_default(),
            last_run: last_run.map(RunView::from),
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// A run as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleRun)]
pub(super) struct RunView {
    id: ScheduleRunId,
    due_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    requested_by: Option<UserId>,
    job_id: Option<JobId>,
    outcome: String,
    detail: Option<String>,
    /// Agents it was for, commands it gave, agents left out because they were away or busy.
    #[schema(value_type = Object)]
    counts: Value,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            due_at: run.due_at,
            started_at: run.started_at,
            requested_by: run.requested_by,
            job_id: run.job_id,
            outcome: run.outcome,
            detail: run.detail,
            counts: json!({
                "targets": run.targets, "commands": run.commands,
                "offline": run.offline, "busy": run.busy,
            }),
        }
    }
}
