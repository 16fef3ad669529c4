//! Processes of a machine: what runs, and ending it.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post};
use garde::Validate;
use gururmm_shared::{Operation, ProcessInfo, Reply};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::operation_problems::senseless;
use super::page::Page;
use super::state::AppState;
use super::tunnel_work::perform;
use crate::error::AppError;

/// Which process of that number.
#[derive(Deserialize, Validate, ToSchema)]
pub struct ProcessEnd {
    /// When it started, as the list told it: another process of that number is left alone.
    #[garde(skip)]
    started: u64,
}

/// Lists the processes of a machine.
#[utoipa::path(
    tag = "processes",
    responses(
        (status = 200, description = "all of them", body = Page<ProcessInfo>),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/processes")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    match perform(&state, &who, *session_id, Operation::ProcessList).await? {
        Reply::Processes { processes } => Ok(HttpResponse::Ok().json(Page::whole(processes))),
        _ => Err(senseless()),
    }
}

/// Ends a process.
#[utoipa::path(
    tag = "processes",
    request_body = ProcessEnd,
    responses(
        (status = 204, description = "it has ended"),
        (status = 404, description = "no such session, or no such process, or another one has that number by now"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/processes/{pid}/kill")]
pub async fn kill(
    state: Data<AppState>,
    path: Path<(uuid::Uuid, u32)>,
    signed: Signed<ProcessEnd>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let (session_id, pid) = path.into_inner();
    let started = body.started;
    let kill = Operation::ProcessKill { pid, started };
    match perform(&state, &who, session_id, kill).await? {
        Reply::Done => Ok(HttpResponse::NoContent().finish()),
        _ => Err(senseless()),
    }
}
