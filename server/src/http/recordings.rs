//! Recordings of terminals: listed, shown, deleted.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get};
use chrono::{DateTime, Utc};
use gururmm_shared::{AgentId, ClientId, RecordingId, SessionId, SiteId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Authenticated;
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::state::AppState;
use crate::db::recordings::{self, Recording, RecordingFilter};
use crate::domain::recording::RecordingState;
use crate::domain::role::Capability;
use crate::error::AppError;
use crate::services::access;
use crate::services::recordings::{DeleteError, hex};

/// A recording as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Recording)]
struct RecordingView {
    id: RecordingId,
    session_id: SessionId,
    channel_id: String,
    agent_id: AgentId,
    agent_hostname: String,
    client_id: Option<ClientId>,
    site_id: Option<SiteId>,
    tech_id: UserId,
    tech_email: String,
    /// Empty for the machine's default.
    program: String,
    /// Whether what was typed is in it.
    with_input: bool,
    /// `recording`, `complete`, `interrupted`, `failed` or `deleted`.
    state: String,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    bytes: Option<i64>,
    /// As `sha256sum` prints it.
    sha256: Option<String>,
    /// From here on the terminal went on without being recorded.
    gap_from_ms: Option<i64>,
    /// Why it is not whole.
    problem: Option<String>,
    keep_until: DateTime<Utc>,
}

impl From<Recording> for RecordingView {
    fn from(row: Recording) -> Self {
        Self {
            id: row.id,
            session_id: row.session_id,
            channel_id: row.channel_id,
            agent_id: row.agent_id,
            agent_hostname: row.agent_hostname,
            client_id: row.client_id,
            site_id: row.site_id,
            tech_id: row.tech_id,
            tech_email: row.tech_email,
            program: row.program,
            with_input: row.with_input,
            state: row.state,
            started_at: row.started_at,
            ended_at: row.ended_at,
            duration_ms: row.duration_ms,
            bytes: row.bytes,
            sha256: row.sha256.as_deref().map(hex),
            gap_from_ms: row.gap_from_ms,
            problem: row.problem,
            keep_until: row.keep_until,
        }
    }
}

/// Finds a recording that the caller may have this done with: a technician only the own ones.
///
/// # Errors
/// 404, or 403.
pub(super) async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: RecordingId,
) -> Result<Recording, AppError> {
    // Who may have none is not told which there are.
    who.require(capability)?;
    let found = recordings::by_id(&state.db, id).await?;
    let recording = found.ok_or_else(|| AppError::not_found("recording"))?;
    let is_own = recording.tech_id == who.user.id;
    let place = recording.place();
    access::authorise_owned(who.role, &who.scope, capability, place, is_own)?;
    Ok(recording)
}

/// Lists recordings, the newest first; technicians see those of their own terminals.
#[utoipa::path(
    tag = "recordings",
    params(list_parameters::Recordings),
    responses(
        (status = 200, description = "a page", body = Page<RecordingView>),
    ),
)]
#[get("/api/recordings")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let capability = Capability::ReadRecordings;
    who.require(capability)?;
    let asked = Listing::read::<list_parameters::Recordings>(&request)?;
    let mut filter = RecordingFilter {
        scope: who.scope.clone(),
        tech_id: asked.id("tech_id", UserId)?,
        agent_id: asked.id("agent_id", AgentId)?,
        client_id: asked.id("client_id", ClientId)?,
        site_id: asked.id("site_id", SiteId)?,
        session_id: asked.id("session_id", SessionId)?,
        words: asked.text("q")?,
        state: asked.choice("state", RecordingState::NAMES)?,
        from: asked.time("from")?,
        to: asked.time("to")?,
    };
    if !who.role.may_with_others(capability) {
        let own = who.user.id;
        if filter.tech_id.is_some_and(|asked| asked != own) {
            return Ok(HttpResponse::Ok().json(Page::<RecordingView>::whole(Vec::new())));
        }
        filter.tech_id = Some(own);
    }
    let rows = recordings::list(&state.db, filter, asked.page()).await?;
    let page = asked.cut(rows, Recording::position);
    Ok(HttpResponse::Ok().json(page.map(RecordingView::from)))
}

/// Shows what is known of a recording.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 200, description = "the recording", body = RecordingView),
        (status = 404, description = "no such recording"),
    ),
)]
#[get("/api/recordings/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = RecordingId(id.into_inner());
    let recording = find(&state, &who, Capability::ReadRecordings, id).await?;
    Ok(HttpResponse::Ok().json(RecordingView::from(recording)))
}

/// Deletes a recording's files before their time; what is known of it stays.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such recording"),
        (status = 409, description = "`recording_runs`"),
    ),
)]
#[delete("/api/recordings/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
) -> Result<HttpResponse, AppError> {
    let id = RecordingId(id.into_inner());
    let recording = find(&state, &who, Capability::DeleteRecordings, id).await?;
    if recording.state == RecordingState::Recording.name() {
        return Err(AppError::conflict(
            "recording_runs",
            "the terminal is recorded still; close it first",
        ));
    }
    let deleted = state.recordings.delete(&recording, None).await;
    deleted.map_err(|error| match error {
        DeleteError::Database(error) => AppError::from(error),
        DeleteError::Disk(error) => AppError::internal(&error),
    })?;
    tracing::info!(recording.id = %id, user.id = %who.user.id, "recording deleted");
    Ok(HttpResponse::NoContent().finish())
}
