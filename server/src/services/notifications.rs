//! Tells of alerts: which channels, and what they say. Queues only; sending is `deliveries`.

use chrono::{DateTime, Utc};
use gururmm_shared::AlertId;
use serde_json::{Value, json};

use crate::db::alerts::Alert;
use crate::db::notifications::{self, Channel};
use crate::db::{Db, DbError, agents, deliveries};
use crate::domain::policy::alerts::Severity;
use crate::domain::scope::Place;
use crate::services::audit;

/// Deliveries of a channel that wait at most.
const MOST_WAITING: i64 = 1000;

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// It was opened, or its snooze is over.
    Opened,
    /// It is over.
    Resolved,
}

impl Happened {
    fn event(self) -> &'static str {
        match self {
            Self::Opened => "alert.opened",
            Self::Resolved => "alert.resolved",
        }
    }
}

fn wants(channel: &Channel, alert: &Alert, place: Place) -> bool {
    let bad_enough = Severity::of(&alert.severity) >= Severity::of(&channel.min_severity);
    let here = channel.client_id.is_none() || channel.client_id == place.client_id;
    channel.enabled && bad_enough && here
}

/// Queues what is told of an alert by every channel that wants it.
///
/// # Errors
/// The database's.
pub async fn tell(db: &Db, alert: &Alert, place: Place, happened: Happened) -> Result<(), DbError> {
    let channels = notifications::list(db).await?;
    let channels: Vec<Channel> = channels
        .into_iter()
        .filter(|channel| wants(channel, alert, place))
        .collect();
    if channels.is_empty() {
        return Ok(());
    }
    let agent = match alert.agent_id {
        Some(id) => agents::by_id(db, id).await?,
        None => None,
    };
    let payload = payload(
        happened.event(),
        audit::now(),
        json!({
            "id": alert.id,
            "kind": alert.kind,
            "severity": alert.severity,
            "status": alert.status,
            "message": alert.message,
            "opened_at": alert.opened_at,
            "resolved_at": alert.resolved_at,
            "agent": agent.map(|agent| json!({ "id": agent.id, "hostname": agent.hostname })),
            "site_id": place.site_id,
            "client_id": place.client_id,
        }),
    );
    for channel in channels {
        queue(
            db,
            &channel,
            Some(alert.id),
            happened.event(),
            payload.clone(),
        )
        .await?;
    }
    Ok(())
}

fn payload(event: &str, at: DateTime<Utc>, alert: Value) -> Value {
    json!({ "type": event, "timestamp": at, "data": { "alert": alert } })
}

/// Queues one delivery.
///
/// # Errors
/// The database's; a channel that is gone is none.
pub async fn queue(
    db: &Db,
    channel: &Channel,
    alert_id: Option<AlertId>,
    event: &'static str,
    payload: Value,
) -> Result<Option<deliveries::Delivery>, DbError> {
    match deliveries::enqueue(db, channel.id, alert_id, event, payload, MOST_WAITING).await {
        Ok(None) => {
            metrics::counter!("gururmm_notifications_dropped_total").increment(1);
            tracing::error!(channel.id = %channel.id, "{MOST_WAITING} notifications wait for a channel; this one is dropped");
            Ok(None)
        }
        Err(DbError::ForeignKey) => Ok(None),
        queued => queued,
    }
}

/// What a test of a channel says.
#[must_use]
pub fn test_payload() -> Value {
    payload(
        "test",
        audit::now(),
        json!({
            "kind": "test",
            "severity": "info",
            "status": "open",
            "message": "this is a test of the notification channel",
        }),
    )
}
