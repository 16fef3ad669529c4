//! Policies, and what holds for an agent.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, ClientId, PolicyId, SiteId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::schemas::{IfMatch, IfNoneMatch, Name};
use super::state::AppState;
use super::targets::{place_of, target_of};
use crate::actors::alert_messages::RulesChanged;
use crate::actors::policy_push::PolicyChanged;
use crate::actors::update_messages::LookAtUpdates;
use crate::db::policies::{self, NewPolicy, Policy, PolicyFilter};
use crate::db::{DbError, places};
use crate::domain::policy::{Effective, PolicySettings, diff};
use crate::domain::role::Capability;
use crate::domain::target::Target;
use crate::error::AppError;
use crate::services;

/// A policy as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyView {
    id: PolicyId,
    name: String,
    client_id: Option<ClientId>,
    site_id: Option<SiteId>,
    agent_id: Option<AgentId>,
    #[schema(value_type = PolicySettings)]
    settings: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Policy> for PolicyView {
    fn from(policy: Policy) -> Self {
        Self {
            id: policy.id,
            name: policy.name,
            client_id: policy.client_id,
            site_id: policy.site_id,
            agent_id: policy.agent_id,
            settings: policy.settings,
            created_at: policy.created_at,
            updated_at: policy.updated_at,
        }
    }
}

fn target(policy: &Policy) -> Target {
    Target {
        client_id: policy.client_id,
        site_id: policy.site_id,
        agent_id: policy.agent_id,
    }
}

/// Tells those whom a change concerns.
fn announce(state: &AppState, target: Target) {
    let changed = match (target.client_id, target.site_id, target.agent_id) {
        (_, _, Some(id)) => PolicyChanged::Agent(id),
        (_, Some(id), None) => PolicyChanged::Site(id),
        (Some(id), None, None) => PolicyChanged::Client(id),
        (None, None, None) => PolicyChanged::Everywhere,
    };
    state.policies.do_send(changed);
    state.updates.do_send(LookAtUpdates);
    state.alerts.do_send(RulesChanged);
}

/// Body of a new policy.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(ToSchema)]
#[schema(as = NewPolicy)]
pub struct Body {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(skip)]
    client_id: Option<uuid::Uuid>,
    #[garde(skip)]
    site_id: Option<uuid::Uuid>,
    #[garde(skip)]
    agent_id: Option<uuid::Uuid>,
    #[garde(dive)]
    settings: PolicySettings,
}

/// Body of a change; the target stays.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(ToSchema)]
#[schema(as = PolicyChange)]
pub struct Change {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(dive)]
    settings: PolicySettings,
}

fn version(policy: &Policy) -> Version {
    Version::of(policy.id.0, policy.updated_at, None)
}

/// Why a write found nothing.
fn gone(conditional: bool) -> AppError {
    if conditional {
        AppError::changed()
    } else {
        AppError::not_found("policy")
    }
}

fn json_of(settings: &PolicySettings) -> Result<Value, AppError> {
    serde_json::to_value(settings).map_err(|error| AppError::internal(&error))
}

async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: PolicyId,
) -> Result<Policy, AppError> {
    who.require(capability)?;
    let policy = policies::by_id(&state.db, id).await?;
    let policy = policy.ok_or_else(|| AppError::not_found("policy"))?;
    let target = target(&policy);
    // What holds for all may be read by all.
    if !(target.is_everything() && capability == Capability::ReadFleet) {
        who.require_at(capability, place_of(state, target).await?)?;
    }
    Ok(policy)
}

/// Lists policies.
#[utoipa::path(
    tag = "policies",
    params(list_parameters::Policies),
    responses(
        (status = 200, description = "a page", body = Page<PolicyView>),
    ),
)]
#[get("/api/policies")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Policies>(&request)?;
    let filter = PolicyFilter {
        scope: who.scope,
        level: asked.choice("level", list_parameters::POLICY_LEVELS)?,
        client_id: asked.id("client_id", ClientId)?,
        site_id: asked.id("site_id", SiteId)?,
        agent_id: asked.id("agent_id", AgentId)?,
        words: asked.text("q")?,
    };
    let rows = policies::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Policy::position);
    Ok(HttpResponse::Ok().json(page.map(PolicyView::from)))
}

/// Makes a policy, for all or for what one of the ids names.
#[utoipa::path(
    tag = "policies",
    request_body = Body,
    responses(
        (status = 201, description = "the policy", body = PolicyView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client, site or agent"),
        (status = 409, description = "`policy_exists`"),
    ),
)]
#[post("/api/policies")]
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManagePolicies)?;
    let target = target_of(body.client_id, body.site_id, body.agent_id)?;
    let place = place_of(&state, target).await?;
    who.require_at(Capability::ManagePolicies, place)?;
    let new = NewPolicy {
        name: body.name.trim().to_owned(),
        client_id: target.client_id,
        site_id: target.site_id,
        agent_id: target.agent_id,
        settings: json_of(&body.settings)?,
    };
    let created = policies::insert(&state.db, new).await;
    let policy = created.map_err(|error| match error {
        DbError::Duplicate { .. } => AppError::conflict(
            "policy_exists",
            "there is a policy for this already; change that one",
        ),
        DbError::ForeignKey => AppError::not_found("client, site or agent"),
        other => other.into(),
    })?;
    announce(&state, target);
    tracing::info!(policy.id = %policy.id, user.id = %who.user.id, "policy created");
    let version = version(&policy);
    Ok(version.on(HttpResponse::Created().json(PolicyView::from(policy))))
}

/// Shows a policy.
#[utoipa::path(
    tag = "policies",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the policy", body = PolicyView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such policy"),
    ),
)]
#[get("/api/policies/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let id = PolicyId(id.into_inner());
    let policy = find(&state, &who, Capability::ReadFleet, id).await?;
    Ok(version(&policy).answer(&request, PolicyView::from(policy)))
}

/// Changes a policy.
#[utoipa::path(
    tag = "policies",
    request_body = Change,
    params(IfMatch),
    responses(
        (status = 200, description = "the policy", body = PolicyView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such policy"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/policies/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Change>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let id = PolicyId(id.into_inner());
    let before = find(&state, &who, Capability::ManagePolicies, id).await?;
    let conditional = version(&before).check(&request)?;
    let unchanged = conditional.then_some(before.updated_at);
    let name = body.name.trim().to_owned();
    let settings = json_of(&body.settings)?;
    let changed = policies::update(&state.db, id, name, settings, unchanged).await?;
    let policy = changed.ok_or_else(|| gone(conditional))?;
    // What an older program wrote and this one cannot read counts as changed in all.
    let known = services::policies::settings(&before).unwrap_or_default();
    let fields = diff(&known, &body.settings);
    announce(&state, target(&policy));
    tracing::info!(policy.id = %id, user.id = %who.user.id, ?fields, "policy changed");
    let version = version(&policy);
    Ok(version.on(HttpResponse::Ok().json(PolicyView::from(policy))))
}

/// Deletes a policy.
#[utoipa::path(
    tag = "policies",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such policy"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/policies/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let id = PolicyId(id.into_inner());
    let policy = find(&state, &who, Capability::ManagePolicies, id).await?;
    let conditional = version(&policy).check(&request)?;
    let unchanged = conditional.then_some(policy.updated_at);
    if !policies::delete(&state.db, id, unchanged).await? {
        return Err(gone(conditional));
    }
    announce(&state, target(&policy));
    tracing::info!(policy.id = %id, user.id = %who.user.id, "policy deleted");
    Ok(HttpResponse::NoContent().finish())
}

/// Shows what holds for an agent, and why.
#[utoipa::path(
    tag = "policies",
    responses(
        (status = 200, description = "what holds", body = Effective),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}/policy")]
pub async fn of_agent(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let id = AgentId(id.into_inner());
    let place = places::of_agent(&state.db, id).await?;
    let place = place.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(Capability::ReadFleet, place)?;
    let effective = services::policies::effective(&state.db, id).await?;
    Ok(HttpResponse::Ok().json(effective))
}
