//! Taking away what has agents: their sessions and connections end with them.

use actix_web::web::Data;
use futures_util::future::join_all;
use gururmm_shared::AgentId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::state::AppState;
use crate::actors::event_messages::Happened;
use crate::actors::registry_messages::{CloseSessions, DropAgent, SessionsOf};
use crate::domain::close_reason::CloseReason;
use crate::error::AppError;

/// What a removal may take along.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Whether what is inside goes too.
    #[serde(default)]
    pub cascade: bool,
}

/// Ends the sessions of agents that are deleted: before, while their rows are there to be closed,
/// and again after, for what was opened meanwhile.
pub async fn end_sessions_of(state: &Data<AppState>, agents: &[AgentId]) -> Result<(), AppError> {
    let ends = agents.iter().map(|id| {
        state.registry.send(CloseSessions {
            of: SessionsOf::Agent(*id),
            reason: CloseReason::AgentDeleted,
        })
    });
    for end in join_all(ends).await {
        end?;
    }
    Ok(())
}

/// Ends what agents that were deleted still have: sessions and connections.
pub async fn drop_agents(state: &Data<AppState>, agents: &[AgentId]) -> Result<(), AppError> {
    end_sessions_of(state, agents).await?;
    let drops = agents
        .iter()
        .map(|id| state.registry.send(DropAgent { agent_id: *id }));
    for dropped in join_all(drops).await {
        dropped?;
    }
    tell_changed(state, agents);
    Ok(())
}

/// Tells that agents are not what, or where, they were.
pub fn tell_changed(state: &Data<AppState>, agents: &[AgentId]) {
    if !agents.is_empty() {
        state
            .events
            .do_send(Happened::AgentsChanged(agents.to_vec()));
    }
}
