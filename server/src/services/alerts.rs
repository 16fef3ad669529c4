//! What becomes of an alert in the database, and to whom it is told.

use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, AlertId, UserId};

use crate::db::alerts::{self, Alert, NewAlert, Notice};
use crate::db::{Db, DbError, places};
use crate::domain::policy::alerts::Severity;
use crate::domain::scope::Place;
use crate::services::audit;
use crate::services::notifications::{MOST_WAITING, of_opened, of_resolved, report_dropped};

/// What came of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is written, this alert or one that was before.
    Done(Option<AlertId>),
    /// There is no such agent any more.
    Unknown,
}

/// Opens an alert and queues what is told of it.
///
/// # Errors
/// The database's.
pub async fn open(
    db: &Db,
    agent_id: AgentId,
    place: Place,
    kind: String,
    severity: Severity,
    message: String,
) -> Result<Told, DbError> {
    let new = NewAlert {
        agent_id: Some(agent_id),
        site_id: place.site_id,
        kind,
        severity: severity.name(),
        message,
        opened_at: audit::now(),
    };
    match alerts::open(db, new, of_opened, MOST_WAITING).await {
        Ok((alert, dropped)) => {
            tracing::info!(alert.id = %alert.id, agent.id = %agent_id, kind = alert.kind, "an alert opens");
            metrics::counter!("gururmm_alerts_opened_total").increment(1);
            report_dropped(dropped);
            Ok(Told::Done(Some(alert.id)))
        }
        // A retry whose first try did arrive.
        Err(DbError::Duplicate { .. }) => Ok(Told::Done(None)),
        Err(DbError::ForeignKey) if places::of_agent(db, agent_id).await?.is_none() => {
            Ok(Told::Unknown)
        }
        Err(DbError::ForeignKey) => Err(DbError::Unavailable(
            "a channel was deleted while an alert opened".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

/// Opens an alert that is about no agent, and queues what is told of it; a person resolves it.
///
/// # Errors
/// The database's.
pub async fn open_about_fleet(
    db: &Db,
    kind: &str,
    severity: Severity,
    message: String,
) -> Result<AlertId, DbError> {
    let new = NewAlert {
        agent_id: None,
        site_id: None,
        kind: kind.to_owned(),
        severity: severity.name(),
        message,
        opened_at: audit::now(),
    };
    let (alert, dropped) = alerts::open(db, new, of_opened, MOST_WAITING).await?;
    tracing::info!(alert.id = %alert.id, kind = alert.kind, "an alert opens");
    metrics::counter!("gururmm_alerts_opened_total").increment(1);
    report_dropped(dropped);
    Ok(alert.id)
}

/// Resolves an alert whose cause is gone and queues what is told of it.
///
/// # Errors
/// The database's.
pub async fn resolve(db: &Db, agent_id: AgentId, kind: String) -> Result<Told, DbError> {
    let notice = (of_resolved as Notice, MOST_WAITING);
    let resolved = alerts::resolve_kind(db, agent_id, kind, audit::now(), notice).await?;
    let Some((alert, dropped)) = resolved else {
        return Ok(Told::Done(None));
    };
    tracing::info!(alert.id = %alert.id, agent.id = %agent_id, kind = alert.kind, "an alert is over");
    report_dropped(dropped);
    Ok(Told::Done(Some(alert.id)))
}

/// Resolves an alert because somebody says so; nothing where it is resolved already.
///
/// # Errors
/// The database's.
pub async fn resolve_by(db: &Db, id: AlertId, by: UserId) -> Result<Option<Alert>, DbError> {
    let notice = (of_resolved as Notice, MOST_WAITING);
    let resolved = alerts::resolve(db, id, by, audit::now(), notice).await?;
    Ok(resolved.map(|(alert, dropped)| {
        report_dropped(dropped);
        alert
    }))
}

/// Tells again of alerts whose snooze is over.
///
/// # Errors
/// The database's.
pub async fn wake(db: &Db, now: DateTime<Utc>) -> Result<(), DbError> {
    let dropped = alerts::wake(db, now, (of_opened, MOST_WAITING)).await?;
    report_dropped(dropped);
    Ok(())
}
