//! Channels by which alerts are told, and the log of what they told.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use garde::Validate;
use gururmm_shared::{DeliveryId, NotificationId};
use rand::RngCore;
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Authenticated, Signed};
use super::page::{Page, cut, limit_of};
use super::state::AppState;
use super::targets::{place_of, target_of};
use crate::db::DbError;
use crate::db::deliveries::{self, Delivery};
use crate::db::notifications::{self, Channel, ChannelSettings};
use crate::domain::policy::alerts::Severity;
use crate::domain::role::Capability;
use crate::domain::target::Target;
use crate::error::AppError;
use crate::services::deliveries::{check_address, check_url};
use crate::services::notifications::{queue, test_payload};

/// Bytes of a target.
const TARGET_BYTES: usize = 2000;
/// Bytes of a webhook's secret.
const SECRET_BYTES: usize = 32;

fn view(channel: &Channel) -> Value {
    json!({
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target,
        "min_severity": channel.min_severity,
        "client_id": channel.client_id,
        "enabled": channel.enabled,
        "created_at": channel.created_at,
        "updated_at": channel.updated_at,
    })
}

fn delivery_view(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "alert_id": delivery.alert_id,
        "event": delivery.event,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "next_at": (delivery.status == "pending").then_some(delivery.next_at),
        "last_error": delivery.last_error,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
    })
}

/// How a channel reaches its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By e-mail.
    Email,
    /// By HTTP.
    Webhook,
}

/// Body of a new channel.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[garde(custom(super::extract::name))]
    name: String,
    #[garde(skip)]
    kind: Kind,
    #[garde(skip)]
    target: String,
    #[garde(skip)]
    #[serde(default)]
    min_severity: Severity,
    #[garde(skip)]
    client_id: Option<uuid::Uuid>,
    #[garde(skip)]
    enabled: Option<bool>,
}

/// Body of a change; kind, client and secret stay.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[garde(custom(super::extract::name))]
    name: String,
    #[garde(skip)]
    target: String,
    #[garde(skip)]
    min_severity: Severity,
    #[garde(skip)]
    enabled: bool,
}

fn check_target(kind: &str, target: &str) -> Result<String, AppError> {
    let target = target.trim();
    let checked = if target.len() > TARGET_BYTES {
        Err(format!("must have at most {TARGET_BYTES} bytes"))
    } else if kind == "webhook" {
        check_url(target).map(drop)
    } else {
        check_address(target).map(drop)
    };
    checked.map_err(|problem| AppError::invalid_field("target", format!("target {problem}")))?;
    Ok(target.to_owned())
}

fn place_target(channel: &Channel) -> Target {
    Target {
        client_id: channel.client_id,
        ..Target::default()
    }
}

async fn find(
    state: &AppState,
    who: &Authenticated,
    id: NotificationId,
) -> Result<Channel, AppError> {
    who.require(Capability::ManagePolicies)?;
    let channel = notifications::by_id(&state.db, id).await?;
    let channel = channel.ok_or_else(|| AppError::not_found("notification channel"))?;
    let place = place_of(state, place_target(&channel)).await?;
    who.require_at(Capability::ManagePolicies, place)?;
    Ok(channel)
}

/// GET /api/notifications
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManagePolicies)?;
    let mut items = Vec::new();
    for channel in notifications::list(&state.db).await? {
        let place = place_of(&state, place_target(&channel)).await?;
        if who.scope.covers(place) {
            items.push(view(&channel));
        }
    }
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}

/// POST /api/notifications
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManagePolicies)?;
    let target = target_of(body.client_id, None, None)?;
    let place = place_of(&state, target).await?;
    who.require_at(Capability::ManagePolicies, place)?;
    let (kind, secret) = match body.kind {
        Kind::Email => ("email", None),
        Kind::Webhook => {
            let mut bytes = [0; SECRET_BYTES];
            rand::rng().fill_bytes(&mut bytes);
            ("webhook", Some(format!("whsec_{}", STANDARD.encode(bytes))))
        }
    };
    let settings = ChannelSettings {
        name: body.name.trim().to_owned(),
        target: check_target(kind, &body.target)?,
        min_severity: body.min_severity.name(),
        enabled: body.enabled.unwrap_or(true),
    };
    let made =
        notifications::insert(&state.db, kind, target.client_id, secret.clone(), settings).await;
    let channel = made.map_err(|error| match error {
        DbError::ForeignKey => AppError::not_found("client"),
        other => other.into(),
    })?;
    let mut body = view(&channel);
    if let Some(secret) = secret {
        body["secret"] = secret.into();
    }
    Ok(HttpResponse::Created().json(body))
}

/// GET /api/notifications/:id
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    Ok(HttpResponse::Ok().json(view(&channel)))
}

/// PUT /api/notifications/:id
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: Signed<Change>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let settings = ChannelSettings {
        name: body.name.trim().to_owned(),
        target: check_target(&channel.kind, &body.target)?,
        min_severity: body.min_severity.name(),
        enabled: body.enabled,
    };
    let changed = notifications::update(&state.db, channel.id, settings).await?;
    let changed = changed.ok_or_else(|| AppError::not_found("notification channel"))?;
    Ok(HttpResponse::Ok().json(view(&changed)))
}

/// DELETE /api/notifications/:id
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    if !notifications::delete(&state.db, channel.id).await? {
        return Err(AppError::not_found("notification channel"));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// POST /api/notifications/:id/test
pub async fn test(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let queued = queue(&state.db, &channel, None, "test", test_payload()).await?;
    let delivery = queued.ok_or_else(|| {
        let detail = "too many notifications wait for this channel; look at its deliveries";
        AppError::too_many("too_many_notifications", detail, None)
    })?;
    Ok(HttpResponse::Accepted().json(delivery_view(&delivery)))
}

/// A page of deliveries.
#[derive(Deserialize)]
pub struct DeliveriesPage {
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// GET /api/notifications/:id/deliveries
pub async fn log(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    page: Query<DeliveriesPage>,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let limit = limit_of(page.limit)?;
    let before = page.cursor.map(DeliveryId);
    let mut rows = deliveries::of_channel(&state.db, channel.id, before, limit + 1).await?;
    let more = cut(&mut rows, limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let items = rows.iter().map(delivery_view).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}
