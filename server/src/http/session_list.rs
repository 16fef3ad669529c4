//! Sessions, open and past: a technician's own, an administrator's everybody's.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, SessionId, SiteId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Authenticated;
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::tech_sessions::{self, ListedSession, SessionFilter};
use crate::domain::role::Capability;
use crate::error::AppError;

/// A session in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedSession)]
struct ListedView {
    session_id: SessionId,
    agent_id: AgentId,
    hostname: String,
    tech_id: UserId,
    tech_email: String,
    /// `active` (it opens), `ready`, `closed` or `error`.
    status: String,
    opened_at: DateTime<Utc>,
    last_activity: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    close_reason: Option<String>,
}

impl From<ListedSession> for ListedView {
    fn from(listed: ListedSession) -> Self {
        let session = listed.session;
        Self {
            session_id: session.session_id,
            agent_id: session.agent_id,
            hostname: listed.hostname,
            tech_id: session.tech_id,
            tech_email: listed.tech_email,
            status: session.status,
            opened_at: session.opened_at,
            last_activity: session.last_activity,
            closed_at: session.closed_at,
            close_reason: session.close_reason,
        }
    }
}

/// Lists sessions, the newest first; technicians see their own.
#[utoipa::path(
    tag = "tunnels",
    operation_id = "sessions",
    params(list_parameters::Sessions),
    responses(
        (status = 200, description = "a page", body = Page<ListedView>),
    ),
)]
#[get("/api/sessions")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::UseTunnels)?;
    let asked = Listing::read::<list_parameters::Sessions>(&request)?;
    let mut filter = SessionFilter {
        scope: who.scope.clone(),
        tech_id: asked.id("tech_id", UserId)?,
        agent_id: asked.id("agent_id", AgentId)?,
        site_id: asked.id("site_id", SiteId)?,
        client_id: asked.id("client_id", ClientId)?,
        status: asked.choice("status", list_parameters::SESSION_STATUSES)?,
        words: asked.text("q")?,
        from: asked.time("from")?,
        to: asked.time("to")?,
    };
    if who.require(Capability::WatchTunnels).is_err() {
        let own = who.user.id;
        if filter.tech_id.is_some_and(|asked| asked != own) {
            return Ok(HttpResponse::Ok().json(Page::<ListedView>::whole(Vec::new())));
        }
        filter.tech_id = Some(own);
    }
    let rows = tech_sessions::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, ListedSession::position);
    Ok(HttpResponse::Ok().json(page.map(ListedView::from)))
}
