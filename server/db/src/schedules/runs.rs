//! What came of each time that a schedule was due. A time has one row, whoever writes it, whatever the
//! clock does; a run's row, its job and its commands are one commit.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, JobId, ScheduleId, ScheduleRunId, UserId};

use crate::commands::NewCommand;
use crate::jobs::{Job, JobSteps};
use crate::schema::{commands, schedule_runs, schedules};
use crate::tunnel_audit::{AuditSteps, NewAudit};
use crate::types::Bind;
use crate::{Db, DbError};

/// A run, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = schedule_runs)]
pub struct Run {
    /// Its id.
    pub id: ScheduleRunId,
    /// Of which schedule.
    pub schedule_id: ScheduleId,
    /// For when.
    pub due_at: DateTime<Utc>,
    /// When it began, if it did.
    pub started_at: Option<DateTime<Utc>>,
    /// Who wanted it at once; nobody where the clock did.
    pub requested_by: Option<UserId>,
    /// Its job.
    pub job_id: Option<JobId>,
    /// What came of it.
    pub outcome: String,
    /// Why.
    pub detail: Option<String>,
    /// Agents that fitted the filter.
    pub targets: i32,
    /// Commands that were given.
    pub commands: i32,
    /// Agents that were left out because they were away.
    pub offline: i32,
    /// Agents that were left out because their last run goes on.
    pub busy: i32,
}

/// What a new run is made of; the fields are those of [`Run`].
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, chosen by the caller, who finds it again by it.
    pub id: ScheduleRunId,
    /// Of which schedule.
    pub schedule_id: ScheduleId,
    /// For when.
    pub due_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// Who wanted it.
    pub requested_by: Option<UserId>,
    /// What came of it.
    pub outcome: &'static str,
    /// Why.
    pub detail: Option<String>,
    /// Agents that fitted.
    pub targets: usize,
    /// Agents that were away.
    pub offline: usize,
    /// Agents whose last run goes on.
    pub busy: usize,
}

/// What is decided of a schedule, to be written all or not at all.
#[derive(Debug)]
pub struct Decision {
    /// The schedule's version by which it was decided; none where somebody wanted it at once.
    pub version: Option<DateTime<Utc>>,
    /// Until when it is decided.
    pub decided_until: DateTime<Utc>,
    /// How many rows the schedule had got when it was decided: what others began since may be in the way.
    pub after: i64,
    /// Times that went by.
    pub missed: Option<NewRun>,
    /// The run.
    pub run: Option<NewRun>,
    /// Its job with its commands.
    pub job: Option<(Job, Vec<(NewCommand, NewAudit)>)>,
    /// What is written to the audit where there is no job.
    pub refusal: Option<NewAudit>,
    /// Rows of the schedule that are kept.
    pub keep: i64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// All of it; the run, if there was one.
    Written(Option<Box<Run>>),
    /// The time has its row already: nothing more came of it.
    Known,
    /// The schedule was changed meanwhile: nothing was written.
    Changed,
    /// Another run was written meanwhile: nothing was written.
    Overtaken,
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

ops! {
    /// Steps with runs.
    trait RunSteps {
        /// Whether a time has its row.
        async fn is_known(&mut conn, id: ScheduleId, due_at: DateTime<Utc>) -> QueryResult<bool> {
            let row: Option<ScheduleRunId> = schedule_runs::table
                .filter(schedule_runs::schedule_id.eq(Bind(id)))
                .filter(schedule_runs::due_at.eq(Bind(due_at)))
                .select(schedule_runs::id)
                .first(conn)
                .await
                .optional()?;
            Ok(row.is_some())
        }

        /// Inserts a run.
        async fn insert_run(
            &mut conn,
            new: NewRun,
            job_id: Option<JobId>,
            commands: usize,
        ) -> QueryResult<Run> {
            // The caller has the schedule's row locked.
            let number: i64 = diesel::update(schedules::table.find(Bind(new.schedule_id)))
                .set(schedules::runs_written.eq(schedules::runs_written + 1))
                .returning(schedules::runs_written)
                .get_result(conn)
                .await?;
            diesel::insert_into(schedule_runs::table)
                .values((
                    schedule_runs::id.eq(Bind(new.id)),
                    schedule_runs::schedule_id.eq(Bind(new.schedule_id)),
                    schedule_runs::due_at.eq(Bind(new.due_at)),
                    schedule_runs::started_at.eq(new.started_at.map(Bind)),
                    schedule_runs::requested_by.eq(new.requested_by.map(Bind)),
                    schedule_runs::job_id.eq(job_id.map(Bind)),
                    schedule_runs::outcome.eq(new.outcome),
                    schedule_runs::detail.eq(new.detail),
                    schedule_runs::targets.eq(count(new.targets)),
                    schedule_runs::commands.eq(count(commands)),
                    schedule_runs::offline.eq(count(new.offline)),
                    schedule_runs::busy.eq(count(new.busy)),
                    schedule_runs::number.eq(number),
                ))
                .returning(Run::as_returning())
                .get_result(conn)
                .await
        }

        /// Deletes all rows of a schedule but the newest.
        async fn delete_old_runs(&mut conn, id: ScheduleId, keep: i64) -> QueryResult<()> {
            let oldest: Option<i64> = schedule_runs::table
                .filter(schedule_runs::schedule_id.eq(Bind(id)))
                .order(schedule_runs::number.desc())
                .offset(keep.max(0))
                .select(schedule_runs::number)
                .first(conn)
                .await
                .optional()?;
            let Some(oldest) = oldest else {
                return Ok(());
            };
            diesel::delete(
                schedule_runs::table
                    .filter(schedule_runs::schedule_id.eq(Bind(id)))
                    .filter(schedule_runs::number.le(oldest)),
            )
            .execute(conn)
            .await
            .map(|_| ())
        }
    }
}

/// Writes what was decided of a schedule: its runs, the job and the commands, or nothing.
///
/// # Errors
///
/// [`DbError::ForeignKey`] where an agent is gone.
pub async fn note(db: &Db, id: ScheduleId, decision: Decision) -> Result<Noted, DbError> {
    transact!(db, |conn| {
        // First, for it locks the row: of two that decide at once one waits here for the other.
        let same = schedules::table.find(Bind(id));
        let same = match decision.version {
            Some(version) => {
                let same = same.filter(schedules::updated_at.eq(Bind(version)));
                let same = same.filter(schedules::enabled.eq(true));
                diesel::update(same)
                    .set(schedules::decided_until.eq(Bind(decision.decided_until)))
                    .execute(conn)
                    .await?
            }
            // What somebody wants at once decides nothing of what is due.
            None => {
                diesel::update(same)
                    .set(schedules::decided_until.eq(schedules::decided_until))
                    .execute(conn)
                    .await?
            }
        };
        if same == 0 {
            return Ok(Noted::Changed);
        }
        if decision.run.is_some() {
            let written: i64 = schedules::table
                .find(Bind(id))
                .select(schedules::runs_written)
                .first(conn)
                .await?;
            if written != decision.after {
                return Ok(Noted::Overtaken);
            }
        }
        if let Some(missed) = decision.missed
            && !conn.is_known(id, missed.due_at).await?
        {
            conn.insert_run(missed, None, 0).await?;
        }
        let Some(run) = decision.run else {
            conn.delete_old_runs(id, decision.keep).await?;
            return Ok(Noted::Written(None));
        };
        if conn.is_known(id, run.due_at).await? {
            return Ok(Noted::Known);
        }
        let mut job_id = None;
        let mut given = 0;
        if let Some((job, rows)) = decision.job {
            job_id = Some(job.id);
            given = rows.len();
            conn.insert_job(job, rows).await?;
        }
        if let Some(refusal) = decision.refusal {
            conn.insert_audit(refusal).await?;
        }
        let run = conn.insert_run(run, job_id, given).await?;
        conn.delete_old_runs(id, decision.keep).await?;
        Ok(Noted::Written(Some(Box::new(run))))
    })
}

/// Finds a run of a schedule.
pub async fn run_by_id(
    db: &Db,
    schedule_id: ScheduleId,
    id: ScheduleRunId,
) -> Result<Option<Run>, DbError> {
    query!(db, |conn| {
        schedule_runs::table
            .find(Bind(id))
            .filter(schedule_runs::schedule_id.eq(Bind(schedule_id)))
            .select(Run::as_select())
            .first(conn)
            .await
            .optional()
    })
}

/// How many runs of a schedule were ever written, and the last of them.
///
/// # Errors
///
/// [`DbError::NotFound`] where there is no such schedule.
pub async fn last_run(db: &Db, id: ScheduleId) -> Result<(i64, Option<Run>), DbError> {
    query!(db, |conn| schedules::table
        .left_join(
            schedule_runs::table.on(schedule_runs::schedule_id
                .eq(schedules::id)
                .and(schedule_runs::number.eq(schedules::runs_written)))
        )
        .filter(schedules::id.eq(Bind(id)))
        .select((schedules::runs_written, Option::<Run>::as_select(),))
        .first(conn)
        .await)
}

/// Lists runs of a schedule in the order in which they were written, the last first.
pub async fn runs_of(
    db: &Db,
    id: ScheduleId,
    before: Option<ScheduleRunId>,
    limit: i64,
) -> Result<Vec<Run>, DbError> {
    query!(db, |conn| {
        let mut rows = schedule_runs::table
            .filter(schedule_runs::schedule_id.eq(Bind(id)))
            .order(schedule_runs::number.desc())
            .limit(limit.max(0))
            .select(Run::as_select())
            .into_boxed();
        if let Some(before) = before {
            let number: Option<i64> = schedule_runs::table
                .find(Bind(before))
                .filter(schedule_runs::schedule_id.eq(Bind(id)))
                .select(schedule_runs::number)
                .first(conn)
                .await
                .optional()?;
            // What was deleted meanwhile was older than all that is left.
            rows = rows.filter(schedule_runs::number.lt(number.unwrap_or_default()));
        }
        rows.load(conn).await
    })
}

/// The agents on which commands of a schedule's runs have not ended, and whether each of them was sent.
pub async fn unfinished(
    db: &Db,
    id: ScheduleId,
) -> Result<(HashSet<AgentId>, HashSet<AgentId>), DbError> {
    let rows: Vec<(AgentId, String)> = query!(db, |conn| {
        let jobs = schedule_runs::table
            .filter(schedule_runs::schedule_id.eq(Bind(id)))
            .filter(schedule_runs::job_id.is_not_null())
            .select(schedule_runs::job_id);
        commands::table
            .filter(commands::job_id.eq_any(jobs))
            .filter(commands::status.eq_any(["pending", "running"]))
            .select((commands::agent_id, commands::status))
            .load(conn)
            .await
    })?;
    let sent = rows.iter().filter(|(_, status)| status == "running");
    let sent = sent.map(|(agent_id, _)| *agent_id).collect();
    Ok((rows.iter().map(|(agent_id, _)| *agent_id).collect(), sent))
}
