//! Policies as they are stored: settings as JSON, at most one for each target.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, ClientId, PolicyId, SiteId};
use serde_json::Value;

use super::schema::policies;
use super::types::{Bind, now};
use super::{Db, DbError};
use gururmm_domain::scope::Place;

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

/// Lists all policies by name.
pub async fn list(db: &Db) -> Result<Vec<Policy>, DbError> {
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
