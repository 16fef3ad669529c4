//! `Idempotency-Key` on POST: a request that comes again under its key is answered as the first
//! time and does nothing.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, to_bytes_limited};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use gururmm_shared::UserId;
use tracing::Instrument;
use uuid::Uuid;

use super::extract::{app_state, count, identify};
use super::problems::too_large;
use super::state::AppState;
use crate::db::Db;
use crate::db::idempotency_keys::{self, Claim};
use crate::domain::idempotency::{BODY_BYTES, Fingerprint, fingerprint, key_of};
use crate::error::AppError;
use crate::services::idempotency::{Taken, take};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On answers that were given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How often it is tried to tell the database that a request failed, and how long between two tries.
const GIVE_UP_TRIES: u32 = 60;
const GIVE_UP_PAUSE: Duration = Duration::from_secs(2);
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// What may keep its answers: those hold nothing that is shown only once. Every other POST is also done
/// only once, but its answer is not given again.
const KEPT: [&str; 28] = [
    "/api/agents/{id}/command",
    "/api/agents/{id}/move",
    "/api/agents/{id}/approve",
    "/api/agents/{id}/reject",
    "/api/agents/{id}/update",
    "/api/alerts/{id}/acknowledge",
    "/api/alerts/{id}/resolve",
    "/api/alerts/{id}/snooze",
    "/api/clients",
    "/api/commands/{id}/cancel",
    "/api/jobs",
    "/api/jobs/{id}/cancel",
    "/api/jobs/{id}/retry",
    "/api/maintenance",
    "/api/notifications/{id}/test",
    "/api/policies",
    "/api/rollouts",
    "/api/rollouts/{id}/advance",
    "/api/rollouts/{id}/pause",
    "/api/rollouts/{id}/resume",
    "/api/rollouts/{id}/stop",
    "/api/schedules",
    "/api/schedules/{id}/run",
    "/api/scripts",
    "/api/users",
    "/api/v1/tunnel/close",
    "/api/v1/tunnel/open",
    "/api/v1/tunnel/{session_id}/command",
];

/// The id that a request gives to what it makes.
#[derive(Debug, Clone, Copy)]
pub struct Once {
    /// The id.
    pub id: Uuid,
    /// Whether an earlier try, cut off by a crash or a fault, may have made it already.
    pub again: bool,
}

impl FromRequest for Once {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().copied();
        ready(Ok(known.unwrap_or_else(|| Self {
            id: Uuid::now_v7(),
            again: false,
        })))
    }
}

/// Middleware: carries a POST under a key out once. It is carried out to its end even if the one who asked
/// hangs up, for its answer is wanted the next time.
pub async fn once(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let header = request.headers().get(KEY).cloned();
    let Some(header) = header.filter(|_| is_api_post(&request)) else {
        return next.call(request).await.map(boxed);
    };
    match asked(&header, &mut request).await {
        Ok(Some(asked)) => {
            let work = carry_out(asked, request, next).in_current_span();
            actix_web::rt::spawn(work)
                .await
                .map_err(|error| AppError::internal(&error))?
        }
        // Who is not known has no keys; the handler refuses.
        Ok(None) => next.call(request).await.map(boxed),
        Err(error) => Ok(request.error_response(error)),
    }
}

fn is_api_post(request: &ServiceRequest) -> bool {
    request.method() == Method::POST && request.path().starts_with("/api/")
}

/// A request under a key, and whose it is.
struct Asked {
    state: Data<AppState>,
    user_id: UserId,
    key: String,
    fingerprint: Fingerprint,
}

async fn asked(
    header: &HeaderValue,
    request: &mut ServiceRequest,
) -> Result<Option<Asked>, AppError> {
    let state = app_state(request.request())?;
    let key = key_of(header.as_bytes()).ok_or_else(|| {
        let detail = "Idempotency-Key is 1 to 255 visible ASCII characters, a UUID for example";
        AppError::invalid_field("Idempotency-Key", detail)
    })?;
    let body = body_of(request, &state).await?;
    request.set_payload(Payload::from(body.clone()));
    // After the body, as everywhere: see `Signed`.
    let Ok(who) = identify(request.request()).await else {
        return Ok(None);
    };
    count(request.request(), &state, who.user.id)?;
    // What may be done with one API key is not answered to another.
    let credential = who.key.map(|key| key.to_string()).unwrap_or_default();
    let parts = [request.path().as_bytes(), &body, credential.as_bytes()];
    Ok(Some(Asked {
        fingerprint: fingerprint(&parts),
        user_id: who.user.id,
        state,
        key,
    }))
}

async fn carry_out(
    asked: Asked,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Asked { state, .. } = asked;
    let taken = take(
        &state.db,
        state.run,
        asked.user_id,
        asked.key,
        asked.fingerprint,
    )
    .await;
    let (claim, again) = match taken {
        Ok(Taken::New(claim)) => (claim, false),
        Ok(Taken::Again(claim)) => (claim, true),
        Ok(Taken::Done { status, body }) => return Ok(request.into_response(replay(status, body))),
        Err(error) => return Ok(request.error_response(error)),
    };
    request.extensions_mut().insert(Once {
        id: claim.subject.0,
        again,
    });
    let response = next.call(request).await.map(boxed);
    settle(&state, claim, again, response).await
}

fn boxed(response: ServiceResponse<impl MessageBody + 'static>) -> ServiceResponse<BoxBody> {
    response.map_into_boxed_body()
}

async fn body_of(request: &mut ServiceRequest, state: &AppState) -> Result<Bytes, AppError> {
    let most = state.settings.limits.json_body_bytes as usize;
    let payload = actix_web::body::BodyStream::new(request.take_payload());
    let body = actix_web::rt::time::timeout(BODY_TIMEOUT, to_bytes_limited(payload, most)).await;
    let body = body.map_err(|_| {
        let detail = "the body did not come within 15 s";
        AppError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
    })?;
    body.map_err(|_| too_large())?
        .map_err(|error| AppError::malformed(error.to_string()))
}

/// Keeps a success. What was refused did nothing, and its key is as new. After a fault of the server nobody
/// knows what was committed: the next try is carried out under the same id, and finds what there is.
async fn settle(
    state: &AppState,
    claim: Claim,
    again: bool,
    response: Result<ServiceResponse<BoxBody>, Error>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = match response {
        Ok(response) if response.status().is_success() => response,
        other => {
            let refused = is_refusal(&other);
            // What an earlier try may have made is not undone by a refusal of this one.
            if refused && !again {
                if let Err(error) = idempotency_keys::release(&state.db, claim).await {
                    tracing::warn!(%error, "an idempotency key could not be given back");
                }
            } else {
                give_up(state.db.clone(), claim).await;
            }
            return other;
        }
    };
    let status = response.status().as_u16();
    let pattern = response.request().match_pattern();
    let may_keep = pattern.is_some_and(|pattern| KEPT.contains(&pattern.as_str()));
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return Ok(ServiceResponse::new(request, head.set_body(body))),
    };
    let text = std::str::from_utf8(&bytes).ok().map(str::to_owned);
    let kept = text.filter(|text| may_keep && text.len() <= BODY_BYTES);
    let written = idempotency_keys::keep(&state.db, claim, status.into(), kept).await;
    if let Err(error) = written {
        tracing::warn!(%error, "an answer could not be kept for its idempotency key");
    }
    Ok(ServiceResponse::new(
        request,
        head.set_body(BoxBody::new(bytes)),
    ))
}

fn is_refusal(response: &Result<ServiceResponse<BoxBody>, Error>) -> bool {
    let status = match response {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    status.is_client_error()
}

/// Lets the next try of a request begin at once; while the database does not answer, it is told so later.
async fn give_up(db: Db, claim: Claim) {
    if idempotency_keys::give_up(&db, claim.clone()).await.is_ok() {
        return;
    }
    actix_web::rt::spawn(async move {
        for _ in 0..GIVE_UP_TRIES {
            actix_web::rt::time::sleep(GIVE_UP_PAUSE).await;
            if idempotency_keys::give_up(&db, claim.clone()).await.is_ok() {
                return;
            }
        }
        tracing::warn!("a request under an idempotency key cannot be repeated for some minutes");
    });
}

fn replay(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ))
        .insert_header((REPLAYED, HeaderValue::from_static("true")))
        .body(body)
}
