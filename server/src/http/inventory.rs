//! What machines are made of, one by one and over the fleet.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, InventorySections};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::page::{Page, cut, limit_of};
use super::state::AppState;
use crate::db::inventory::{self, SoftwareSearch, StoredChange};
use crate::db::places;
use crate::domain::role::Capability;
use crate::error::AppError;

/// Machines that are named beside a package; its count tells of all.
const AGENTS_NAMED: i64 = 50;
/// Characters to look for.
const SEARCH_CHARS: usize = 200;

async fn may_read(who: &Authenticated, state: &AppState, id: AgentId) -> Result<(), AppError> {
    who.require(Capability::ReadFleet)?;
    let place = places::of_agent(&state.db, id).await?;
    let place = place.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(Capability::ReadFleet, place)
}

/// What a machine is made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Inventory)]
struct InventoryView {
    agent_id: AgentId,
    hash: String,
    received_at: DateTime<Utc>,
    #[schema(value_type = InventorySections)]
    sections: Value,
}

/// Shows what a machine is made of.
#[utoipa::path(
    tag = "inventory",
    responses(
        (status = 200, description = "its inventory", body = InventoryView),
        (status = 404, description = "no such agent, or no inventory yet"),
    ),
)]
#[get("/api/agents/{id}/inventory")]
pub async fn of_agent(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    may_read(&who, &state, id).await?;
    let found = inventory::of_agent(&state.db, id).await?;
    let found = found.ok_or_else(|| AppError::not_found("inventory"))?;
    Ok(HttpResponse::Ok().json(InventoryView {
        agent_id: id,
        hash: found.hash,
        received_at: found.received_at,
        sections: found.data,
    }))
}

/// A page of changes.
#[derive(Deserialize, IntoParams)]
pub struct ChangesPage {
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    cursor: Option<i64>,
}

/// A change of a machine.
#[derive(Serialize, ToSchema)]
#[schema(as = InventoryChange)]
struct ChangeView {
    id: i64,
    at: DateTime<Utc>,
    section: String,
    change: String,
    key: String,
    before: Option<Value>,
    after: Option<Value>,
}

fn change_view(change: StoredChange) -> ChangeView {
    ChangeView {
        id: change.id,
        at: change.at,
        section: change.section,
        change: change.change,
        key: change.key,
        before: change.before,
        after: change.after,
    }
}

/// Lists changes of a machine, newest first.
#[utoipa::path(
    tag = "inventory",
    responses(
        (status = 200, description = "a page", body = Page<ChangeView>),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}/inventory/changes")]
pub async fn changes(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    page: Query<ChangesPage>,
) -> Result<HttpResponse, AppError> {
    let id = AgentId(id.into_inner());
    may_read(&who, &state, id).await?;
    let limit = limit_of(page.limit)?;
    let mut rows = inventory::changes(&state.db, id, page.cursor, limit + 1).await?;
    let more = cut(&mut rows, limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let items = rows.into_iter().map(change_view).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    #[serde(default)]
    #[param(max_length = 200)]
    q: String,
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    cursor: Option<String>,
}

fn cursor_of(text: &str) -> Result<(String, String), AppError> {
    let parsed = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let plain =
        |(name, version): &(String, String)| !name.contains('\0') && !version.contains('\0');
    parsed.filter(plain).ok_or_else(|| {
        AppError::invalid_field("cursor", "cursor is the next_cursor of the page before")
    })
}

/// A machine that has something.
#[derive(Serialize, ToSchema)]
#[schema(as = SoftwareAgent)]
struct MachineView {
    id: AgentId,
    hostname: String,
}

/// Something that is installed.
#[derive(Serialize, ToSchema)]
#[schema(as = Software)]
struct SoftwareView {
    name: String,
    version: String,
    /// On how many machines.
    count: i64,
    /// At most 50 of them.
    agents: Vec<MachineView>,
}

/// Searches for what is installed.
#[utoipa::path(
    tag = "inventory",
    params(Search),
    responses(
        (status = 200, description = "a page", body = Page<SoftwareView>),
    ),
)]
#[get("/api/inventory/software")]
pub async fn software(
    who: Authenticated,
    state: Data<AppState>,
    search: Query<Search>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let limit = limit_of(search.limit)?;
    let text = search.q.trim().to_owned();
    if text.chars().count() > SEARCH_CHARS || text.contains('\0') {
        let detail = format!("q has at most {SEARCH_CHARS} characters and no NUL");
        return Err(AppError::invalid_field("q", detail));
    }
    let after = search.cursor.as_deref().map(cursor_of).transpose()?;
    let search = SoftwareSearch {
        scope: who.scope.clone(),
        text,
        after,
        limit: limit + 1,
    };
    let mut rows = inventory::packages(&state.db, search).await?;
    let more = cut(&mut rows, limit);
    let next_cursor = rows
        .last()
        .filter(|_| more)
        .map(|row| URL_SAFE_NO_PAD.encode(json!([row.name, row.version]).to_string()));
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let (name, version) = (row.name.clone(), row.version.clone());
        let scope = who.scope.clone();
        let on = inventory::agents_with(&state.db, scope, name, version, AGENTS_NAMED).await?;
        let agents = on.into_iter().map(|agent| MachineView {
            id: agent.id,
            hostname: agent.hostname,
        });
        items.push(SoftwareView {
            name: row.name,
            version: row.version,
            count: row.count,
            agents: agents.collect(),
        });
    }
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}
