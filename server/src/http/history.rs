//! An agent's past load.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Duration, Utc};
use gururmm_shared::AgentId;
use serde::Serialize;
use utoipa::ToSchema;

use super::agent_view::LoadView;
use super::extract::Authenticated;
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::agents;
use crate::db::metrics::Metrics;
use crate::db::metrics_history::{Past, Rollup, Span, hours, minutes, samples};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

/// What many samples come to.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadSpan)]
struct SpanView {
    avg: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

/// The samples of a minute or of an hour.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadRollup)]
struct RollupView {
    at: DateTime<Utc>,
    samples: i64,
    cpu_percent: SpanView,
    memory_used_bytes: WholeSpanView,
    memory_total_bytes: Option<i64>,
    disk_used_bytes: WholeSpanView,
    disk_total_bytes: Option<i64>,
    network_rx_bytes: WholeSpanView,
    network_tx_bytes: WholeSpanView,
}

/// What many samples of whole numbers come to.
#[derive(Serialize, ToSchema)]
#[schema(as = WholeSpan)]
struct WholeSpanView {
    avg: Option<f64>,
    min: Option<i64>,
    max: Option<i64>,
}

/// A point of a history: a sample with `step` `raw`, else what many came to.
#[derive(Serialize)]
#[serde(untagged)]
#[derive(ToSchema)]
#[schema(as = LoadPoint)]
enum PointView {
    /// Of a minute or of an hour.
    Rollup(Box<RollupView>),
    /// As it came.
    Sample(Box<LoadView>),
}

/// A page of a history.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadHistory)]
struct HistoryView {
    agent_id: AgentId,
    step: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    items: Vec<PointView>,
    next_cursor: Option<String>,
}

fn sample(row: &Metrics) -> PointView {
    PointView::Sample(Box::new(LoadView {
        at: row.recorded_at,
        cpu_percent: row.cpu_percent,
        memory_used_bytes: row.memory_used_bytes,
        memory_total_bytes: row.memory_total_bytes,
        disk_used_bytes: row.disk_used_bytes,
        disk_total_bytes: row.disk_total_bytes,
        network_rx_bytes: row.network_rx_bytes,
        network_tx_bytes: row.network_tx_bytes,
        uptime_seconds: row.uptime_seconds,
    }))
}

fn whole(&(avg, min, max): &Span<i64>) -> WholeSpanView {
    WholeSpanView { avg, min, max }
}

fn rollup(row: &Rollup) -> PointView {
    let (avg, min, max) = row.cpu;
    PointView::Rollup(Box::new(RollupView {
        at: row.at,
        samples: row.samples,
        cpu_percent: SpanView { avg, min, max },
        memory_used_bytes: whole(&row.memory_used),
        memory_total_bytes: row.memory_total_bytes,
        disk_used_bytes: whole(&row.disk_used),
        disk_total_bytes: row.disk_total_bytes,
        network_rx_bytes: whole(&row.network_rx),
        network_tx_bytes: whole(&row.network_tx),
    }))
}

/// Shows an agent's past load.
#[utoipa::path(
    tag = "agents",
    operation_id = "history",
    params(list_parameters::History),
    responses(
        (status = 200, description = "a page", body = HistoryView),
        (status = 404, description = "no such agent"),
    ),
)]
#[get("/api/agents/{id}/metrics")]
pub async fn of_agent(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let agent_id = AgentId(id.into_inner());
    let found = agents::located(&state.db, agent_id).await?;
    let (_, place) = found.ok_or_else(|| AppError::not_found("agent"))?;
    who.require_at(Capability::ReadFleet, place)?;
    let asked = Listing::read::<list_parameters::History>(&request)?;
    let step = asked.choice("step", list_parameters::STEPS)?;
    let step = step.unwrap_or_else(|| "raw".to_owned());
    let usual = match step.as_str() {
        "raw" => Duration::hours(1),
        "1m" => Duration::days(1),
        _ => Duration::days(30),
    };
    let to: DateTime<Utc> = asked.time("to")?.unwrap_or_else(audit::now);
    let from = asked.time("from")?.unwrap_or(to - usual);
    if from >= to {
        return Err(AppError::invalid_field("from", "from must be before to"));
    }
    let past = Past { agent_id, from, to };
    let Page { items, next_cursor } = match step.as_str() {
        "raw" => asked
            .cut(
                samples(&state.db, past, asked.page()).await?,
                Metrics::position,
            )
            .map(|row| sample(&row)),
        "1m" => asked
            .cut(
                minutes(&state.db, past, asked.page()).await?,
                Rollup::position,
            )
            .map(|row| rollup(&row)),
        _ => asked
            .cut(
                hours(&state.db, past, asked.page()).await?,
                Rollup::position,
            )
            .map(|row| rollup(&row)),
    };
    Ok(HttpResponse::Ok().json(HistoryView {
        agent_id,
        step,
        from,
        to,
        items,
        next_cursor,
    }))
}
