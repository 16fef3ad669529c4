//! Signs of life for whoever watches the server.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::json;

use super::state::AppState;
use crate::actors::registry_messages::Count;
use crate::db::DatabaseKind;
use crate::error::AppError;

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// Database and registry answer.
pub async fn ready(state: Data<AppState>) -> Result<HttpResponse, AppError> {
    let patience = std::time::Duration::from_secs(3);
    let pinged = actix_web::rt::time::timeout(patience, state.db.ping()).await;
    match pinged {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(AppError::unavailable("the database does not answer")),
    }
    let census = state.registry.send(Count).await?;
    Ok(HttpResponse::Ok().json(json!({
        "status": "ready",
        "database": match state.db.kind() {
            DatabaseKind::Sqlite => "sqlite",
            DatabaseKind::Postgres => "postgres",
        },
        "agents_online": census.agents,
        "tunnels_open": census.sessions,
    })))
}

/// Figures for Prometheus.
pub async fn figures(state: Data<AppState>) -> HttpResponse {
    state.figures.run_upkeep();
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(state.figures.render())
}
