//! Policies as they are stored: settings as JSON, at most one for each target.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, PolicyId, SiteId};
use serde_json::Value;

use super::page::{PageOf, SortValue, lower, pattern};
use super::schema::policies;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::{Place, Scope};

/// A stored policy; without a target it is the default.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = policies)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Its name.
    pub name: String,
    /// The client whose agents it is for.
    pub client_id: Option<ClientId>,
    /// The site whose agents it is for.
    pub site_id: Option<SiteId>,
    /// The agent it is for.
    pub agent_id: Option<AgentId>,
    /// What it sets.
    pub settings: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What a new policy is made of.
#[derive(Debug, Clone, Default)]
pub struct NewPolicy {
    /// Its name.
    pub name: String,
    /// The client whose agents it is for.
    pub client_id: Option<ClientId>,
    /// The site whose agents it is for.
    pub site_id: Option<SiteId>,
    /// The agent it is for.
    pub agent_id: Option<AgentId>,
    /// What it sets.
    pub settings: Value,
}

/// Inserts a policy; [`DbError::Duplicate`] where its target has one, [`DbError::ForeignKey`] where
/// there is no such target.
pub async fn insert(db: &Db, new: NewPolicy) -> Result<Policy, DbError> {
    let (id, at) = (Bind(PolicyId::generate()), Bind(now()));
    exec!(db, |conn| diesel::insert_into(policies::table)
        .values((
            policies::id.eq(id),
            policies::name.eq(&new.name),
            policies::client_id.eq(new.client_id.map(Bind)),
            policies::site_id.eq(new.site_id.map(Bind)),
            policies::agent_id.eq(new.agent_id.map(Bind)),
            policies::settings.eq(Bind(&new.settings)),
            policies::created_at.eq(at),
            policies::updated_at.eq(at),
        ))
        .returning(Policy::as_returning())
        .get_result(conn)
        .await)
}

/// Changes name and settings; nothing where there is no such policy, or where it was changed since
/// `unchanged`.
pub async fn update(
    db: &Db,
    id: PolicyId,
    name: String,
    settings: Value,
    unchanged: Option<DateTime<Utc>>,
) -> Result<Option<Policy>, DbError> {
    let at = Bind(now());
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::update(
            policies::table.find(Bind(id)).filter(
                policies::updated_at
                    .eq(unchanged.map_or(at, Bind))
                    .or(any.into_sql::<diesel::sql_types::Bool>()),
            ),
        )
        .set((
            policies::name.eq(&name),
            policies::settings.eq(Bind(&settings)),
            policies::updated_at.eq(at),
        ))
        .returning(Policy::as_returning())
        .get_result(conn)
        .await
        .optional()
    })
}

/// Deletes a policy; `false` where there is none, or where it was changed since `unchanged`.
pub async fn delete(
    db: &Db,
    id: PolicyId,
    unchanged: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    exec!(db, |conn| {
        let any = unchanged.is_none();
        diesel::delete(
            policies::table.find(Bind(id)).filter(
                policies::updated_at
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
    /// The orders of a list of policies.
    PolicySort, newest first: false {
        /// By name.
        Name = "name" (text),
        /// By the time they were made.
        Created = "created" (time),
        /// By the time of the last change.
        Updated = "updated" (time),
    }
}

impl Policy {
    /// Where it stands in a list.
    #[must_use]
    pub fn position(&self, sort: PolicySort) -> (SortValue, uuid::Uuid) {
        let value = match sort {
            PolicySort::Name => SortValue::Text(self.name.clone()),
            PolicySort::Created => SortValue::Time(self.created_at),
            PolicySort::Updated => SortValue::Time(self.updated_at),
        };
        (value, self.id.0)
    }
}

/// Which policies to list.
#[derive(Debug, Clone, Default)]
pub struct PolicyFilter {
    /// Only those for something within, and the default.
    pub scope: Scope,
    /// Only those of this level: `default`, `client`, `site` or `agent`.
    pub level: Option<String>,
    /// Only the one of this client as a whole.
    pub client_id: Option<ClientId>,
    /// Only the one of this site.
    pub site_id: Option<SiteId>,
    /// Only the one of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those whose name holds this.
    pub words: Option<String>,
}

/// Lists policies.
pub async fn list(
    db: &Db,
    filter: PolicyFilter,
    page: PageOf<PolicySort>,
) -> Result<Vec<Policy>, DbError> {
    query!(db, |conn| {
        let mut rows = policies::table.select(Policy::as_select()).into_boxed();
        within_targets!(
            rows,
            &filter.scope,
            policies::client_id,
            policies::site_id,
            policies::agent_id
        );
        match filter.level.as_deref() {
            Some("client") => rows = rows.filter(policies::client_id.is_not_null()),
            Some("site") => rows = rows.filter(policies::site_id.is_not_null()),
            Some("agent") => rows = rows.filter(policies::agent_id.is_not_null()),
            Some(_) => {
                rows = rows
                    .filter(policies::client_id.is_null())
                    .filter(policies::site_id.is_null())
                    .filter(policies::agent_id.is_null());
            }
            None => {}
        }
        if let Some(id) = filter.client_id {
            rows = rows.filter(policies::client_id.eq(Bind(id)));
        }
        if let Some(id) = filter.site_id {
            rows = rows.filter(policies::site_id.eq(Bind(id)));
        }
        if let Some(id) = filter.agent_id {
            rows = rows.filter(policies::agent_id.eq(Bind(id)));
        }
        if let Some(words) = &filter.words {
            let holds = lower(policies::name).like(lower(pattern(words)));
            rows = rows.filter(holds.escape('\\'));
        }
        match page.sort {
            PolicySort::Name => keyset!(rows, page, policies::name, policies::id, PolicyId, text),
            PolicySort::Created => {
                keyset!(
                    rows,
                    page,
                    policies::created_at,
                    policies::id,
                    PolicyId,
                    time
                );
            }
            PolicySort::Updated => {
                keyset!(
                    rows,
                    page,
                    policies::updated_at,
                    policies::id,
                    PolicyId,
                    time
                );
            }
        }
        rows.load(conn).await
    })
}

/// All policies, by name.
pub async fn all(db: &Db) -> Result<Vec<Policy>, DbError> {
    query!(db, |conn| policies::table
        .order((policies::name, policies::id))
        .select(Policy::as_select())
        .load(conn)
        .await)
}

/// Finds a policy by id.
pub async fn by_id(db: &Db, id: PolicyId) -> Result<Option<Policy>, DbError> {
    query!(db, |conn| policies::table
        .find(Bind(id))
        .select(Policy::as_select())
        .first(conn)
        .await
        .optional())
}

/// Finds the policies that touch an agent at a place: at most four.
pub async fn of_agent(db: &Db, agent_id: AgentId, place: Place) -> Result<Vec<Policy>, DbError> {
    query!(db, |conn| {
        let mut found = policies::table
            .select(Policy::as_select())
            .filter(policies::agent_id.eq(Bind(agent_id)))
            .or_filter(
                policies::client_id
                    .is_null()
                    .and(policies::site_id.is_null())
                    .and(policies::agent_id.is_null()),
            )
            .into_boxed();
        if let Some(id) = place.client_id {
            found = found.or_filter(policies::client_id.eq(Bind(id)));
        }
        if let Some(id) = place.site_id {
            found = found.or_filter(policies::site_id.eq(Bind(id)));
        }
        found.load(conn).await
    })
}
