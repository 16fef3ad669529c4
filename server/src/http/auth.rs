//! Log-in, log-out, set-up, registration, password.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use garde::Validate;
use serde::Deserialize;
use serde_json::json;

use super::extract::{Authenticated, Body, Signed, Valid, remote_address};
use super::problems::request_id;
use super::state::AppState;
use super::users::UserView;
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
#[derive(Deserialize, Validate)]
pub struct Login {
    #[garde(length(chars, max = 254))]
    email: String,
    #[garde(length(chars, max = 256))]
    password: String,
}

/// Body of a registration.
#[derive(Deserialize, Validate)]
pub struct Registration {
    #[garde(email, length(chars, max = 254))]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    password: String,
}

/// Body of the first set-up.
#[derive(Deserialize, Validate)]
pub struct SetUp {
    #[garde(length(max = 256))]
    token: String,
    #[garde(email, length(chars, max = 254))]
    email: String,
    #[garde(inner(custom(super::extract::name)))]
    name: Option<String>,
    #[garde(length(chars, min = 10, max = 256))]
    password: String,
}

/// Body of a change of password.
#[derive(Deserialize, Validate)]
pub struct PasswordChange {
    #[garde(length(chars, max = 256))]
    current_password: String,
    #[garde(length(chars, min = 10, max = 256))]
    new_password: String,
}

fn logged_in(answer: &LoggedIn) -> serde_json::Value {
    json!({
        "token": answer.token.token,
        "expires_at": answer.token.expires_at,
        "user": UserView::from(&answer.account),
    })
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

/// POST /api/auth/login
pub async fn login(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<Login>,
) -> Result<HttpResponse, AppError> {
    let Valid(Login { email, password }) = body;
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
    Ok(HttpResponse::Ok().json(logged_in(&answer)))
}

/// POST /api/auth/register
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
    Ok(HttpResponse::Created().json(json!({ "user": UserView::from(&account) })))
}

/// POST /api/auth/setup
pub async fn set_up(
    request: HttpRequest,
    state: Data<AppState>,
    body: Valid<SetUp>,
) -> Result<HttpResponse, AppError> {
    let Valid(body) = body;
    let account = NewAccount::administrator(body.email, body.name, body.password);
    let from = remote_address(&request);
    let email = account.email.clone();
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
    Ok(HttpResponse::Created().json(logged_in(&answer)))
}

/// GET /api/auth/me
pub async fn me(who: Authenticated) -> HttpResponse {
    HttpResponse::Ok().json(UserView::new(&who.user, &who.scope))
}

/// POST /api/auth/logout
pub async fn log_out(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require_person()?;
    whole(async move {
        state.accounts.revoke(&state.db, who.user.id).await?;
        end_sessions(&state, who.user.id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// POST /api/auth/password
pub async fn change_password(
    state: Data<AppState>,
    signed: Signed<PasswordChange>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require_person()?;
    let from = remote_address(&request);
    whole(async move {
        let user_id = who.user.id;
        let (current, new) = (body.current_password, body.new_password);
        let answer = state
            .accounts
            .change_password(&state.db, who.user, current, new, from)
            .await?;
        end_sessions(&state, user_id).await?;
        Ok(HttpResponse::Ok().json(logged_in(&answer)))
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
    let of = SessionsOf::User(user_id);
    state
        .registry
        .send(CloseSessions {
            of,
            reason: CloseReason::AccessRevoked,
        })
        .await?;
    Ok(())
}
