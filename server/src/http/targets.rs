//! Targets in bodies, and where they are.

use gururmm_shared::{AgentId, ClientId, SiteId};

use super::state::AppState;
use crate::db::{clients, places};
use crate::domain::scope::Place;
use crate::domain::target::Target;
use crate::error::AppError;

/// The target that a body names.
///
/// # Errors
/// 400: it names more than one.
pub fn target_of(
    client_id: Option<uuid::Uuid>,
    site_id: Option<uuid::Uuid>,
    agent_id: Option<uuid::Uuid>,
) -> Result<Target, AppError> {
    let target = Target {
        client_id: client_id.map(ClientId),
        site_id: site_id.map(SiteId),
        agent_id: agent_id.map(AgentId),
    };
    if target.is_single() {
        return Ok(target);
    }
    Err(AppError::malformed(
        "name one of client_id, site_id and agent_id, or none of them for all agents",
    ))
}

/// Where a target is; all agents together are nowhere, which only an unlimited scope covers.
///
/// # Errors
/// 404.
pub async fn place_of(state: &AppState, target: Target) -> Result<Place, AppError> {
    if let Some(id) = target.agent_id {
        let place = places::of_agent(&state.db, id).await?;
        return place.ok_or_else(|| AppError::not_found("agent"));
    }
    if let Some(id) = target.site_id {
        let place = places::of_site(&state.db, id).await?;
        return place.ok_or_else(|| AppError::not_found("site"));
    }
    let Some(id) = target.client_id else {
        return Ok(Place::default());
    };
    let client = clients::by_id(&state.db, id).await?;
    let client = client.ok_or_else(|| AppError::not_found("client"))?;
    Ok(Place::client(client.id))
}
