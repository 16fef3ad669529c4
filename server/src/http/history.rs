//! An agent's past load.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Duration, Utc};
use gururmm_shared::AgentId;
use serde::Serialize;
use serde_json::{Value, json};

use super::extract::Authenticated;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::agents;
use crate::db::metrics::Metrics;
use crate::db::metrics_history::{HistorySort, Past, Rollup, Span, hours, minutes, samples};
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::audit;

fn sample(row: &Metrics) -> Value {
    json!({
        "at": row.recorded_at,
        "cpu_percent": row.cpu_percent,
        "memory_used_bytes": row.memory_used_bytes,
        "memory_total_bytes": row.memory_total_bytes,
        "disk_used_bytes": row.disk_used_bytes,
        "disk_total_bytes": row.disk_total_bytes,
        "network_rx_bytes": row.network_rx_bytes,
        "network_tx_bytes": row.network_tx_bytes,
        "uptime_seconds": row.uptime_seconds,
    })
}

fn span<T: Serialize>(span: &Span<T>) -> Value {
    let (avg, min, max) = span;
    json!({ "avg": avg, "min": min, "max": max })
}

fn rollup(row: &Rollup) -> Value {
    json!({
        "at": row.at,
        "samples": row.samples,
        "cpu_percent": span(&row.cpu),
        "memory_used_bytes": span(&row.memory_used),
        "memory_total_bytes": row.memory_total_bytes,
        "disk_used_bytes": span(&row.disk_used),
        "disk_total_bytes": row.disk_total_bytes,
        "network_rx_bytes": span(&row.network_rx),
        "network_tx_bytes": span(&row.network_tx),
    })
}

/// GET /api/agents/:id/metrics
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
    let asked = Listing::<HistorySort>::read(&request, &["from", "to", "step"])?;
    let step = asked.choice("step", &["raw", "1m", "1h"])?;
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
    Ok(HttpResponse::Ok().json(json!({
        "agent_id": agent_id,
        "step": step,
        "from": from,
        "to": to,
        "items": items,
        "next_cursor": next_cursor,
    })))
}
