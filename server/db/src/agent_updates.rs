//! Updates of agents' own program: what was to be installed, and how that ended.

use chrono::{DateTime, Duration, Utc};
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ReleaseId, RolloutId};

use super::schema::{agent_updates, agents};
use super::types::{Bind, clipped, now};
use super::{Db, DbError};

/// How often a machine that is busy is asked before it counts as failed.
const MOST_ATTEMPTS: i32 = 4;
/// How long a machine that is busy is left alone.
const BUSY_MINUTES: i64 = 15;

/// An update of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = agent_updates)]
pub struct AgentUpdate {
    /// Counts them.
    pub id: i64,
    /// Which agent.
    pub agent_id: AgentId,
    /// What ran before.
    pub from_version: Option<String>,
    /// What is to run.
    pub to_version: String,
    /// `pending`, `sent`, `completed` or `failed`.
    pub status: String,
    /// Why it failed, for a person.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// The rollout that brings it; none where somebody asked for this machine.
    pub rollout_id: Option<RolloutId>,
    /// The release, which may be gone.
    pub release_id: Option<ReleaseId>,
    /// In which wave of the rollout.
    pub wave: Option<i32>,
    /// When it was last sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// A stable word for why it failed.
    pub code: Option<String>,
    /// How often it was sent.
    pub attempts: i32,
    /// Not to be sent before.
    pub not_before: Option<DateTime<Utc>>,
}

/// An update that is to be.
#[derive(Debug, Clone)]
pub struct NewUpdate {
    /// Of which agent.
    pub agent_id: AgentId,
    /// What runs now.
    pub from_version: Option<String>,
    /// What is to run.
    pub to_version: String,
    /// Which release that is.
    pub release_id: ReleaseId,
    /// Which rollout brings it, in which wave.
    pub rollout: Option<(RolloutId, i32)>,
}

/// How an update ended, in an agent's words.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The version before, where it is known.
    pub from: Option<String>,
    /// The version that was to be.
    pub to: String,
    /// Whether it runs.
    pub success: bool,
    /// Why not, for a person.
    pub error: Option<String>,
    /// Why not, a stable word.
    pub code: Option<String>,
}

/// An update that is further than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Of which agent.
    pub agent_id: AgentId,
    /// Of which rollout.
    pub rollout_id: Option<RolloutId>,
    /// As [`AgentUpdate::status`].
    pub status: &'static str,
}

/// The values of a new row.
macro_rules! row {
    ($new:expr, $status:expr, $at:expr, $sent_at:expr, $attempts:expr) => {
        diesel::insert_into(agent_updates::table)
            .values((
                agent_updates::agent_id.eq(Bind($new.agent_id)),
                agent_updates::from_version.eq($new.from_version.as_deref()),
                agent_updates::to_version.eq(&$new.to_version),
                agent_updates::status.eq($status),
                agent_updates::created_at.eq($at),
                agent_updates::rollout_id.eq($new.rollout.map(|(id, _)| Bind(id))),
                agent_updates::release_id.eq(Some(Bind($new.release_id))),
                agent_updates::wave.eq($new.rollout.map(|(_, wave)| wave)),
                agent_updates::sent_at.eq($sent_at),
                agent_updates::attempts.eq($attempts),
            ))
            .returning(AgentUpdate::as_returning())
    };
}

/// Writes down that an update is sent, before it is; [`DbError::Duplicate`] where the agent has one under way,
/// or had this rollout's.
pub async fn begin(db: &Db, new: NewUpdate, at: DateTime<Utc>) -> Result<AgentUpdate, DbError> {
    let at = Bind(at);
    exec!(db, |conn| row!(new, "sent", at, Some(at), 1)
        .get_result(conn)
        .await)
}

/// Writes down an update that waits for its agent, in place of another one that waited;
/// [`DbError::Duplicate`] where one was sent already, [`DbError::ForeignKey`] where the agent is gone.
pub async fn ask(db: &Db, new: NewUpdate, at: DateTime<Utc>) -> Result<AgentUpdate, DbError> {
    let at = Bind(at);
    transact!(db, |conn| {
        diesel::update(
            agent_updates::table
                .filter(agent_updates::agent_id.eq(Bind(new.agent_id)))
                .filter(agent_updates::status.eq("pending")),
        )
        .set((
            agent_updates::status.eq("failed"),
            agent_updates::code.eq("superseded"),
            agent_updates::error.eq("another update was asked for"),
            agent_updates::finished_at.eq(Some(at)),
        ))
        .execute(conn)
        .await?;
        Ok(row!(new, "pending", at, None::<Bind<DateTime<Utc>>>, 0)
            .get_result(conn)
            .await?)
    })
}

/// Writes down that an update which waited is sent now; nothing where it does not wait any more.
pub async fn send(db: &Db, id: i64, at: DateTime<Utc>) -> Result<Option<AgentUpdate>, DbError> {
    exec!(db, |conn| diesel::update(
        agent_updates::table
            .find(id)
            .filter(agent_updates::status.eq("pending"))
    )
    .set((
        agent_updates::status.eq("sent"),
        agent_updates::sent_at.eq(Some(Bind(at))),
        agent_updates::attempts.eq(agent_updates::attempts + 1),
        agent_updates::not_before.eq(None::<Bind<DateTime<Utc>>>),
    ))
    .returning(AgentUpdate::as_returning())
    .get_result(conn)
    .await
    .optional())
}

/// Ends an update that waits or was sent; `false` where there is none.
pub async fn fail(
    db: &Db,
    id: i64,
    code: &'static str,
    error: String,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::update(
        agent_updates::table
            .find(id)
            .filter(agent_updates::status.eq_any(["pending", "sent"]))
    )
    .set((
        agent_updates::status.eq("failed"),
        agent_updates::code.eq(code),
        agent_updates::error.eq(&error),
        agent_updates::finished_at.eq(Some(Bind(at))),
    ))
    .execute(conn)
    .await)
    .map(|changed| changed > 0)
}

/// Those that are not over, the oldest first.
pub async fn under_way(db: &Db) -> Result<Vec<AgentUpdate>, DbError> {
    query!(db, |conn| agent_updates::table
        .filter(agent_updates::status.eq_any(["pending", "sent"]))
        .order(agent_updates::id)
        .select(AgentUpdate::as_select())
        .load(conn)
        .await)
}

/// Ends what has ended by itself: agents that run what they were sent, and those that said nothing since they
/// were sent something before `silent_since`.
pub async fn settle(
    db: &Db,
    at: DateTime<Utc>,
    silent_since: DateTime<Utc>,
) -> Result<Vec<Moved>, DbError> {
    type Row = (AgentId, Option<RolloutId>);
    transact!(db, |conn| {
        let done: Vec<i64> = agent_updates::table
            .inner_join(agents::table)
            .filter(agent_updates::status.eq_any(["pending", "sent"]))
            .filter(agent_updates::sent_at.is_not_null())
            .filter(agents::agent_version.eq(agent_updates::to_version.nullable()))
            .select(agent_updates::id)
            .load(conn)
            .await?;
        let completed: Vec<Row> = if done.is_empty() {
            Vec::new()
        } else {
            diesel::update(agent_updates::table.filter(agent_updates::id.eq_any(done)))
                .set((
                    agent_updates::status.eq("completed"),
                    agent_updates::error.eq(None::<String>),
                    agent_updates::code.eq(None::<String>),
                    agent_updates::finished_at.eq(Some(Bind(at))),
                ))
                .returning((agent_updates::agent_id, agent_updates::rollout_id))
                .get_results(conn)
                .await?
        };
        let silent: Vec<Row> = diesel::update(
            agent_updates::table
                .filter(agent_updates::status.eq("sent"))
                .filter(agent_updates::sent_at.lt(Bind(silent_since))),
        )
        .set((
            agent_updates::status.eq("failed"),
            agent_updates::code.eq("no_answer"),
            agent_updates::error.eq("the agent did not say how it ended"),
            agent_updates::finished_at.eq(Some(Bind(at))),
        ))
        .returning((agent_updates::agent_id, agent_updates::rollout_id))
        .get_results(conn)
        .await?;
        let moved = |status| {
            move |(agent_id, rollout_id)| Moved {
                agent_id,
                rollout_id,
                status,
            }
        };
        let completed = completed.into_iter().map(moved("completed"));
        Ok(completed
            .chain(silent.into_iter().map(moved("failed")))
            .collect())
    })
}

/// Records how an update ended: on the one that is under way to that version, on the last one that was sent
/// where the agent thinks better of it, or as a new row where there is none. A machine that was busy is asked again.
/// [`DbError::ForeignKey`] where the agent is gone.
pub async fn record_result(
    db: &Db,
    agent_id: AgentId,
    outcome: Outcome,
) -> Result<Option<Moved>, DbError> {
    let now = now();
    let at = Bind(now);
    let to = clipped(&outcome.to, 64);
    let error = outcome.error.as_deref().map(|text| clipped(text, 4000));
    let code = outcome.code.as_deref().map(|text| clipped(text, 64));
    let status = if outcome.success {
        "completed"
    } else {
        "failed"
    };
    transact!(db, |conn| {
        let last: Option<AgentUpdate> = agent_updates::table
            .filter(agent_updates::agent_id.eq(Bind(agent_id)))
            .filter(agent_updates::to_version.eq(&to))
            .filter(
                agent_updates::status
                    .eq_any(["pending", "sent"])
                    .or(agent_updates::sent_at.is_not_null()),
            )
            .order(agent_updates::id.desc())
            .select(AgentUpdate::as_select())
            .first(conn)
            .await
            .optional()?;
        let Some(last) = last else {
            diesel::insert_into(agent_updates::table)
                .values((
                    agent_updates::agent_id.eq(Bind(agent_id)),
                    agent_updates::from_version.eq(outcome.from.as_deref()),
                    agent_updates::to_version.eq(&to),
                    agent_updates::status.eq(status),
                    agent_updates::error.eq(error.as_deref()),
                    agent_updates::code.eq(code.as_deref()),
                    agent_updates::created_at.eq(at),
                    agent_updates::finished_at.eq(Some(at)),
                ))
                .execute(conn)
                .await?;
            return Ok(None);
        };
        let open = matches!(last.status.as_str(), "pending" | "sent");
        if !open && last.status == status {
            return Ok(None);
        }
        let busy = !outcome.success && code.as_deref() == Some("busy");
        if busy && (!open || last.attempts < MOST_ATTEMPTS) {
            if last.status != "sent" {
                return Ok(None);
            }
            let later = now + Duration::minutes(BUSY_MINUTES);
            diesel::update(agent_updates::table.find(last.id))
                .set((
                    agent_updates::status.eq("pending"),
                    agent_updates::error.eq(error.as_deref()),
                    agent_updates::code.eq(code.as_deref()),
                    agent_updates::not_before.eq(Some(Bind(later))),
                ))
                .execute(conn)
                .await?;
            return Ok(Some(Moved {
                agent_id,
                rollout_id: last.rollout_id,
                status: "pending",
            }));
        }
        diesel::update(agent_updates::table.find(last.id))
            .set((
                agent_updates::status.eq(status),
                agent_updates::error.eq(error.as_deref()),
                agent_updates::code.eq(code.as_deref()),
                agent_updates::finished_at.eq(Some(at)),
            ))
            .execute(conn)
            .await?;
        Ok(Some(Moved {
            agent_id,
            rollout_id: last.rollout_id,
            status,
        }))
    })
}

/// How many of a rollout's updates are how far, by wave and status.
pub async fn tallies(db: &Db, id: RolloutId) -> Result<Vec<(i32, String, i64)>, DbError> {
    let rows: Vec<(Option<i32>, String, i64)> = query!(db, |conn| agent_updates::table
        .filter(agent_updates::rollout_id.eq(Some(Bind(id))))
        .group_by((agent_updates::wave, agent_updates::status))
        .select((agent_updates::wave, agent_updates::status, count_star()))
        .load(conn)
        .await)?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(wave, status, count)| (wave.unwrap_or(0), status, count))
        .collect())
}

/// Why a rollout's updates failed, and how many of each.
pub async fn failures(db: &Db, id: RolloutId) -> Result<Vec<(Option<String>, i64)>, DbError> {
    query!(db, |conn| agent_updates::table
        .filter(agent_updates::rollout_id.eq(Some(Bind(id))))
        .filter(agent_updates::status.eq("failed"))
        .group_by(agent_updates::code)
        .select((agent_updates::code, count_star()))
        .load(conn)
        .await)
}

/// The agents that have had a rollout's update.
pub async fn members(db: &Db, id: RolloutId) -> Result<Vec<AgentId>, DbError> {
    query!(db, |conn| agent_updates::table
        .filter(agent_updates::rollout_id.eq(Some(Bind(id))))
        .select(agent_updates::agent_id)
        .load(conn)
        .await)
}

/// An agent's updates, the newest first, before that one.
pub async fn of_agent(
    db: &Db,
    agent_id: AgentId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AgentUpdate>, DbError> {
    query!(db, |conn| agent_updates::table
        .filter(agent_updates::agent_id.eq(Bind(agent_id)))
        .filter(agent_updates::id.lt(before.unwrap_or(i64::MAX)))
        .order(agent_updates::id.desc())
        .limit(limit)
        .select(AgentUpdate::as_select())
        .load(conn)
        .await)
}
