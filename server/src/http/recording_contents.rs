//! What a recording holds: its file, its index, a search in it. Who looked is in the audit before
//! anything is shown.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use futures_util::stream;
use gururmm_shared::RecordingId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::recordings::find;
use super::state::AppState;
use crate::db::audit_log::{NewEntry, Stage};
use crate::db::recordings::Recording;
use crate::domain::recording::{Entry, Found, RecordingState};
use crate::domain::role::Capability;
use crate::domain::text::check_name;
use crate::error::AppError;
use crate::services::audit_trail::{by, require};
use crate::services::recordings::reading::{Lines, ReadError};

/// asciicast v2's.
const CAST: &str = "application/x-asciicast";
/// Characters to look for.
const SEARCH_CHARS: usize = 200;

/// A recording that the caller may look into, with a row in the audit that says so.
async fn look_into(
    state: &AppState,
    who: &Authenticated,
    id: uuid::Uuid,
    detail: serde_json::Value,
) -> Result<Recording, AppError> {
    let id = RecordingId(id);
    let recording = find(state, who, Capability::ReadRecordings, id).await?;
    if recording.state == RecordingState::Deleted.name() {
        return Err(gone());
    }
    let entry = NewEntry {
        agent_id: Some(recording.agent_id),
        agent_hostname: Some(recording.agent_hostname.clone()),
        client_id: recording.client_id,
        site_id: recording.site_id,
        session_id: Some(recording.session_id),
        target: id.to_string(),
        detail: detail.to_string(),
        outcome: Some("ok".to_owned()),
        ..by(Stage::Event, "recording.read", &who.caller)
    };
    require(&state.db, entry).await?;
    Ok(recording)
}

fn gone() -> AppError {
    let detail = "the recording's files were deleted; what is left of it is its row and the audit";
    AppError::new(StatusCode::GONE, "recording_deleted", detail)
}

fn unread(error: ReadError) -> AppError {
    match error {
        ReadError::Gone => gone(),
        ReadError::NoLine(_) => AppError::invalid_field("from", error.to_string()),
        ReadError::Busy => AppError::unavailable(error.to_string()),
        ReadError::Disk(cause) => AppError::internal(&cause),
    }
}

/// Where to begin.
#[derive(Deserialize, IntoParams)]
pub struct CastPart {
    /// An `offset` of the index; 0 is the header.
    #[serde(default)]
    #[param(minimum = 0)]
    from: u64,
}

/// Gives the recording as a file, of one that is written what is there so far.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 200, description = "asciicast v2", content((String = "application/x-asciicast"))),
        (status = 404, description = "no such recording"),
        (status = 410, description = "`recording_deleted`"),
    ),
)]
#[get("/api/recordings/{id}/cast")]
pub async fn cast(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    part: Query<CastPart>,
) -> Result<HttpResponse, AppError> {
    let detail = json!({"from": part.from});
    let recording = look_into(&state, &who, id.into_inner(), detail).await?;
    let lines = state.recordings.open(&recording, part.from).await;
    let lines = lines.map_err(unread)?;
    let length = lines.left();
    let body = stream::try_unfold(lines, async |lines: Lines| {
        lines.next().await.inspect_err(|error| {
            tracing::error!(%error, "a recording that is sent was broken off");
        })
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, CAST))
        .insert_header((header::CONTENT_DISPOSITION, disposition(&recording)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .no_chunking(length)
        .streaming(body))
}

/// A name for the file; a host name may hold anything.
fn disposition(recording: &Recording) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let host: String = recording.agent_hostname.chars().filter(plain).collect();
    let at = recording.started_at.format("%Y%m%dT%H%M%SZ");
    let channel = &recording.channel_id;
    format!("attachment; filename=\"{host}-{at}-{channel}.cast\"")
}

/// For which moment.
#[derive(Deserialize, IntoParams)]
pub struct Moment {
    /// Seconds since the beginning: the last key frame before it is told, too.
    #[param(minimum = 0)]
    at: Option<f64>,
}

/// The index of a recording.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordingIndex)]
struct IndexView {
    /// At most 5,000, thinned out where there are more; without the states of key frames.
    entries: Vec<Entry>,
    /// The last key frame up to the time that was asked for, with its state.
    key_frame: Option<Entry>,
}

/// Gives the index of a recording, and the screen to begin a moment with.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 200, description = "the index", body = IndexView),
        (status = 404, description = "no such recording"),
        (status = 410, description = "`recording_deleted`"),
    ),
)]
#[get("/api/recordings/{id}/index")]
pub async fn index(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    moment: Query<Moment>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadRecordings)?;
    let at = moment.at.filter(|at| at.is_finite());
    if at != moment.at {
        return Err(AppError::invalid_field("at", "at is a number of seconds"));
    }
    let detail = json!({"index": true, "at": at});
    let recording = look_into(&state, &who, id.into_inner(), detail).await?;
    let index = state.recordings.index(&recording, at).await;
    let index = index.map_err(unread)?;
    Ok(HttpResponse::Ok().json(IndexView {
        entries: index.entries,
        key_frame: index.key_frame,
    }))
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
pub struct Wanted {
    /// A text, whatever the case of its ASCII letters.
    #[param(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"
    )]
    text: String,
    /// `next_from` of the answer before.
    #[serde(default)]
    #[param(minimum = 0)]
    from: u64,
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordingMatches)]
struct MatchesView {
    items: Vec<Found>,
    /// Where to go on; none where all was looked through.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_from: Option<u64>,
}

/// Searches in what a terminal showed.
#[utoipa::path(
    tag = "recordings",
    responses(
        (status = 200, description = "up to 200 matches of up to 64 MiB", body = MatchesView),
        (status = 404, description = "no such recording"),
        (status = 410, description = "`recording_deleted`"),
    ),
)]
#[get("/api/recordings/{id}/search")]
pub async fn search(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadRecordings)?;
    let Wanted { text, from } = wanted.into_inner();
    check_name(&text, SEARCH_CHARS)
        .map_err(|why| AppError::invalid_field("text", format!("text {why}")))?;
    let detail = json!({"search": text, "from": from});
    let recording = look_into(&state, &who, id.into_inner(), detail).await?;
    let matches = state.recordings.search(&recording, text, from).await;
    let matches = matches.map_err(unread)?;
    Ok(HttpResponse::Ok().json(MatchesView {
        items: matches.found,
        next_from: matches.next,
    }))
}
