//! Rollouts: how a release comes to a channel's agents. What became of each agent is in `agent_updates`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{RolloutId, UserId};
use serde_json::Value;

use super::page::{PageOf, SortValue};
use super::schema::rollouts;
use super::types::{Bind, now};
use super::{Db, DbError};

/// A rollout.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = rollouts)]
pub struct Rollout {
    /// Its id.
    pub id: RolloutId,
    /// Which version it brings.
    pub version: String,
    /// To the agents of this channel.
    pub channel: String,
    /// Of this platform alone.
    pub platform: Option<String>,
    /// Its waves: a JSON array of percentages.
    pub waves: Value,
    /// Which of them it is at, counted from 0.
    pub wave: i32,
    /// Since when.
    pub wave_began_at: DateTime<Utc>,
    /// How long a wave lasts at least.
    pub soak_seconds: i32,
    /// How many of those that have ended may fail.
    pub max_failed_percent: i32,
    /// `running`, `paused`, `stopped`, `failed` or `completed`.
    pub state: String,
    /// Why it is in that state.
    pub reason: Option<String>,
    /// Who made it, while there is such a user.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What a rollout is made of; the fields are those of [`Rollout`].
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Its id.
    pub id: RolloutId,
    /// Which version it brings.
    pub version: String,
    /// To which channel.
    pub channel: String,
    /// Of this platform alone.
    pub platform: Option<String>,
    /// A JSON array of percentages.
    pub waves: Value,
    /// How long a wave lasts at least.
    pub soak_seconds: i32,
    /// How many of those that have ended may fail.
    pub max_failed_percent: i32,
    /// Who makes it.
    pub created_by: UserId,
}

/// What becomes of a rollout.
#[derive(Debug, Clone)]
pub struct Change {
    /// The states in which it is changed.
    pub from: &'static [&'static str],
    /// The wave in which it is changed.
    pub at_wave: i32,
    /// The state it has then.
    pub state: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// The wave it is at then.
    pub wave: i32,
    /// When.
    pub at: DateTime<Utc>,
}

sorts! {
    /// The orders of a list of rollouts.
    RolloutSort, newest first: true {
        /// By the time they were made.
        Created = "created" (time),
    }
}

impl Rollout {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, _: RolloutSort) -> (SortValue, uuid::Uuid) {
        (SortValue::Time(self.created_at), self.id.0)
    }
}

/// Which rollouts to list.
#[derive(Debug, Clone, Default)]
pub struct RolloutFilter {
    /// Those of this channel.
    pub channel: Option<String>,
    /// Those in this state.
    pub state: Option<String>,
}

/// Inserts a rollout, running at its first wave; [`DbError::Duplicate`] of `rollouts_one_open` where the channel
/// has one that is not over.
pub async fn insert(db: &Db, new: NewRollout) -> Result<Rollout, DbError> {
    let at = Bind(now());
    exec!(db, |conn| diesel::insert_into(rollouts::table)
        .values((
            rollouts::id.eq(Bind(new.id)),
            rollouts::version.eq(&new.version),
            rollouts::channel.eq(&new.channel),
            rollouts::platform.eq(new.platform.as_deref()),
            rollouts::waves.eq(Bind(&new.waves)),
            rollouts::wave.eq(0),
            rollouts::wave_began_at.eq(at),
            rollouts::soak_seconds.eq(new.soak_seconds),
            rollouts::max_failed_percent.eq(new.max_failed_percent),
            rollouts::state.eq("running"),
            rollouts::created_by.eq(Some(Bind(new.created_by))),
            rollouts::created_at.eq(at),
            rollouts::updated_at.eq(at),
        ))
        .returning(Rollout::as_returning())
        .get_result(conn)
        .await)
}

/// Finds a rollout.
pub async fn by_id(db: &Db, id: RolloutId) -> Result<Option<Rollout>, DbError> {
    query!(db, |conn| rollouts::table
        .find(Bind(id))
        .select(Rollout::as_select())
        .first(conn)
        .await
        .optional())
}

/// Those that are not over, the oldest first: one a channel.
pub async fn open(db: &Db) -> Result<Vec<Rollout>, DbError> {
    query!(db, |conn| rollouts::table
        .filter(rollouts::ended_at.is_null())
        .order((rollouts::created_at, rollouts::id))
        .select(Rollout::as_select())
        .load(conn)
        .await)
}

/// Lists rollouts.
pub async fn list(
    db: &Db,
    filter: RolloutFilter,
    page: PageOf<RolloutSort>,
) -> Result<Vec<Rollout>, DbError> {
    query!(db, |conn| {
        let mut rows = rollouts::table.select(Rollout::as_select()).into_boxed();
        if let Some(channel) = &filter.channel {
            rows = rows.filter(rollouts::channel.eq(channel.clone()));
        }
        if let Some(state) = &filter.state {
            rows = rows.filter(rollouts::state.eq(state.clone()));
        }
        let RolloutSort::Created = page.sort;
        keyset!(
            rows,
            page,
            rollouts::created_at,
            rollouts::id,
            RolloutId,
            time
        );
        rows.load(conn).await
    })
}

/// Changes a rollout; nothing where it is in another state, or at another wave, than it is changed from.
pub async fn change(db: &Db, id: RolloutId, change: Change) -> Result<Option<Rollout>, DbError> {
    let open = matches!(change.state, "running" | "paused");
    let ended = (!open).then_some(Bind(change.at));
    exec!(db, |conn| {
        let at = Bind(change.at);
        let same = rollouts::table
            .find(Bind(id))
            .filter(rollouts::state.eq_any(change.from))
            .filter(rollouts::wave.eq(change.at_wave));
        let news = (
            rollouts::state.eq(change.state),
            rollouts::reason.eq(change.reason.as_deref()),
            rollouts::updated_at.eq(at),
            rollouts::ended_at.eq(ended),
        );
        if change.wave == change.at_wave {
            return diesel::update(same)
                .set(news)
                .returning(Rollout::as_returning())
                .get_result(conn)
                .await
                .optional();
        }
        diesel::update(same)
            .set((
                news,
                rollouts::wave.eq(change.wave),
                rollouts::wave_began_at.eq(at),
            ))
            .returning(Rollout::as_returning())
            .get_result(conn)
            .await
            .optional()
    })
}
