//! Alerts: at most one unresolved of a kind for each agent.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, AlertId, SiteId, UserId};

use super::schema::{agents, alerts, sites};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A stored alert.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = alerts)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Which agent it is about.
    pub agent_id: Option<AgentId>,
    /// Where that agent was.
    pub site_id: Option<SiteId>,
    /// As `cpu`.
    pub kind: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// `open`, `acknowledged` or `resolved`.
    pub status: String,
    /// For a person.
    pub message: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When somebody took it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<UserId>,
    /// When it was over.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who said so; nobody where its cause was gone.
    pub resolved_by: Option<UserId>,
    /// Until when nothing is told of it.
    pub snoozed_until: Option<DateTime<Utc>>,
}

/// A new alert.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// Which agent it is about.
    pub agent_id: AgentId,
    /// Where it is.
    pub site_id: Option<SiteId>,
    /// As `cpu`.
    pub kind: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// For a person.
    pub message: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
}

/// Which alerts to list.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Those of agents within.
    pub scope: Scope,
    /// Those of this status; `unresolved` stands for two.
    pub status: Option<String>,
    /// Those of this severity.
    pub severity: Option<String>,
    /// Those of this agent.
    pub agent_id: Option<AgentId>,
    /// Those before this one.
    pub before: Option<AlertId>,
    /// At most so many.
    pub limit: i64,
}

/// Opens an alert; [`DbError::Duplicate`] where one of its kind is unresolved,
/// [`DbError::ForeignKey`] where the agent is gone.
pub async fn open(db: &Db, new: NewAlert) -> Result<Alert, DbError> {
    let id = Bind(AlertId::generate());
    exec!(db, |conn| diesel::insert_into(alerts::table)
        .values((
            alerts::id.eq(id),
            alerts::agent_id.eq(Bind(new.agent_id)),
            alerts::site_id.eq(new.site_id.map(Bind)),
            alerts::kind.eq(&new.kind),
            alerts::severity.eq(new.severity),
            alerts::status.eq("open"),
            alerts::message.eq(&new.message),
            alerts::opened_at.eq(Bind(new.opened_at)),
        ))
        .returning(Alert::as_returning())
        .get_result(conn)
        .await)
}

/// Resolves the unresolved alert of a kind, because its cause is gone.
pub async fn resolve_kind(
    db: &Db,
    agent_id: AgentId,
    kind: String,
    at: DateTime<Utc>,
) -> Result<Option<Alert>, DbError> {
    exec!(db, |conn| diesel::update(
        alerts::table
            .filter(alerts::agent_id.eq(Bind(agent_id)))
            .filter(alerts::kind.eq(&kind))
            .filter(alerts::status.ne("resolved"))
    )
    .set((
        alerts::status.eq("resolved"),
        alerts::resolved_at.eq(Bind(at)),
    ))
    .returning(Alert::as_returning())
    .get_result(conn)
    .await
    .optional())
}

/// Resolves an alert; nothing where it is resolved already.
pub async fn resolve(
    db: &Db,
    id: AlertId,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<Option<Alert>, DbError> {
    exec!(db, |conn| diesel::update(
        alerts::table
            .find(Bind(id))
            .filter(alerts::status.ne("resolved"))
    )
    .set((
        alerts::status.eq("resolved"),
        alerts::resolved_at.eq(Bind(at)),
        alerts::resolved_by.eq(Bind(by)),
    ))
    .returning(Alert::as_returning())
    .get_result(conn)
    .await
    .optional())
}

/// Notes who takes care of an alert; nothing where it is not open.
pub async fn acknowledge(
    db: &Db,
    id: AlertId,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<Option<Alert>, DbError> {
    exec!(db, |conn| diesel::update(
        alerts::table
            .find(Bind(id))
            .filter(alerts::status.eq("open"))
    )
    .set((
        alerts::status.eq("acknowledged"),
        alerts::acknowledged_at.eq(Bind(at)),
        alerts::acknowledged_by.eq(Bind(by)),
    ))
    .returning(Alert::as_returning())
    .get_result(conn)
    .await
    .optional())
}

/// Sets until when nothing is told of an alert; nothing where it is resolved.
pub async fn snooze(
    db: &Db,
    id: AlertId,
    until: Option<DateTime<Utc>>,
) -> Result<Option<Alert>, DbError> {
    exec!(db, |conn| diesel::update(
        alerts::table
            .find(Bind(id))
            .filter(alerts::status.ne("resolved"))
    )
    .set(alerts::snoozed_until.eq(until.map(Bind)))
    .returning(Alert::as_returning())
    .get_result(conn)
    .await
    .optional())
}

/// Wakes the alerts whose snooze is over.
pub async fn wake(db: &Db, now: DateTime<Utc>) -> Result<Vec<Alert>, DbError> {
    exec!(db, |conn| diesel::update(
        alerts::table
            .filter(alerts::status.ne("resolved"))
            .filter(alerts::snoozed_until.le(Bind(now)))
    )
    .set(alerts::snoozed_until.eq(None::<Bind<DateTime<Utc>>>))
    .returning(Alert::as_returning())
    .get_results(conn)
    .await)
}

/// Lists what is unresolved, as after a restart.
pub async fn unresolved(db: &Db) -> Result<Vec<(AgentId, String)>, DbError> {
    let rows: Vec<(Option<AgentId>, String)> = query!(db, |conn| alerts::table
        .filter(alerts::status.ne("resolved"))
        .select((alerts::agent_id, alerts::kind))
        .load(conn)
        .await)?;
    let of_agents = rows.into_iter();
    Ok(of_agents
        .filter_map(|(agent_id, kind)| Some((agent_id?, kind)))
        .collect())
}

/// Finds an alert.
pub async fn by_id(db: &Db, id: AlertId) -> Result<Option<Alert>, DbError> {
    query!(db, |conn| alerts::table
        .find(Bind(id))
        .select(Alert::as_select())
        .first(conn)
        .await
        .optional())
}

/// Lists alerts with the names of their agents, the newest first.
pub async fn list(db: &Db, filter: AlertFilter) -> Result<Vec<(Alert, Option<String>)>, DbError> {
    query!(db, |conn| {
        let mut found = alerts::table
            .left_join(agents::table.left_join(sites::table))
            .select((Alert::as_select(), agents::hostname.nullable()))
            .into_boxed();
        within_joined_sites!(found, &filter.scope);
        match filter.status.as_deref() {
            Some("unresolved") => found = found.filter(alerts::status.ne("resolved")),
            Some(status) => found = found.filter(alerts::status.eq(status.to_owned())),
            None => {}
        }
        if let Some(severity) = &filter.severity {
            found = found.filter(alerts::severity.eq(severity.clone()));
        }
        if let Some(agent_id) = filter.agent_id {
            found = found.filter(alerts::agent_id.eq(Bind(agent_id)));
        }
        if let Some(before) = filter.before {
            found = found.filter(alerts::id.lt(Bind(before)));
        }
        found
            .order(alerts::id.desc())
            .limit(filter.limit.max(0))
            .load::<(Alert, Option<String>)>(conn)
            .await
    })
}
