//! Files of a machine as downloads: whole, or from where an earlier one broke off.

use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, get, head};
use gururmm_shared::{ChannelKind, ErrorCode, FileRead, Opened, Operation, OperationError, Reply};
use serde::Deserialize;
use utoipa::IntoParams;

use super::attachment::{attachment, name_of};
use super::byte_range::{Wanted, asked_version, entity_tag};
use super::extract::Authenticated;
use super::operation_problems::{of_session, senseless};
use super::pipe_body;
use super::problems::request_id;
use super::state::AppState;
use super::tunnel_work::{check_text, open, perform, try_open};
use crate::actors::stream_messages::{OpenedStream, StreamError};
use crate::error::AppError;

/// Which file.
#[derive(Deserialize, IntoParams)]
pub struct Content {
    /// Its absolute path.
    path: String,
}

/// Whose download of what.
struct Asked<'a> {
    state: &'a Data<AppState>,
    who: &'a Authenticated,
    session_id: uuid::Uuid,
    path: String,
}

/// What is answered.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each download, moved once"
)]
enum Found {
    /// A stream of `length` bytes from `offset` on.
    Part {
        stream: OpenedStream,
        offset: u64,
        length: u64,
        size: u64,
        partial: bool,
    },
    /// The file has none of the bytes that are wanted.
    Nothing { size: u64 },
}

impl Asked<'_> {
    fn read(&self, offset: u64, length: Option<u64>, version: Option<String>) -> ChannelKind {
        ChannelKind::FileRead(FileRead {
            path: self.path.clone(),
            offset,
            length,
            version,
        })
    }

    async fn whole(&self) -> Result<Found, AppError> {
        let read = self.read(0, None, None);
        let stream = open(self.state, self.who, self.session_id, read).await?;
        let size = stream.opened.size.ok_or_else(senseless)?;
        Ok(Found::Part {
            stream,
            offset: 0,
            length: size,
            size,
            partial: false,
        })
    }

    async fn size(&self) -> Result<u64, AppError> {
        let path = self.path.clone();
        let stat = Operation::FileStat { path };
        match perform(self.state, self.who, self.session_id, stat).await? {
            Reply::File { entry } => Ok(entry.size),
            _ => Err(senseless()),
        }
    }

    /// A range; the whole file where it is no longer the one that the range is asked of.
    async fn part(&self, wanted: Wanted, version: Option<String>) -> Result<Found, AppError> {
        let (offset, length) = match wanted {
            Wanted::Whole => return self.whole().await,
            Wanted::From { first, last } => {
                (first, last.map(|last| (last - first).saturating_add(1)))
            }
            Wanted::Suffix(_) => {
                let size = self.size().await?;
                match wanted.within(size) {
                    Some((offset, length)) => (offset, Some(length)),
                    None => return Ok(Found::Nothing { size }),
                }
            }
        };
        let read = self.read(offset, length, version);
        let opened = try_open(self.state, self.who, self.session_id, read).await?;
        let stream = match opened {
            Ok(stream) => stream,
            Err(StreamError::Failed(OperationError {
                code: ErrorCode::Changed,
                ..
            })) => return self.whole().await,
            Err(StreamError::Failed(OperationError {
                code: ErrorCode::BadOffset,
                ..
            })) => {
                let size = self.size().await?;
                return Ok(Found::Nothing { size });
            }
            Err(error) => return Err(of_session(&error)),
        };
        let size = stream.opened.size.ok_or_else(senseless)?;
        let last = length.map(|length| offset.saturating_add(length) - 1);
        let there = Wanted::From {
            first: offset,
            last,
        };
        Ok(match there.within(size) {
            None => {
                pipe_body::read_nothing(&stream.pipe).await;
                Found::Nothing { size }
            }
            Some((offset, length)) => Found::Part {
                stream,
                offset,
                length,
                size,
                partial: true,
            },
        })
    }
}

/// Downloads a file.
///
/// `Range` with a single range of bytes, `If-Range` with the `ETag` of an earlier answer. A connection that breaks
/// means that the file was not read to its end.
#[utoipa::path(
    tag = "files",
    params(
        ("Range" = Option<String>, Header, description = "a single range of bytes"),
        ("If-Range" = Option<String>, Header, description = "the `ETag` of what is there already: the whole file where it is another one by now"),
    ),
    responses(
        (status = 200, description = "the file", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "the range of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "no such session, or no such file"),
        (status = 409, description = "`session_closed`, `wrong_kind`, `unsupported`, `gone`"),
        (status = 416, description = "`range_not_satisfiable`: the file has none of these bytes; `Content-Range` tells its size"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/files/content")]
pub async fn content(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Content>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let path = asked.into_inner().path;
    check_text("path", &path)?;
    let asked = Asked {
        state: &state,
        who: &who,
        session_id: *session_id,
        path,
    };
    let header = |name| request.headers().get(name)?.to_str().ok();
    let wanted = Wanted::parse(header(header::RANGE));
    let version = header(header::IF_RANGE).map(asked_version);
    let found = match version.as_deref() {
        // No file is the one of an empty name.
        Some("") => asked.whole().await?,
        _ => asked.part(wanted, version).await?,
    };
    let patience = Duration::from_secs(state.settings.tunnel.viewer_stall_seconds.into());
    Ok(match found {
        Found::Nothing { size } => unsatisfiable(size, &request_id(&request)),
        Found::Part {
            stream,
            offset,
            length,
            size,
            partial,
        } => {
            let mut response = describe(&asked.path, &stream.opened);
            if partial {
                let last = (offset + length).saturating_sub(1);
                response.status(StatusCode::PARTIAL_CONTENT);
                let range = format!("bytes {offset}-{last}/{size}");
                response.insert_header((header::CONTENT_RANGE, range));
            }
            if length == 0 {
                pipe_body::read_nothing(&stream.pipe).await;
            }
            let body = pipe_body::body(stream.pipe, Some(length), patience);
            response.body(SizedStream::new(length, body))
        }
    })
}

/// Tells what a download would be.
#[utoipa::path(
    tag = "files",
    responses(
        (status = 200, description = "its headers"),
        (status = 404, description = "no such session, or no such file"),
        (status = 409, description = "`session_closed`, `wrong_kind`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[head("/api/v1/tunnel/{session_id}/files/content")]
pub async fn headers(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Content>,
) -> Result<HttpResponse, AppError> {
    let path = asked.into_inner().path;
    check_text("path", &path)?;
    let asked = Asked {
        state: &state,
        who: &who,
        session_id: *session_id,
        path,
    };
    let read = asked.read(0, Some(0), None);
    let stream = open(&state, &who, *session_id, read).await?;
    let size = stream.opened.size.ok_or_else(senseless)?;
    let mut response = describe(&asked.path, &stream.opened);
    // Its length, and no byte of it: there is no body for HEAD.
    let nothing = futures_util::stream::empty::<Result<_, pipe_body::Broken>>();
    pipe_body::read_nothing(&stream.pipe).await;
    Ok(response.body(SizedStream::new(size, nothing)))
}

fn describe(path: &str, opened: &Opened) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, attachment(name_of(path))))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(tag) = entity_tag(opened.version.as_deref()) {
        response.insert_header((header::ETAG, tag));
    }
    if let Some(modified) = opened.modified {
        let modified = std::time::SystemTime::from(modified);
        response.insert_header(header::LastModified(modified.into()));
    }
    response
}

pub(super) fn unsatisfiable(size: u64, request_id: &str) -> HttpResponse {
    let error = AppError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        format!("the file has {size} bytes, and none of those that were asked for"),
    );
    let mut response = error.respond(request_id);
    if let Ok(value) = header::HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}
