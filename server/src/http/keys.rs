//! Keys of users for their scripts.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{ApiKeyId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{end_revoked, whole};
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::schemas::Name;
use super::state::AppState;
use super::users::ScopeBody;
use crate::actors::registry_messages::SessionsOf;
use crate::db::api_keys::{self, ApiKey};
use crate::db::users::Account;
use crate::domain::role::{Capability, Role};
use crate::domain::scope::Place;
use crate::error::AppError;
use crate::services::api_keys::{Order, make, scope_of};

/// A key as the API shows it; itself only when it was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    id: ApiKeyId,
    name: String,
    user_id: UserId,
    user_email: String,
    role: String,
    scope: Option<ScopeBody>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl KeyView {
    fn new(row: ApiKey, user_email: String, key: Option<String>) -> Result<Self, AppError> {
        let scope = ScopeBody::of(&scope_of(&row)?);
        Ok(Self {
            id: row.id,
            name: row.name,
            user_id: row.user_id,
            user_email,
            role: row.role,
            scope,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            key,
        })
    }
}

/// Body of a new key.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewKey {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(skip)]
    role: Role,
    #[garde(dive)]
    scope: Option<ScopeBody>,
    #[garde(skip)]
    expires_at: Option<DateTime<Utc>>,
}

/// Lists keys, without the keys themselves.
#[utoipa::path(
    tag = "keys",
    params(list_parameters::Keys),
    responses(
        (status = 200, description = "a page", body = Page<KeyView>),
        (status = 403, description = "`all` is for administrators"),
    ),
)]
#[get("/api/keys")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let asked = Listing::read::<list_parameters::Keys>(&request)?;
    let all = asked.choice("all", list_parameters::YES_NO)?;
    let owner = if all.as_deref() == Some("true") {
        who.require_at(Capability::ManageUsers, Place::default())?;
        None
    } else {
        Some(who.user.id)
    };
    if let Some(id) = who.key
        && !who.owns(Some(who.user.id))
    {
        // Its maker's other keys may name places that this one is not for.
        let own = api_keys::by_id(&state.db, id).await?;
        let email = who.user.email;
        let own = own.map(|key| KeyView::new(key, email, None)).transpose()?;
        return Ok(HttpResponse::Ok().json(Page::whole(own.into_iter().collect())));
    }
    let words = asked.text("q")?;
    let rows = api_keys::list(&state.db, owner, words, asked.page()).await?;
    let Page { items, next_cursor } = asked.cut(rows, |(key, _), sort| key.position(sort));
    let items: Result<Vec<_>, _> = items
        .into_iter()
        .map(|(key, email)| KeyView::new(key, email, None))
        .collect();
    let items = items?;
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

/// Makes a key.
#[utoipa::path(
    tag = "keys",
    request_body = NewKey,
    responses(
        (status = 201, description = "the key, shown this once", body = KeyView),
        (status = 409, description = "`too_many_keys`"),
    ),
)]
#[post("/api/keys")]
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewKey>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require_person()?;
    let order = Order {
        name: body.name.trim().to_owned(),
        role: body.role,
        scope: ScopeBody::read(body.scope),
        expires_at: body.expires_at,
    };
    let maker = Account {
        user: who.user,
        scope: who.scope,
    };
    let (row, key) = make(&state.db, &maker, who.role, order).await?;
    tracing::info!(key.id = %row.id, user.id = %maker.user.id, "key made");
    let view = KeyView::new(row, maker.user.email, Some(key))?;
    Ok(HttpResponse::Created().json(view))
}

/// Deletes a key.
#[utoipa::path(
    tag = "keys",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such key"),
    ),
)]
#[delete("/api/keys/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    who.require_person()?;
    let id = ApiKeyId(id.into_inner());
    let key = api_keys::by_id(&state.db, id).await?;
    let key = key.ok_or_else(|| AppError::not_found("key"))?;
    if key.user_id != who.user.id {
        who.require_at(Capability::ManageUsers, Place::default())?;
    }
    whole(async move {
        if !api_keys::delete(&state.db, id).await? {
            return Err(AppError::not_found("key"));
        }
        end_revoked(&state, SessionsOf::Key(id)).await
    })
    .await?;
    tracing::info!(key.id = %id, user.id = %who.user.id, "key deleted");
    Ok(HttpResponse::NoContent().finish())
}
