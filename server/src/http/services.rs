//! Services of a machine: what runs, and starting and stopping it.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post, put};
use garde::Validate;
use gururmm_shared::{Operation, Reply, ServiceAction, ServiceState, StartType};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Authenticated, Signed};
use super::operation_problems::senseless;
use super::page::Page;
use super::state::AppState;
use super::tunnel_work::{check_text, perform};
use crate::error::AppError;

/// What is to happen to a service.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ServiceControl)]
pub enum Control {
    /// It is to run.
    Start,
    /// It is to end.
    Stop,
    /// It is to end and run again.
    Restart,
}

impl From<Control> for ServiceAction {
    fn from(asked: Control) -> Self {
        match asked {
            Control::Start => Self::Start,
            Control::Stop => Self::Stop,
            Control::Restart => Self::Restart,
        }
    }
}

/// When a service is to start.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewStartType {
    #[garde(skip)]
    start_type: StartType,
}

/// What a write replaced.
#[derive(Serialize, ToSchema)]
pub struct Replaced {
    /// As it was; missing where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

/// What a write is answered with: what it replaced, so that it can be put back.
///
/// # Errors
/// 502: the agent answers something else.
pub fn replaced(reply: Reply) -> Result<HttpResponse, AppError> {
    let before = match reply {
        Reply::Done => None,
        Reply::Replaced { before } => before,
        _ => return Err(senseless()),
    };
    Ok(HttpResponse::Ok().json(Replaced { before }))
}

/// Lists the services of a machine.
#[utoipa::path(
    tag = "services",
    responses(
        (status = 200, description = "all of them", body = Page<ServiceState>),
        (status = 404, description = "no such session"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/services")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    match perform(&state, &who, *session_id, Operation::ServiceList).await? {
        Reply::Services { services } => Ok(HttpResponse::Ok().json(Page::whole(services))),
        _ => Err(senseless()),
    }
}

/// Tells about one service.
#[utoipa::path(
    tag = "services",
    responses(
        (status = 200, description = "the service", body = ServiceState),
        (status = 404, description = "no such session, or no such service"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/services/{name}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    path: Path<(uuid::Uuid, String)>,
) -> Result<HttpResponse, AppError> {
    let (session_id, name) = path.into_inner();
    check_text("name", &name)?;
    match perform(&state, &who, session_id, Operation::ServiceStat { name }).await? {
        Reply::Services { services } => match services.into_iter().next() {
            Some(service) => Ok(HttpResponse::Ok().json(service)),
            None => Err(AppError::not_found("service")),
        },
        _ => Err(senseless()),
    }
}

/// Starts, stops or restarts a service.
#[utoipa::path(
    tag = "services",
    responses(
        (status = 200, description = "it is done; `before` is its state before", body = Replaced),
        (status = 404, description = "no such session, or no such service"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/services/{name}/{action}")]
pub async fn act(
    who: Authenticated,
    state: Data<AppState>,
    path: Path<(uuid::Uuid, String, Control)>,
) -> Result<HttpResponse, AppError> {
    let (session_id, name, action) = path.into_inner();
    check_text("name", &name)?;
    let action = action.into();
    let asked = Operation::ServiceControl { name, action };
    replaced(perform(&state, &who, session_id, asked).await?)
}

/// Sets when a service starts.
#[utoipa::path(
    tag = "services",
    request_body = NewStartType,
    responses(
        (status = 200, description = "it is done; `before` is how it was", body = Replaced),
        (status = 404, description = "no such session, or no such service"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[put("/api/v1/tunnel/{session_id}/services/{name}/start-type")]
pub async fn set_start_type(
    state: Data<AppState>,
    path: Path<(uuid::Uuid, String)>,
    signed: Signed<NewStartType>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let (session_id, name) = path.into_inner();
    check_text("name", &name)?;
    let start_type = body.start_type;
    let set = Operation::ServiceStartType { name, start_type };
    replaced(perform(&state, &who, session_id, set).await?)
}
