//! Channels by which alerts are told.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{ClientId, NotificationId};

use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::notification_channels as channels;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Scope;

/// A stored channel.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = channels)]
pub struct Channel {
    /// Its id.
    pub id: NotificationId,
    /// Its name.
    pub name: String,
    /// `email` or `webhook`.
    pub kind: String,
    /// The address or the URL.
    pub target: String,
    /// What webhooks are signed with.
    pub secret: Option<String>,
    /// Only alerts at least so bad.
    pub min_severity: String,
    /// Only those of this client's agents.
    pub client_id: Option<ClientId>,
    /// Whether it is used.
    pub enabled: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for Channel {
    // Without its target and its secret: either may open what is not ours.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What a channel is set to.
#[derive(Debug, Clone)]
pub struct ChannelSettings {
    /// Its name.
    pub name: String,
    /// The address or the URL.
    pub target: String,
    /// Only alerts at least so bad.
    pub min_severity: &'static str,
    /// Whether it is used.
    pub enabled: bool,
}

/// Inserts a channel; [`DbError::ForeignKey`] where its client is gone.
pub async fn insert(
    db: &Db,
    kind: &'static str,
    client_id: Option<ClientId>,
    secret: Option<String>,
    set: ChannelSettings,
) -> Result<Channel, DbError> {
    let (id, at) = (Bind(NotificationId::generate()), Bind(now()));
    exec!(db, |conn| diesel::insert_into(channels::table)
        .values((
            channels::id.eq(id),
            channels::name.eq(&set.name),
            channels::kind.eq(kind),
            channels::target.eq(&set.target),
            channels::secret.eq(secret.as_deref()),
            channels::min_severity.eq(set.min_severity),
            channels::client_id.eq(client_id.map(Bind)),
            channels::enabled.eq(set.enabled),
            channels::created_at.eq(at),
            channels::updated_at.eq(at),
        ))
        .returning(Channel::as_returning())
        .get_result(conn)
        .await)
}

/// Changes a channel; nothing where there is none, or where it was changed since `unchanged`.
pub async fn update(
    db: &Db,
    id: NotificationId,
    set: ChannelSettings,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Channel>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            channels::table.find(Bind(id)).filter(
                channels::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((
            channels::name.eq(&set.name),
            channels::target.eq(&set.target),
            channels::min_severity.eq(set.min_severity),
            channels::enabled.eq(set.enabled),
            channels::updated_at.eq(at),
        ))
        .returning(Channel::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Deletes a channel with its deliveries; `false` where there is none, or where it was changed since
/// `unchanged`.
pub async fn delete(
    db: &Db,
    id: NotificationId,
    unchanged: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::delete(
            channels::table.find(Bind(id)).filter(
                channels::updated_at
                    .eq(unchanged.map_or(Bind(now()), Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .execute(conn)
        .await
    })
    .map(|deleted| deleted > 0)
}

sorts! {
    /// The orders of a list of channels.
    ChannelSort, newest first: false {
        /// By name.
        Name = "name" (text),
        /// By the time they were made.
        Created = "created" (time),
    }
}

impl Channel {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: ChannelSort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            ChannelSort::Name => SortValue::Text(self.name.clone()),
            ChannelSort::Created => SortValue::Time(self.created_at),
        };
        (value, self.id.0)
    }
}

/// Which channels to list.
#[derive(Debug, Clone, Default)]
pub struct ChannelFilter {
    /// Only those of clients within.
    pub scope: Scope,
    /// Only those of this client.
    pub client_id: Option<ClientId>,
    /// Only those of this kind.
    pub kind: Option<String>,
    /// Only those that are used, or the others.
    pub enabled: Option<bool>,
    /// Only those whose name or target holds this.
    pub words: Option<String>,
}

/// Lists channels.
pub async fn list(
    db: &Db,
    filter: ChannelFilter,
    page: PageOf<ChannelSort>,
) -> Result<Vec<Channel>, DbError> {
    query!(db, |conn| {
        let mut rows = channels::table.select(Channel::as_select()).into_boxed();
        if let Scope::Only { clients, .. } = &filter.scope {
            let clients: Vec<_> = clients.iter().copied().map(Bind).collect();
            rows = rows.filter(channels::client_id.eq_any(clients).assume_not_null());
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(channels::client_id.eq(Bind(id)));
        }
        if let Some(kind) = &filter.kind {
            rows = rows.filter(channels::kind.eq(kind.clone()));
        }
        if let Some(enabled) = filter.enabled {
            rows = rows.filter(channels::enabled.eq(enabled));
        }
        if let Some(words) = &filter.words {
            let name = lower(channels::name).like(lower(pattern(words)));
            let target = lower(channels::target).like(lower(pattern(words)));
            rows = rows.filter(name.escape('\\').or(target.escape('\\')));
        }
        match page.sort {
            ChannelSort::Name => {
                keyset!(
                    rows,
                    page,
                    channels::name,
                    channels::id,
                    NotificationId,
                    text
                );
            }
            ChannelSort::Created => {
                keyset!(
                    rows,
                    page,
                    channels::created_at,
                    channels::id,
                    NotificationId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// Finds a channel.
pub async fn by_id(db: &Db, id: NotificationId) -> Result<Option<Channel>, DbError> {
    query!(db, |conn| channels::table
        .find(Bind(id))
        .select(Channel::as_select())
        .first(conn)
        .await
        .optional())
}
