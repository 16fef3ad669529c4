//! How what goes wrong with streams and requests in a tunnel is answered: one mapping for all of them.

use actix_web::http::StatusCode;
use gururmm_shared::{ErrorCode, OperationError};

use super::sessions::closed;
use crate::actors::stream_messages::StreamError;
use crate::error::AppError;

/// The answer to what the machine says went wrong.
pub fn of_operation(error: &OperationError) -> AppError {
    let (status, code) = match error.code {
        ErrorCode::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        ErrorCode::AlreadyExists => (StatusCode::CONFLICT, "already_exists"),
        ErrorCode::PermissionDenied => (StatusCode::FORBIDDEN, "machine_permission_denied"),
        ErrorCode::NotAllowed => (StatusCode::FORBIDDEN, "not_allowed"),
        ErrorCode::BadName => (StatusCode::BAD_REQUEST, "bad_name"),
        ErrorCode::WrongKind => (StatusCode::CONFLICT, "wrong_kind"),
        ErrorCode::NotEmpty => (StatusCode::CONFLICT, "not_empty"),
        ErrorCode::Changed => (StatusCode::CONFLICT, "changed"),
        ErrorCode::BadChecksum => (StatusCode::UNPROCESSABLE_ENTITY, "bad_checksum"),
        ErrorCode::BadArchive => (StatusCode::UNPROCESSABLE_ENTITY, "bad_archive"),
        ErrorCode::BadOffset => (StatusCode::CONFLICT, "bad_offset"),
        ErrorCode::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        ErrorCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        ErrorCode::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
        ErrorCode::Unreachable => (StatusCode::BAD_GATEWAY, "unreachable"),
        ErrorCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_channels"),
        ErrorCode::Unsupported => (StatusCode::CONFLICT, "unsupported"),
        ErrorCode::Gone => (StatusCode::CONFLICT, "gone"),
        ErrorCode::Cancelled => (StatusCode::CONFLICT, "cancelled"),
        ErrorCode::Failed => (StatusCode::BAD_GATEWAY, "failed"),
    };
    AppError::new(status, code, error.message.clone())
}

/// The answer to why a session does not open a stream, or ask for something.
pub fn of_session(error: &StreamError) -> AppError {
    let detail = error.to_string();
    match error {
        StreamError::Closed => closed(),
        StreamError::Refused(_) => AppError::forbidden("feature_not_allowed", detail),
        StreamError::Unsupported(_) => AppError::conflict("unsupported", detail),
        StreamError::TooMany(_) => AppError::too_many("too_many_channels", detail, None),
        StreamError::TooFast(_) => AppError::too_many("too_many_operations", detail, Some(1)),
        StreamError::AuditUnavailable => AppError::unavailable(detail),
        StreamError::TimedOut(_) => AppError::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", detail),
        StreamError::Failed(error) => of_operation(error),
    }
}

/// An agent that answers something else than it was asked.
pub fn senseless() -> AppError {
    AppError::new(
        StatusCode::BAD_GATEWAY,
        "failed",
        "the agent answered what does not fit the question; is it older than the server?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::streams::Refused;

    #[test]
    fn errors_of_the_machine_have_their_status() {
        for (code, status, word) in [
            (ErrorCode::NotFound, 404, "not_found"),
            (ErrorCode::AlreadyExists, 409, "already_exists"),
            (
                ErrorCode::PermissionDenied,
                403,
                "machine_permission_denied",
            ),
            (ErrorCode::NotAllowed, 403, "not_allowed"),
            (ErrorCode::BadName, 400, "bad_name"),
            (ErrorCode::WrongKind, 409, "wrong_kind"),
            (ErrorCode::NotEmpty, 409, "not_empty"),
            (ErrorCode::BadChecksum, 422, "bad_checksum"),
            (ErrorCode::BadArchive, 422, "bad_archive"),
            (ErrorCode::BadOffset, 409, "bad_offset"),
            (ErrorCode::DiskFull, 507, "disk_full"),
            (ErrorCode::TooLarge, 413, "too_large"),
            (ErrorCode::TimedOut, 504, "timed_out"),
            (ErrorCode::Unreachable, 502, "unreachable"),
            (ErrorCode::Unsupported, 409, "unsupported"),
            (ErrorCode::Gone, 409, "gone"),
            (ErrorCode::Failed, 502, "failed"),
        ] {
            let error = of_operation(&OperationError::new(code, "why"));
            assert_eq!((error.status.as_u16(), error.code), (status, word));
            assert_eq!(error.detail, "why");
        }
    }

    #[test]
    fn refusals_of_the_session_say_what_to_do() {
        let refused = of_session(&StreamError::Refused(Refused::ReadOnly));
        assert_eq!(
            (refused.status.as_u16(), refused.code),
            (403, "feature_not_allowed")
        );
        assert!(refused.detail.contains("ask an administrator"));
        let fast = of_session(&StreamError::TooFast(3000));
        assert_eq!((fast.status.as_u16(), fast.retry_after), (429, Some(1)));
        let failed = StreamError::Failed(OperationError::new(ErrorCode::DiskFull, "full"));
        assert_eq!(of_session(&failed).status.as_u16(), 507);
    }
}
