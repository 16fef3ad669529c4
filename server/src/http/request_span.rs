//! The span of a request, and so of a whole WebSocket connection: what the log says of it.

use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::extract::remote_address;

/// Method, path, id and whence it came; never the query, which may hold a ticket.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request
            .extensions()
            .get::<RequestId>()
            .map(ToString::to_string);
        tracing::info_span!(
            "request",
            method = %request.method(),
            path = request.path(),
            request.id = id,
            client = %remote_address(request.request()),
            agent.id = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        metrics::counter!("gururmm_http_requests_total", "status" => status.as_str().to_owned())
            .increment(1);
        span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    }
}
