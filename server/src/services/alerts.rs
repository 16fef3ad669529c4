//! What becomes of an alert in the database, and to whom it is told.

use chrono::{DateTime, Utc};
use gururmm_shared::AgentId;

use crate::db::alerts::{self, NewAlert};
use crate::db::{Db, DbError};
use crate::domain::policy::alerts::Severity;
use crate::domain::scope::Place;
use crate::services::audit;
use crate::services::notifications::{Happened, tell};

/// What came of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is written, or was before.
    Done,
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
        agent_id,
        site_id: place.site_id,
        kind,
        severity: severity.name(),
        message,
        opened_at: audit::now(),
    };
    match alerts::open(db, new).await {
        Ok(alert) => {
            tracing::info!(alert.id = %alert.id, agent.id = %agent_id, kind = alert.kind, "an alert opens");
            metrics::counter!("gururmm_alerts_opened_total").increment(1);
            tell(db, &alert, place, Happened::Opened).await?;
            Ok(Told::Done)
        }
        // A retry whose first try did arrive.
        Err(DbError::Duplicate { .. }) => Ok(Told::Done),
        Err(DbError::ForeignKey) => Ok(Told::Unknown),
        Err(error) => Err(error),
    }
}

/// Resolves an alert whose cause is gone and queues what is told of it.
///
/// # Errors
/// The database's.
pub async fn resolve(db: &Db, agent_id: AgentId, kind: String) -> Result<Told, DbError> {
    let resolved = alerts::resolve_kind(db, agent_id, kind, audit::now()).await?;
    if let Some(alert) = resolved {
        tracing::info!(alert.id = %alert.id, agent.id = %agent_id, kind = alert.kind, "an alert is over");
        let place = crate::db::places::of_agent(db, agent_id).await?;
        if alert.snoozed_until.is_none() {
            tell(db, &alert, place.unwrap_or_default(), Happened::Resolved).await?;
        }
    }
    Ok(Told::Done)
}

/// Tells again of alerts whose snooze is over.
///
/// # Errors
/// The database's.
pub async fn wake(db: &Db, now: DateTime<Utc>) -> Result<(), DbError> {
    for alert in alerts::wake(db, now).await? {
        let place = match alert.agent_id {
            Some(agent_id) => crate::db::places::of_agent(db, agent_id).await?,
            None => None,
        };
        tell(db, &alert, place.unwrap_or_default(), Happened::Opened).await?;
    }
    Ok(())
}
