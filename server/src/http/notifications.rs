//! Channels by which alerts are told, and the log of what they told.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{AlertId, ClientId, DeliveryId, NotificationId};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::{Page, cut, limit_of};
use super::schemas::{IfMatch, IfNoneMatch, Name};
use super::state::AppState;
use super::targets::{place_of, target_of};
use crate::db::DbError;
use crate::db::deliveries::{self, Delivery};
use crate::db::notifications::{self, Channel, ChannelFilter, ChannelSettings};
use crate::domain::policy::alerts::Severity;
use crate::domain::role::Capability;
use crate::domain::target::Target;
use crate::error::AppError;
use crate::services::deliveries::{check_address, check_url};
use crate::services::notifications::queue_test;

/// Bytes of a target.
const TARGET_BYTES: usize = 2000;
/// Bytes of a webhook's secret.
const SECRET_BYTES: usize = 32;

/// A channel as the API shows it; a webhook's secret only when it was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
struct ChannelView {
    id: NotificationId,
    name: String,
    kind: String,
    target: String,
    min_severity: String,
    client_id: Option<ClientId>,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What a channel told, or is to tell.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    id: DeliveryId,
    alert_id: Option<AlertId>,
    event: String,
    status: String,
    attempts: i32,
    next_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

fn view(channel: Channel, secret: Option<String>) -> ChannelView {
    ChannelView {
        id: channel.id,
        name: channel.name,
        kind: channel.kind,
        target: channel.target,
        min_severity: channel.min_severity,
        client_id: channel.client_id,
        enabled: channel.enabled,
        created_at: channel.created_at,
        updated_at: channel.updated_at,
        secret,
    }
}

fn delivery_view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        id: delivery.id,
        alert_id: delivery.alert_id,
        event: delivery.event,
        next_at: (delivery.status == "pending").then_some(delivery.next_at),
        status: delivery.status,
        attempts: delivery.attempts,
        last_error: delivery.last_error,
        created_at: delivery.created_at,
        finished_at: delivery.finished_at,
    }
}

/// How a channel reaches its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(ToSchema)]
#[schema(as = ChannelKind)]
pub enum Kind {
    /// By e-mail.
    Email,
    /// By HTTP.
    Webhook,
}

/// Body of a new channel.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(ToSchema)]
#[schema(as = NewChannel)]
pub struct Body {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(skip)]
    kind: Kind,
    #[garde(skip)]
    #[schema(max_length = 2000)]
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
#[derive(ToSchema)]
#[schema(as = ChannelChange)]
pub struct Change {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(skip)]
    #[schema(max_length = 2000)]
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
    } else if target.chars().any(char::is_control) {
        Err("must not hold control characters".to_owned())
    } else if kind == "webhook" {
        check_url(target).map(drop)
    } else {
        check_address(target).map(drop)
    };
    checked.map_err(|problem| AppError::invalid_field("target", format!("target {problem}")))?;
    Ok(target.to_owned())
}

fn version(channel: &Channel) -> Version {
    Version::of(channel.id.0, channel.updated_at, None)
}

/// Why a write found nothing.
fn gone(conditional: bool) -> AppError {
    if conditional {
        AppError::changed()
    } else {
        AppError::not_found("notification channel")
    }
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

/// Lists channels.
#[utoipa::path(
    tag = "notifications",
    params(list_parameters::Channels),
    responses(
        (status = 200, description = "a page", body = Page<ChannelView>),
    ),
)]
#[get("/api/notifications")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManagePolicies)?;
    let asked = Listing::read::<list_parameters::Channels>(&request)?;
    let enabled = asked.choice("enabled", list_parameters::YES_NO)?;
    let filter = ChannelFilter {
        scope: who.scope,
        client_id: asked.id("client_id", ClientId)?,
        kind: asked.choice("kind", list_parameters::CHANNEL_KINDS)?,
        enabled: enabled.map(|word| word == "true"),
        words: asked.text("q")?,
    };
    let rows = notifications::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Channel::position);
    Ok(HttpResponse::Ok().json(page.map(|channel| view(channel, None))))
}

/// Makes a channel.
#[utoipa::path(
    tag = "notifications",
    request_body = Body,
    responses(
        (status = 201, description = "the channel, a webhook with its secret, shown this once", body = ChannelView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client"),
    ),
)]
#[post("/api/notifications")]
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
    let version = version(&channel);
    Ok(version.on(HttpResponse::Created().json(view(channel, secret))))
}

/// Shows a channel.
#[utoipa::path(
    tag = "notifications",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the channel", body = ChannelView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such channel"),
    ),
)]
#[get("/api/notifications/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    Ok(version(&channel).answer(&request, view(channel, None)))
}

/// Changes a channel.
#[utoipa::path(
    tag = "notifications",
    request_body = Change,
    params(IfMatch),
    responses(
        (status = 200, description = "the channel", body = ChannelView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such channel"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/notifications/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Change>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let conditional = version(&channel).check(&request)?;
    let unchanged = conditional.then_some(channel.updated_at);
    let settings = ChannelSettings {
        name: body.name.trim().to_owned(),
        target: check_target(&channel.kind, &body.target)?,
        min_severity: body.min_severity.name(),
        enabled: body.enabled,
    };
    let changed = notifications::update(&state.db, channel.id, settings, unchanged).await?;
    let changed = changed.ok_or_else(|| gone(conditional))?;
    let version = version(&changed);
    Ok(version.on(HttpResponse::Ok().json(view(changed, None))))
}

/// Deletes a channel.
#[utoipa::path(
    tag = "notifications",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such channel"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/notifications/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let conditional = version(&channel).check(&request)?;
    let unchanged = conditional.then_some(channel.updated_at);
    if !notifications::delete(&state.db, channel.id, unchanged).await? {
        return Err(gone(conditional));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Tells something by a channel, to see whether it arrives.
#[utoipa::path(
    tag = "notifications",
    responses(
        (status = 202, description = "what is on its way", body = DeliveryView),
        (status = 404, description = "no such channel"),
        (status = 429, description = "`too_many_notifications`"),
    ),
)]
#[post("/api/notifications/{id}/test")]
pub async fn test(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let channel = find(&state, &who, NotificationId(id.into_inner())).await?;
    let queued = queue_test(&state.db, channel.id).await?;
    let delivery = queued.ok_or_else(|| {
        let detail = "too many notifications wait for this channel; look at its deliveries";
        AppError::too_many("too_many_notifications", detail, None)
    })?;
    Ok(HttpResponse::Accepted().json(delivery_view(delivery)))
}

/// A page of deliveries.
#[derive(Deserialize, IntoParams)]
pub struct DeliveriesPage {
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    cursor: Option<uuid::Uuid>,
}

/// Lists what a channel told, newest first.
#[utoipa::path(
    tag = "notifications",
    responses(
        (status = 200, description = "a page", body = Page<DeliveryView>),
        (status = 404, description = "no such channel"),
    ),
)]
#[get("/api/notifications/{id}/deliveries")]
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
    let items = rows.into_iter().map(delivery_view).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}
