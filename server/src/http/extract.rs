//! What handlers take out of a request: who calls, and bodies that fit their rules.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::{JsonBody, Payload};
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{ApiKeyId, UserId};
use serde::de::DeserializeOwned;

use super::audit_trail::{self, Noted};
use super::browser::{Credential, check_browser};
use super::problems::{bad_json, request_id};
use super::state::AppState;
use crate::db::users::{Account, User};
use crate::domain::credentials::USER_KEY_PREFIX;
use crate::domain::role::{Capability, Role};
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;
use crate::services::audit::Caller;
use crate::services::request_limits::Standing;
use crate::services::warrants::Warrant;
use crate::services::{access, api_keys};

/// The user whose token or key came with the request.
pub struct Authenticated {
    /// The user's row.
    pub user: User,
    /// What may be done: the user's role, or less with a key.
    pub role: Role,
    /// Where: the user's scope, or less with a key.
    pub scope: Scope,
    /// The key, if it was not the user's own log-in.
    pub key: Option<ApiKeyId>,
    /// When that key expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// When what they came with ends, be it a log-in or a key.
    pub valid_until: Option<DateTime<Utc>>,
    /// Whether it came as a browser's cookie.
    pub by_cookie: bool,
    /// As the audit names them.
    pub caller: Caller,
    /// Whether a refusal of this request is in the audit.
    pub noted: Noted,
}

impl Authenticated {
    /// Refuses what the role may not do.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, capability: Capability) -> Result<(), AppError> {
        access::authorise(self.role, capability)
    }

    /// By what right they came, for what outlasts the request.
    pub fn warrant(&self) -> Warrant {
        Warrant {
            user_id: self.user.id,
            token_version: self.user.token_version,
            key_id: self.key,
            valid_until: self.valid_until,
        }
    }

    /// Refuses what only the user may do, logged in, and none of its keys: else a key that leaked
    /// could make itself last for ever.
    ///
    /// # Errors
    /// 403.
    pub fn require_person(&self) -> Result<(), AppError> {
        if self.key.is_none() {
            return Ok(());
        }
        Err(AppError::forbidden(
            "not_with_a_key",
            "an API key may not do this; log in with your password",
        ))
    }

    /// Whether something of this user's own is shown whatever places it is about: not to a key that is
    /// for certain places, else whoever holds it would learn about others from what its maker does there.
    pub fn owns(&self, user: Option<UserId>) -> bool {
        let everywhere = self.key.is_none() || self.scope == Scope::Everything;
        everywhere && user == Some(self.user.id)
    }

    /// Refuses what the role may not do, and what lies outside of the user's scope.
    ///
    /// # Errors
    /// 403.
    pub fn require_at(&self, capability: Capability, place: Place) -> Result<(), AppError> {
        access::authorise_at(self.role, &self.scope, capability, place)
    }
}

impl FromRequest for Authenticated {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let who = identify(&request).await?;
            let state = app_state(&request)?;
            count(&request, &state, who.user.id)?;
            let noted = audit_trail::ask(&request, &state, &who.caller).await?;
            Ok(Self { noted, ..who })
        })
    }
}

/// Finds out who calls; counts nothing and writes nothing down.
///
/// # Errors
/// 401; 403 for a browser that other pages may have made call.
pub async fn identify(request: &HttpRequest) -> Result<Authenticated, AppError> {
    let state = app_state(request)?;
    let credential = Credential::of(request).ok_or_else(|| {
        AppError::unauthorized(
            "token_missing",
            "send Authorization: Bearer <token>, or log in with a cookie",
        )
    })?;
    let (token, by_cookie) = match &credential {
        Credential::Header(token) => (token, false),
        Credential::Cookie(token) => (token, true),
    };
    let who = if token.starts_with(USER_KEY_PREFIX) && !by_cookie {
        let holder = api_keys::authenticate(&state.db, token).await?;
        let account = Account {
            scope: holder.scope,
            ..holder.account
        };
        let (role, key) = (holder.role, Some(holder.id));
        known(request, account, role, key, holder.expires_at)
    } else {
        let (account, end) = state.accounts.authenticate(&state.db, token).await?;
        let role = account.user.role.parse::<Role>();
        let role = role.map_err(|error| AppError::internal(&error))?;
        Authenticated {
            valid_until: Some(end),
            by_cookie,
            ..known(request, account, role, None, None)
        }
    };
    // After it is known that the cookie is good: without a good one nobody is let in anyway.
    if by_cookie {
        check_browser(request, &state)?;
    }
    Ok(who)
}

fn known(
    request: &HttpRequest,
    account: Account,
    role: Role,
    key: Option<ApiKeyId>,
    expires_at: Option<DateTime<Utc>>,
) -> Authenticated {
    let Account { user, scope } = account;
    let caller = Caller {
        user_id: user.id,
        email: user.email.clone(),
        key_id: key,
        remote_addr: remote_address(request).to_string(),
        request_id: request_id(request),
    };
    Authenticated {
        user,
        role,
        scope,
        key,
        expires_at,
        valid_until: expires_at,
        by_cookie: false,
        caller,
        noted: Noted::default(),
    }
}

/// Counts a request against its user's budget, once; what is left goes into the answer's headers.
///
/// # Errors
/// 429.
pub fn count(request: &HttpRequest, state: &AppState, user: UserId) -> Result<(), AppError> {
    if request.extensions().get::<Standing>().is_some() {
        return Ok(());
    }
    let counted = state.requests.count(user);
    let (Ok(standing) | Err(standing)) = counted;
    request.extensions_mut().insert(standing);
    if counted.is_ok() {
        return Ok(());
    }
    let detail = format!(
        "you made more than {} requests in a minute; go on in {} s",
        standing.per_minute, standing.reset_seconds
    );
    Err(AppError::too_many(
        "too_many_requests",
        detail,
        Some(standing.reset_seconds),
    ))
}

/// The shared state of a request.
///
/// # Errors
/// 500: the application was put together without it.
pub fn app_state(request: &HttpRequest) -> Result<Data<AppState>, AppError> {
    let state = request.app_data::<Data<AppState>>().cloned();
    state.ok_or_else(|| AppError::internal(&"the application has no state"))
}

/// The address that a request came from: the one at the other end of the socket, or what a trusted proxy says
/// of it in `X-Forwarded-For`.
pub fn remote_address(request: &HttpRequest) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let peer = request
        .peer_addr()
        .map_or(unknown, |address| address.ip().to_canonical());
    let Some(state) = request.app_data::<Data<AppState>>() else {
        return peer;
    };
    let forwarded: Vec<&str> = request
        .headers()
        .get_all(FORWARDED_FOR)
        // What is no text is no address: it ends the way.
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    state.proxies.client(peer, forwarded.into_iter())
}

/// Where proxies write down whom they speak for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A JSON body that came in time, of at most `limits.json_body_bytes`, or of `BYTES` where that says so.
pub struct Body<T, const BYTES: usize = 0>(pub T);

impl<T: DeserializeOwned + 'static, const BYTES: usize> FromRequest for Body<T, BYTES> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = match BYTES {
            0 => app_state(request).map(|state| state.settings.limits.json_body_bytes as usize),
            bytes => Ok(bytes),
        };
        let body = JsonBody::<T>::new(request, payload, None, true);
        Box::pin(async move {
            let body = body.limit(limit?);
            let body = actix_web::rt::time::timeout(BODY_TIMEOUT, body).await;
            let body = body.map_err(|_| {
                let detail = "the body did not come within 15 s";
                AppError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
            })?;
            Ok(Self(body.map_err(bad_json)?))
        })
    }
}

/// A JSON body that fits its rules.
pub struct Valid<T, const BYTES: usize = 0>(pub T);

impl<T, const BYTES: usize> FromRequest for Valid<T, BYTES>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<T, BYTES>::from_request(request, payload);
        Box::pin(async move {
            let Body(body) = body.await?;
            body.validate().map_err(|report| first_fault(&report))?;
            Ok(Self(body))
        })
    }
}

/// Who calls, with a body that fits its rules.
///
/// The body is read first: were the token looked at first, a request held open by a slow body could
/// act after its user was revoked.
pub struct Signed<T>(pub Authenticated, pub T);

impl<T> FromRequest for Signed<T>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Valid::<T>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let body = body.await;
            let who = Authenticated::from_request(&request, &mut Payload::None).await?;
            Ok(Self(who, body?.0))
        })
    }
}

/// Who calls, with a body that fits its rules, or with none, which is an empty one.
pub struct MaybeSigned<T>(pub Authenticated, pub T);

impl<T> FromRequest for MaybeSigned<T>
where
    T: DeserializeOwned + Validate<Context = ()> + Default + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let none = length.is_none_or(|length| length == "0")
            && request.headers().get(header::TRANSFER_ENCODING).is_none();
        let body = (!none).then(|| Valid::<T>::from_request(request, payload));
        let request = request.clone();
        Box::pin(async move {
            let body = match body {
                Some(body) => body.await,
                None => Ok(Valid(T::default())),
            };
            let who = Authenticated::from_request(&request, &mut Payload::None).await?;
            Ok(Self(who, body?.0))
        })
    }
}

/// The first rule that a body breaks.
pub fn first_fault(report: &garde::Report) -> AppError {
    match report.iter().next() {
        Some((path, error)) => {
            AppError::invalid_field(path.to_string(), format!("{path} {}", error.message()))
        }
        None => AppError::malformed("the body does not fit its rules"),
    }
}

/// garde's form of `domain::text::check_name` for names of up to 200 characters.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
pub fn name(text: &str, (): &()) -> garde::Result {
    crate::domain::text::check_name(text, 200).map_err(garde::Error::new)
}
