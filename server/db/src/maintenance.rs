//! Maintenance windows: when and where no alerts are opened.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, MaintenanceId, SiteId, UserId};

use super::schema::maintenance_windows as windows;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::target::Target;

/// A stored window.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = windows)]
pub struct Window {
    /// Its id.
    pub id: MaintenanceId,
    /// The client whose agents it is for.
    pub client_id: Option<ClientId>,
    /// The site whose agents it is for.
    pub site_id: Option<SiteId>,
    /// The agent it is for.
    pub agent_id: Option<AgentId>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// What is done there.
    pub reason: String,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Window {
    /// Whose alerts it holds back.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            client_id: self.client_id,
            site_id: self.site_id,
            agent_id: self.agent_id,
        }
    }
}

/// A new window.
#[derive(Debug, Clone)]
pub struct NewWindow {
    /// The client whose agents it is for.
    pub client_id: Option<ClientId>,
    /// The site whose agents it is for.
    pub site_id: Option<SiteId>,
    /// The agent it is for.
    pub agent_id: Option<AgentId>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// What is done there.
    pub reason: String,
    /// Who makes it.
    pub created_by: UserId,
}

/// Inserts a window; [`DbError::ForeignKey`] where its target is gone.
pub async fn insert(db: &Db, new: NewWindow) -> Result<Window, DbError> {
    let id = Bind(MaintenanceId::generate());
    exec!(db, |conn| diesel::insert_into(windows::table)
        .values((
            windows::id.eq(id),
            windows::client_id.eq(new.client_id.map(Bind)),
            windows::site_id.eq(new.site_id.map(Bind)),
            windows::agent_id.eq(new.agent_id.map(Bind)),
            windows::starts_at.eq(Bind(new.starts_at)),
            windows::ends_at.eq(Bind(new.ends_at)),
            windows::reason.eq(&new.reason),
            windows::created_by.eq(Bind(new.created_by)),
            windows::created_at.eq(Bind(now())),
        ))
        .returning(Window::as_returning())
        .get_result(conn)
        .await)
}

/// Lists the windows that are not over yet, the earliest first.
pub async fn upcoming(db: &Db, at: DateTime<Utc>) -> Result<Vec<Window>, DbError> {
    query!(db, |conn| windows::table
        .filter(windows::ends_at.gt(Bind(at)))
        .order((windows::starts_at, windows::id))
        .select(Window::as_select())
        .load(conn)
        .await)
}

/// Finds a window.
pub async fn by_id(db: &Db, id: MaintenanceId) -> Result<Option<Window>, DbError> {
    query!(db, |conn| windows::table
        .find(Bind(id))
        .select(Window::as_select())
        .first(conn)
        .await
        .optional())
}

/// Deletes a window; `false` where there is none.
pub async fn delete(db: &Db, id: MaintenanceId) -> Result<bool, DbError> {
    exec!(db, |conn| diesel::delete(windows::table.find(Bind(id)))
        .execute(conn)
        .await)
    .map(|deleted| deleted > 0)
}
