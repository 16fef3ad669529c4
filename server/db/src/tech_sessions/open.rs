//! Opening a session: within the technician's limit, one an agent, and together with its audit row.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ApiKeyId, SessionId, UserId};

use super::is_open::IsOpen;
use crate::schema::{api_keys, tech_sessions, users};
use crate::tunnel_audit::{AuditSteps, NewAudit};
use crate::types::{Bind, now};
use crate::{Db, DbError};

/// What a new session is made of.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id on the wire.
    pub session_id: SessionId,
    /// Who opens it.
    pub tech_id: UserId,
    /// The machine at the other end.
    pub agent_id: AgentId,
    /// When.
    pub at: DateTime<Utc>,
    /// The most sessions that a technician may have open.
    pub max_open: u32,
    /// The technician's token version when this was asked for.
    pub token_version: i64,
    /// The key it is asked for with, if it is not a log-in.
    pub key_id: Option<ApiKeyId>,
}

/// How an attempt to open a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// The session and its audit row are stored.
    Opened,
    /// The technician has a session with this agent already; nothing was stored.
    Duplicate,
    /// The technician has as many sessions as allowed; nothing was stored.
    TooMany {
        /// How many.
        open: u32,
    },
}

/// Opens a session and writes its audit row, both or none.
///
/// # Errors
///
/// [`DbError::NotFound`] where the technician does not exist, is disabled, or was
/// revoked since, or the key was or has expired,
/// [`DbError::ForeignKey`] where the agent does not exist.
pub async fn open(db: &Db, new: NewSession, audit: NewAudit) -> Result<OpenOutcome, DbError> {
    transact!(db, |conn| {
        // Changes nothing, but holds the row: a technician's opens come one after another.
        let locked = diesel::update(
            users::table
                .find(Bind(new.tech_id))
                .filter(users::disabled.eq(false))
                .filter(users::token_version.eq(new.token_version)),
        )
        .set(users::token_version.eq(users::token_version))
        .execute(conn)
        .await?;
        if locked == 0 {
            return Err(DbError::NotFound);
        }
        if let Some(key_id) = new.key_id {
            // As above: the key's end waits for this, and finds the session.
            let unexpired = api_keys::expires_at
                .is_null()
                .or(api_keys::expires_at.gt(Some(Bind(now()))).assume_not_null());
            let held = diesel::update(
                api_keys::table
                    .find(Bind(key_id))
                    .filter(api_keys::user_id.eq(Bind(new.tech_id)))
                    .filter(api_keys::revoked_at.is_null())
                    .filter(unexpired),
            )
            .set(api_keys::revoked_at.eq(api_keys::revoked_at))
            .execute(conn)
            .await?;
            if held == 0 {
                return Err(DbError::NotFound);
            }
        }
        // Those with other agents: one with this agent is for the index to refuse.
        let others: i64 = tech_sessions::table
            .filter(tech_sessions::tech_id.eq(Bind(new.tech_id)))
            .filter(tech_sessions::agent_id.ne(Bind(new.agent_id)))
            .filter(IsOpen)
            .count()
            .get_result(conn)
            .await?;
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        if others >= new.max_open {
            return Ok(OpenOutcome::TooMany { open: others });
        }
        let inserted = diesel::insert_into(tech_sessions::table)
            .values((
                tech_sessions::session_id.eq(Bind(new.session_id)),
                tech_sessions::tech_id.eq(Bind(new.tech_id)),
                tech_sessions::agent_id.eq(Bind(new.agent_id)),
                tech_sessions::opened_at.eq(Bind(new.at)),
                tech_sessions::last_activity.eq(Bind(new.at)),
                tech_sessions::status.eq("active"),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        if inserted == 0 {
            return Ok(OpenOutcome::Duplicate);
        }
        conn.insert_audit(audit).await?;
        Ok(OpenOutcome::Opened)
    })
}
