//! What handlers take out of a request: who calls, and bodies that fit their rules.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Json};
use actix_web::{FromRequest, HttpRequest};
use garde::Validate;
use serde::de::DeserializeOwned;

use super::problems::request_id;
use super::state::AppState;
use crate::db::users::User;
use crate::domain::role::{Capability, Role};
use crate::domain::scope::{Place, Scope};
use crate::error::AppError;
use crate::services::access;
use crate::services::audit::Caller;

/// The user whose token came with the request.
pub struct Authenticated {
    /// The user's row.
    pub user: User,
    /// The user's role.
    pub role: Role,
    /// Where the user may act.
    pub scope: Scope,
    /// As the audit names them.
    pub caller: Caller,
}

impl Authenticated {
    /// Refuses what the role may not do.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, capability: Capability) -> Result<(), AppError> {
        access::authorise(self.role, capability)
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
            let state = app_state(&request)?;
            let token = bearer(&request).ok_or_else(|| {
                AppError::unauthorized("token_missing", "send Authorization: Bearer <token>")
            })?;
            let (user, role) = state.accounts.authenticate(&state.db, token).await?;
            let caller = Caller {
                user_id: user.id,
                email: user.email.clone(),
                remote_addr: remote_address(&request).to_string(),
                request_id: request_id(&request),
            };
            let scope = Scope::Everything;
            Ok(Self {
                user,
                role,
                scope,
                caller,
            })
        })
    }
}

/// The shared state of a request.
///
/// # Errors
/// 500: the application was put together without it.
pub fn app_state(request: &HttpRequest) -> Result<Data<AppState>, AppError> {
    let state = request.app_data::<Data<AppState>>().cloned();
    state.ok_or_else(|| AppError::internal(&"the application has no state"))
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The address at the other end of the socket. A proxy's word for another one is not taken yet.
pub fn remote_address(request: &HttpRequest) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    request
        .peer_addr()
        .map_or(unknown, |address| address.ip().to_canonical())
}

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A JSON body that came in time.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Json::<T>::from_request(request, payload);
        Box::pin(async move {
            let body = actix_web::rt::time::timeout(BODY_TIMEOUT, body).await;
            let body = body.map_err(|_| {
                let detail = "the body did not come within 15 s";
                AppError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
            })?;
            Ok(Self(body?.into_inner()))
        })
    }
}

/// A JSON body that fits its rules.
pub struct Valid<T>(pub T);

impl<T> FromRequest for Valid<T>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<T>::from_request(request, payload);
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
