//! Schedules. What came of each time is in `runs`.

mod runs;

pub use runs::{Decision, NewRun, Noted, Run, last_run, note, run_by_id, runs_of, unfinished};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ScheduleId, ScriptId, UserId};
use serde_json::Value;

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::{schedules, users};
use super::types::{Bind, now};
use super::{Db, DbError};

/// A schedule.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = schedules)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// With whose rights it acts, while there is such a user.
    pub owner_id: Option<UserId>,
    /// When.
    pub cron: String,
    /// By which clock.
    pub time_zone: String,
    /// Whether it runs.
    pub enabled: bool,
    /// The script that it runs.
    pub script_id: Option<ScriptId>,
    /// What the script is given, as it was asked.
    pub arguments: Value,
    /// How its command is run, where it runs no script.
    pub command_type: Option<Value>,
    /// Its command, where it runs no script.
    pub command: Option<String>,
    /// How long it may run, if that is said.
    pub timeout_seconds: Option<i32>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// Which agents it is for.
    pub filter: Value,
    /// `skip` or `wait`.
    pub when_offline: String,
    /// How long commands wait for their agents, if that is said.
    pub expires_in_seconds: Option<i32>,
    /// Until when it is decided what was due.
    pub decided_until: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a schedule is made of; the fields are those of [`Schedule`].
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// With whose rights it acts.
    pub owner_id: UserId,
    /// When.
    pub cron: String,
    /// By which clock.
    pub time_zone: String,
    /// Whether it runs.
    pub enabled: bool,
    /// The script that it runs.
    pub script_id: Option<ScriptId>,
    /// What the script is given.
    pub arguments: Value,
    /// How its command is run.
    pub command_type: Option<Value>,
    /// Its command.
    pub command: Option<String>,
    /// How long it may run.
    pub timeout_seconds: Option<i32>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// Which agents it is for.
    pub filter: Value,
    /// `skip` or `wait`.
    pub when_offline: &'static str,
    /// How long commands wait.
    pub expires_in_seconds: Option<i32>,
}

/// Which schedules to list.
#[derive(Debug, Clone, Default)]
pub struct ScheduleFilter {
    /// Only those of this owner.
    pub owner_id: Option<UserId>,
    /// Only those whose name holds this.
    pub words: Option<String>,
    /// Only those that run, or that do not.
    pub enabled: Option<bool>,
}

/// The orders of a list of schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleSort {
    /// By name.
    Name,
    /// By the time of the last change.
    Updated,
}

impl SortKey for ScheduleSort {
    const KEYS: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("updated", Self::Updated)];

    fn is_time(self) -> bool {
        self == Self::Updated
    }
}

impl Schedule {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ScheduleSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ScheduleSort::Name => SortValue::Text(self.name.clone()),
            ScheduleSort::Updated => SortValue::Time(self.updated_at),
        };
        (value, self.id.0)
    }
}

/// What a schedule is written with, whether it is new or not.
macro_rules! columns {
    ($new:expr) => {
        (
            schedules::name.eq(&$new.name),
            schedules::owner_id.eq(Some(Bind($new.owner_id))),
            schedules::cron.eq(&$new.cron),
            schedules::time_zone.eq(&$new.time_zone),
            schedules::enabled.eq($new.enabled),
            schedules::script_id.eq($new.script_id.map(Bind)),
            schedules::arguments.eq(Bind(&$new.arguments)),
            schedules::command_type.eq($new.command_type.as_ref().map(Bind)),
            schedules::command.eq($new.command.as_deref()),
            schedules::timeout_seconds.eq($new.timeout_seconds),
            schedules::elevated.eq($new.elevated),
            schedules::filter.eq(Bind(&$new.filter)),
            schedules::when_offline.eq($new.when_offline),
            schedules::expires_in_seconds.eq($new.expires_in_seconds),
        )
    };
}

/// Inserts a schedule unless there are `most`; [`DbError::ForeignKey`] where there is no such script.
pub async fn insert(db: &Db, new: Planned, most: i64) -> Result<Option<Schedule>, DbError> {
    let (id, at) = (Bind(ScheduleId::generate()), Bind(now()));
    transact!(db, |conn| {
        let count: i64 = schedules::table.count().get_result(conn).await?;
        if count >= most {
            return Ok(None);
        }
        let inserted = diesel::insert_into(schedules::table)
            .values((
                (
                    schedules::id.eq(id),
                    schedules::created_at.eq(at),
                    schedules::updated_at.eq(at),
                    schedules::decided_until.eq(at),
                ),
                columns!(new),
            ))
            .returning(Schedule::as_returning())
            .get_result(conn)
            .await?;
        Ok(Some(inserted))
    })
}

/// Writes a schedule anew; nothing where there is none, or where it was changed since `unchanged`. What
/// was due until now is decided by that.
///
/// # Errors
///
/// [`DbError::ForeignKey`] where there is no such script.
pub async fn update(
    db: &Db,
    id: ScheduleId,
    new: Planned,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Schedule>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            schedules::table.find(Bind(id)).filter(
                schedules::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((
            (
                schedules::updated_at.eq(at),
                schedules::decided_until.eq(at),
            ),
            columns!(new),
        ))
        .returning(Schedule::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Deletes a schedule as it was at `version`, with its runs; `false` where there is none.
pub async fn delete(db: &Db, id: ScheduleId, version: DateTime<Utc>) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(
        schedules::table
            .find(Bind(id))
            .filter(schedules::updated_at.eq(Bind(version)))
    )
    .execute(conn)
    .await)
    .map(|deleted| deleted > 0)
}

/// Finds a schedule, with its owner's address.
pub async fn by_id(db: &Db, id: ScheduleId) -> Result<Option<(Schedule, Option<String>)>, DbError> {
    query!(db, |conn| schedules::table
        .left_join(users::table)
        .filter(schedules::id.eq(Bind(id)))
        .select((Schedule::as_select(), users::email.nullable()))
        .first(conn)
        .await
        .optional())
}

/// Lists schedules, with their owners' addresses.
pub async fn list(
    db: &Db,
    filter: ScheduleFilter,
    page: PageOf<ScheduleSort>,
) -> Result<Vec<(Schedule, Option<String>)>, DbError> {
    query!(db, |conn| {
        let mut rows = schedules::table
            .left_join(users::table)
            .select((Schedule::as_select(), users::email.nullable()))
            .into_boxed();
        if let Some(owner_id) = filter.owner_id {
            rows = rows.filter(schedules::owner_id.eq(Some(Bind(owner_id))));
        }
        if let Some(enabled) = filter.enabled {
            rows = rows.filter(schedules::enabled.eq(enabled));
        }
        if let Some(words) = &filter.words {
            let holds = lower(schedules::name).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            ScheduleSort::Name => {
                keyset!(rows, page, schedules::name, schedules::id, ScheduleId, text);
            }
            ScheduleSort::Updated => {
                keyset!(
                    rows,
                    page,
                    schedules::updated_at,
                    schedules::id,
                    ScheduleId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// All schedules that run.
pub async fn enabled(db: &Db) -> Result<Vec<Schedule>, DbError> {
    query!(db, |conn| schedules::table
        .filter(schedules::enabled.eq(true))
        .order(schedules::id)
        .select(Schedule::as_select())
        .load(conn)
        .await)
}
