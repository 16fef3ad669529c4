//! Users, for administrators.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::UserId;
use serde::{Deserialize, Serialize};

use super::auth::{end_sessions, whole};
use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use crate::db::users::{self, User, UserChange};
use crate::domain::role::{Capability, Role};
use crate::error::AppError;
use crate::services::accounts::NewAccount;

/// A user as the API shows it.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: UserId,
    email: String,
    name: String,
    role: String,
    disabled: bool,
    created_at: DateTime<Utc>,
    last_login_at: Option<DateTime<Utc>>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role.clone(),
            disabled: user.disabled,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// Body of a new user.
#[derive(Deserialize, Validate)]
pub struct NewUser {
    #[garde(email, length(chars, max = 254))]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    password: String,
    #[garde(skip)]
    role: Role,
}

/// Body of a change; what is missing stays.
#[derive(Deserialize, Validate)]
pub struct Change {
    #[garde(skip)]
    role: Option<Role>,
    #[garde(skip)]
    disabled: Option<bool>,
    #[garde(inner(custom(super::extract::name)))]
    name: Option<String>,
}

/// GET /api/users
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ManageUsers)?;
    let users = users::list(&state.db).await?;
    Ok(HttpResponse::Ok().json(Page::whole(users.iter().map(UserView::from).collect())))
}

/// POST /api/users
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewUser>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManageUsers)?;
    let account = NewAccount {
        email: body.email,
        name: body.name,
        password: body.password,
        role: body.role,
    };
    let user = state.accounts.create(&state.db, account).await?;
    Ok(HttpResponse::Created().json(UserView::from(&user)))
}

/// PATCH /api/users/:id
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    signed: Signed<Change>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManageUsers)?;
    let id = UserId(id.into_inner());
    let Change {
        role,
        disabled,
        name,
    } = body;
    let revokes = role.is_some() || disabled.is_some();
    let role = role.map(|role| role.name().to_owned());
    let change = UserChange {
        role,
        disabled,
        name,
    };
    whole(async move {
        let before = users::by_id(&state.db, id).await?;
        let user = state.accounts.change(&state.db, id, change).await?;
        // A change that changes nothing ends nothing, unless the user is disabled: then this may
        // be the second try after one that did not get to its end.
        let revoked = before.is_none_or(|before| before.token_version != user.token_version);
        if revokes && (revoked || user.disabled) {
            end_sessions(&state, id).await?;
        }
        Ok(HttpResponse::Ok().json(UserView::from(&user)))
    })
    .await
}
