//! The programs of releases: for agents, and for installers that nobody knows yet. What they are stands in a signed
//! manifest, so it does not matter who reads them.

use std::io::SeekFrom;
use std::time::{Duration, Instant};

use actix_web::body::SizedStream;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::{Stream, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::byte_range::{Wanted, asked_version};
use super::extract::remote_address;
use super::file_downloads::unsatisfiable;
use super::legacy::bearer;
use super::problems::request_id;
use super::state::AppState;
use crate::db::releases::{self, Release, ReleaseFilter};
use crate::error::AppError;
use crate::services::audit::now;
use crate::services::releases::{PLATFORMS, newest};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// How long a download may take: 64 MiB at 300 kbit/s.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Brings a program to an agent that is told to install it.
///
/// `Range` with a single range of bytes, `If-Range` with the `ETag`, which is the SHA-256.
#[utoipa::path(
    tag = "polling",
    operation_id = "program",
    params(
        ("Range" = Option<String>, Header, description = "a single range of bytes"),
        ("If-Range" = Option<String>, Header, description = "the `ETag` of an earlier answer"),
    ),
    responses(
        (status = 200, description = "the program", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "the range of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 401, description = "no key, or none that is good"),
        (status = 404, description = "no such program"),
        (status = 416, description = "`range_not_satisfiable`"),
        (status = 429, description = "`rate_limited`"),
    ),
    security(("agent_key" = [])),
)]
#[get("/api/agent/releases/{sha256}")]
pub async fn for_agent(
    request: HttpRequest,
    state: Data<AppState>,
    sha256: Path<String>,
) -> Result<HttpResponse, AppError> {
    let key = bearer(&request).ok_or_else(|| {
        AppError::unauthorized(
            "token_missing",
            "send Authorization: Bearer <the agent's key>",
        )
    })?;
    let from = remote_address(&request);
    let agent = state.poll_rates.authenticate(&state.db, key, from).await?;
    let sha256 = sha256.into_inner();
    // Before it is part of a path.
    let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_digest || !releases::is_program(&state.db, sha256.clone()).await? {
        return Err(AppError::not_found("program"));
    }
    tracing::info!(agent.id = %agent.id, sha256, "an agent reads a program");
    send(&request, &state, &sha256).await
}

/// Shows the newest release of the channel stable for a platform: its manifest, exactly as it was signed.
#[utoipa::path(
    tag = "install",
    operation_id = "manifest",
    responses(
        (status = 200, description = "the text that was signed", content((serde_json::Value = "application/json"))),
        (status = 404, description = "no such platform, or no release for it"),
        (status = 429, description = "`rate_limited`"),
    ),
    security(()),
)]
#[get("/api/install/{platform}")]
pub async fn manifest(
    request: HttpRequest,
    state: Data<AppState>,
    platform: Path<String>,
) -> Result<HttpResponse, AppError> {
    let release = offered(&request, &state, &platform).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(release.manifest))
}

/// Shows the signature of that manifest, as minisign writes it.
#[utoipa::path(
    tag = "install",
    operation_id = "signature",
    responses(
        (status = 200, description = "the text of a `.minisig` file", content((String = "text/plain"))),
        (status = 404, description = "no such platform, or no release for it"),
        (status = 429, description = "`rate_limited`"),
    ),
    security(()),
)]
#[get("/api/install/{platform}/signature")]
pub async fn signature(
    request: HttpRequest,
    state: Data<AppState>,
    platform: Path<String>,
) -> Result<HttpResponse, AppError> {
    let release = offered(&request, &state, &platform).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(release.signature))
}

/// Gives the program of that release.
///
/// `Range` with a single range of bytes, `If-Range` with the `ETag`, which is the SHA-256.
#[utoipa::path(
    tag = "install",
    operation_id = "program",
    params(
        ("Range" = Option<String>, Header, description = "a single range of bytes"),
        ("If-Range" = Option<String>, Header, description = "the `ETag` of an earlier answer"),
    ),
    responses(
        (status = 200, description = "the program", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "the range of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "no such platform, or no release for it"),
        (status = 416, description = "`range_not_satisfiable`"),
        (status = 429, description = "`rate_limited`"),
    ),
    security(()),
)]
#[get("/api/install/{platform}/program")]
pub async fn program(
    request: HttpRequest,
    state: Data<AppState>,
    platform: Path<String>,
) -> Result<HttpResponse, AppError> {
    let release = offered(&request, &state, &platform).await?;
    send(&request, &state, &release.sha256).await
}

/// What an installer gets.
async fn offered(
    request: &HttpRequest,
    state: &AppState,
    platform: &str,
) -> Result<Release, AppError> {
    state.program_rates.take(remote_address(request))?;
    if !PLATFORMS.contains(&platform) {
        return Err(AppError::not_found("platform"));
    }
    let filter = ReleaseFilter {
        channel: Some("stable".to_owned()),
        platform: Some(platform.to_owned()),
        version: None,
    };
    let found = releases::all(&state.db, filter).await?;
    newest(found, now()).ok_or_else(|| AppError::not_found("release"))
}

async fn send(
    request: &HttpRequest,
    state: &AppState,
    sha256: &str,
) -> Result<HttpResponse, AppError> {
    let opened = File::open(state.programs.path(sha256)).await;
    let mut file = opened.map_err(|error| AppError::internal(&error))?;
    let metadata = file.metadata().await;
    let size = metadata.map_err(|error| AppError::internal(&error))?.len();
    let header = |name| request.headers().get(name)?.to_str().ok();
    let same = header(header::IF_RANGE).is_none_or(|asked| asked_version(asked) == sha256);
    let wanted = Wanted::parse(header(header::RANGE).filter(|_| same));
    let Some((offset, length)) = wanted.within(size) else {
        return Ok(unsatisfiable(size, &request_id(request)));
    };
    let sought = file.seek(SeekFrom::Start(offset)).await;
    sought.map_err(|error| AppError::internal(&error))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::ETAG, format!("\"{sha256}\"")));
    if wanted != Wanted::Whole {
        let last = (offset + length).saturating_sub(1);
        response.status(StatusCode::PARTIAL_CONTENT);
        let range = format!("bytes {offset}-{last}/{size}");
        response.insert_header((header::CONTENT_RANGE, range));
    }
    Ok(response.body(SizedStream::new(length, pieces(file, length))))
}

/// So many bytes of a file, from where it stands.
fn pieces(file: File, length: u64) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let deadline = Instant::now() + PATIENCE;
    stream::try_unfold((file, length), move |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(std::io::Error::other("the download took too long"));
        }
        let mut buffer = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.truncate(count);
        Ok(Some((Bytes::from(buffer), (file, left - count as u64))))
    })
}
