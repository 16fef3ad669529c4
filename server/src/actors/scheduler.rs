//! Runs what is due: at the server's start and at every full minute it looks at all schedules, decides
//! (`domain::schedule`), has the runs written (`services::schedules`) and wakes their agents.
//!
//! It remembers nothing: until when it is decided stands in each schedule's row and is written with the
//! run, so that a crash neither loses a run nor repeats it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::StreamExt;
use gururmm_shared::AgentId;

use super::command_messages::Wake;
use super::commands::CommandDispatcher;
use super::registry::AgentRegistry;
use super::registry_messages::Online;
use crate::config::Settings;
use crate::db::schedules::{self, Noted, Schedule};
use crate::db::{Db, DbError};
use crate::domain::schedule::{Calendar, Due};
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::schedules::{Occasion, Runner};

/// Between two looks where something could not be read or written.
const RETRY: Duration = Duration::from_secs(5);
/// After the full minute: a timer that comes early would find nothing due and wait a minute more.
const MARGIN_MS: u64 = 20;
/// Schedules that are run at once; one with many agents is not to hold up all others.
const AT_ONCE: usize = 4;
/// How long after the server's start schedules wait that leave out agents which are away: until then
/// all are, for they come back one after the other.
const SETTLING: Duration = Duration::from_secs(30);
/// How long the registry may take to say who is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// The actor.
pub struct Scheduler {
    hands: Hands,
}

/// What a look needs.
#[derive(Clone)]
struct Hands {
    db: Db,
    settings: Arc<Settings>,
    registry: Addr<AgentRegistry>,
    commands: Addr<CommandDispatcher>,
    began: Instant,
}

impl Scheduler {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(
        db: Db,
        settings: Arc<Settings>,
        registry: Addr<AgentRegistry>,
        commands: Addr<CommandDispatcher>,
    ) -> Self {
        Self {
            hands: Hands {
                db,
                settings,
                registry,
                commands,
                began: Instant::now(),
            },
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let hands = self.hands.clone();
        let look = async move { hands.look().await };
        ctx.spawn(look.into_actor(self).map(|looked, _, ctx| {
            let pause = match looked {
                Ok(true) => until_next_minute(),
                Ok(false) => RETRY,
                Err(error) => {
                    tracing::error!(%error, "schedules cannot be read; trying again");
                    RETRY
                }
            };
            ctx.run_later(pause, Self::look);
        }));
    }
}

/// At most a minute: a clock that is set is noticed by then.
fn until_next_minute() -> Duration {
    let into = u64::try_from(now().timestamp_millis().rem_euclid(60_000)).unwrap_or(0);
    Duration::from_millis(60_000 - into + MARGIN_MS)
}

/// Which of these agents are there, as the registry says.
///
/// # Errors
/// 503: it does not answer.
pub async fn online(
    registry: &Addr<AgentRegistry>,
    agents: Vec<AgentId>,
) -> Result<HashSet<AgentId>, AppError> {
    let asked = tokio::time::timeout(PATIENCE, registry.send(Online { agents })).await;
    let busy = || AppError::unavailable("the server is stopping or overloaded; try again");
    let answer = asked.map_err(|_| busy())??;
    Ok(answer.into_keys().collect())
}

impl Hands {
    /// Runs what is due; whether all of it could be decided.
    async fn look(&self) -> Result<bool, DbError> {
        let enabled = schedules::enabled(&self.db).await?;
        let decided = futures_util::stream::iter(enabled)
            .map(|schedule| async move {
                let decided = self.look_at(&schedule).await;
                decided.unwrap_or_else(|error| {
                    tracing::error!(%error, schedule.id = %schedule.id, "a schedule cannot be run; trying again");
                    false
                })
            })
            .buffer_unordered(AT_ONCE)
            .fold(true, async |all, one| all && one)
            .await;
        Ok(decided)
    }

    /// Runs a schedule if it is due; whether it could be decided.
    async fn look_at(&self, schedule: &Schedule) -> Result<bool, AppError> {
        let calendar = match Calendar::parse(&schedule.cron, &schedule.time_zone) {
            Ok(calendar) => calendar,
            Err(error) => {
                // Another version of the program knew it; its view says so too.
                tracing::error!(%error, schedule.id = %schedule.id, "a schedule cannot be understood");
                return Ok(true);
            }
        };
        let grace = self.settings.schedules.grace_seconds;
        let due = calendar.due(
            schedule.decided_until,
            now(),
            chrono::Duration::seconds(grace.into()),
        );
        let runner = Runner {
            db: &self.db,
            settings: &self.settings,
        };
        let Some(due_at) = due.run else {
            warn_of(schedule, &due);
            if due.missed.is_some() || due.decided_until != schedule.decided_until {
                runner.pass(schedule, &due).await?;
            }
            return Ok(true);
        };
        if schedule.when_offline == "skip" && self.began.elapsed() < SETTLING {
            return Ok(false);
        }
        warn_of(schedule, &due);
        let here = async |agents| online(&self.registry, agents).await;
        let occasion = Occasion::Due(due_at);
        let ran = runner.run(schedule, &occasion, Some(&due), &here).await?;
        if let Noted::Written(_) = ran.noted {
            tracing::info!(schedule.id = %schedule.id, %due_at, agents = ran.woken.len(), "a schedule was due");
        }
        if !ran.woken.is_empty() {
            self.commands.do_send(Wake { agents: ran.woken });
        }
        Ok(true)
    }
}

fn warn_of(schedule: &Schedule, due: &Due) {
    if let Some(missed) = &due.missed {
        tracing::warn!(schedule.id = %schedule.id, count = missed.count, "a schedule missed its time");
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Supervised for Scheduler {}
