//! The one error of the HTTP rooms and its one mapping to RFC 9457 problem+json.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::DbError;

/// What a request is answered with when it cannot be done.
#[derive(Debug)]
pub struct AppError {
    /// HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people that says what to do.
    pub detail: String,
    /// The field of the body that is at fault.
    pub field: Option<String>,
    /// How far a transfer is, so that it can go on there.
    pub offset: Option<u64>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u64>,
}

impl AppError {
    /// An error of any kind.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            offset: None,
            retry_after: None,
        }
    }

    /// 400 for one field of the body.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = Some(field.into());
        Self {
            field,
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_field", detail)
        }
    }

    /// 400 for anything else malformed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 401.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {what}"),
        )
    }

    /// 412: somebody was faster.
    #[must_use]
    pub fn changed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "it was changed since you read it; read it again and repeat your change",
        )
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 429.
    pub fn too_many(code: &'static str, detail: impl Into<String>, after: Option<u64>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        Self {
            retry_after: after,
            ..error
        }
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self {
            retry_after: Some(5),
            ..error
        }
    }

    /// 503 where an error of the database says that its disk is full, for the caller to know what would help; nothing for
    /// any other error.
    #[must_use]
    pub fn of_full_disk(error: &DbError) -> Option<Self> {
        let (DbError::Unavailable(cause) | DbError::Other(cause)) = error else {
            return None;
        };
        let words = [
            "database or disk is full",
            "No space left on device",
            "Disk quota exceeded",
        ];
        words.iter().any(|word| cause.contains(word)).then(|| {
            let detail =
                "the server's disk is full, so nothing was done; make room there and try again";
            Self {
                retry_after: Some(30),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_disk_full", detail)
            }
        })
    }

    /// 500; the cause goes to the log and never to the caller.
    #[must_use]
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(error = %cause, "a request failed by a fault of the server");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "a fault of the server; look for the request id in its log",
        )
    }

    /// The answer, with the request's id in it.
    #[must_use]
    pub fn respond(&self, request_id: &str) -> HttpResponse {
        let problem = Problem {
            kind: format!("urn:gururmm:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
            offset: self.offset,
            request_id,
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let mut response = response.json(problem);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

/// RFC 9457, with `code`, `field`, `offset` and `request_id` as extension members.
#[derive(Serialize, ToSchema)]
pub struct Problem<'a> {
    /// `urn:gururmm:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A stable word for programs.
    code: &'static str,
    /// A sentence for people that says what to do.
    detail: &'a str,
    /// The field of the body, or the parameter of the query, that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// How far a transfer is: it can go on there.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// The request's id in the log.
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for AppError {}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.respond("")
    }
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        if let Some(full) = Self::of_full_disk(&error) {
            tracing::error!(%error, "the disk of the database is full");
            return full;
        }
        match error {
            DbError::Unavailable(cause) => {
                tracing::error!(error = %cause, "the database does not answer");
                Self::unavailable("the database does not answer; try again in a moment")
            }
            DbError::NotFound => Self::not_found("thing"),
            other => Self::internal(&other),
        }
    }
}

impl From<actix::MailboxError> for AppError {
    fn from(error: actix::MailboxError) -> Self {
        tracing::error!(%error, "an actor did not answer");
        Self::unavailable("the server is stopping or overloaded; try again in a moment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[actix_web::test]
    async fn an_error_is_problem_json_with_code_field_and_request_id() {
        let response = AppError::invalid_field("name", "must not be empty").respond("r-1");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            response.headers().get(header::CONTENT_TYPE).unwrap(),
            "application/problem+json"
        );
        let body = to_bytes(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:gururmm:problem:invalid_field");
        assert_eq!(body["field"], "name");
        assert_eq!(body["request_id"], "r-1");
    }

    #[test]
    fn a_full_disk_is_told_in_words_on_both_databases() {
        for error in [
            DbError::Unavailable("try again: database or disk is full".to_owned()),
            DbError::Other("could not extend file: No space left on device".to_owned()),
        ] {
            let told = AppError::from(error);
            assert_eq!((told.code, told.status.as_u16()), ("server_disk_full", 503));
        }
        let other = AppError::from(DbError::Unavailable("database is locked".to_owned()));
        assert_eq!(other.code, "unavailable");
    }

    #[actix_web::test]
    async fn the_cause_of_a_fault_is_never_sent() {
        let response = AppError::internal(&"password=hunter2").respond("");
        let body = to_bytes(response.into_body()).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
    }

    #[actix_web::test]
    async fn a_limit_says_when_to_come_back() {
        let response = AppError::too_many("too_many_attempts", "wait", Some(7)).respond("");
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "7");
    }
}
