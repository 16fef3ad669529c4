//! Jobs: one command for many agents. A job's commands carry its id; how far it is, they say.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, CommandId, JobId, UserId};
use serde_json::Value;

use super::commands::{CommandSteps, NewCommand};
use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::{agents, commands, jobs, sites};
use super::tunnel_audit::{AuditSteps, NewAudit};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A job.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Who gave it, while there is such a user.
    pub created_by: Option<UserId>,
    /// The name of its commands' type.
    pub command_type: String,
    /// Its commands' line.
    pub command: String,
    /// The type as the wire writes it, where its name does not say everything.
    pub parameters: Option<Value>,
    /// How long each may run.
    pub timeout_seconds: i32,
    /// Whether they need the rights of the administrator.
    pub elevated: bool,
    /// Which agents it was for, as it was asked.
    pub filter: Value,
    /// When it was given.
    pub created_at: DateTime<Utc>,
    /// When its end was asked for.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// The script that its commands are made of.
    pub script: Option<Value>,
    /// What the script is given.
    pub arguments: Option<Value>,
}

/// How many commands of a job have which status and reason.
pub type Progress = HashMap<(String, Option<String>), i64>;

ops! {
    /// Steps with jobs inside of others' transactions.
    trait JobSteps {
        /// Inserts a job and all of its commands with their audit rows.
        async fn insert_job(&mut conn, job: Job, new: Vec<(NewCommand, NewAudit)>) -> QueryResult<()> {
            diesel::insert_into(jobs::table)
                .values((
                    jobs::id.eq(Bind(job.id)),
                    jobs::name.eq(job.name),
                    jobs::created_by.eq(job.created_by.map(Bind)),
                    jobs::command_type.eq(job.command_type),
                    jobs::command.eq(job.command),
                    jobs::parameters.eq(job.parameters.map(Bind)),
                    jobs::timeout_seconds.eq(job.timeout_seconds),
                    jobs::elevated.eq(job.elevated),
                    jobs::filter.eq(Bind(job.filter)),
                    jobs::created_at.eq(Bind(job.created_at)),
                    jobs::script.eq(job.script.map(Bind)),
                    jobs::arguments.eq(job.arguments.map(Bind)),
                ))
                .execute(conn)
                .await?;
            for (command, audit) in new {
                conn.insert_command(command).await?;
                conn.insert_audit(audit).await?;
            }
            Ok(())
        }
    }
}

/// Inserts a job and all of its commands with their audit rows, or nothing.
pub async fn insert(db: &Db, job: Job, new: Vec<(NewCommand, NewAudit)>) -> Result<(), DbError> {
    transact!(db, |conn| Ok(conn.insert_job(job, new).await?))
}

/// Finds a job.
pub async fn by_id(db: &Db, id: JobId) -> Result<Option<Job>, DbError> {
    query!(db, |conn| jobs::table
        .find(Bind(id))
        .select(Job::as_select())
        .first(conn)
        .await
        .optional())
}

sorts! {
    /// The orders of a list of jobs.
    JobSort, newest first: true {
        /// By the time they were given.
        Created = "created" (time),
        /// By name.
        Name = "name" (text),
    }
}

impl Job {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: JobSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            JobSort::Created => SortValue::Time(self.created_at),
            JobSort::Name => SortValue::Text(self.name.clone()),
        };
        (value, self.id.0)
    }
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those with a command for an agent within.
    pub scope: Scope,
    /// Only those that this user gave.
    pub created_by: Option<UserId>,
    /// Only those of which something waits or runs, or the others.
    pub active: Option<bool>,
    /// Only those whose name or command holds this.
    pub words: Option<String>,
    /// Given not before.
    pub from: Option<DateTime<Utc>>,
    /// Given before.
    pub to: Option<DateTime<Utc>>,
}

/// Lists jobs.
pub async fn list(db: &Db, filter: JobFilter, page: PageOf<JobSort>) -> Result<Vec<Job>, DbError> {
    query!(db, |conn| {
        let mut rows = jobs::table.select(Job::as_select()).into_boxed();
        if let Scope::Only {
            clients,
            sites: own,
        } = filter.scope
        {
            let seen = commands::table
                .inner_join(agents::table.left_join(sites::table))
                .filter(covered!(clients, own))
                .filter(commands::job_id.is_not_null())
                .select(commands::job_id.assume_not_null());
            rows = rows.filter(jobs::id.eq_any(seen));
        }
        if let Some(active) = filter.active {
            let goes_on = commands::table
                .filter(commands::status.eq_any(["pending", "running"]))
                .filter(commands::job_id.is_not_null())
                .select(commands::job_id.assume_not_null());
            rows = if active {
                rows.filter(jobs::id.eq_any(goes_on))
            } else {
                rows.filter(jobs::id.ne_all(goes_on))
            };
        }
        if let Some(id) = filter.created_by {
            rows = rows.filter(jobs::created_by.eq(Bind(id)));
        }
        if let Some(words) = &filter.words {
            let name = lower(jobs::name).like(lower(pattern(words)));
            let line = lower(jobs::command).like(lower(pattern(words)));
            rows = rows.filter(name.escape('\\').or(line.escape('\\')));
        }
        if let Some(from) = filter.from {
            rows = rows.filter(jobs::created_at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(jobs::created_at.lt(Bind(to)));
        }
        match page.sort {
            JobSort::Created => keyset!(rows, page, jobs::created_at, jobs::id, JobId, time),
            JobSort::Name => keyset!(rows, page, jobs::name, jobs::id, JobId, text),
        }
        rows.load(conn).await
    })
}

/// How far jobs are, as far as their agents are within a scope.
pub async fn progress(
    db: &Db,
    scope: Scope,
    ids: Vec<JobId>,
) -> Result<HashMap<JobId, Progress>, DbError> {
    let rows: Vec<(Option<JobId>, String, Option<String>, i64)> = query!(db, |conn| {
        let mut rows = commands::table
            .inner_join(agents::table.left_join(sites::table))
            .filter(commands::job_id.eq_any(ids.into_iter().map(|id| Some(Bind(id)))))
            .group_by((commands::job_id, commands::status, commands::reason))
            .select((
                commands::job_id,
                commands::status,
                commands::reason,
                diesel::dsl::count_star(),
            ))
            .into_boxed();
        if let Scope::Only {
            clients,
            sites: own,
        } = scope
        {
            rows = rows.filter(covered!(clients, own));
        }
        rows.load(conn).await
    })?;
    let mut found: HashMap<JobId, Progress> = HashMap::new();
    for (id, status, reason, count) in rows {
        if let Some(id) = id {
            found.entry(id).or_default().insert((status, reason), count);
        }
    }
    Ok(found)
}

/// Notes that a job is to end; lists its commands within a scope that have not.
pub async fn request_cancel(
    db: &Db,
    scope: Scope,
    id: JobId,
    at: DateTime<Utc>,
) -> Result<Vec<(CommandId, AgentId)>, DbError> {
    transact!(db, |conn| {
        diesel::update(
            jobs::table
                .find(Bind(id))
                .filter(jobs::cancelled_at.is_null()),
        )
        .set(jobs::cancelled_at.eq(Some(Bind(at))))
        .execute(conn)
        .await?;
        let mut left = commands::table
            .inner_join(agents::table.left_join(sites::table))
            .filter(commands::job_id.eq(Some(Bind(id))))
            .filter(commands::status.eq_any(["pending", "running"]))
            .select((commands::id, commands::agent_id))
            .into_boxed();
        if let Scope::Only {
            clients,
            sites: own,
        } = scope
        {
            left = left.filter(covered!(clients, own));
        }
        Ok(left.load(conn).await?)
    })
}

/// How many commands a job has.
pub async fn total(db: &Db, id: JobId) -> Result<i64, DbError> {
    query!(db, |conn| commands::table
        .filter(commands::job_id.eq(Some(Bind(id))))
        .count()
        .get_result(conn)
        .await)
}

/// Those of a job's commands, in their order, that failed and were the last for their agents.
fn last_failed(rows: Vec<(AgentId, String)>) -> Vec<AgentId> {
    let last: HashMap<AgentId, String> = rows.into_iter().collect();
    let mut failed: Vec<AgentId> = last
        .into_iter()
        .filter(|(_, status)| status == "failed")
        .map(|(agent_id, _)| agent_id)
        .collect();
    failed.sort_unstable();
    failed
}

/// The agents within a scope whose last command of this job failed.
pub async fn failed_agents(db: &Db, scope: Scope, id: JobId) -> Result<Vec<AgentId>, DbError> {
    let rows: Vec<(AgentId, String)> = query!(db, |conn| {
        let mut rows = commands::table
            .inner_join(agents::table.left_join(sites::table))
            .filter(commands::job_id.eq(Some(Bind(id))))
            .order((commands::created_at, commands::id))
            .select((commands::agent_id, commands::status))
            .into_boxed();
        if let Scope::Only {
            clients,
            sites: own,
        } = scope
        {
            rows = rows.filter(covered!(clients, own));
        }
        rows.load(conn).await
    })?;
    Ok(last_failed(rows))
}

/// Adds commands to a job, whose end is not asked for any more; each only if its agent's last one has
/// failed still. Tells for which agents it did.
pub async fn retry(
    db: &Db,
    id: JobId,
    new: Vec<(NewCommand, NewAudit)>,
) -> Result<Vec<AgentId>, DbError> {
    transact!(db, |conn| {
        // First, for it locks the row: of two that retry at once one waits here for the other.
        diesel::update(jobs::table.find(Bind(id)))
            .set(jobs::cancelled_at.eq(None::<Bind<DateTime<Utc>>>))
            .execute(conn)
            .await?;
        let rows: Vec<(AgentId, String)> = commands::table
            .filter(commands::job_id.eq(Some(Bind(id))))
            .order((commands::created_at, commands::id))
            .select((commands::agent_id, commands::status))
            .load(conn)
            .await?;
        let failed = last_failed(rows);
        let mut given = Vec::new();
        for (command, audit) in new {
            let agent_id = command.agent_id;
            if failed.binary_search(&agent_id).is_err() {
                continue;
            }
            conn.insert_command(command).await?;
            conn.insert_audit(audit).await?;
            given.push(agent_id);
        }
        Ok(given)
    })
}

/// Counts a job's commands with ids from one to another, both included.
pub async fn count_within(
    db: &Db,
    id: JobId,
    (first, last): (CommandId, CommandId),
) -> Result<i64, DbError> {
    query!(db, |conn| commands::table
        .filter(commands::job_id.eq(Some(Bind(id))))
        .filter(commands::id.between(Bind(first), Bind(last)))
        .count()
        .get_result(conn)
        .await)
}
