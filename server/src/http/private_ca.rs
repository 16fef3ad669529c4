//! The private authority of this server's certificate, for agents and tools that are to trust nobody else.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};

use super::state::AppState;
use crate::error::AppError;

/// Gives the authority's certificate. Whoever fetches it over the connection that it is to secure compares its
/// SHA-256 with the one in the server's log, or on the machine: `gururmm-server doctor`.
#[utoipa::path(
    tag = "system",
    responses(
        (
            status = 200,
            description = "the certificate, PEM; its SHA-256 (of the DER form) is the entity tag",
            body = String,
            content_type = "application/x-pem-file",
        ),
        (status = 404, description = "the server's certificate comes from no private authority"),
    ),
    security(()),
)]
#[get("/api/install/ca.pem")]
pub async fn certificate(state: Data<AppState>) -> Result<HttpResponse, AppError> {
    let ca = state.ca.as_ref().ok_or_else(|| {
        AppError::new(
            StatusCode::NOT_FOUND,
            "no_private_ca",
            "this server's certificate comes from no private authority, so there is none to pin",
        )
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/x-pem-file"))
        .insert_header((header::ETAG, format!("\"{}\"", ca.sha256)))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(ca.pem.clone()))
}
