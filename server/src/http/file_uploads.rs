//! Uploads to a machine: in as many goes as it takes, each from where the one before broke off.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, put};
use chrono::{DateTime, Utc};
use gururmm_shared::{ChannelKind, ErrorCode, FileWrite, Operation, Reply};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Authenticated;
use super::operation_problems::{of_session, senseless};
use super::state::AppState;
use super::tunnel_work::{check_text, perform, try_open};
use super::upload_body::carry;
use crate::actors::stream_messages::StreamError;
use crate::domain::role::Capability;
use crate::error::AppError;

/// Which upload of what.
#[derive(Deserialize, IntoParams)]
pub struct Upload {
    /// The file's absolute path.
    path: String,
    /// Names the upload, so that it can go on: 1 to 64 of a-z, A-Z, 0-9, `-` and `_`.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    upload: String,
}

/// Where the bytes of a body go.
#[derive(Deserialize, IntoParams)]
pub struct Part {
    /// The file's absolute path.
    path: String,
    /// Names the upload, so that it can go on: 1 to 64 of a-z, A-Z, 0-9, `-` and `_`.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    upload: String,
    /// The whole file's size; a body that reaches it ends the upload.
    size: u64,
    /// Where the body begins in the file; 0 where it is missing.
    offset: Option<u64>,
    /// SHA-256 of the whole file in hexadecimal; another one refuses it.
    #[param(min_length = 64, max_length = 64, pattern = "^[0-9A-Fa-f]+$")]
    sha256: Option<String>,
    /// Whether an existing file is replaced.
    overwrite: Option<bool>,
    /// Permission bits in octal, as `644`, on Unix.
    #[param(pattern = "^[0-7]{1,4}$")]
    mode: Option<String>,
    /// When it was last changed.
    modified: Option<DateTime<Utc>>,
}

/// A file that was written.
#[derive(Serialize, ToSchema)]
struct WrittenFile {
    /// Its size.
    bytes: u64,
    /// SHA-256 of it in hexadecimal.
    sha256: Option<String>,
}

/// How far an upload is.
#[derive(Serialize, ToSchema)]
struct UploadProgress {
    /// Bytes that are on the disk.
    offset: u64,
}

fn check_upload(upload: &str) -> Result<(), AppError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=64).contains(&upload.len()) && upload.bytes().all(fits) {
        return Ok(());
    }
    let detail = "upload has 1 to 64 characters of a-z, A-Z, 0-9, '-' and '_'";
    Err(AppError::invalid_field("upload", detail))
}

fn mode_of(text: &str) -> Result<u32, AppError> {
    let mode = u32::from_str_radix(text, 8).ok();
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    mode.filter(|_| fits)
        .ok_or_else(|| AppError::invalid_field("mode", "mode is 1 to 4 octal digits, as 644"))
}

impl Part {
    /// What the agent is asked to write, and how many bytes come for it.
    fn check(self) -> Result<(FileWrite, u64), AppError> {
        check_text("path", &self.path)?;
        check_upload(&self.upload)?;
        let offset = self.offset.unwrap_or(0);
        let length = self.size.checked_sub(offset).ok_or_else(|| {
            AppError::invalid_field("offset", "offset is at most the whole file's size")
        })?;
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !self.sha256.as_ref().is_none_or(is_digest) {
            let detail = "sha256 has 64 hexadecimal digits";
            return Err(AppError::invalid_field("sha256", detail));
        }
        let write = FileWrite {
            path: self.path,
            upload: self.upload,
            offset,
            size: self.size,
            sha256: self.sha256.map(|digest| digest.to_ascii_lowercase()),
            overwrite: self.overwrite.unwrap_or(false),
            mode: self.mode.as_deref().map(mode_of).transpose()?,
            modified: self.modified,
        };
        Ok((write, length))
    }
}

/// A body whose sender dies would else end as if it were whole.
fn check_length(request: &HttpRequest, wanted: u64) -> Result<(), AppError> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length == wanted => Ok(()),
        Some(length) => Err(AppError::invalid_field(
            "Content-Length",
            format!("size less offset is {wanted}, but the body has {length} bytes"),
        )),
        None => Err(AppError::new(
            StatusCode::LENGTH_REQUIRED,
            "length_required",
            "send the body with a Content-Length of size less offset",
        )),
    }
}

/// Uploads a file, or goes on with an upload.
///
/// The bytes are written beside the file first; the body that reaches `size` has them checked, synced and put in its
/// place. What was written before a body broke off stays for the next one.
#[utoipa::path(
    tag = "files",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "it is in its place", body = WrittenFile),
        (status = 400, description = "malformed, `bad_name`; `incomplete_upload`: the body broke off, `offset` is how far it came"),
        (status = 404, description = "no such session, or no folder to put it in"),
        (status = 409, description = "`session_closed`, `already_exists`, `wrong_kind`, `unsupported`, `gone`; `bad_offset`: `offset` is where to go on"),
        (status = 411, description = "`length_required`"),
        (status = 422, description = "`bad_checksum`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
        (status = 507, description = "`disk_full`"),
    ),
)]
#[put("/api/v1/tunnel/{session_id}/files/content")]
pub async fn receive(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    part: Query<Part>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::UseTunnels)?;
    let (file, length) = part.into_inner().check()?;
    check_length(&request, length)?;
    let (offset, size) = (file.offset, file.size);
    let state_of_it = Operation::UploadState {
        path: file.path.clone(),
        upload: file.upload.clone(),
    };
    let kind = ChannelKind::FileWrite(file);
    let stream = match try_open(&state, &who, *session_id, kind).await? {
        Ok(stream) => stream,
        Err(error) => {
            let mut answer = of_session(&error);
            if matches!(&error, StreamError::Failed(error) if error.code == ErrorCode::BadOffset) {
                let right = perform(&state, &who, *session_id, state_of_it).await;
                if let Ok(Reply::Upload { offset }) = right {
                    answer.offset = Some(offset);
                }
            }
            return Err(answer);
        }
    };
    let closed = carry(&stream.pipe, &mut payload, Some(offset), Some(length)).await?;
    Ok(HttpResponse::Ok().json(WrittenFile {
        bytes: size,
        sha256: closed.sha256,
    }))
}

/// Tells how far an upload is, to go on with it.
#[utoipa::path(
    tag = "files",
    responses(
        (status = 200, description = "so far", body = UploadProgress),
        (status = 404, description = "no such session, or no such upload"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/files/upload")]
pub async fn progress(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    upload: Query<Upload>,
) -> Result<HttpResponse, AppError> {
    let Upload { path, upload } = upload.into_inner();
    check_text("path", &path)?;
    check_upload(&upload)?;
    let asked = Operation::UploadState { path, upload };
    match perform(&state, &who, *session_id, asked).await? {
        Reply::Upload { offset } => Ok(HttpResponse::Ok().json(UploadProgress { offset })),
        _ => Err(senseless()),
    }
}

/// Drops what an upload has written.
#[utoipa::path(
    tag = "files",
    operation_id = "drop_upload",
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "no such session, or no such upload"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[delete("/api/v1/tunnel/{session_id}/files/upload")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    upload: Query<Upload>,
) -> Result<HttpResponse, AppError> {
    let Upload { path, upload } = upload.into_inner();
    check_text("path", &path)?;
    check_upload(&upload)?;
    let asked = Operation::UploadDrop { path, upload };
    match perform(&state, &who, *session_id, asked).await? {
        Reply::Done => Ok(HttpResponse::NoContent().finish()),
        _ => Err(senseless()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part {
        Part {
            path: "/tmp/a".to_owned(),
            upload: "u-1".to_owned(),
            size: 10,
            offset: None,
            sha256: None,
            overwrite: None,
            mode: None,
            modified: None,
        }
    }

    #[test]
    fn a_part_says_how_many_bytes_come() {
        let (write, length) = part().check().unwrap();
        assert_eq!((write.offset, write.size, length), (0, 10, 10));
        let later = Part {
            offset: Some(10),
            ..part()
        };
        assert_eq!(later.check().unwrap().1, 0, "only the end is missing");
    }

    #[test]
    fn a_part_outside_of_its_limits_is_refused_by_the_name_of_its_field() {
        let mode = |mode: &str| Part {
            mode: Some(mode.to_owned()),
            ..part()
        };
        for (bad, field) in [
            (
                Part {
                    offset: Some(11),
                    ..part()
                },
                "offset",
            ),
            (
                Part {
                    path: String::new(),
                    ..part()
                },
                "path",
            ),
            (
                Part {
                    upload: "../u".to_owned(),
                    ..part()
                },
                "upload",
            ),
            (
                Part {
                    sha256: Some("ab".to_owned()),
                    ..part()
                },
                "sha256",
            ),
            (mode("888"), "mode"),
            (mode("+644"), "mode"),
            (mode("00644"), "mode"),
        ] {
            let error = bad.check().unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field));
        }
        assert_eq!(mode("4755").check().unwrap().0.mode, Some(0o4755));
    }
}
