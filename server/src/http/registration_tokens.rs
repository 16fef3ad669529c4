//! Registration tokens.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use gururmm_shared::{RegistrationTokenId, SiteId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use crate::db::registration_tokens::{self, NewToken, RegistrationToken};
use crate::db::{DbError, places};
use crate::domain::credentials::{digest, generate_registration_token};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

/// How long a token lives where nothing is said, and at most.
const DAYS_DEFAULT: i64 = 30;
const DAYS_MOST: i64 = 366;
/// How often one token may be used.
const USES_MOST: i32 = 100_000;

fn view(token: &RegistrationToken) -> Value {
    json!({
        "id": token.id,
        "site_id": token.site_id,
        "name": token.name,
        "expires_at": token.expires_at,
        "uses": token.uses,
        "uses_left": token.uses_left,
        "approval": token.approval_required,
        "created_by": token.created_by,
        "created_at": token.created_at,
    })
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "garde's signature"
)]
fn maybe_name(name: &Option<String>, (): &()) -> garde::Result {
    name.as_ref()
        .map_or(Ok(()), |name| super::extract::name(name, &()))
}

/// Body of a new token.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Body {
    #[garde(skip)]
    site_id: uuid::Uuid,
    #[garde(custom(maybe_name))]
    name: Option<String>,
    #[garde(skip)]
    expires_at: Option<DateTime<Utc>>,
    #[garde(range(min = 1, max = USES_MOST))]
    uses: Option<i32>,
    #[garde(skip)]
    #[serde(default)]
    approval: bool,
}

/// GET /api/registration-tokens
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManageAgents)?;
    let mut items = Vec::new();
    for token in registration_tokens::list(&state.db).await? {
        // A site that has just been deleted took its tokens with it.
        let place = places::of_site(&state.db, token.site_id).await?;
        if place.is_some_and(|place| who.scope.covers(place)) {
            items.push(view(&token));
        }
    }
    Ok(HttpResponse::Ok().json(Page::whole(items)))
}

/// POST /api/registration-tokens
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManageAgents)?;
    let site_id = SiteId(body.site_id);
    let place = places::of_site(&state.db, site_id).await?;
    let place = place.ok_or_else(|| AppError::not_found("site"))?;
    who.require_at(Capability::ManageAgents, place)?;
    let now = audit::now();
    let expires_at = body
        .expires_at
        .unwrap_or_else(|| now + Duration::days(DAYS_DEFAULT));
    if expires_at <= now || expires_at > now + Duration::days(DAYS_MOST) {
        let detail = format!("expires_at lies in the future, at most {DAYS_MOST} days");
        return Err(AppError::invalid_field("expires_at", detail));
    }
    let secret = generate_registration_token(&mut rand::rng());
    let new = NewToken {
        site_id,
        hash: digest(&secret),
        name: body.name.map(|name| name.trim().to_owned()),
        expires_at,
        uses: body.uses,
        approval_required: body.approval,
        created_by: who.user.id,
    };
    let made = registration_tokens::insert(&state.db, new).await;
    let token = made.map_err(|error| match error {
        DbError::ForeignKey => AppError::not_found("site"),
        other => other.into(),
    })?;
    tracing::info!(token.id = %token.id, site.id = %site_id, user.id = %who.user.id, "registration token created");
    let mut body = view(&token);
    body["token"] = secret.into();
    Ok(HttpResponse::Created().json(body))
}

/// DELETE /api/registration-tokens/:id
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManageAgents)?;
    let id = RegistrationTokenId(id.into_inner());
    let token = registration_tokens::by_id(&state.db, id).await?;
    let token = token.ok_or_else(|| AppError::not_found("registration token"))?;
    let place = places::of_site(&state.db, token.site_id).await?;
    who.require_at(Capability::ManageAgents, place.unwrap_or_default())?;
    if !registration_tokens::delete(&state.db, id).await? {
        return Err(AppError::not_found("registration token"));
    }
    Ok(HttpResponse::NoContent().finish())
}
