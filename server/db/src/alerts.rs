//! Alerts: at most one unresolved of a kind for each agent. What is told of a change is queued in the same
//! transaction: neither is there without the other.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, AlertId, ClientId, SiteId, UserId};

use super::deliveries::{NewDelivery, QueueSteps};
use super::notifications::Channel;
use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::{agents, alerts, notification_channels, sites};
use super::types::Bind;
use super::{Db, DbError};
use gururmm_domain::scope::{Place, Scope};

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
    /// Which agent it is about; none where it is about the fleet.
    pub agent_id: Option<AgentId>,
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

sorts! {
    /// The orders of a list of alerts.
    AlertSort, newest first: true {
        /// By the time they were opened.
        Opened = "opened" (time),
        /// By kind.
        Kind = "kind" (text),
    }
}

impl Alert {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: AlertSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            AlertSort::Opened => SortValue::Time(self.opened_at),
            AlertSort::Kind => SortValue::Text(self.kind.clone()),
        };
        (value, self.id.0)
    }
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
    /// Those of this kind; of `service_down` and the like those of every service.
    pub kind: Option<String>,
    /// Those of this agent.
    pub agent_id: Option<AgentId>,
    /// Those of this site's agents.
    pub site_id: Option<SiteId>,
    /// Those of this client's agents.
    pub client_id: Option<ClientId>,
    /// Those whose text, or whose agent's name, holds this.
    pub words: Option<String>,
    /// Opened not before.
    pub from: Option<DateTime<Utc>>,
    /// Opened before.
    pub to: Option<DateTime<Utc>>,
}

/// What a notice is made of beside its alert.
#[derive(Debug, Clone)]
pub struct Around {
    /// All channels.
    pub channels: Vec<Channel>,
    /// Where the agent is.
    pub place: Place,
    /// What it is called, while it is there.
    pub hostname: Option<String>,
}

/// Tells what is told of an alert, and by which channels.
pub type Notice = fn(&Alert, &Around) -> Vec<NewDelivery>;

ops! {
    /// Steps with notices of alerts inside of their transactions.
    trait NoticeSteps {
        /// Queues what is told of an alert; counts what was dropped, for `most` wait for its channel.
        async fn tell_of(
            &mut conn,
            alert: &Alert,
            notice: Notice,
            most: i64,
        ) -> QueryResult<usize> {
            let channels: Vec<Channel> = notification_channels::table
                .order((notification_channels::name, notification_channels::id))
                .select(Channel::as_select())
                .load(conn)
                .await?;
            let found: Option<(Option<SiteId>, Option<ClientId>, String)> = match alert.agent_id {
                Some(agent_id) => {
                    agents::table
                        .left_join(sites::table)
                        .filter(agents::id.eq(Bind(agent_id)))
                        .select((
                            agents::site_id,
                            sites::client_id.nullable(),
                            agents::hostname,
                        ))
                        .first(conn)
                        .await
                        .optional()?
                }
                None => None,
            };
            let (site_id, client_id, hostname) = match found {
                Some((site_id, client_id, hostname)) => (site_id, client_id, Some(hostname)),
                None => (None, None, None),
            };
            let around = Around {
                channels,
                place: Place { client_id, site_id },
                hostname,
            };
            let mut dropped = 0;
            for new in notice(alert, &around) {
                if conn.enqueue_delivery(new, most).await?.is_none() {
                    dropped += 1;
                }
            }
            Ok(dropped)
        }
    }
}

/// An alert that was changed, and how many of its notices were dropped.
pub type Changed = (Alert, usize);

/// Opens an alert and queues its notices, both or none; [`DbError::Duplicate`] where one of its kind is
/// unresolved, [`DbError::ForeignKey`] where the agent is gone, or a channel meanwhile.
pub async fn open(db: &Db, new: NewAlert, notice: Notice, most: i64) -> Result<Changed, DbError> {
    let id = Bind(AlertId::generate());
    transact!(db, |conn| {
        let alert = diesel::insert_into(alerts::table)
            .values((
                alerts::id.eq(id),
                alerts::agent_id.eq(new.agent_id.map(Bind)),
                alerts::site_id.eq(new.site_id.map(Bind)),
                alerts::kind.eq(&new.kind),
                alerts::severity.eq(new.severity),
                alerts::status.eq("open"),
                alerts::message.eq(&new.message),
                alerts::opened_at.eq(Bind(new.opened_at)),
            ))
            .returning(Alert::as_returning())
            .get_result(conn)
            .await?;
        let dropped = conn.tell_of(&alert, notice, most).await?;
        Ok((alert, dropped))
    })
}

/// Resolves the unresolved alert of a kind, because its cause is gone, and queues its notices unless it is
/// put off.
pub async fn resolve_kind(
    db: &Db,
    agent_id: AgentId,
    kind: String,
    at: DateTime<Utc>,
    (notice, most): (Notice, i64),
) -> Result<Option<Changed>, DbError> {
    transact!(db, |conn| {
        let resolved: Option<Alert> = diesel::update(
            alerts::table
                .filter(alerts::agent_id.eq(Bind(agent_id)))
                .filter(alerts::kind.eq(&kind))
                .filter(alerts::status.ne("resolved")),
        )
        .set((
            alerts::status.eq("resolved"),
            alerts::resolved_at.eq(Bind(at)),
        ))
        .returning(Alert::as_returning())
        .get_result(conn)
        .await
        .optional()?;
        let Some(alert) = resolved else {
            return Ok(None);
        };
        let dropped = match alert.snoozed_until {
            None => conn.tell_of(&alert, notice, most).await?,
            Some(_) => 0,
        };
        Ok(Some((alert, dropped)))
    })
}

/// Resolves an alert and queues its notices; nothing where it is resolved already.
pub async fn resolve(
    db: &Db,
    id: AlertId,
    by: UserId,
    at: DateTime<Utc>,
    (notice, most): (Notice, i64),
) -> Result<Option<Changed>, DbError> {
    transact!(db, |conn| {
        let resolved: Option<Alert> = diesel::update(
            alerts::table
                .find(Bind(id))
                .filter(alerts::status.ne("resolved")),
        )
        .set((
            alerts::status.eq("resolved"),
            alerts::resolved_at.eq(Bind(at)),
            alerts::resolved_by.eq(Bind(by)),
        ))
        .returning(Alert::as_returning())
        .get_result(conn)
        .await
        .optional()?;
        let Some(alert) = resolved else {
            return Ok(None);
        };
        let dropped = conn.tell_of(&alert, notice, most).await?;
        Ok(Some((alert, dropped)))
    })
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

/// Wakes the alerts whose snooze is over and queues their notices; counts those that were dropped.
pub async fn wake(
    db: &Db,
    now: DateTime<Utc>,
    (notice, most): (Notice, i64),
) -> Result<usize, DbError> {
    transact!(db, |conn| {
        let woken: Vec<Alert> = diesel::update(
            alerts::table
                .filter(alerts::status.ne("resolved"))
                .filter(alerts::snoozed_until.le(Bind(now))),
        )
        .set(alerts::snoozed_until.eq(None::<Bind<DateTime<Utc>>>))
        .returning(Alert::as_returning())
        .get_results(conn)
        .await?;
        let mut dropped = 0;
        for alert in woken {
            dropped += conn.tell_of(&alert, notice, most).await?;
        }
        Ok(dropped)
    })
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

/// Lists alerts with the names of their agents.
pub async fn list(
    db: &Db,
    filter: AlertFilter,
    page: PageOf<AlertSort>,
) -> Result<Vec<(Alert, Option<String>)>, DbError> {
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
        if let Some(kind) = &filter.kind {
            let begins = format!("{}%", pattern(&format!("{kind}:")).trim_matches('%'));
            found = found.filter(
                alerts::kind
                    .eq(kind.clone())
                    .or(alerts::kind.like(begins).escape('\\')),
            );
        }
        if let Some(id) = filter.agent_id {
            found = found.filter(alerts::agent_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            found = found.filter(sites::id.nullable().eq(Bind(id)));
        }
        if let Some(id) = filter.client_id {
            found = found.filter(sites::client_id.nullable().eq(Bind(id)));
        }
        if let Some(words) = &filter.words {
            let message = lower(alerts::message).like(lower(pattern(words)));
            let kind = lower(alerts::kind).like(lower(pattern(words)));
            let named = agents::hostname.nullable().assume_not_null();
            let hostname = lower(named).like(lower(pattern(words)));
            found = found.filter(
                message
                    .escape('\\')
                    .or(kind.escape('\\'))
                    .or(hostname.escape('\\')),
            );
        }
        if let Some(from) = filter.from {
            found = found.filter(alerts::opened_at.ge(Bind(from)));
        }
        if let Some(to) = filter.to {
            found = found.filter(alerts::opened_at.lt(Bind(to)));
        }
        match page.sort {
            AlertSort::Opened => {
                keyset!(found, page, alerts::opened_at, alerts::id, AlertId, time);
            }
            AlertSort::Kind => keyset!(found, page, alerts::kind, alerts::id, AlertId, text),
        }
        found.load::<(Alert, Option<String>)>(conn).await
    })
}
