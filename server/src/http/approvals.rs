//! Agents that wait for a person's word, and devices that are enrolled more than once.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use gururmm_shared::AgentId;
use serde_json::{Value, json};

use super::extract::Authenticated;
use super::page::Page;
use super::state::AppState;
use crate::db::approvals::{self, Waiting};
use crate::db::places;
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;

fn view(waiting: &Waiting) -> Value {
    json!({
        "agent_id": waiting.agent_id,
        "hostname": waiting.hostname,
        "device_id": waiting.device_id,
        "site_id": waiting.site_id,
        "requested_at": waiting.requested_at,
    })
}

/// GET /api/agents/pending
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let waiting = approvals::list(&state.db, who.scope.clone()).await?;
    Ok(HttpResponse::Ok().json(Page::whole(waiting.iter().map(view).collect())))
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

/// POST /api/agents/:id/approve
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
    tracing::info!(agent.id = %id, user.id = %who.user.id, "agent approved");
    Ok(HttpResponse::Ok().json(json!({ "agent_id": id, "status": "approved" })))
}

/// POST /api/agents/:id/reject
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
    tracing::info!(agent.id = %id, user.id = %who.user.id, "agent rejected and deleted");
    Ok(HttpResponse::NoContent().finish())
}

/// GET /api/agents/duplicates: a machine that was enrolled at two sites, or cloned.
pub async fn duplicates(
    who: Authenticated,
    state: Data<AppState>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let mut devices: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for twin in approvals::twins(&state.db).await? {
        let (client_id, site_id) = (twin.client_id, twin.site_id);
        if who.scope.covers(Place { client_id, site_id }) {
            devices.entry(twin.device_id).or_default().push(json!({
                "id": twin.agent_id,
                "hostname": twin.hostname,
                "site_id": site_id,
                "client_id": client_id,
                "last_seen_at": twin.last_seen_at,
            }));
        }
    }
    // One whose twin lies outside of the scope tells nothing of it.
    let items = devices
        .into_iter()
        .filter(|(_, agents)| agents.len() > 1)
        .map(|(device_id, agents)| json!({ "device_id": device_id, "agents": agents }))
        .collect();
    Ok(HttpResponse::Ok().json(Page::<Value>::whole(items)))
}
