//! Saved scripts. A name is taken whatever its case.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ScriptId, UserId};
use serde_json::Value;

use super::page::{PageOf, SortKey, SortValue, lower, pattern};
use super::schema::{schedules, scripts};
use super::types::{Bind, now};
use super::{Db, DbError};

/// A saved script.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = scripts)]
pub struct Script {
    /// Its id.
    pub id: ScriptId,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How it is run, as the wire writes it.
    pub command_type: Value,
    /// What is run; empty for a Claude task, whose type holds it.
    pub body: String,
    /// How long it may run where nobody says.
    pub timeout_seconds: Option<i32>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// The parameters that it declares.
    pub parameters: Value,
    /// Who wrote this version, while there is such a user.
    pub updated_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed: its version.
    pub updated_at: DateTime<Utc>,
}

/// What a script is made of; the fields are those of [`Script`].
#[derive(Debug, Clone)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How it is run.
    pub command_type: Value,
    /// What is run.
    pub body: String,
    /// How long it may run.
    pub timeout_seconds: Option<i32>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// Its parameters.
    pub parameters: Value,
    /// Who writes it.
    pub by: UserId,
}

/// The orders of a list of scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptSort {
    /// By name.
    Name,
    /// By the time of the last change.
    Updated,
}

impl SortKey for ScriptSort {
    const KEYS: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("updated", Self::Updated)];

    fn is_time(self) -> bool {
        self == Self::Updated
    }
}

impl Script {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ScriptSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ScriptSort::Name => SortValue::Text(self.name.clone()),
            ScriptSort::Updated => SortValue::Time(self.updated_at),
        };
        (value, self.id.0)
    }
}

/// How an attempt to remove a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptRemoval {
    /// It is gone, and so many schedules with it.
    Removed(usize),
    /// So many schedules run it; nothing was removed.
    InUse(i64),
    /// There is no such script, or it was changed.
    Missing,
}

/// Inserts a script; [`DbError::Duplicate`] where the name is taken.
pub async fn insert(db: &Db, new: Written) -> Result<Script, DbError> {
    let (id, at) = (Bind(ScriptId::generate()), Bind(now()));
    exec!(db, |conn| diesel::insert_into(scripts::table)
        .values((
            scripts::id.eq(id),
            scripts::name.eq(&new.name),
            scripts::description.eq(&new.description),
            scripts::command_type.eq(Bind(&new.command_type)),
            scripts::body.eq(&new.body),
            scripts::timeout_seconds.eq(new.timeout_seconds),
            scripts::elevated.eq(new.elevated),
            scripts::parameters.eq(Bind(&new.parameters)),
            scripts::updated_by.eq(Some(Bind(new.by))),
            scripts::created_at.eq(at),
            scripts::updated_at.eq(at),
        ))
        .returning(Script::as_returning())
        .get_result(conn)
        .await)
}

/// Lists the scripts whose name or description holds `words`.
pub async fn list(
    db: &Db,
    words: Option<String>,
    page: PageOf<ScriptSort>,
) -> Result<Vec<Script>, DbError> {
    query!(db, |conn| {
        let mut rows = scripts::table.select(Script::as_select()).into_boxed();
        if let Some(words) = &words {
            let name = lower(scripts::name).like(lower(pattern(words)));
            let description = lower(scripts::description).like(lower(pattern(words)));
            rows = rows.filter(name.escape('\\').or(description.escape('\\')));
        }
        match page.sort {
            ScriptSort::Name => {
                keyset!(rows, page, scripts::name, scripts::id, ScriptId, text);
            }
            ScriptSort::Updated => {
                keyset!(rows, page, scripts::updated_at, scripts::id, ScriptId, time);
            }
        }
        rows.load(conn).await
    })
}

/// Finds a script by id.
pub async fn by_id(db: &Db, id: ScriptId) -> Result<Option<Script>, DbError> {
    query!(db, |conn| scripts::table
        .find(Bind(id))
        .select(Script::as_select())
        .first(conn)
        .await
        .optional())
}

/// Writes a script anew; nothing where there is none, or where it was changed since `unchanged`.
///
/// # Errors
///
/// [`DbError::Duplicate`] where the name is taken.
pub async fn update(
    db: &Db,
    id: ScriptId,
    new: Written,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Script>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            scripts::table.find(Bind(id)).filter(
                scripts::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((
            scripts::name.eq(&new.name),
            scripts::description.eq(&new.description),
            scripts::command_type.eq(Bind(&new.command_type)),
            scripts::body.eq(&new.body),
            scripts::timeout_seconds.eq(new.timeout_seconds),
            scripts::elevated.eq(new.elevated),
            scripts::parameters.eq(Bind(&new.parameters)),
            scripts::updated_by.eq(Some(Bind(new.by))),
            scripts::updated_at.eq(at),
        ))
        .returning(Script::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Deletes a script as it was at `version`; one that schedules run only where `cascade` says that they
/// go too.
///
/// # Errors
///
/// [`DbError::ForeignKey`] where a schedule came meanwhile.
pub async fn remove(
    db: &Db,
    id: ScriptId,
    version: DateTime<Utc>,
    cascade: bool,
) -> Result<ScriptRemoval, DbError> {
    transact!(db, |conn| {
        let using = schedules::table.filter(schedules::script_id.eq(Some(Bind(id))));
        let mut gone = 0;
        if cascade {
            gone = diesel::delete(using).execute(conn).await?;
        } else {
            let count: i64 = using.count().get_result(conn).await?;
            if count > 0 {
                return Ok(ScriptRemoval::InUse(count));
            }
        }
        let same = scripts::table
            .find(Bind(id))
            .filter(scripts::updated_at.eq(Bind(version)));
        if diesel::delete(same).execute(conn).await? == 0 {
            // Not without its schedules either.
            return Err(DbError::NotFound);
        }
        Ok(ScriptRemoval::Removed(gone))
    })
    .or_else(|error| match error {
        DbError::NotFound => Ok(ScriptRemoval::Missing),
        other => Err(other),
    })
}
