//! What was written down about tunnels.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, AuditId, CommandId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::page::Page;
use super::sessions::own_session;
use super::state::AppState;
use crate::db::tunnel_audit::{self, Audit, AuditFilter};
use crate::domain::role::Capability;
use crate::domain::scope::Scope;
use crate::error::AppError;

const MOST: i64 = 1000;

/// A row as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow)]
struct AuditView {
    id: AuditId,
    at: DateTime<Utc>,
    action: String,
    user_id: Option<UserId>,
    user_email: String,
    agent_id: Option<AgentId>,
    agent_hostname: Option<String>,
    session_id: Option<SessionId>,
    command_id: Option<CommandId>,
    channel_id: Option<String>,
    detail: String,
    remote_addr: String,
    request_id: String,
    outcome: Option<String>,
    exit_code: Option<i32>,
    ended_at: Option<DateTime<Utc>>,
    /// What a write replaced.
    before: Option<String>,
    /// What a stream carried, both ways together.
    bytes: Option<i64>,
}

impl From<Audit> for AuditView {
    fn from(row: Audit) -> Self {
        Self {
            id: row.id,
            at: row.at,
            action: row.action,
            user_id: row.user_id,
            user_email: row.user_email,
            agent_id: row.agent_id,
            agent_hostname: row.agent_hostname.filter(|name| !name.is_empty()),
            session_id: row.session_id,
            command_id: row.command_id,
            channel_id: row.channel_id,
            detail: row.detail,
            remote_addr: row.remote_addr,
            request_id: row.request_id,
            outcome: row.outcome,
            exit_code: row.exit_code,
            ended_at: row.ended_at,
            before: row.before,
            bytes: row.bytes,
        }
    }
}

/// Which rows.
#[derive(Deserialize, IntoParams)]
pub struct Filter {
    session_id: Option<uuid::Uuid>,
    agent_id: Option<uuid::Uuid>,
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// Lists the audit of tunnels, newest first.
#[utoipa::path(
    tag = "audit",
    responses(
        (status = 200, description = "the rows", body = Page<AuditView>),
    ),
)]
#[get("/api/audit/tunnel")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    filter: Query<Filter>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadAudit)?;
    let limit = filter.limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(AppError::invalid_field(
            "limit",
            format!("limit is 1 to {MOST}"),
        ));
    }
    let filter = AuditFilter {
        session_id: filter.session_id.map(SessionId),
        agent_id: filter.agent_id.map(AgentId),
        scope: who.scope,
        limit,
    };
    let rows = tunnel_audit::list(&state.db, filter).await?;
    Ok(HttpResponse::Ok().json(Page::whole(rows.into_iter().map(AuditView::from).collect())))
}

/// Lists the audit of a session of the caller's, oldest first.
#[utoipa::path(
    tag = "audit",
    responses(
        (status = 200, description = "the rows", body = Page<AuditView>),
        (status = 404, description = "no such session"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/audit")]
pub async fn of_session(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let session_id = SessionId(session_id.into_inner());
    own_session(&state, &who, session_id, "audit").await?;
    let filter = AuditFilter {
        session_id: Some(session_id),
        agent_id: None,
        scope: Scope::Everything,
        limit: MOST,
    };
    let mut rows = tunnel_audit::list(&state.db, filter).await?;
    rows.reverse();
    Ok(HttpResponse::Ok().json(Page::whole(rows.into_iter().map(AuditView::from).collect())))
}
