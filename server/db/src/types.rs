//! The SQL types that both databases share, and how ids, times and JSON travel through them.
//!
//! One name stands for a native type on PostgreSQL and for a plain one on SQLite: `Uuid` is uuid or
//! 16 bytes, `Timestamptz` is timestamptz or microseconds since 1970, `Jsonb` is jsonb or text. The
//! names are diesel's own, so that a printed schema fits. Owns no table.

use chrono::{DateTime, SubsecRound, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, Queryable};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{self, SqlType};
use diesel::sqlite::Sqlite;
use gururmm_shared::{
    AgentId, AlertId, ApiKeyId, AuditId, ClientId, CommandId, DeliveryId, JobId, MaintenanceId,
    NotificationId, PolicyId, RecordingId, RegistrationTokenId, ReleaseId, RolloutId, ScheduleId,
    ScheduleRunId, ScriptId, SessionId, SiteId, UserId,
};
use serde_json::Value;

use gururmm_domain::idempotency::{Run, Subject};

/// A UUID: `uuid` on PostgreSQL, a BLOB of 16 bytes on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct Uuid;

/// A point in time: `timestamptz` on PostgreSQL, INTEGER microseconds since 1970 on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct Timestamptz;

// The arithmetic that diesel gives a column of this name; it works on PostgreSQL only.
impl sql_types::ops::Add for Timestamptz {
    type Rhs = sql_types::Interval;
    type Output = Self;
}

impl sql_types::ops::Sub for Timestamptz {
    type Rhs = sql_types::Interval;
    type Output = Self;
}

/// A JSON document: `jsonb` on PostgreSQL, TEXT on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807))]
#[diesel(sqlite_type(name = "Text"))]
pub struct Jsonb;

/// A tunnel session's id as hyphenated lower-case text, as the original's table has it.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 25, array_oid = 1009))]
#[diesel(sqlite_type(name = "Text"))]
pub struct SessionText;

/// The present, cut to the microseconds that the databases keep.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Makes a text fit for a column of `max_chars`, for batches in which one machine's odd text must
/// not cost the others their rows: NUL characters are replaced and what is too long is cut.
pub(super) fn clipped(text: &str, max_chars: usize) -> String {
    text.chars()
        .take(max_chars)
        .map(|c| {
            if c == '\0' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Counts of bytes and seconds are unsigned on the wire and signed in SQL: too large is the largest.
pub(super) fn clamped(count: Option<u64>) -> Option<i64> {
    count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

/// A value on its way into a query. Ids, times and JSON are types of other crates, which cannot be
/// taught to be expressions of a column: `users::id.eq(Bind(id))`.
#[derive(Debug, Clone, Copy, PartialEq, AsExpression)]
#[diesel(sql_type = Uuid)]
#[diesel(sql_type = Timestamptz)]
#[diesel(sql_type = Jsonb)]
#[diesel(sql_type = SessionText)]
pub(super) struct Bind<T: std::fmt::Debug>(pub(super) T);

macro_rules! bind {
    ($($sql:ident),*) => {$(
        impl<T: ToSql<$sql, DB>, DB: Backend> ToSql<$sql, DB> for Bind<T> {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                self.0.to_sql(out)
            }
        }
    )*};
}

bind!(Uuid, Timestamptz, Jsonb, SessionText);

macro_rules! id {
    ($($rust:ident),*) => {$(
        impl<DB: Backend> Queryable<Uuid, DB> for $rust
        where
            Self: FromSql<Uuid, DB>,
        {
            type Row = Self;

            fn build(row: Self) -> deserialize::Result<Self> {
                Ok(row)
            }
        }

        impl ToSql<Uuid, Pg> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
            }
        }

        impl FromSql<Uuid, Pg> for $rust {
            fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                FromSql::<sql_types::Uuid, Pg>::from_sql(value).map(Self)
            }
        }

        impl ToSql<Uuid, Sqlite> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(self.0.as_bytes().as_slice());
                Ok(IsNull::No)
            }
        }

        impl FromSql<Uuid, Sqlite> for $rust {
            fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                let bytes = <Vec<u8> as FromSql<sql_types::Binary, Sqlite>>::from_sql(value)?;
                Ok(Self(uuid::Uuid::from_slice(&bytes)?))
            }
        }
    )*};
}

id!(UserId, ClientId, SiteId, AgentId, CommandId, JobId, AuditId);
id!(
    PolicyId,
    AlertId,
    MaintenanceId,
    NotificationId,
    DeliveryId,
    RegistrationTokenId
);
id!(ApiKeyId, ScriptId, ScheduleId, ScheduleRunId);
id!(RecordingId);
id!(ReleaseId, RolloutId);
id!(Subject, Run);

impl ToSql<Timestamptz, Pg> for DateTime<Utc> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Timestamptz, Pg>::to_sql(self, out)
    }
}

impl FromSql<Timestamptz, Pg> for DateTime<Utc> {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Timestamptz, Pg>::from_sql(value)
    }
}

impl ToSql<Timestamptz, Sqlite> for DateTime<Utc> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.timestamp_micros());
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamptz, Sqlite> for DateTime<Utc> {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let micros = <i64 as FromSql<sql_types::BigInt, Sqlite>>::from_sql(value)?;
        DateTime::from_timestamp_micros(micros).ok_or_else(|| "a time out of range".into())
    }
}

impl ToSql<Jsonb, Pg> for Value {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Jsonb, Pg>::to_sql(self, out)
    }
}

impl FromSql<Jsonb, Pg> for Value {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Jsonb, Pg>::from_sql(value)
    }
}

impl ToSql<Jsonb, Sqlite> for Value {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Jsonb, Sqlite> for Value {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl<DB: Backend> Queryable<SessionText, DB> for SessionId
where
    Self: FromSql<SessionText, DB>,
{
    type Row = Self;

    fn build(row: Self) -> deserialize::Result<Self> {
        Ok(row)
    }
}

impl ToSql<SessionText, Pg> for SessionId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text: &str = self.0.hyphenated().encode_lower(&mut buffer);
        ToSql::<sql_types::Text, Pg>::to_sql(text, &mut out.reborrow())
    }
}

impl ToSql<SessionText, Sqlite> for SessionId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.hyphenated().to_string());
        Ok(IsNull::No)
    }
}

impl<DB: Backend> FromSql<SessionText, DB> for SessionId
where
    String: FromSql<sql_types::Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<sql_types::Text, DB>>::from_sql(value)?;
        Ok(text.parse()?)
    }
}
