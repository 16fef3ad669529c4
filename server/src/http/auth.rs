//! Log-in, log-out, set-up, registration, password.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::{DateTime, Utc};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::browser::{cookie, no_cookie};
use super::extract::{Authenticated, Body, Signed, Valid, remote_address};
use super::problems::request_id;
use super::schemas::{Email, Name, NewPassword, Password};
use super::state::AppState;
use super::users::UserView;
use crate::actors::event_messages::EndSubscriptions;
use crate::actors::registry_messages::{CloseSessions, SessionsOf};
use crate::db::audit_log::{NewEntry, Stage};
use crate::db::users::Account;
use crate::domain::close_reason::CloseReason;
use crate::error::AppError;
use crate::services::accounts::{LoggedIn, NewAccount};
use crate::services::audit::Caller;
use crate::services::audit_limits::Kind;
use crate::services::audit_trail;

/// Body of a log-in.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Login {
    #[garde(length(chars, max = 254))]
    #[schema(max_length = 254)]
    email: String,
    #[garde(length(chars, max = 256))]
    #[schema(value_type = Password)]
    password: String,
    /// Whether the token is to come as a cookie, for browsers, and not in the body.
    #[garde(skip)]
    #[serde(default)]
    cookie: bool,
}

/// Body of a registration.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Registration {
    #[garde(email, length(chars, max = 254))]
    #[schema(value_type = Email)]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    #[schema(value_type = NewPassword)]
    password: String,
}

/// Body of the first set-up.
#[derive(Deserialize, Validate, ToSchema)]
pub struct SetUp {
    #[garde(length(max = 256))]
    #[schema(max_length = 256)]
    token: String,
    #[garde(email, length(chars, max = 254))]
    #[schema(value_type = Email)]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    #[schema(value_type = Option<Name>)]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    #[schema(value_type = NewPassword)]
    password: String,
    /// Whether the token is to come as a cookie, for browsers, and not in the body.
    #[garde(skip)]
    #[serde(default)]
    cookie: bool,
}

/// Body of a change of password.
#[derive(Deserialize, Validate, ToSchema)]
pub struct PasswordChange {
    #[garde(length(chars, max = 256))]
    #[schema(value_type = Password)]
    current_password: String,
    #[garde(length(chars, min = 10, max = 256))]
    #[schema(value_type = NewPassword)]
    new_password: String,
}

/// A token as the API shows it, once.
#[derive(Serialize, ToSchema)]
#[schema(as = LoggedIn)]
struct LoggedInView {
    /// Missing where it came as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    expires_at: DateTime<Utc>,
    user: UserView,
}

/// Who a request turned out to be.
fn caller_of(request: &HttpRequest, account: &Account) -> Caller {
    Caller {
        user_id: account.user.id,
        email: account.user.email.clone(),
        key_id: None,
        remote_addr: remote_address(request).to_string(),
        request_id: request_id(request),
    }
}

fn succeeded(action: &str, caller: &Caller) -> NewEntry {
    NewEntry {
        target: caller.user_id.to_string(),
        outcome: Some("ok".to_owned()),
        ..audit_trail::by(Stage::Event, action, caller)
    }
}

/// Writes down who was not let in, unless there is too much of that.
async fn note_refused(
    state: &AppState,
    request: &HttpRequest,
    action: &str,
    email: &str,
    error: &AppError,
) {
    let address = remote_address(request).to_string();
    let email = audit_trail::typed_email(email);
    let kind = match error.status {
        StatusCode::TOO_MANY_REQUESTS => Kind::LogInLimited,
        status if status.is_client_error() => Kind::LogIn,
        // A fault of ours; the log has it.
        _ => return,
    };
    if !state
        .audit_limits
        .may_write(kind, &format!("{action} {email} {address}"))
    {
        return;
    }
    let entry = NewEntry {
        user_email: email,
        remote_addr: address,
        request_id: request_id(request),
        ..audit_trail::event(action, error.code)
    };
    audit_trail::note(&state.db, entry).await;
}

/// A user that registered.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
struct RegisteredView {
    user: UserView,
}

/// Hands a token over: in the body, or as a cookie, which no script can read.
fn logged_in(
    state: &AppState,
    status: StatusCode,
    answer: &LoggedIn,
    by_cookie: bool,
) -> HttpResponse {
    let LoggedIn { token, account } = answer;
    let mut response = HttpResponse::build(status);
    if by_cookie {
        let cookie = cookie(&state.settings, token.token.clone(), token.expires_at);
        response.cookie(cookie);
    }
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(LoggedInView {
            token: (!by_cookie).then(|| token.token.clone()),
            expires_at: token.expires_at,
            user: UserView::from(account),
        })
}

/// Logs a user in.
///
/// With `cookie` the token comes as the cookie `grmm_session`, and not in the body.
#[utoipa::path(
    tag = "auth",
    request_body = Login,
    responses(
        (status = 200, description = "a token, and whose", body = LoggedInView),
        (status = 401, description = "`invalid_credentials`"),
        (status = 429, description = "too many attempts"),
    ),
    security(()),
)]
#[post("/api/auth/login")]
pub async fn login(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<Login>,
) -> Result<HttpResponse, AppError> {
    let Valid(Login {
        email,
        password,
        cookie: by_cookie,
    }) = body;
    let from = remote_address(&request);
    let answer = state
        .accounts
        .log_in(&state.db, &email, password, from)
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            note_refused(&state, &request, "session.login", &email, &error).await;
            return Err(error);
        }
    };
    // Nobody is let in unseen.
    let caller = caller_of(&request, &answer.account);
    audit_trail::require(&state.db, succeeded("session.login", &caller)).await?;
    Ok(logged_in(&state, StatusCode::OK, &answer, by_cookie))
}

/// Makes a user that reads, where that is allowed.
#[utoipa::path(
    tag = "auth",
    request_body = Registration,
    responses(
        (status = 201, description = "the user", body = RegisteredView),
        (status = 403, description = "`registration_disabled`"),
        (status = 409, description = "there is one already"),
        (status = 429, description = "too many attempts"),
    ),
    security(()),
)]
#[post("/api/auth/register")]
pub async fn register(
    request: HttpRequest,
    state: Data<AppState>,
    body: Body<serde_json::Value>,
) -> Result<HttpResponse, AppError> {
    // Looked at before the body, so that a closed door says so whatever is brought to it.
    state
        .accounts
        .check_registration(remote_address(&request))?;
    let body: Registration =
        serde_json::from_value(body.0).map_err(|error| AppError::malformed(error.to_string()))?;
    if let Err(report) = body.validate() {
        return Err(super::extract::first_fault(&report));
    }
    let email = body.email.clone();
    let account = NewAccount::reader(body.email, body.name, body.password);
    let account = match state.accounts.create(&state.db, account).await {
        Ok(account) => account,
        Err(error) => {
            note_refused(&state, &request, "user.register", &email, &error).await;
            return Err(error);
        }
    };
    let caller = caller_of(&request, &account);
    audit_trail::note(&state.db, succeeded("user.register", &caller)).await;
    Ok(HttpResponse::Created().json(RegisteredView {
        user: UserView::from(&account),
    }))
}

/// Makes the first administrator.
#[utoipa::path(
    tag = "auth",
    request_body = SetUp,
    responses(
        (status = 201, description = "a token, and whose", body = LoggedInView),
        (status = 403, description = "a wrong token"),
        (status = 409, description = "`setup_done`"),
        (status = 429, description = "too many attempts"),
    ),
    security(()),
)]
#[post("/api/auth/setup")]
pub async fn set_up(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<SetUp>,
) -> Result<HttpResponse, AppError> {
    let Valid(body) = body;
    let account = NewAccount::administrator(body.email, body.name, body.password);
    let from = remote_address(&request);
    let email = account.email.clone();
    let by_cookie = body.cookie;
    let answer = state
        .accounts
        .set_up(&state.db, &body.token, account, from)
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            note_refused(&state, &request, "user.setup", &email, &error).await;
            return Err(error);
        }
    };
    let caller = caller_of(&request, &answer.account);
    audit_trail::note(&state.db, succeeded("user.setup", &caller)).await;
    Ok(logged_in(&state, StatusCode::CREATED, &answer, by_cookie))
}

/// Shows the caller.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 200, description = "the user", body = UserView),
    ),
)]
#[get("/api/auth/me")]
pub async fn me(who: Authenticated) -> HttpResponse {
    HttpResponse::Ok().json(UserView::new(&who.user, &who.scope))
}

/// Revokes every token of the caller and ends its sessions.
#[utoipa::path(
    tag = "auth",
    responses(
        (status = 204, description = "done"),
    ),
)]
#[post("/api/auth/logout")]
pub async fn log_out(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require_person()?;
    whole(async move {
        state.accounts.revoke(&state.db, who.user.id).await?;
        end_sessions(&state, who.user.id).await?;
        let mut response = HttpResponse::NoContent();
        if who.by_cookie {
            response.cookie(no_cookie(&state.settings));
        }
        Ok(response.finish())
    })
    .await
}

/// Changes the caller's password and revokes every older token.
#[utoipa::path(
    tag = "auth",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "a new token", body = LoggedInView),
    ),
)]
#[post("/api/auth/password")]
pub async fn change_password(
    state: Data<AppState>,
    signed: Signed<PasswordChange>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require_person()?;
    let from = remote_address(&request);
    whole(async move {
        let (user_id, by_cookie) = (who.user.id, who.by_cookie);
        let (current, new) = (body.current_password, body.new_password);
        let answer = state
            .accounts
            .change_password(&state.db, who.user, current, new, from)
            .await?;
        end_sessions(&state, user_id).await?;
        Ok(logged_in(&state, StatusCode::OK, &answer, by_cookie))
    })
    .await
}

/// Carries something out to its end even if the one who asked hangs up: a revocation that is
/// committed must also end what is open, and a second try would find nothing to do.
pub async fn whole<T: 'static>(
    work: impl Future<Output = Result<T, AppError>> + 'static,
) -> Result<T, AppError> {
    match actix_web::rt::spawn(work).await {
        Ok(result) => result,
        Err(error) => Err(AppError::internal(&error)),
    }
}

/// Ends the sessions of a user whose tokens were revoked.
pub async fn end_sessions(
    state: &AppState,
    user_id: gururmm_shared::UserId,
) -> Result<(), AppError> {
    end_revoked(state, SessionsOf::User(user_id)).await
}

/// Ends sessions of somebody who may have none any more.
pub async fn end_revoked(state: &AppState, of: SessionsOf) -> Result<(), AppError> {
    state.events.do_send(EndSubscriptions(of));
    state
        .registry
        .send(CloseSessions {
            of,
            reason: CloseReason::AccessRevoked,
        })
        .await?;
    Ok(())
}
