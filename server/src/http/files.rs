//! Files of a machine: what is there, and changes that need no bytes.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, delete, get, post};
use garde::Validate;
use gururmm_shared::{FileInfo, Operation, Reply};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Authenticated, Signed};
use super::operation_problems::senseless;
use super::page::Page;
use super::state::AppState;
use super::tunnel_work::{check_text, perform};
use crate::error::AppError;

/// Files that a page has at most.
const MOST: u32 = 1000;
/// And where the request does not say.
const DEFAULT: u32 = 500;

/// Which page of which folder.
#[derive(Deserialize, IntoParams)]
pub struct Folder {
    /// Its absolute path.
    path: String,
    /// The name after which the page begins: `next_cursor` of the page before.
    after: Option<String>,
    /// How many files the page has at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Which file.
#[derive(Deserialize, IntoParams)]
pub struct File {
    /// Its absolute path.
    path: String,
}

/// What is to be deleted.
#[derive(Deserialize, IntoParams)]
pub struct Deletion {
    /// Its absolute path.
    path: String,
    /// Whether a folder goes with what is in it.
    recursive: Option<bool>,
}

/// A folder to be made.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewFolder {
    #[garde(skip)]
    path: String,
    /// Whether missing folders above it are made, and an existing one is as good.
    #[garde(skip)]
    parents: Option<bool>,
}

/// A file to be renamed.
#[derive(Deserialize, Validate, ToSchema)]
pub struct Renaming {
    #[garde(skip)]
    from: String,
    #[garde(skip)]
    to: String,
    /// Whether an existing file is replaced.
    #[garde(skip)]
    overwrite: Option<bool>,
}

/// What is done and has nothing to tell.
fn done(reply: &Reply) -> Result<HttpResponse, AppError> {
    match reply {
        Reply::Done | Reply::Replaced { .. } => Ok(HttpResponse::NoContent().finish()),
        _ => Err(senseless()),
    }
}

/// Lists a folder, by name.
#[utoipa::path(
    tag = "files",
    responses(
        (status = 200, description = "a page", body = Page<FileInfo>),
        (status = 404, description = "no such session, or no such folder"),
        (status = 409, description = "`session_closed`, `wrong_kind`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/files")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Folder>,
) -> Result<HttpResponse, AppError> {
    let Folder { path, after, limit } = asked.into_inner();
    check_text("path", &path)?;
    let limit = limit.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&limit) {
        return Err(AppError::invalid_field(
            "limit",
            format!("limit is 1 to {MOST}"),
        ));
    }
    let list = Operation::FileList { path, after, limit };
    match perform(&state, &who, *session_id, list).await? {
        Reply::Files { entries, more } => {
            let last = entries.last().filter(|_| more);
            Ok(HttpResponse::Ok().json(Page {
                next_cursor: last.map(|file| file.name.clone()),
                items: entries,
            }))
        }
        _ => Err(senseless()),
    }
}

/// Tells about one file; a link is not followed.
#[utoipa::path(
    tag = "files",
    responses(
        (status = 200, description = "the file", body = FileInfo),
        (status = 404, description = "no such session, or no such file"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/files/stat")]
pub async fn stat(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<File>,
) -> Result<HttpResponse, AppError> {
    let path = asked.into_inner().path;
    check_text("path", &path)?;
    match perform(&state, &who, *session_id, Operation::FileStat { path }).await? {
        Reply::File { entry } => Ok(HttpResponse::Ok().json(entry)),
        _ => Err(senseless()),
    }
}

/// Makes a folder.
#[utoipa::path(
    tag = "files",
    request_body = NewFolder,
    responses(
        (status = 204, description = "it is there"),
        (status = 404, description = "no such session, or no folder to make it in"),
        (status = 409, description = "`session_closed`, `already_exists`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
        (status = 507, description = "`disk_full`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/files/mkdir")]
pub async fn mkdir(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    signed: Signed<NewFolder>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    check_text("path", &body.path)?;
    let mkdir = Operation::FileMkdir {
        path: body.path,
        parents: body.parents.unwrap_or(false),
    };
    done(&perform(&state, &who, *session_id, mkdir).await?)
}

/// Renames or moves a file within one file system.
#[utoipa::path(
    tag = "files",
    request_body = Renaming,
    responses(
        (status = 204, description = "it has its new name"),
        (status = 404, description = "no such session, or no such file"),
        (status = 409, description = "`session_closed`, `already_exists`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[post("/api/v1/tunnel/{session_id}/files/rename")]
pub async fn rename(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    signed: Signed<Renaming>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    check_text("from", &body.from)?;
    check_text("to", &body.to)?;
    let rename = Operation::FileRename {
        from: body.from,
        to: body.to,
        overwrite: body.overwrite.unwrap_or(false),
    };
    done(&perform(&state, &who, *session_id, rename).await?)
}

/// Deletes a file, a link or a folder.
#[utoipa::path(
    tag = "files",
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "no such session, or no such file"),
        (status = 409, description = "`session_closed`, `not_empty`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[delete("/api/v1/tunnel/{session_id}/files")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Deletion>,
) -> Result<HttpResponse, AppError> {
    let Deletion { path, recursive } = asked.into_inner();
    check_text("path", &path)?;
    let delete = Operation::FileDelete {
        path,
        recursive: recursive.unwrap_or(false),
    };
    done(&perform(&state, &who, *session_id, delete).await?)
}
