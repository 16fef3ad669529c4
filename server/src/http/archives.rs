//! Whole folders of a machine, as tar archives that are made and unpacked on their way.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpResponse, get, put};
use gururmm_shared::{ArchiveRead, ArchiveWrite, ChannelKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::attachment::{attachment, name_of};
use super::extract::Authenticated;
use super::pipe_body;
use super::state::AppState;
use super::tunnel_work::{check_text, open};
use super::upload_body::carry;
use crate::error::AppError;

/// Which folder.
#[derive(Deserialize, IntoParams)]
pub struct Source {
    /// Its absolute path.
    path: String,
}

/// Where an archive is unpacked.
#[derive(Deserialize, IntoParams)]
pub struct Destination {
    /// The folder's absolute path; it is made if it is not there.
    path: String,
    /// Whether existing files are replaced.
    overwrite: Option<bool>,
}

/// An archive that was unpacked.
#[derive(Serialize, ToSchema)]
struct UnpackedArchive {
    /// Bytes of the archive.
    bytes: u64,
}

/// Downloads a folder as a tar archive.
///
/// A connection that breaks means that the archive is not whole.
#[utoipa::path(
    tag = "files",
    operation_id = "download_archive",
    responses(
        (status = 200, description = "the archive", body = Vec<u8>, content_type = "application/x-tar"),
        (status = 404, description = "no such session, or no such folder"),
        (status = 409, description = "`session_closed`, `wrong_kind`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/files/archive")]
pub async fn read(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Source>,
) -> Result<HttpResponse, AppError> {
    let path = asked.into_inner().path;
    check_text("path", &path)?;
    let name = format!("{}.tar", name_of(&path));
    let kind = ChannelKind::ArchiveRead(ArchiveRead { path });
    let stream = open(&state, &who, *session_id, kind).await?;
    let patience = Duration::from_secs(state.settings.tunnel.viewer_stall_seconds.into());
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/x-tar"))
        .insert_header((header::CONTENT_DISPOSITION, attachment(&name)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(pipe_body::body(stream.pipe, None, patience)))
}

/// Unpacks a tar archive into a folder.
#[utoipa::path(
    tag = "files",
    operation_id = "upload_archive",
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses(
        (status = 200, description = "it is unpacked", body = UnpackedArchive),
        (status = 400, description = "malformed, `bad_name`; `incomplete_upload`: the body broke off"),
        (status = 404, description = "no such session, or no folder to put it in"),
        (status = 409, description = "`session_closed`, `already_exists`, `wrong_kind`, `unsupported`, `gone`"),
        (status = 422, description = "`bad_archive`: it is damaged, or no archive"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
        (status = 507, description = "`disk_full`"),
    ),
)]
#[put("/api/v1/tunnel/{session_id}/files/archive")]
pub async fn write(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Destination>,
    mut payload: Payload,
) -> Result<HttpResponse, AppError> {
    let Destination { path, overwrite } = asked.into_inner();
    check_text("path", &path)?;
    let kind = ChannelKind::ArchiveWrite(ArchiveWrite {
        path,
        overwrite: overwrite.unwrap_or(false),
    });
    let stream = open(&state, &who, *session_id, kind).await?;
    carry(&stream.pipe, &mut payload, None, None).await?;
    let bytes = stream.pipe.sent();
    Ok(HttpResponse::Ok().json(UnpackedArchive { bytes }))
}
