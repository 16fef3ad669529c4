//! What is told by channels: the queue, and after that the log.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AlertId, DeliveryId, NotificationId};
use serde_json::Value;

use super::schema::notification_deliveries as deliveries;
use super::types::{Bind, clipped, now};
use super::{Db, DbError};

/// A stored delivery.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// By which channel.
    pub channel_id: NotificationId,
    /// Of which alert.
    pub alert_id: Option<AlertId>,
    /// As `alert.opened`.
    pub event: String,
    /// What is told.
    pub payload: Value,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
    /// Why it did not arrive.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it arrived or was given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What is to be told by a channel.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// By which channel.
    pub channel_id: NotificationId,
    /// Of which alert.
    pub alert_id: Option<AlertId>,
    /// As `alert.opened`.
    pub event: &'static str,
    /// What is told.
    pub payload: Value,
}

ops! {
    /// Steps with deliveries inside of others' transactions.
    trait QueueSteps {
        /// Queues a delivery unless `most` wait for its channel; nothing where they do.
        async fn enqueue_delivery(
            &mut conn,
            new: NewDelivery,
            most: i64,
        ) -> QueryResult<Option<Delivery>> {
            let (id, at) = (Bind(DeliveryId::generate()), Bind(now()));
            let waiting: i64 = deliveries::table
                .filter(deliveries::channel_id.eq(Bind(new.channel_id)))
                .filter(deliveries::status.eq("pending"))
                .count()
                .get_result(conn)
                .await?;
            if waiting >= most {
                return Ok(None);
            }
            diesel::insert_into(deliveries::table)
                .values((
                    deliveries::id.eq(id),
                    deliveries::channel_id.eq(Bind(new.channel_id)),
                    deliveries::alert_id.eq(new.alert_id.map(Bind)),
                    deliveries::event.eq(new.event),
                    deliveries::payload.eq(Bind(new.payload)),
                    deliveries::status.eq("pending"),
                    deliveries::attempts.eq(0),
                    deliveries::next_at.eq(at),
                    deliveries::created_at.eq(at),
                ))
                .returning(Delivery::as_returning())
                .get_result(conn)
                .await
                .map(Some)
        }
    }
}

/// Queues a delivery unless `most` wait for its channel; `None` where they do.
pub async fn enqueue(db: &Db, new: NewDelivery, most: i64) -> Result<Option<Delivery>, DbError> {
    transact!(db, |conn| Ok(conn.enqueue_delivery(new, most).await?))
}

/// Lists what is due by channels that are not busy, the oldest first. What a channel is told of one alert is
/// told in turn: its end would be forgotten where its beginning came later.
pub async fn due(
    db: &Db,
    at: DateTime<Utc>,
    busy: Vec<NotificationId>,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    let earlier = diesel::alias!(deliveries as earlier);
    query!(db, |conn| deliveries::table
        .filter(deliveries::status.eq("pending"))
        .filter(deliveries::next_at.le(Bind(at)))
        .filter(deliveries::channel_id.ne_all(busy.into_iter().map(Bind)))
        .filter(diesel::dsl::not(diesel::dsl::exists(
            earlier
                .filter(earlier.field(deliveries::status).eq("pending"))
                .filter(
                    earlier
                        .field(deliveries::channel_id)
                        .eq(deliveries::channel_id)
                )
                .filter(earlier.field(deliveries::alert_id).eq(deliveries::alert_id))
                .filter(earlier.field(deliveries::id).lt(deliveries::id))
        )))
        .order((deliveries::next_at, deliveries::id))
        .limit(limit.max(0))
        .select(Delivery::as_select())
        .load(conn)
        .await)
}

/// Notes how an attempt ended: it arrived, it is tried again then, or it is given up.
pub async fn attempted(
    db: &Db,
    id: DeliveryId,
    error: Option<String>,
    again_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    let at = now();
    let status = match (&error, again_at) {
        (None, _) => "delivered",
        (Some(_), Some(_)) => "pending",
        (Some(_), None) => "failed",
    };
    let finished = (status != "pending").then_some(Bind(at));
    let next_at = Bind(again_at.unwrap_or(at));
    let error = error.map(|error| clipped(&error, 2000));
    exec!(db, |conn| diesel::update(deliveries::table.find(Bind(id)))
        .set((
            deliveries::status.eq(status),
            deliveries::attempts.eq(deliveries::attempts + 1),
            deliveries::next_at.eq(next_at),
            deliveries::last_error.eq(error.as_deref()),
            deliveries::finished_at.eq(finished),
        ))
        .execute(conn)
        .await)
    .map(|_| ())
}

/// Lists the deliveries of a channel, the newest first.
pub async fn of_channel(
    db: &Db,
    id: NotificationId,
    before: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, DbError> {
    query!(db, |conn| {
        let mut found = deliveries::table
            .filter(deliveries::channel_id.eq(Bind(id)))
            .select(Delivery::as_select())
            .into_boxed();
        if let Some(before) = before {
            found = found.filter(deliveries::id.lt(Bind(before)));
        }
        found
            .order(deliveries::id.desc())
            .limit(limit.max(0))
            .load(conn)
            .await
    })
}

/// Finds a delivery.
pub async fn by_id(db: &Db, id: DeliveryId) -> Result<Option<Delivery>, DbError> {
    query!(db, |conn| deliveries::table
        .find(Bind(id))
        .select(Delivery::as_select())
        .first(conn)
        .await
        .optional())
}

/// Deletes what ended before a time, and counts it.
pub async fn prune(db: &Db, before: DateTime<Utc>) -> Result<usize, DbError> {
    exec!(db, |conn| diesel::delete(
        deliveries::table.filter(deliveries::finished_at.lt(Bind(before)))
    )
    .execute(conn)
    .await)
}
