//! Tunnel sessions: opened before the agent is asked, closed in one statement guarded by state. The
//! index `tech_sessions_one_active` refuses a technician's second session with the same agent.

mod is_open;
mod list;
mod open;

pub use list::{ListedSession, SessionFilter, SessionSort, list};
pub use open::{NewSession, OpenOutcome, open};

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Array;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, SessionId, UserId};

use self::is_open::IsOpen;
use super::schema::tech_sessions;
use super::tunnel_audit::AuditSteps;
use super::types::{self, Bind};
use super::{Db, DbError};

/// A tunnel session.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = tech_sessions)]
pub struct TechSession {
    /// Its number.
    pub id: i32,
    /// Its id on the wire.
    pub session_id: SessionId,
    /// Who opened it.
    pub tech_id: UserId,
    /// The machine at the other end.
    pub agent_id: AgentId,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When something last happened in it.
    pub last_activity: DateTime<Utc>,
    /// When it ended.
    pub closed_at: Option<DateTime<Utc>>,
    /// `active` (opened), `ready` (the agent answered), `closed` or `error`.
    pub status: String,
    /// Why it ended.
    pub close_reason: Option<String>,
}

/// Notes that the agent is in tunnel mode; `false` unless the session was waiting for that.
pub async fn mark_ready(
    db: &Db,
    session_id: SessionId,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::update(
        tech_sessions::table
            .filter(tech_sessions::session_id.eq(Bind(session_id)))
            .filter(tech_sessions::status.eq("active"))
    )
    .set((
        tech_sessions::status.eq("ready"),
        tech_sessions::last_activity.eq(Bind(at))
    ))
    .execute(conn)
    .await)
    .map(|changed| changed > 0)
}

/// Notes when something last happened in open sessions; times only move forward.
pub async fn touch(db: &Db, touched: Vec<(SessionId, DateTime<Utc>)>) -> Result<usize, DbError> {
    let mut newest: BTreeMap<SessionId, DateTime<Utc>> = BTreeMap::new();
    for (id, at) in touched {
        newest
            .entry(id)
            .and_modify(|known| *known = at.max(*known))
            .or_insert(at);
    }
    batch!(
        db,
        postgres
            | conn
            | {
                let (ids, times): (Vec<_>, Vec<_>) = newest.into_iter().unzip();
                let changed = diesel::sql_query(
                "UPDATE tech_sessions SET last_activity = v.at FROM unnest($1, $2) AS v(id, at) \
                 WHERE session_id = v.id AND status IN ('active', 'ready') AND last_activity < v.at",
            )
            .bind::<Array<types::SessionText>, _>(ids)
            .bind::<Array<types::Timestamptz>, _>(times)
            .execute(conn)
            .await?;
                Ok(changed)
            },
        sqlite | conn | {
            let mut changed = 0;
            for (id, at) in newest {
                let earlier = tech_sessions::table
                    .filter(tech_sessions::session_id.eq(Bind(id)))
                    .filter(IsOpen)
                    .filter(tech_sessions::last_activity.lt(Bind(at)));
                let update = diesel::update(earlier).set(tech_sessions::last_activity.eq(Bind(at)));
                changed += diesel::RunQueryDsl::execute(update, conn)?;
            }
            Ok(changed)
        },
    )
}

/// Ends a session as `closed` or `error`; `false` where it has ended already.
pub async fn close(
    db: &Db,
    session_id: SessionId,
    status: &str,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let (status, reason) = (status.to_owned(), reason.to_owned());
    exec!(db, |conn| diesel::update(
        tech_sessions::table
            .filter(tech_sessions::session_id.eq(Bind(session_id)))
            .filter(IsOpen)
    )
    .set((
        tech_sessions::status.eq(&status),
        tech_sessions::closed_at.eq(Bind(at)),
        tech_sessions::close_reason.eq(Some(&reason)),
    ))
    .execute(conn)
    .await)
    .map(|closed| closed > 0)
}

/// Finds a session by its id on the wire.
pub async fn by_session_id(db: &Db, session_id: SessionId) -> Result<Option<TechSession>, DbError> {
    query!(db, |conn| tech_sessions::table
        .filter(tech_sessions::session_id.eq(Bind(session_id)))
        .select(TechSession::as_select())
        .first(conn)
        .await
        .optional())
}

/// Lists the sessions that are not over, the oldest first.
pub async fn list_open(db: &Db) -> Result<Vec<TechSession>, DbError> {
    query!(db, |conn| tech_sessions::table
        .filter(IsOpen)
        .order(tech_sessions::id)
        .select(TechSession::as_select())
        .load(conn)
        .await)
}

/// Ends, at the server's start, the sessions that a crash left open, finishes their audit rows with
/// the same reason, and lists them. Those in `kept` go on.
pub async fn close_left_open(
    db: &Db,
    reason: &str,
    at: DateTime<Utc>,
    kept: Vec<SessionId>,
) -> Result<Vec<TechSession>, DbError> {
    let reason = reason.to_owned();
    let kept: Vec<_> = kept.into_iter().map(Bind).collect();
    transact!(db, |conn| {
        let others = tech_sessions::table
            .filter(IsOpen)
            .filter(tech_sessions::session_id.ne_all(kept.clone()));
        let closed: Vec<TechSession> = diesel::update(others)
            .set((
                tech_sessions::status.eq("closed"),
                tech_sessions::closed_at.eq(Bind(at)),
                tech_sessions::close_reason.eq(Some(&reason)),
            ))
            .returning(TechSession::as_returning())
            .get_results(conn)
            .await?;
        let ids = closed.iter().map(|session| session.session_id).collect();
        conn.finish_audit_of(ids, &reason, at).await?;
        Ok(closed)
    })
}
