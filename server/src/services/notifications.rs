//! Tells of alerts: which channels, and what they say. Queues only; sending is `deliveries`.

use chrono::{DateTime, Utc};
use gururmm_shared::NotificationId;
use serde_json::{Value, json};

use crate::db::alerts::{Alert, Around};
use crate::db::deliveries::{self, NewDelivery};
use crate::db::notifications::Channel;
use crate::db::{Db, DbError};
use crate::domain::policy::alerts::Severity;
use crate::domain::scope::Place;
use crate::services::audit;

/// Deliveries of a channel that wait at most.
pub const MOST_WAITING: i64 = 1000;

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happened {
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

/// What is told of an alert that was opened, or whose snooze is over.
#[must_use]
pub fn of_opened(alert: &Alert, around: &Around) -> Vec<NewDelivery> {
    notices(alert, around, Happened::Opened)
}

/// What is told of an alert that is over.
#[must_use]
pub fn of_resolved(alert: &Alert, around: &Around) -> Vec<NewDelivery> {
    notices(alert, around, Happened::Resolved)
}

fn notices(alert: &Alert, around: &Around, happened: Happened) -> Vec<NewDelivery> {
    let place = around.place;
    let agent = alert.agent_id.zip(around.hostname.as_ref());
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
            "agent": agent.map(|(id, hostname)| json!({ "id": id, "hostname": hostname })),
            "site_id": place.site_id,
            "client_id": place.client_id,
        }),
    );
    let wanting = around.channels.iter();
    wanting
        .filter(|channel| wants(channel, alert, place))
        .map(|channel| NewDelivery {
            channel_id: channel.id,
            alert_id: Some(alert.id),
            event: happened.event(),
            payload: payload.clone(),
        })
        .collect()
}

/// Reports notices that were dropped because too many wait for their channel.
pub fn report_dropped(count: usize) {
    if count > 0 {
        let counted = u64::try_from(count).unwrap_or(u64::MAX);
        metrics::counter!("gururmm_notifications_dropped_total").increment(counted);
        tracing::error!(
            count,
            "{MOST_WAITING} notifications wait for a channel; others are dropped"
        );
    }
}

fn payload(event: &str, at: DateTime<Utc>, alert: Value) -> Value {
    json!({ "type": event, "timestamp": at, "data": { "alert": alert } })
}

/// Queues the test of a channel.
///
/// # Errors
/// The database's; a channel that is gone is none.
pub async fn queue_test(
    db: &Db,
    channel_id: NotificationId,
) -> Result<Option<deliveries::Delivery>, DbError> {
    let test = NewDelivery {
        channel_id,
        alert_id: None,
        event: "test",
        payload: test_payload(),
    };
    match deliveries::enqueue(db, test, MOST_WAITING).await {
        Ok(None) => {
            report_dropped(1);
            Ok(None)
        }
        Err(DbError::ForeignKey) => Ok(None),
        queued => queued,
    }
}

/// What a test of a channel says.
fn test_payload() -> Value {
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
