//! Schedules: what may be one, and what comes of a time that is due.
//!
//! A schedule acts with the rights that its owner has when it runs, no more: role and scope are read
//! anew each time.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use gururmm_shared::{AgentId, CommandType, JobId, ScheduleRunId};
use serde::Deserialize;
use serde_json::Value;

use super::audit::{self, Caller, now};
use super::commands::{Accepted, Wanted};
use super::jobs;
use super::schedule_rights::{caller_of, may_act};
use super::scripts::Call;
use crate::config::Settings;
use crate::db::Db;
use crate::db::agents::AgentOverview;
use crate::db::commands::NewCommand;
use crate::db::jobs::Job;
use crate::db::schedules::{self, Decision, NewRun, Noted, Run, Schedule};
use crate::db::tunnel_audit::NewAudit;
use crate::db::users::{self, Account};
use crate::domain::job_targets::Targets;
use crate::domain::schedule::{Due, Missed};
use crate::error::AppError;

/// How long a command that is for agents at hand only may wait beyond its own time.
const AT_HAND: Duration = Duration::minutes(5);
/// How often a run is decided anew when another one came in between.
const TRIES: usize = 3;
/// Characters of a run's detail that are kept.
const DETAIL_CHARS: usize = 1000;

/// Why and for when a schedule runs.
#[derive(Debug, Clone)]
pub enum Occasion {
    /// The clock says so.
    Due(DateTime<Utc>),
    /// Somebody says so; the run gets this id.
    Asked(Caller, ScheduleRunId),
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// What was written.
    pub noted: Noted,
    /// The agents for which there are commands now.
    pub woken: Vec<AgentId>,
}

/// What runs schedules.
#[derive(Clone)]
pub struct Runner<'a> {
    /// The database.
    pub db: &'a Db,
    /// The settings.
    pub settings: &'a Settings,
}

/// What is decided of one time.
struct Decided {
    outcome: &'static str,
    detail: Option<String>,
    targets: usize,
    offline: usize,
    busy: usize,
    job: Option<(Job, Vec<(NewCommand, NewAudit)>)>,
    woken: Vec<AgentId>,
    refusal: Option<NewAudit>,
}

impl Decided {
    fn nothing(outcome: &'static str, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: Some(detail.into().chars().take(DETAIL_CHARS).collect()),
            targets: 0,
            offline: 0,
            busy: 0,
            job: None,
            woken: Vec::new(),
            refusal: None,
        }
    }
}

/// Why a schedule may not run at all.
fn refused(schedule: &Schedule, caller: Option<&Caller>, detail: String) -> Decided {
    let what = format!("[schedule {:?}] {detail}", schedule.name);
    let refusal = caller.map(|caller| {
        let row = audit::row("refused", caller, None);
        NewAudit {
            detail: audit::detail(&what),
            outcome: Some("schedule_refused".to_owned()),
            ended_at: Some(row.at),
            ..row
        }
    });
    Decided {
        refusal,
        ..Decided::nothing("refused", detail)
    }
}

impl Runner<'_> {
    /// Runs a schedule, or writes down why not. `online` tells which of some agents are there.
    ///
    /// # Errors
    /// It cannot be decided or written now; nothing was.
    pub async fn run(
        &self,
        schedule: &Schedule,
        occasion: &Occasion,
        due: Option<&Due>,
        online: &impl AsyncFn(Vec<AgentId>) -> Result<HashSet<AgentId>, AppError>,
    ) -> Result<Ran, AppError> {
        let at = now();
        let (id, due_at, requested_by) = match occasion {
            Occasion::Due(due_at) => (ScheduleRunId::generate(), *due_at, None),
            Occasion::Asked(caller, id) => (*id, at, Some(caller.user_id)),
        };
        for _ in 0..TRIES {
            let (after, last) = schedules::last_run(self.db, schedule.id).await?;
            let decided = match self.decide(schedule, occasion, online).await {
                Ok(decided) => decided,
                Err(error) if error.status.is_client_error() => {
                    let owner = self.owner(schedule).await?;
                    let caller = caller_of(occasion, owner.as_ref());
                    refused(schedule, caller.as_ref(), error.detail)
                }
                Err(error) => return Err(error),
            };
            let run = NewRun {
                id,
                schedule_id: schedule.id,
                due_at,
                started_at: decided.job.is_some().then_some(at),
                requested_by,
                outcome: decided.outcome,
                detail: decided.detail.clone(),
                targets: decided.targets,
                offline: decided.offline,
                busy: decided.busy,
            };
            let decision = Decision {
                version: due.map(|_| schedule.updated_at),
                decided_until: due.map_or(schedule.decided_until, |due| due.decided_until),
                after,
                missed: due
                    .and_then(|due| due.missed.as_ref())
                    .map(|missed| missed_run(schedule, missed)),
                run: Some(run),
                job: decided.job,
                // A schedule that is refused every minute for the same reason says so once.
                refusal: decided
                    .refusal
                    .filter(|_| !is_same(last.as_ref(), &decided.detail)),
                keep: self.settings.schedules.keep_runs.into(),
            };
            match schedules::note(self.db, schedule.id, decision).await? {
                Noted::Overtaken => {}
                noted => {
                    let woken = match &noted {
                        Noted::Written(_) => decided.woken,
                        _ => Vec::new(),
                    };
                    return Ok(Ran { noted, woken });
                }
            }
        }
        Err(AppError::unavailable(
            "other runs of this schedule came in between; try again",
        ))
    }

    /// Writes down what is not made up for, and until when it is decided.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn pass(&self, schedule: &Schedule, due: &Due) -> Result<(), AppError> {
        let decision = Decision {
            version: Some(schedule.updated_at),
            decided_until: due.decided_until,
            after: 0,
            missed: due
                .missed
                .as_ref()
                .map(|missed| missed_run(schedule, missed)),
            run: None,
            job: None,
            refusal: None,
            keep: self.settings.schedules.keep_runs.into(),
        };
        schedules::note(self.db, schedule.id, decision).await?;
        Ok(())
    }

    async fn owner(&self, schedule: &Schedule) -> Result<Option<Account>, AppError> {
        Ok(match schedule.owner_id {
            Some(id) => users::account(self.db, id).await?,
            None => None,
        })
    }

    async fn decide(
        &self,
        schedule: &Schedule,
        occasion: &Occasion,
        online: &impl AsyncFn(Vec<AgentId>) -> Result<HashSet<AgentId>, AppError>,
    ) -> Result<Decided, AppError> {
        let owner = self.owner(schedule).await?;
        let caller = caller_of(occasion, owner.as_ref());
        let account = match may_act(owner.as_ref()) {
            Ok(account) => account,
            Err(why) => return Ok(refused(schedule, caller.as_ref(), why)),
        };
        let Some(caller) = caller else {
            return Err(AppError::internal(&"a schedule has nobody to act for"));
        };
        let accepted = self.accepted(schedule, account).await?;
        let filter =
            Targets::deserialize(&schedule.filter).map_err(|error| AppError::internal(&error))?;
        let found = jobs::targets(self.db, &account.scope, &filter).await?;
        if found.is_empty() {
            let detail = "no agent that its owner may act on fits the filter";
            return Ok(Decided::nothing("empty", detail));
        }
        let targets = found.len();
        let (unfinished, sent) = schedules::unfinished(self.db, schedule.id).await?;
        let mut asked: HashSet<AgentId> = found.iter().map(|one| one.agent.id).collect();
        asked.extend(&sent);
        let here = online(asked.into_iter().collect()).await?;
        let mut found = found;
        if schedule.when_offline == "skip" {
            found.retain(|one| here.contains(&one.agent.id));
        }
        let offline = targets - found.len();
        let counted = |decided: Decided, busy| Decided {
            targets,
            offline,
            busy,
            ..decided
        };
        if found.is_empty() {
            let detail = "no agent of the filter was there";
            return Ok(counted(Decided::nothing("skipped_offline", detail), 0));
        }
        let running = sent.intersection(&here).count();
        if running > 0 {
            let detail = format!("an earlier run goes on: {running} of its commands run");
            let decided = Decided::nothing("skipped_overlap", detail);
            return Ok(counted(decided, running));
        }
        let before = found.len();
        found.retain(|one| !unfinished.contains(&one.agent.id));
        let busy = before - found.len();
        if found.is_empty() {
            let detail = "the commands of earlier runs still wait for these agents";
            return Ok(counted(Decided::nothing("skipped_overlap", detail), busy));
        }
        let left = jobs::left_out(self.db, &found, &accepted).await?;
        if let Some((agent_id, why)) = left.iter().next() {
            // All or none, as with a job.
            let hostname = hostname_of(&found, *agent_id);
            let detail = format!(
                "{} ({} of {} agents, {hostname} among them)",
                why.detail,
                left.len(),
                found.len()
            );
            let mut decided = refused(schedule, Some(&caller), detail);
            if let Some(row) = &mut decided.refusal {
                row.agent_id = Some(*agent_id);
                row.agent_hostname = Some(hostname);
                row.outcome = Some(why.code.to_owned());
            }
            return Ok(counted(decided, busy));
        }
        let filter = schedule.filter.clone();
        let job = jobs::rows(
            JobId::generate(),
            &schedule.name,
            filter,
            &accepted,
            &caller,
            found.iter(),
        );
        Ok(Decided {
            outcome: "started",
            detail: None,
            targets,
            offline,
            busy,
            job: Some(job),
            woken: found.iter().map(|one| one.agent.id).collect(),
            refusal: None,
        })
    }

    async fn accepted(&self, schedule: &Schedule, owner: &Account) -> Result<Accepted, AppError> {
        let wanted = wanted(self.db, schedule).await?;
        let mut accepted = wanted.accept(&self.settings.commands, &self.settings.limits)?;
        if schedule.when_offline == "skip" {
            // It is for now: an agent that goes before it takes its command does not get it next week.
            accepted.expires_in = Duration::seconds(accepted.timeout_seconds.into()) + AT_HAND;
        }
        let (name, email) = (&schedule.name, &owner.user.email);
        accepted.on_behalf = Some(format!("schedule {name:?} of {email}"));
        Ok(accepted)
    }
}

/// The command that a schedule gives, of its script as it is now.
///
/// # Errors
/// 400 that names the field: the script has other parameters by now.
pub async fn wanted(db: &Db, schedule: &Schedule) -> Result<Wanted, AppError> {
    let seconds = |value: Option<i32>| value.and_then(|value| u64::try_from(value).ok());
    let timeout_seconds = seconds(schedule.timeout_seconds);
    let expires_in_seconds = seconds(schedule.expires_in_seconds);
    if let Some(script_id) = schedule.script_id {
        let call = Call {
            script_id,
            parameters: BTreeMap::deserialize(&schedule.arguments)
                .map_err(|error| AppError::internal(&error))?,
            timeout_seconds,
            elevated: schedule.elevated,
            expires_in_seconds,
        };
        return call.resolve(db).await;
    }
    let command_type = schedule.command_type.as_ref().unwrap_or(&Value::Null);
    Ok(Wanted {
        command_type: CommandType::deserialize(command_type)
            .map_err(|error| AppError::internal(&error))?,
        command: schedule.command.clone().unwrap_or_default(),
        timeout_seconds,
        elevated: schedule.elevated,
        expires_in_seconds,
        script: None,
    })
}

fn is_same(last: Option<&Run>, detail: &Option<String>) -> bool {
    last.is_some_and(|last| last.outcome == "refused" && last.detail == *detail)
}

fn hostname_of(found: &[AgentOverview], id: AgentId) -> String {
    let one = found.iter().find(|one| one.agent.id == id);
    one.map(|one| one.agent.hostname.clone())
        .unwrap_or_default()
}

fn missed_run(schedule: &Schedule, missed: &Missed) -> NewRun {
    let more = if missed.more { "more than " } else { "" };
    let detail = format!(
        "the server was not running, or its clock leapt: {more}{} of its times went by, from {} to {}",
        missed.count,
        missed.first.to_rfc3339(),
        missed.last.to_rfc3339()
    );
    NewRun {
        id: ScheduleRunId::generate(),
        schedule_id: schedule.id,
        due_at: missed.first,
        started_at: None,
        requested_by: None,
        outcome: "missed",
        detail: Some(detail),
        targets: 0,
        offline: 0,
        busy: 0,
    }
}
