//! Signs of life for whoever watches the server.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::state::AppState;
use crate::actors::registry_messages::Count;
use crate::db::DatabaseKind;
use crate::error::AppError;
use crate::services::disk;

/// The process answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    status: &'static str,
}

/// Database and registry answer.
#[derive(Serialize, ToSchema)]
struct Ready {
    status: &'static str,
    database: &'static str,
    agents_online: usize,
    tunnels_open: usize,
}

/// Tells that the process answers.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "it does", body = Alive),
    ),
    security(()),
)]
#[get("/healthz")]
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "alive" })
}

/// Tells whether database and registry answer.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "they do", body = Ready),
        (status = 503, description = "the database does not answer"),
    ),
    security(()),
)]
#[get("/readyz")]
pub async fn ready(state: Data<AppState>) -> Result<HttpResponse, AppError> {
    let patience = std::time::Duration::from_secs(3);
    let pinged = actix_web::rt::time::timeout(patience, state.db.ping()).await;
    match pinged {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(AppError::unavailable("the database does not answer")),
    }
    let census = state.registry.send(Count).await?;
    Ok(HttpResponse::Ok().json(Ready {
        status: "ready",
        database: match state.db.kind() {
            DatabaseKind::Sqlite => "sqlite",
            DatabaseKind::Postgres => "postgres",
        },
        agents_online: census.agents,
        tunnels_open: census.sessions,
    }))
}

/// Shows figures for Prometheus.
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "the figures", body = String, content_type = "text/plain"),
    ),
    security(()),
)]
#[get("/metrics")]
pub async fn figures(state: Data<AppState>) -> HttpResponse {
    tell_room(&state).await;
    state.figures.run_upkeep();
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(state.figures.render())
}

/// How long the disk may take to say how much room it has: a network's may be away.
const DISK_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

async fn tell_room(state: &AppState) {
    let data_dir = state.settings.data_dir.clone();
    let asked = actix_web::web::block(move || disk::space(&data_dir));
    if let Ok(Ok(Some(space))) = actix_web::rt::time::timeout(DISK_PATIENCE, asked).await {
        #[allow(clippy::cast_precision_loss, reason = "a figure")]
        let free = space.free as f64;
        metrics::gauge!("gururmm_disk_free_bytes").set(free);
    }
}
