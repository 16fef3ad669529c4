//! Agents that wait for a person's word, and devices that are enrolled more than once.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Authenticated;
use super::page::Page;
use super::removal::tell_changed;
use super::state::AppState;
use crate::db::approvals::{self, Waiting};
use crate::db::places;
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;

/// An agent that waits.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingAgent)]
struct WaitingView {
    agent_id: AgentId,
    hostname: String,
    device_id: String,
    site_id: Option<SiteId>,
    requested_at: DateTime<Utc>,
}

/// An agent that was let in.
#[derive(Serialize, ToSchema)]
#[schema(as = ApprovedAgent)]
struct ApprovedView {
    agent_id: AgentId,
    status: &'static str,
}

/// One of the agents of a device.
#[derive(Serialize, ToSchema)]
#[schema(as = TwinAgent)]
struct TwinView {
    id: AgentId,
    hostname: String,
    site_id: Option<SiteId>,
    client_id: Option<ClientId>,
    last_seen_at: Option<DateTime<Utc>>,
}

/// A device that is enrolled more than once.
#[derive(Serialize, ToSchema)]
#[schema(as = Twins)]
struct TwinsView {
    device_id: String,
    agents: Vec<TwinView>,
}

fn view(waiting: Waiting) -> WaitingView {
    WaitingView {
        agent_id: waiting.agent_id,
        hostname: waiting.hostname,
        device_id: waiting.device_id,
        site_id: waiting.site_id,
        requested_at: waiting.requested_at,
    }
}

/// Lists agents that wait for approval.
#[utoipa::path(
    tag = "agents",
    operation_id = "pending",
    responses(
        (status = 200, description = "all of them", body = Page<WaitingView>),
    ),
)]
#[get("/api/agents/pending")]
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let waiting = approvals::list(&state.db, who.scope.clone()).await?;
    Ok(HttpResponse::Ok().json(Page::whole(waiting.into_iter().map(view).collect())))
}

async fn may_decide(who: &Authenticated, state: &AppState, id: AgentId) -> Result<(), AppError> {
    who.require(Capability::ManageAgents)?;
    let place = places::of_agent(&state.db, id).await?;
    let place = place.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(Capability::ManageAgents, place)
}

fn not_waiting() -> AppError {
    AppError::conflict("not_pending", "the agent does not wait for approval")
}

/// Lets an agent in that waits.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 200, description = "it is let in", body = ApprovedView),
        (status = 404, description = "no such agent"),
        (status = 409, description = "`not_pending`"),
    ),
)]
#[post("/api/agents/{id}/approve")]
pub async fn approve(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    may_decide(&who, &state, id).await?;
    if !approvals::approve(&state.db, id).await? {
        return Err(not_waiting());
    }
    tell_changed(&state, &[id]);
    tracing::info!(agent.id = %id, user.id = %who.user.id, "agent approved");
    Ok(HttpResponse::Ok().json(ApprovedView {
        agent_id: id,
        status: "approved",
    }))
}

/// Deletes an agent that waits.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such agent"),
        (status = 409, description = "`not_pending`"),
    ),
)]
#[post("/api/agents/{id}/reject")]
pub async fn reject(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    may_decide(&who, &state, id).await?;
    if !approvals::reject(&state.db, id).await? {
        return Err(not_waiting());
    }
    tell_changed(&state, &[id]);
    tracing::info!(agent.id = %id, user.id = %who.user.id, "agent rejected and deleted");
    Ok(HttpResponse::NoContent().finish())
}

/// Lists devices that are enrolled more than once.
#[utoipa::path(
    tag = "agents",
    responses(
        (status = 200, description = "all of them", body = Page<TwinsView>),
    ),
)]
#[get("/api/agents/duplicates")]
pub async fn duplicates(
    who: Authenticated,
    state: Data<AppState>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let mut devices: BTreeMap<String, Vec<TwinView>> = BTreeMap::new();
    for twin in approvals::twins(&state.db).await? {
        let (client_id, site_id) = (twin.client_id, twin.site_id);
        if who.scope.covers(Place { client_id, site_id }) {
            devices.entry(twin.device_id).or_default().push(TwinView {
                id: twin.agent_id,
                hostname: twin.hostname,
                site_id,
                client_id,
                last_seen_at: twin.last_seen_at,
            });
        }
    }
    // One whose twin lies outside of the scope tells nothing of it.
    let items: Vec<_> = devices
        .into_iter()
        .filter(|(_, agents)| agents.len() > 1)
        .map(|(device_id, agents)| TwinsView { device_id, agents })
        .collect();
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}
