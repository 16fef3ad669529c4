//! Alerts: listed, taken, resolved, put off.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use gururmm_shared::{AgentId, AlertId, ClientId, SiteId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::actors::alert_messages::AlertResolved;
use crate::actors::event_messages::Happened;
use crate::db::alerts::{self, Alert, AlertFilter};
use crate::db::places;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services;
use crate::services::audit;

/// How long an alert may be put off.
const SNOOZE_DAYS: i64 = 90;

/// An alert as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
struct AlertView {
    id: AlertId,
    agent_id: Option<AgentId>,
    hostname: Option<String>,
    kind: String,
    severity: String,
    status: String,
    message: String,
    opened_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<UserId>,
    resolved_at: Option<DateTime<Utc>>,
    resolved_by: Option<UserId>,
    snoozed_until: Option<DateTime<Utc>>,
}

fn view(alert: Alert, hostname: Option<String>) -> AlertView {
    AlertView {
        id: alert.id,
        agent_id: alert.agent_id,
        hostname,
        kind: alert.kind,
        severity: alert.severity,
        status: alert.status,
        message: alert.message,
        opened_at: alert.opened_at,
        acknowledged_at: alert.acknowledged_at,
        acknowledged_by: alert.acknowledged_by,
        resolved_at: alert.resolved_at,
        resolved_by: alert.resolved_by,
        snoozed_until: alert.snoozed_until,
    }
}

/// Lists alerts, newest first.
#[utoipa::path(
    tag = "alerts",
    params(list_parameters::Alerts),
    responses(
        (status = 200, description = "a page", body = Page<AlertView>),
    ),
)]
#[get("/api/alerts")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Alerts>(&request)?;
    let filter = AlertFilter {
        scope: who.scope,
        status: asked.choice("status", list_parameters::ALERT_STATUSES)?,
        severity: asked.choice("severity", list_parameters::SEVERITIES)?,
        kind: asked.text("kind")?,
        agent_id: asked.id("agent_id", AgentId)?,
        site_id: asked.id("site_id", SiteId)?,
        client_id: asked.id("client_id", ClientId)?,
        words: asked.text("q")?,
        from: asked.time("from")?,
        to: asked.time("to")?,
    };
    let rows = alerts::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, |(alert, _), sort| alert.position(sort));
    Ok(HttpResponse::Ok().json(page.map(|(alert, hostname)| view(alert, hostname))))
}

/// An alert that the caller may handle.
async fn find(state: &AppState, who: &Authenticated, id: AlertId) -> Result<Alert, AppError> {
    who.require(Capability::HandleAlerts)?;
    let alert = alerts::by_id(&state.db, id).await?;
    let alert = alert.ok_or_else(|| AppError::not_found("alert"))?;
    let place = match alert.agent_id {
        Some(agent_id) => places::of_agent(&state.db, agent_id).await?,
        None => None,
    };
    let place = place.unwrap_or_default();
    who.require_at(Capability::HandleAlerts, place)?;
    Ok(alert)
}

fn resolved_already() -> AppError {
    AppError::conflict("alert_resolved", "the alert is resolved already")
}

/// Takes care of an alert.
#[utoipa::path(
    tag = "alerts",
    responses(
        (status = 200, description = "the alert", body = AlertView),
        (status = 404, description = "no such alert"),
        (status = 409, description = "`alert_acknowledged`, `alert_resolved`"),
    ),
)]
#[post("/api/alerts/{id}/acknowledge")]
pub async fn acknowledge(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AlertId(id.into_inner());
    let before = find(&state, &who, id).await?;
    let taken = alerts::acknowledge(&state.db, id, who.user.id, audit::now()).await?;
    match taken {
        Some(alert) => {
            state.events.do_send(Happened::Alerts(vec![id]));
            Ok(HttpResponse::Ok().json(view(alert, None)))
        }
        None if before.status == "acknowledged" => Err(AppError::conflict(
            "alert_acknowledged",
            "somebody takes care of this alert already",
        )),
        None => Err(resolved_already()),
    }
}

/// Resolves an alert.
#[utoipa::path(
    tag = "alerts",
    responses(
        (status = 200, description = "the alert", body = AlertView),
        (status = 404, description = "no such alert"),
        (status = 409, description = "`alert_resolved`"),
    ),
)]
#[post("/api/alerts/{id}/resolve")]
pub async fn resolve(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = AlertId(id.into_inner());
    find(&state, &who, id).await?;
    let resolved = services::alerts::resolve_by(&state.db, id, who.user.id).await?;
    let alert = resolved.ok_or_else(resolved_already)?;
    state.events.do_send(Happened::Alerts(vec![id]));
    if let Some(agent_id) = alert.agent_id {
        let kind = alert.kind.clone();
        state.alerts.do_send(AlertResolved { agent_id, kind });
    }
    Ok(HttpResponse::Ok().json(view(alert, None)))
}

/// Body of a snooze.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Snooze {
    #[garde(skip)]
    until: DateTime<Utc>,
}

/// Puts an alert off.
#[utoipa::path(
    tag = "alerts",
    request_body = Snooze,
    responses(
        (status = 200, description = "the alert", body = AlertView),
        (status = 404, description = "no such alert"),
        (status = 409, description = "`alert_resolved`"),
    ),
)]
#[post("/api/alerts/{id}/snooze")]
pub async fn snooze(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: Signed<Snooze>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let id = AlertId(id.into_inner());
    find(&state, &who, id).await?;
    let now = audit::now();
    if body.until <= now || body.until > now + Duration::days(SNOOZE_DAYS) {
        let detail = format!("until lies in the future, at most {SNOOZE_DAYS} days");
        return Err(AppError::invalid_field("until", detail));
    }
    let snoozed = alerts::snooze(&state.db, id, Some(body.until)).await?;
    let alert = snoozed.ok_or_else(resolved_already)?;
    state.events.do_send(Happened::Alerts(vec![id]));
    Ok(HttpResponse::Ok().json(view(alert, None)))
}
