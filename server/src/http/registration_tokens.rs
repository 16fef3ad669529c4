//! Registration tokens.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use gururmm_shared::{ClientId, RegistrationTokenId, SiteId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::schemas::Name;
use super::state::AppState;
use crate::db::registration_tokens::{self, NewToken, RegistrationToken, TokenFilter};
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

/// A token as the API shows it; its secret only when it was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationToken)]
struct TokenView {
    id: RegistrationTokenId,
    site_id: SiteId,
    name: Option<String>,
    expires_at: DateTime<Utc>,
    uses: i32,
    uses_left: Option<i32>,
    approval: bool,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

fn view(row: RegistrationToken, token: Option<String>) -> TokenView {
    TokenView {
        id: row.id,
        site_id: row.site_id,
        name: row.name,
        expires_at: row.expires_at,
        uses: row.uses,
        uses_left: row.uses_left,
        approval: row.approval_required,
        created_by: row.created_by,
        created_at: row.created_at,
        token,
    }
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
#[derive(ToSchema)]
#[schema(as = NewRegistrationToken)]
pub struct Body {
    #[garde(skip)]
    site_id: uuid::Uuid,
    #[garde(custom(maybe_name))]
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[garde(skip)]
    expires_at: Option<DateTime<Utc>>,
    #[garde(range(min = 1, max = USES_MOST))]
    #[schema(minimum = 1, maximum = 100_000)]
    uses: Option<i32>,
    #[garde(skip)]
    #[serde(default)]
    approval: bool,
}

/// Lists registration tokens, without their secrets, the newest first.
#[utoipa::path(
    tag = "agents",
    operation_id = "tokens",
    params(list_parameters::Tokens),
    responses(
        (status = 200, description = "a page", body = Page<TokenView>),
    ),
)]
#[get("/api/registration-tokens")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManageAgents)?;
    let asked = Listing::read::<list_parameters::Tokens>(&request)?;
    let usable = asked.choice("usable", list_parameters::YES_NO)?;
    let filter = TokenFilter {
        scope: who.scope,
        site_id: asked.id("site_id", SiteId)?,
        client_id: asked.id("client_id", ClientId)?,
        usable: usable.map(|word| word == "true"),
        words: asked.text("q")?,
        at: audit::now(),
    };
    let rows = registration_tokens::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, RegistrationToken::position);
    Ok(HttpResponse::Ok().json(page.map(|token| view(token, None))))
}

/// Makes a registration token.
#[utoipa::path(
    tag = "agents",
    operation_id = "create_token",
    request_body = Body,
    responses(
        (status = 201, description = "the token with its secret, shown this once", body = TokenView),
        (status = 404, description = "no such site"),
    ),
)]
#[post("/api/registration-tokens")]
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
    Ok(HttpResponse::Created().json(view(token, Some(secret))))
}

/// Deletes a registration token.
#[utoipa::path(
    tag = "agents",
    operation_id = "remove_token",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such registration token"),
    ),
)]
#[delete("/api/registration-tokens/{id}")]
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
