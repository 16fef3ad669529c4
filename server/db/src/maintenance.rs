//! Maintenance windows: when and where no alerts are opened.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, MaintenanceId, SiteId, UserId};

use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::maintenance_windows as windows;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Scope;
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

sorts! {
    /// The orders of a list of windows.
    WindowSort, newest first: false {
        /// By their beginning.
        Starts = "starts" (time),
        /// By their end.
        Ends = "ends" (time),
    }
}

impl Window {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: WindowSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            WindowSort::Starts => SortValue::Time(self.starts_at),
            WindowSort::Ends => SortValue::Time(self.ends_at),
        };
        (value, self.id.0)
    }
}

/// Which windows to list; those that are over are not.
#[derive(Debug, Clone)]
pub struct WindowFilter {
    /// Only those for something within, and those for all.
    pub scope: Scope,
    /// Only those of this client as a whole.
    pub client_id: Option<ClientId>,
    /// Only those of this site.
    pub site_id: Option<SiteId>,
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those that have begun, or the others.
    pub begun: Option<bool>,
    /// Only those whose reason holds this.
    pub words: Option<String>,
    /// Now.
    pub at: DateTime<Utc>,
}

/// Lists windows that are not over yet.
pub async fn list(
    db: &Db,
    filter: WindowFilter,
    page: PageOf<WindowSort>,
) -> Result<Vec<Window>, DbError> {
    query!(db, |conn| {
        let mut rows = windows::table
            .filter(windows::ends_at.gt(Bind(filter.at)))
            .select(Window::as_select())
            .into_boxed();
        within_targets!(
            rows,
            &filter.scope,
            windows::client_id,
            windows::site_id,
            windows::agent_id
        );
        if let Some(id) = filter.client_id {
            rows = rows.filter(windows::client_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(windows::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.agent_id {
            rows = rows.filter(windows::agent_id.eq(Bind(id)));
        }
        match filter.begun {
            Some(true) => rows = rows.filter(windows::starts_at.le(Bind(filter.at))),
            Some(false) => rows = rows.filter(windows::starts_at.gt(Bind(filter.at))),
            None => {}
        }
        if let Some(words) = &filter.words {
            let holds = lower(windows::reason).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            WindowSort::Starts => {
                keyset!(
                    rows,
                    page,
                    windows::starts_at,
                    windows::id,
                    MaintenanceId,
                    time
                );
            }
            WindowSort::Ends => {
                keyset!(
                    rows,
                    page,
                    windows::ends_at,
                    windows::id,
                    MaintenanceId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// The windows that are not over yet, the earliest first.
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
