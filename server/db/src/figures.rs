//! Figures of the database itself: its size, and what waits in its queues.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use super::schema::{audit_unsealed, notification_deliveries as deliveries};
use super::types::Bind;
use super::{DatabaseKind, Db, DbError};

/// Deliveries that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingDeliveries {
    /// How many, those that are tried again later included.
    pub pending: i64,
    /// Since when the one waits that has waited longest after its time.
    pub due_since: Option<DateTime<Utc>>,
}

/// How many bytes the database takes, of a SQLite file without its log.
pub async fn size_bytes(db: &Db) -> Result<i64, DbError> {
    let size = match db.kind() {
        DatabaseKind::Sqlite => {
            "(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())"
        }
        DatabaseKind::Postgres => "pg_database_size(current_database())",
    };
    query!(db, |conn| diesel::select(sql::<BigInt>(size))
        .get_result(conn)
        .await)
}

/// How many rows of the audit are not sealed yet.
pub async fn unsealed(db: &Db) -> Result<i64, DbError> {
    query!(db, |conn| audit_unsealed::table
        .count()
        .get_result(conn)
        .await)
}

/// What waits to be told.
pub async fn deliveries(db: &Db, at: DateTime<Utc>) -> Result<WaitingDeliveries, DbError> {
    let pending = query!(db, |conn| deliveries::table
        .filter(deliveries::status.eq("pending"))
        .count()
        .get_result(conn)
        .await)?;
    let due_since = query!(db, |conn| deliveries::table
        .filter(deliveries::status.eq("pending"))
        .filter(deliveries::next_at.le(Bind(at)))
        .order(deliveries::next_at)
        .select(deliveries::next_at)
        .first(conn)
        .await
        .optional())?;
    Ok(WaitingDeliveries { pending, due_since })
}
