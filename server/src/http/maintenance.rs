//! Maintenance windows.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, ClientId, MaintenanceId, SiteId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::schemas::Name;
use super::state::AppState;
use super::targets::{place_of, target_of};
use crate::actors::alert_messages::RulesChanged;
use crate::db::DbError;
use crate::db::maintenance::{self, NewWindow, Window, WindowFilter};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

/// How long a window may be, and how far ahead it may end.
const MOST_DAYS: i64 = 366;

/// A window as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = MaintenanceWindow)]
struct WindowView {
    id: MaintenanceId,
    client_id: Option<ClientId>,
    site_id: Option<SiteId>,
    agent_id: Option<AgentId>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    reason: String,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
}

fn view(window: Window) -> WindowView {
    WindowView {
        id: window.id,
        client_id: window.client_id,
        site_id: window.site_id,
        agent_id: window.agent_id,
        starts_at: window.starts_at,
        ends_at: window.ends_at,
        reason: window.reason,
        created_by: window.created_by,
        created_at: window.created_at,
    }
}

/// Body of a new window.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = NewMaintenanceWindow)]
pub struct Body {
    #[garde(skip)]
    client_id: Option<uuid::Uuid>,
    #[garde(skip)]
    site_id: Option<uuid::Uuid>,
    #[garde(skip)]
    agent_id: Option<uuid::Uuid>,
    #[garde(skip)]
    starts_at: Option<DateTime<Utc>>,
    #[garde(skip)]
    ends_at: DateTime<Utc>,
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    reason: String,
}

/// Lists maintenance windows that are not over, the earliest first.
#[utoipa::path(
    tag = "alerts",
    operation_id = "windows",
    params(list_parameters::Windows),
    responses(
        (status = 200, description = "a page", body = Page<WindowView>),
    ),
)]
#[get("/api/maintenance")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Windows>(&request)?;
    let begun = asked.choice("state", list_parameters::WINDOW_STATES)?;
    let filter = WindowFilter {
        scope: who.scope,
        client_id: asked.id("client_id", ClientId)?,
        site_id: asked.id("site_id", SiteId)?,
        agent_id: asked.id("agent_id", AgentId)?,
        begun: begun.map(|state| state == "active"),
        words: asked.text("q")?,
        at: audit::now(),
    };
    let rows = maintenance::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Window::position);
    Ok(HttpResponse::Ok().json(page.map(view)))
}

/// Makes a maintenance window, for all or for what one of the ids names.
#[utoipa::path(
    tag = "alerts",
    operation_id = "create_window",
    request_body = Body,
    responses(
        (status = 201, description = "the window", body = WindowView),
        (status = 404, description = "no such client, site or agent"),
    ),
)]
#[post("/api/maintenance")]
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::HandleAlerts)?;
    let target = target_of(body.client_id, body.site_id, body.agent_id)?;
    let place = place_of(&state, target).await?;
    who.require_at(Capability::HandleAlerts, place)?;
    let now = audit::now();
    let starts_at = body.starts_at.unwrap_or(now);
    let latest = now + Duration::days(MOST_DAYS);
    if body.ends_at <= starts_at || body.ends_at <= now || body.ends_at > latest {
        let detail =
            format!("ends_at lies after starts_at and now, at most {MOST_DAYS} days ahead");
        return Err(AppError::invalid_field("ends_at", detail));
    }
    if starts_at < now - Duration::days(MOST_DAYS) {
        let detail = "starts_at lies too far in the past";
        return Err(AppError::invalid_field("starts_at", detail));
    }
    let new = NewWindow {
        client_id: target.client_id,
        site_id: target.site_id,
        agent_id: target.agent_id,
        starts_at,
        ends_at: body.ends_at,
        reason: body.reason.trim().to_owned(),
        created_by: who.user.id,
    };
    let window = maintenance::insert(&state.db, new)
        .await
        .map_err(|error| match error {
            DbError::ForeignKey => AppError::not_found("client, site or agent"),
            other => other.into(),
        })?;
    state.alerts.do_send(RulesChanged);
    Ok(HttpResponse::Created().json(view(window)))
}

/// Deletes a maintenance window.
#[utoipa::path(
    tag = "alerts",
    operation_id = "remove_window",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such maintenance window"),
    ),
)]
#[delete("/api/maintenance/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::HandleAlerts)?;
    let id = MaintenanceId(id.into_inner());
    let window = maintenance::by_id(&state.db, id).await?;
    let window = window.ok_or_else(|| AppError::not_found("maintenance window"))?;
    let place = place_of(&state, window.target()).await?;
    who.require_at(Capability::HandleAlerts, place)?;
    if !maintenance::delete(&state.db, id).await? {
        return Err(AppError::not_found("maintenance window"));
    }
    state.alerts.do_send(RulesChanged);
    Ok(HttpResponse::NoContent().finish())
}
