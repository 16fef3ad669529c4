//! Enrolled machines.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::agent_view::{AgentView, LoadView, OnlineAgents, last_seen, metrics, status, view};
use super::auth::whole;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::removal::{drop_agents, end_sessions_of, tell_changed};
use super::schemas::Name;
use super::state::AppState;
use crate::actors::alert_messages::RulesChanged;
use crate::actors::policy_push::PolicyChanged;
use crate::actors::registry_messages::{CloseSessions, Online, SessionsOf};
use crate::db::agents::{self, AgentFilter, AgentOverview, NewAgent};
use crate::db::{DbError, sites};
use crate::domain::close_reason::CloseReason;
use crate::domain::credentials::{digest, generate_key};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;

/// Shows a page, with the registry's word on who is connected.
async fn shown(
    state: &AppState,
    page: Page<AgentOverview>,
    status: Option<&str>,
) -> Result<HttpResponse, AppError> {
    let agents = page.items.iter().map(|row| row.agent.id).collect();
    let online = state.registry.send(Online { agents }).await?;
    let Page { items, next_cursor } = page.map(|row| view(row, &online));
    // The rows lag behind by a batch: who came or went since is not told as what it is not.
    let items = items
        .into_iter()
        .filter(|item| status.is_none_or(|status| item.is(status)))
        .collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

/// Lists agents.
#[utoipa::path(
    tag = "agents",
    params(list_parameters::Agents),
    responses(
        (status = 200, description = "a page", body = Page<AgentView>),
    ),
)]
#[get("/api/agents")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Agents>(&request)?;
    let status = asked.choice("status", list_parameters::STATUSES)?;
    let filter = AgentFilter {
        scope: who.scope,
        site_id: asked.id("site_id", SiteId)?,
        client_id: asked.id("client_id", ClientId)?,
        status: status.clone(),
        os_family: asked.text("os_family")?.map(|family| family.to_lowercase()),
        words: asked.text("q")?,
        unassigned: false,
    };
    let rows = agents::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, AgentOverview::position);
    shown(&state, page, status.as_deref()).await
}

/// Lists agents without a site.
#[utoipa::path(
    tag = "agents",
    params(list_parameters::Unassigned),
    responses(
        (status = 200, description = "a page", body = Page<AgentView>),
    ),
)]
#[get("/api/agents/unassigned")]
pub async fn unassigned(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Unassigned>(&request)?;
    let filter = AgentFilter {
        scope: who.scope,
        words: asked.text("q")?,
        unassigned: true,
        ..AgentFilter::default()
    };
    let rows = agents::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, AgentOverview::position);
    shown(&state, page, None).await
}

/// Finds an agent that the caller may do this to.
///
/// # Errors
/// 404, 403.
async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: AgentId,
) -> Result<AgentOverview, AppError> {
    who.require(capability)?;
    let found = agents::overview(&state.db, id).await?;
    let found = found.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(capability, found.place())?;
    Ok(found)
}

/// The place that an agent is to have, if the caller may put agents there.
async fn target(state: &AppState, who: &Authenticated, site_id: SiteId) -> Result<(), AppError> {
    let site = sites::by_id(&state.db, site_id).await?;
    let site = site.ok_or_else(|| AppError::not_found("site"))?;
    who.require_at(Capability::ManageAgents, site.place())
}

/// Shows an agent.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 200, description = "the agent", body = AgentView),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    let overview = find(&state, &who, Capability::ReadFleet, id).await?;
    let online = state.registry.send(Online { agents: vec![id] }).await?;
    Ok(HttpResponse::Ok().json(view(overview, &online)))
}

/// The network interfaces of a machine, as its agent tells them.
#[derive(Serialize, ToSchema)]
#[schema(as = Network)]
struct NetworkView {
    at: Option<DateTime<Utc>>,
    hash: Option<String>,
    interfaces: Value,
}

/// What an agent told last.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentState)]
struct StateView {
    agent_id: AgentId,
    status: &'static str,
    last_seen_at: Option<DateTime<Utc>>,
    metrics: Option<LoadView>,
    network: Option<NetworkView>,
}

/// Shows what an agent told last.
#[utoipa::path(
    tag = "agents",
    operation_id = "latest",
    responses(
        (status = 200, description = "its state", body = StateView),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}/state")]
pub async fn latest(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    let AgentOverview {
        agent,
        state: latest,
        ..
    } = find(&state, &who, Capability::ReadFleet, id).await?;
    let online = state.registry.send(Online { agents: vec![id] }).await?;
    let network = latest.as_ref().and_then(|latest| {
        latest.network.clone().map(|interfaces| NetworkView {
            at: latest.network_at,
            hash: latest.network_hash.clone(),
            interfaces,
        })
    });
    Ok(HttpResponse::Ok().json(StateView {
        agent_id: id,
        status: status(id, &online),
        last_seen_at: last_seen(&agent, &online),
        metrics: latest.as_ref().and_then(metrics),
        network,
    }))
}

/// Deletes an agent.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such agent"),
    ),
)]
#[delete("/api/agents/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    find(&state, &who, Capability::ManageAgents, id).await?;
    whole(async move {
        end_sessions_of(&state, &[id]).await?;
        let deleted = agents::delete(&state.db, id).await?;
        drop_agents(&state, &[id]).await?;
        if !deleted {
            return Err(AppError::not_found("agent"));
        }
        tracing::info!(agent.id = %id, user.id = %who.user.id, "agent deleted");
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// Body of a move.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = AgentMove)]
pub struct Move {
    #[garde(skip)]
    site_id: uuid::Uuid,
}

/// Moves an agent to another site.
#[utoipa::path(
    tag = "agents",
    request_body = Move,
    responses(
        (status = 200, description = "the agent", body = AgentView),
        (status = 404, description = "no such agent or site"),
        (status = 409, description = "`device_exists`"),
    ),
)]
#[post("/api/agents/{id}/move")]
pub async fn relocate(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: Signed<Move>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let id = AgentId(id.into_inner());
    let site_id = SiteId(body.site_id);
    find(&state, &who, Capability::ManageAgents, id).await?;
    target(&state, &who, site_id).await?;
    whole(async move {
        let moved = agents::move_to_site(&state.db, id, site_id)
            .await
            .map_err(misplaced)?;
        if moved.is_none() {
            return Err(AppError::not_found("agent"));
        }
        tell_changed(&state, &[id]);
        state.policies.do_send(PolicyChanged::Agent(id));
        state.alerts.do_send(RulesChanged);
        // Whoever had a tunnel to it may have no business in its new place.
        let of = SessionsOf::Agent(id);
        state
            .registry
            .send(CloseSessions {
                of,
                reason: CloseReason::AgentMoved,
            })
            .await?;
        let overview = agents::overview(&state.db, id).await?;
        let overview = overview.ok_or_else(|| AppError::not_found("agent"))?;
        let online = state.registry.send(Online { agents: vec![id] }).await?;
        Ok(HttpResponse::Ok().json(view(overview, &online)))
    })
    .await
}

fn misplaced(error: DbError) -> AppError {
    match error {
        DbError::Duplicate { .. } => AppError::conflict(
            "device_exists",
            "that site has an agent of this device already; delete one of them",
        ),
        DbError::ForeignKey => AppError::not_found("site"),
        other => other.into(),
    }
}

/// What a machine runs.
#[derive(Default, Deserialize, Validate, ToSchema)]
pub struct NewOs {
    #[garde(length(chars, max = 50), custom(plain))]
    #[schema(max_length = 50)]
    #[serde(default)]
    family: String,
    #[garde(length(chars, max = 200), custom(plain))]
    #[schema(max_length = 200)]
    #[serde(default)]
    name: String,
    #[garde(length(chars, max = 200), custom(plain))]
    #[schema(max_length = 200)]
    #[serde(default)]
    version: String,
    #[garde(length(chars, max = 50), custom(plain))]
    #[schema(max_length = 50)]
    #[serde(default)]
    arch: String,
}

/// Body of an agent that is registered by hand.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewAgent)]
pub struct NewAgentBody {
    #[garde(skip)]
    site_id: Option<uuid::Uuid>,
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    device_id: String,
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    hostname: String,
    #[garde(dive)]
    #[serde(default)]
    os: NewOs,
}

/// garde's form of a text without control characters.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
pub(super) fn plain(text: &str, (): &()) -> garde::Result {
    if text.chars().any(char::is_control) {
        return Err(garde::Error::new("must not hold control characters"));
    }
    Ok(())
}

/// Registers an agent by hand.
#[utoipa::path(
    tag = "agents",
    request_body = NewAgentBody,
    responses(
        (status = 201, description = "the agent with its key, shown this once", body = AgentView),
        (status = 404, description = "no such site"),
        (status = 409, description = "`device_exists`"),
    ),
)]
#[post("/api/agents")]
pub async fn register(
    state: Data<AppState>,
    signed: Signed<NewAgentBody>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let site_id = body.site_id.map(SiteId);
    who.require(Capability::ManageAgents)?;
    match site_id {
        Some(site_id) => target(&state, &who, site_id).await?,
        None => who.require_at(Capability::ManageAgents, Place::default())?,
    }
    let api_key = generate_key(&mut rand::rng());
    let new = NewAgent {
        site_id,
        device_id: body.device_id.trim().to_owned(),
        hostname: body.hostname.trim().to_owned(),
        os_family: body.os.family.to_lowercase(),
        os_name: body.os.name,
        os_version: body.os.version,
        os_arch: body.os.arch,
        // Until it connects and says what it speaks.
        protocol: gururmm_shared::FIRST_GENERATION,
        key_hash: Some(digest(&api_key)),
        ..NewAgent::default()
    };
    let agent = agents::enroll(&state.db, new).await.map_err(misplaced)?;
    tracing::info!(agent.id = %agent.id, user.id = %who.user.id, "agent registered by hand");
    tell_changed(&state, &[agent.id]);
    let overview = agents::overview(&state.db, agent.id).await?;
    let overview = overview.ok_or_else(|| AppError::not_found("agent"))?;
    let view = view(overview, &OnlineAgents::new()).with_key(api_key);
    Ok(HttpResponse::Created().json(view))
}
