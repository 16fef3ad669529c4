//! The API's description, and pages that show it; everything comes from this server.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::Config;

use super::state::AppState;
use crate::error::AppError;

/// What the pages may load: only what comes from here. Swagger UI sets styles in its elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// The description as it is sent, and how the pages find it.
#[derive(Clone)]
pub struct Docs {
    document: Bytes,
    pages: Arc<Config<'static>>,
}

impl Docs {
    /// Writes the description out, once for all requests.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn new() -> serde_json::Result<Self> {
        let document = serde_json::to_vec(&super::openapi::document())?;
        // Where it is not said, the page would ask somebody else's server to check the document.
        let pages = Config::from("/api/openapi.json").validator_url("none");
        Ok(Self {
            document: document.into(),
            pages: Arc::new(pages),
        })
    }
}

fn enabled(state: &AppState) -> Result<(), AppError> {
    if state.settings.http.docs {
        return Ok(());
    }
    Err(AppError::not_found("path"))
}

/// Describes this API.
///
/// OpenAPI 3.1; 404 where `http.docs` is false.
#[utoipa::path(
    tag = "docs",
    responses((status = 200, description = "the document", body = Object), (status = 404, description = "`http.docs` is false")),
    security(())
)]
#[get("/api/openapi.json")]
pub async fn openapi(state: Data<AppState>, docs: Data<Docs>) -> Result<HttpResponse, AppError> {
    enabled(&state)?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(docs.document.clone()))
}

/// Shows this API's description.
///
/// Swagger UI with its own files; the page is `/api/docs/`.
#[utoipa::path(
    tag = "docs",
    params(("file" = String, Path, description = "a file of Swagger UI; none means the page")),
    responses(
        (status = 200, description = "the file", content((String = "text/html"), (String = "text/css"), (String = "text/javascript"), ("application/json"), ("image/png"))),
        (status = 404, description = "no such file, or `http.docs` is false")
    ),
    security(())
)]
#[get("/api/docs/{file:.*}")]
pub async fn page(
    state: Data<AppState>,
    docs: Data<Docs>,
    file: Path<String>,
) -> Result<HttpResponse, AppError> {
    enabled(&state)?;
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&docs.pages));
    let found = found.map_err(|error| AppError::internal(&error))?;
    let found = found.ok_or_else(|| AppError::not_found("path"))?;
    Ok(HttpResponse::Ok()
        .content_type(found.content_type)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(found.bytes.into_owned()))
}
