//! Enrolled machines.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, ClientId, SiteId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::whole;
use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use crate::actors::alert_messages::RulesChanged;
use crate::actors::policy_push::PolicyChanged;
use crate::actors::registry_messages::{CloseSessions, DropAgent, Online, SessionsOf};
use crate::db::agent_state::AgentState;
use crate::db::agents::{self, Agent, AgentFilter, AgentOverview};
use crate::db::{DbError, sites};
use crate::domain::close_reason::CloseReason;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

const PAGE_DEFAULT: i64 = 100;
const PAGE_MOST: i64 = 1000;

/// An agent as the API shows it.
#[derive(Serialize)]
struct AgentView {
    id: AgentId,
    hostname: String,
    device_id: String,
    status: &'static str,
    os: Value,
    agent_version: Option<String>,
    protocol: i32,
    last_seen_at: Option<DateTime<Utc>>,
    site: Option<Value>,
    client: Option<Value>,
    metrics: Option<Value>,
    created_at: DateTime<Utc>,
}

/// The connected ones among some agents, each with the age of its last sign of life.
type OnlineAgents = HashMap<AgentId, Duration>;

/// What is connected is online, whatever a row says.
fn status(id: AgentId, online: &OnlineAgents) -> &'static str {
    if online.contains_key(&id) {
        "online"
    } else {
        "offline"
    }
}

/// The row's time lags behind by a batch; of what is connected the registry knows better.
fn last_seen(agent: &Agent, online: &OnlineAgents) -> Option<DateTime<Utc>> {
    let live = online.get(&agent.id).map(|age| audit::now() - *age);
    agent.last_seen_at.max(live)
}

fn metrics(state: &AgentState) -> Option<Value> {
    state.metrics_at.map(|at| {
        json!({
            "at": at,
            "cpu_percent": state.cpu_percent,
            "memory_used_bytes": state.memory_used_bytes,
            "memory_total_bytes": state.memory_total_bytes,
            "disk_used_bytes": state.disk_used_bytes,
            "disk_total_bytes": state.disk_total_bytes,
            "network_rx_bytes": state.network_rx_bytes,
            "network_tx_bytes": state.network_tx_bytes,
            "uptime_seconds": state.uptime_seconds,
        })
    })
}

fn view(overview: AgentOverview, online: &OnlineAgents) -> AgentView {
    let AgentOverview {
        agent,
        site_name,
        client_id,
        client_name,
        state,
    } = overview;
    let seen = last_seen(&agent, online);
    AgentView {
        id: agent.id,
        hostname: agent.hostname,
        device_id: agent.device_id,
        status: status(agent.id, online),
        os: json!({
            "family": agent.os_family,
            "name": agent.os_name,
            "version": agent.os_version,
            "arch": agent.os_arch,
        }),
        agent_version: agent.agent_version,
        protocol: agent.protocol,
        last_seen_at: seen,
        site: agent
            .site_id
            .map(|id| json!({ "id": id, "name": site_name })),
        client: client_id.map(|id| json!({ "id": id, "name": client_name })),
        metrics: state.as_ref().and_then(metrics),
        created_at: agent.created_at,
    }
}

/// Which agents.
#[derive(Deserialize)]
pub struct Filter {
    site_id: Option<uuid::Uuid>,
    client_id: Option<uuid::Uuid>,
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// GET /api/agents
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let limit = filter.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MOST).contains(&limit) {
        return Err(AppError::invalid_field(
            "limit",
            format!("limit is 1 to {PAGE_MOST}"),
        ));
    }
    let filter = AgentFilter {
        site_id: filter.site_id.map(SiteId),
        client_id: filter.client_id.map(ClientId),
        limit: limit + 1,
        after: filter.cursor.map(AgentId),
    };
    let mut rows = agents::list(&state.db, filter).await?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > page;
    rows.truncate(page);
    let next_cursor = rows
        .last()
        .filter(|_| more)
        .map(|overview| overview.agent.id.to_string());
    let ids = rows.iter().map(|overview| overview.agent.id).collect();
    let online = state.registry.send(Online { agents: ids }).await?;
    let items = rows
        .into_iter()
        .map(|overview| view(overview, &online))
        .collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

async fn find(state: &AppState, id: AgentId) -> Result<AgentOverview, AppError> {
    let found = agents::overview(&state.db, id).await?;
    found.ok_or_else(|| AppError::not_found("agent"))
}

/// GET /api/agents/:id
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let id = AgentId(id.into_inner());
    let overview = find(&state, id).await?;
    let online = state.registry.send(Online { agents: vec![id] }).await?;
    Ok(HttpResponse::Ok().json(view(overview, &online)))
}

/// GET /api/agents/:id/state
pub async fn state(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let id = AgentId(id.into_inner());
    let AgentOverview {
        agent,
        state: latest,
        ..
    } = find(&state, id).await?;
    let online = state.registry.send(Online { agents: vec![id] }).await?;
    let network = latest.as_ref().and_then(|latest| {
        latest.network.as_ref().map(|interfaces| {
            json!({
                "at": latest.network_at,
                "hash": latest.network_hash,
                "interfaces": interfaces,
            })
        })
    });
    Ok(HttpResponse::Ok().json(json!({
        "agent_id": id,
        "status": status(id, &online),
        "last_seen_at": last_seen(&agent, &online),
        "metrics": latest.as_ref().and_then(metrics),
        "network": network,
    })))
}

/// DELETE /api/agents/:id
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManageAgents)?;
    let id = AgentId(id.into_inner());
    find(&state, id).await?;
    whole(async move {
        let end = CloseSessions {
            of: SessionsOf::Agent(id),
            reason: CloseReason::AgentDeleted,
        };
        // First the sessions, while their rows are there to be closed; and again what was opened
        // meanwhile.
        state.registry.send(end).await?;
        let deleted = agents::delete(&state.db, id).await?;
        state.registry.send(end).await?;
        state.registry.send(DropAgent { agent_id: id }).await?;
        if !deleted {
            return Err(AppError::not_found("agent"));
        }
        tracing::info!(agent.id = %id, user.id = %who.user.id, "agent deleted");
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// Body of a move.
#[derive(Deserialize, Validate)]
pub struct Move {
    #[garde(skip)]
    site_id: uuid::Uuid,
}

/// POST /api/agents/:id/move
pub async fn relocate(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: Signed<Move>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManageAgents)?;
    let id = AgentId(id.into_inner());
    let site_id = SiteId(body.site_id);
    find(&state, id).await?;
    if sites::by_id(&state.db, site_id).await?.is_none() {
        return Err(AppError::not_found("site"));
    }
    whole(async move {
        let moved =
            agents::move_to_site(&state.db, id, site_id)
                .await
                .map_err(|error| match error {
                    DbError::Duplicate { .. } => AppError::conflict(
                        "device_exists",
                        "that site has an agent of this device already; delete one of them",
                    ),
                    DbError::ForeignKey => AppError::not_found("site"),
                    other => other.into(),
                })?;
        if moved.is_none() {
            return Err(AppError::not_found("agent"));
        }
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
        let overview = find(&state, id).await?;
        let online = state.registry.send(Online { agents: vec![id] }).await?;
        Ok(HttpResponse::Ok().json(view(overview, &online)))
    })
    .await
}
