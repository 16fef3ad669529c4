//! Maintenance windows.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use gururmm_shared::MaintenanceId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use super::targets::{place_of, target_of};
use crate::actors::alert_messages::RulesChanged;
use crate::db::DbError;
use crate::db::maintenance::{self, NewWindow, Window};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

/// How long a window may be, and how far ahead it may end.
const MOST_DAYS: i64 = 366;

fn view(window: &Window) -> Value {
    json!({
        "id": window.id,
        "client_id": window.client_id,
        "site_id": window.site_id,
        "agent_id": window.agent_id,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
        "reason": window.reason,
        "created_by": window.created_by,
        "created_at": window.created_at,
    })
}

/// Body of a new window.
#[derive(Deserialize, Validate)]
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
    reason: String,
}

/// GET /api/maintenance: what is not over yet.
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let mut items = Vec::new();
    for window in maintenance::upcoming(&state.db, audit::now()).await? {
        let target = window.target();
        match place_of(&state, target).await {
            Ok(place) if target.is_everything() || who.scope.covers(place) => {
                items.push(view(&window));
            }
            Ok(_) => {}
            // Its target, and the window with it, has just been deleted.
            Err(error) if error.code == "not_found" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}

/// POST /api/maintenance
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
    Ok(HttpResponse::Created().json(view(&window)))
}

/// DELETE /api/maintenance/:id
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
