//! How the server itself is, for its health page.

use std::time::{Duration, Instant};

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Authenticated;
use super::state::AppState;
use crate::actors::event_messages::CountSubscribers;
use crate::actors::metrics_messages::Backlog;
use crate::actors::registry_messages::Count;
use crate::db::{DatabaseKind, figures};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;
use crate::services::audit;
use crate::services::disk::{self, Space};

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database.
#[derive(Serialize, ToSchema)]
struct DatabaseHealth {
    /// `sqlite` or `postgres`.
    kind: &'static str,
    size_bytes: i64,
    /// How long it took to answer the smallest question.
    latency_ms: f64,
}

/// What waits to be written, sealed or told.
#[derive(Serialize, ToSchema)]
struct QueueHealth {
    /// Rows of what agents reported that wait to be written.
    reports_waiting: usize,
    /// Rows of the audit that are not sealed yet.
    audit_unsealed: i64,
    /// Notifications that are not delivered yet, those that are tried again later included.
    notifications_pending: i64,
    /// For how many seconds the oldest has been due.
    notifications_late_seconds: i64,
}

/// The disk with the data directory.
#[derive(Serialize, ToSchema)]
struct DiskHealth {
    free_bytes: u64,
    total_bytes: u64,
}

/// How the server is.
#[derive(Serialize, ToSchema)]
#[schema(as = System)]
struct SystemView {
    version: &'static str,
    /// The newest protocol of agents that it speaks.
    protocol: u32,
    started_at: DateTime<Utc>,
    uptime_seconds: i64,
    database: DatabaseHealth,
    queues: QueueHealth,
    agents_online: usize,
    tunnels_open: usize,
    event_streams: usize,
    /// None where the system does not tell.
    disk: Option<DiskHealth>,
}

async fn in_time<T>(what: &str, asked: impl Future<Output = T>) -> Result<T, AppError> {
    let answer = actix_web::rt::time::timeout(PATIENCE, asked).await;
    answer.map_err(|_| AppError::unavailable(format!("{what} does not answer")))
}

/// Shows how the server itself is.
#[utoipa::path(
    tag = "system",
    responses(
        (status = 200, description = "how it is", body = SystemView),
    ),
)]
#[get("/api/system")]
pub async fn show(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    // It tells of all clients together.
    who.require_at(Capability::ReadSystem, Place::default())?;
    let db = &state.db;
    let asked = Instant::now();
    in_time("the database", db.ping()).await??;
    let latency = asked.elapsed();
    let now = audit::now();
    let size_bytes = in_time("the database", figures::size_bytes(db)).await??;
    let audit_unsealed = in_time("the database", figures::unsealed(db)).await??;
    let waiting = in_time("the database", figures::deliveries(db, now)).await??;
    let late = waiting.due_since.map(|since| (now - since).num_seconds());
    let reports_waiting = in_time("the writer", state.writer.send(Backlog)).await??;
    let census = in_time("the registry", state.registry.send(Count)).await??;
    let event_streams = in_time("the hub", state.events.send(CountSubscribers)).await??;
    let disk = disk::space(&state.settings.data_dir);
    Ok(HttpResponse::Ok().json(SystemView {
        version: env!("CARGO_PKG_VERSION"),
        protocol: gururmm_shared::PROTOCOL,
        started_at: state.started_at,
        uptime_seconds: (now - state.started_at).num_seconds(),
        database: DatabaseHealth {
            kind: match db.kind() {
                DatabaseKind::Sqlite => "sqlite",
                DatabaseKind::Postgres => "postgres",
            },
            size_bytes,
            latency_ms: latency.as_secs_f64() * 1000.0,
        },
        queues: QueueHealth {
            reports_waiting,
            audit_unsealed,
            notifications_pending: waiting.pending,
            notifications_late_seconds: late.unwrap_or(0).max(0),
        },
        agents_online: census.agents,
        tunnels_open: census.sessions,
        event_streams,
        disk: disk.map(|Space { free, total }| DiskHealth {
            free_bytes: free,
            total_bytes: total,
        }),
    }))
}
