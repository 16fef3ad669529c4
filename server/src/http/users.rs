//! Users, for administrators of everything.

use std::collections::BTreeSet;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{ClientId, SiteId, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::auth::{end_sessions, whole};
use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::schemas::{Email, IfMatch, IfNoneMatch, Name, NewPassword};
use super::state::AppState;
use crate::db::users::{self, Account, User, UserChange, UserFilter};
use crate::domain::role::{Capability, Role};
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;
use crate::services::accounts::NewAccount;

/// Clients, and sites, that a scope may name.
const SCOPE_MOST: usize = 1000;

/// A scope as it is sent and shown; none means everything.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = Scope)]
pub struct ScopeBody {
    #[garde(length(max = SCOPE_MOST))]
    #[schema(max_items = 1000)]
    #[serde(default)]
    client_ids: Vec<uuid::Uuid>,
    #[garde(length(max = SCOPE_MOST))]
    #[schema(max_items = 1000)]
    #[serde(default)]
    site_ids: Vec<uuid::Uuid>,
}

impl ScopeBody {
    /// As a scope is shown.
    pub fn of(scope: &Scope) -> Option<Self> {
        match scope {
            Scope::Everything => None,
            Scope::Only { clients, sites } => Some(Self {
                client_ids: clients.iter().map(|id| id.0).collect(),
                site_ids: sites.iter().map(|id| id.0).collect(),
            }),
        }
    }

    /// As it was sent.
    pub fn read(body: Option<Self>) -> Scope {
        match body {
            None => Scope::Everything,
            Some(body) => Scope::Only {
                clients: body.client_ids.into_iter().map(ClientId).collect(),
                sites: body
                    .site_ids
                    .into_iter()
                    .map(SiteId)
                    .collect::<BTreeSet<_>>(),
            },
        }
    }
}

/// A user as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    id: UserId,
    email: String,
    name: String,
    role: String,
    disabled: bool,
    scope: Option<ScopeBody>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    last_login_at: Option<DateTime<Utc>>,
}

impl UserView {
    /// A user and its scope.
    pub fn new(user: &User, scope: &Scope) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role.clone(),
            disabled: user.disabled,
            scope: ScopeBody::of(scope),
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

impl From<&Account> for UserView {
    fn from(account: &Account) -> Self {
        Self::new(&account.user, &account.scope)
    }
}

/// Body of a new user.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewUser {
    #[garde(email, length(chars, max = 254))]
    #[schema(value_type = Email)]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    #[schema(value_type = NewPassword)]
    password: String,
    #[garde(skip)]
    role: Role,
    #[garde(dive)]
    scope: Option<ScopeBody>,
}

/// Body of a change; what is missing stays.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = UserChange)]
pub struct Change {
    #[garde(skip)]
    role: Option<Role>,
    #[garde(skip)]
    disabled: Option<bool>,
    #[garde(inner(custom(super::extract::name)))]
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[garde(dive)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ScopeBody>)]
    scope: Option<Option<ScopeBody>>,
}

/// Tells `null`, which lifts a scope, from a field that is missing, which leaves it.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<ScopeBody>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn version(user: &User) -> Version {
    Version::of(user.id.0, user.updated_at, user.last_login_at)
}

/// Users belong to no client, so only who sees everything may manage them: else a scoped
/// administrator could lift its own scope.
fn require(who: &Authenticated) -> Result<(), AppError> {
    who.require_at(Capability::ManageUsers, Place::default())
}

/// Lists users.
#[utoipa::path(
    tag = "users",
    params(list_parameters::Users),
    responses(
        (status = 200, description = "a page", body = Page<UserView>),
    ),
)]
#[get("/api/users")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    require(&who)?;
    let asked = Listing::read::<list_parameters::Users>(&request)?;
    let disabled = asked.choice("disabled", list_parameters::YES_NO)?;
    let filter = UserFilter {
        role: asked.choice("role", list_parameters::ROLES)?,
        disabled: disabled.map(|word| word == "true"),
        words: asked.text("q")?,
    };
    let rows = users::list(&state.db, filter, asked.page()).await?;
    let Page { items, next_cursor } = asked.cut(rows, User::position);
    let accounts = users::with_scopes(&state.db, items).await?;
    let items = accounts.iter().map(UserView::from).collect();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

/// Makes a user.
#[utoipa::path(
    tag = "users",
    request_body = NewUser,
    responses(
        (status = 201, description = "the user", body = UserView),
        (status = 409, description = "there is one of that address"),
    ),
)]
#[post("/api/users")]
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewUser>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    require(&who)?;
    let account = NewAccount {
        email: body.email,
        name: body.name,
        password: body.password,
        role: body.role,
        scope: ScopeBody::read(body.scope),
    };
    let account = state.accounts.create(&state.db, account).await?;
    Ok(HttpResponse::Created().json(UserView::from(&account)))
}

/// Shows a user.
#[utoipa::path(
    tag = "users",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the user", body = UserView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such user"),
    ),
)]
#[get("/api/users/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    require(&who)?;
    let account = users::account(&state.db, UserId(id.into_inner())).await?;
    let account = account.ok_or_else(|| AppError::not_found("user"))?;
    Ok(version(&account.user).answer(&request, UserView::from(&account)))
}

/// Changes a user.
///
/// A change of role, scope or `disabled` revokes its tokens and ends its sessions.
#[utoipa::path(
    tag = "users",
    request_body = Change,
    params(IfMatch),
    responses(
        (status = 200, description = "the user", body = UserView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such user"),
        (status = 409, description = "`last_administrator`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[patch("/api/users/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Change>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    require(&who)?;
    let id = UserId(id.into_inner());
    let Change {
        role,
        disabled,
        name,
        scope,
    } = body;
    let before = users::by_id(&state.db, id).await?;
    let before = before.ok_or_else(|| AppError::not_found("user"))?;
    let conditional = version(&before).check(&request)?;
    let revokes = role.is_some() || disabled.is_some() || scope.is_some();
    let wanted = UserChange {
        role: role.map(|role| role.name().to_owned()),
        disabled,
        name,
        scope: scope.map(ScopeBody::read),
        unchanged: conditional.then_some(before.updated_at),
    };
    whole(async move {
        let account = state.accounts.change(&state.db, id, wanted).await?;
        let user = &account.user;
        // A change that changes nothing ends nothing, unless the user is disabled: then this may
        // be the second try after one that did not get to its end.
        let revoked = before.token_version != user.token_version;
        if revokes && (revoked || user.disabled) {
            end_sessions(&state, id).await?;
        }
        let mut response = HttpResponse::Ok().json(UserView::from(&account));
        version(user).stamp(&mut response);
        Ok(response)
    })
    .await
}

/// Deletes a user.
#[utoipa::path(
    tag = "users",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such user"),
        (status = 409, description = "`last_administrator`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/users/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    require(&who)?;
    let id = UserId(id.into_inner());
    let user = users::by_id(&state.db, id).await?;
    let user = user.ok_or_else(|| AppError::not_found("user"))?;
    version(&user).check(&request)?;
    whole(async move {
        // The tokens first, so that nothing is opened while its sessions end; these while their
        // rows are there to be closed. The last administrator is found out before either.
        state.accounts.check_deletable(&state.db, id).await?;
        state.accounts.revoke(&state.db, id).await?;
        end_sessions(&state, id).await?;
        state.accounts.delete(&state.db, id).await?;
        tracing::info!(deleted.id = %id, user.id = %who.user.id, "user deleted");
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
