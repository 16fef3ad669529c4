//! Jobs: which agents one reaches, which of them may not run it, and its rows.

use std::collections::BTreeMap;

use gururmm_shared::{AgentId, ClientId, CommandId, JobId, SiteId};
use serde_json::Value;
use uuid::Uuid;

use super::audit::{Caller, now};
use super::commands::Accepted;
use super::policies;
use super::scripts::{NO_PARAMETERS, takes_parameters};
use crate::db::agents::{self, AgentFilter, AgentOverview, AgentSort};
use crate::db::commands::NewCommand;
use crate::db::jobs::Job;
use crate::db::page::PageOf;
use crate::db::tunnel_audit::NewAudit;
use crate::db::{Db, DbError};
use crate::domain::job_targets::Targets;
use crate::domain::scope::Scope;
use crate::error::AppError;

/// Agents that are read at once.
const PAGE: usize = 1000;
/// Agents that one job may reach.
const MOST_AGENTS: usize = 10_000;

/// Finds the agents within a scope that fit a filter.
///
/// # Errors
/// 400: there are too many.
pub async fn targets(
    db: &Db,
    scope: &Scope,
    filter: &Targets,
) -> Result<Vec<AgentOverview>, AppError> {
    let mut page = PageOf {
        sort: AgentSort::Created,
        descending: false,
        after: None,
        limit: i64::try_from(PAGE).unwrap_or(i64::MAX),
    };
    let mut found = Vec::new();
    loop {
        let fitting = AgentFilter {
            scope: scope.clone(),
            site_id: filter.site_id.map(SiteId),
            client_id: filter.client_id.map(ClientId),
            os_family: filter.os_family.clone(),
            ..AgentFilter::default()
        };
        let rows = agents::list(db, fitting, page.clone()).await?;
        let full = rows.len() >= PAGE;
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

/// Finds these agents within a scope; what is gone or outside is left out.
///
/// # Errors
/// The database does not answer.
pub async fn located(
    db: &Db,
    scope: &Scope,
    ids: &[AgentId],
) -> Result<Vec<AgentOverview>, DbError> {
    let mut found = Vec::new();
    for ids in ids.chunks(PAGE) {
        found.extend(agents::overviews_of(db, ids.to_vec()).await?);
    }
    found.retain(|overview| scope.covers(overview.place()));
    Ok(found)
}

/// Why an agent does not run a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// A stable word.
    pub code: &'static str,
    /// A sentence.
    pub detail: String,
}

impl From<LeftOut> for AppError {
    fn from(left_out: LeftOut) -> Self {
        if left_out.code == NO_PARAMETERS {
            return Self::conflict(left_out.code, left_out.detail);
        }
        Self::forbidden(left_out.code, left_out.detail)
    }
}

/// Which of some agents do not run a command, and why: their policies do not allow it, or they cannot
/// be told its parameters.
///
/// # Errors
/// The policies cannot be read.
pub async fn left_out(
    db: &Db,
    found: &[AgentOverview],
    accepted: &Accepted,
) -> Result<BTreeMap<AgentId, LeftOut>, DbError> {
    let places: Vec<_> = found
        .iter()
        .map(|overview| (overview.agent.id, overview.place()))
        .collect();
    let mut left = BTreeMap::new();
    if accepted.arguments.is_some() {
        for overview in found {
            let agent = &overview.agent;
            if !takes_parameters(agent) {
                let detail = format!(
                    "the agent of {} cannot take parameters; update it, or run a script without",
                    agent.hostname
                );
                let code = NO_PARAMETERS;
                left.insert(agent.id, LeftOut { code, detail });
            }
        }
    }
    for (agent_id, refusal) in
        policies::refusals(db, &places, (&accepted.command_type, &accepted.command)).await?
    {
        let left_out = LeftOut {
            code: "command_not_allowed",
            detail: refusal.to_string(),
        };
        left.insert(agent_id, left_out);
    }
    Ok(left)
}

/// The rows of a job and of its commands.
#[must_use]
pub fn rows<'a>(
    id: JobId,
    name: &str,
    filter: Value,
    accepted: &Accepted,
    caller: &Caller,
    found: impl Iterator<Item = &'a AgentOverview>,
) -> (Job, Vec<(NewCommand, NewAudit)>) {
    let job = Job {
        id,
        name: name.to_owned(),
        created_by: Some(caller.user_id),
        command_type: accepted.command_type.clone(),
        command: accepted.command.clone(),
        parameters: accepted.parameters.clone(),
        timeout_seconds: accepted.timeout_seconds,
        elevated: accepted.elevated,
        filter,
        created_at: now(),
        cancelled_at: None,
        script: accepted.script.clone(),
        arguments: accepted.arguments.clone(),
    };
    let commands = commands_of(job.id, accepted, caller, found);
    (job, commands)
}

/// The ids that a retry under this id may give to its commands, the first and the last.
#[must_use]
pub fn ids_of_retry(id: Uuid) -> (CommandId, CommandId) {
    (nth(id, 0), nth(id, MOST_AGENTS))
}

/// Random bits end such an id: so few more of them are still nobody else's.
fn nth(id: Uuid, index: usize) -> CommandId {
    CommandId(Uuid::from_u128(id.as_u128().wrapping_add(index as u128)))
}

/// The rows of a retry: [`commands_of`] with ids that a second try of the same request gives again.
#[must_use]
pub fn retries_of<'a>(
    id: JobId,
    request: Uuid,
    accepted: &Accepted,
    caller: &Caller,
    found: impl Iterator<Item = &'a AgentOverview>,
) -> Vec<(NewCommand, NewAudit)> {
    let mut rows = commands_of(id, accepted, caller, found);
    for (index, (command, audit)) in rows.iter_mut().enumerate() {
        command.id = nth(request, index);
        audit.command_id = Some(command.id);
    }
    rows
}

/// The rows of a job's commands for some agents.
#[must_use]
pub fn commands_of<'a>(
    id: JobId,
    accepted: &Accepted,
    caller: &Caller,
    found: impl Iterator<Item = &'a AgentOverview>,
) -> Vec<(NewCommand, NewAudit)> {
    let row = |overview: &AgentOverview| {
        let agent = (overview.agent.id, overview.agent.hostname.as_str());
        accepted.rows(caller, agent, Some(id))
    };
    found.map(row).collect()
}
