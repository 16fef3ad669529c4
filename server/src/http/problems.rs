//! Turns every error into problem+json with the request's id, whoever made it.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing_actix_web::RequestId;

use crate::error::AppError;
use crate::services::request_limits::Standing;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The request's id as text.
pub fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Middleware: puts the request's id and its user's standing on every answer, and the id and into every problem.
pub async fn complete(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request_id(request.request());
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(error) = response.response().error() {
        let problem = problem_of(error, response.status());
        response = ServiceResponse::new(response.request().clone(), problem.respond(&id));
    }
    let standing = response.request().extensions().get::<Standing>().copied();
    let mut headers = vec![(REQUEST_ID, id)];
    if let Some(standing) = standing {
        headers.push((RATE_LIMIT, standing.state()));
        headers.push((RATE_LIMIT_POLICY, standing.policy()));
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Our own errors as they are; a library's by its status.
fn problem_of(error: &Error, status: StatusCode) -> AppError {
    if let Some(error) = error.as_error::<AppError>() {
        let mut same = AppError::new(error.status, error.code, error.detail.clone());
        same.field.clone_from(&error.field);
        same.offset = error.offset;
        same.retry_after = error.retry_after;
        return same;
    }
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        StatusCode::NOT_FOUND => AppError::not_found("path"),
        status if status.is_client_error() => AppError::new(status, "malformed", error.to_string()),
        _ => AppError::internal(error),
    }
}

/// A body over its limit.
pub fn too_large() -> AppError {
    AppError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "the body is over its limit (limits.json_body_bytes)",
    )
}

/// A body that is no JSON or not of the shape.
pub fn bad_json(error: JsonPayloadError) -> Error {
    match &error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            too_large().into()
        }
        JsonPayloadError::ContentType => {
            AppError::malformed("send the body as content-type: application/json").into()
        }
        _ => AppError::malformed(error.to_string()).into(),
    }
}

/// A query string that is not of the shape.
pub fn bad_query(error: QueryPayloadError, _: &HttpRequest) -> Error {
    AppError::malformed(error.to_string()).into()
}

/// An id in the path that is none.
pub fn bad_path(error: PathError, _: &HttpRequest) -> Error {
    AppError::new(
        StatusCode::BAD_REQUEST,
        "malformed_id",
        format!("bad path: {error}"),
    )
    .into()
}
