//! A file to the machine: named after its contents, so that it goes on where an earlier try stopped.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Method};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, ReadBuf, SeekFrom};
use tokio_util::io::ReaderStream;

use super::{Progress, Retry, Transferred, hexadecimal, local};
use crate::client::{ClientError, SessionClient};

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Characters of the SHA-256 that name an upload.
const NAME_CHARACTERS: usize = 40;

/// How an upload is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct UploadOptions {
    /// Whether an existing target is replaced.
    pub overwrite: bool,
    /// Whether permissions and time are kept.
    pub keep: bool,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    offset: u64,
}

#[derive(Default, Deserialize)]
struct Written {
    #[serde(default)]
    sha256: Option<String>,
}

struct Source<'a> {
    path: &'a Path,
    size: u64,
    sha256: String,
    mode: Option<u32>,
    modified: Option<SystemTime>,
}

/// Sends a file; what an earlier try of the same contents has sent is not sent again.
///
/// # Errors
/// [`ClientError`]: the target is as it was then.
pub async fn upload(
    session: &SessionClient,
    file: &Path,
    path: &str,
    options: UploadOptions,
    progress: Progress<'_>,
) -> Result<Transferred, ClientError> {
    let source = read(file).await?;
    let name = &source.sha256[..NAME_CHARACTERS];
    let mut resumed_from = None;
    let mut retry = Retry::new();
    loop {
        let mut offset = 0;
        let step = async {
            offset = state(session, path, name).await?.min(source.size);
            resumed_from.get_or_insert(offset);
            send(session, &source, path, offset, options, progress).await
        };
        match step.await {
            Ok(written) => {
                if written.is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&source.sha256)) {
                    return Err(ClientError::local(format!(
                        "{} was not written as it is here (its SHA-256 differs); send it again",
                        file.display()
                    )));
                }
                return Ok(Transferred {
                    bytes: source.size,
                    resumed_from: resumed_from.unwrap_or(0),
                    sha256: Some(source.sha256),
                });
            }
            Err(error) => retry.after(error, offset).await?,
        }
    }
}

async fn read(path: &Path) -> Result<Source<'_>, ClientError> {
    let failed = |error: std::io::Error| local("read", path, &error);
    let mut file = File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    if !metadata.is_file() {
        let why = format!("{} is no file; -r copies a folder", path.display());
        return Err(ClientError::local(why));
    }
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer).await.map_err(failed)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
    Ok(Source {
        path,
        size,
        sha256: hexadecimal(&hash.finalize()),
        mode: crate::platform::permissions(&metadata),
        modified: metadata.modified().ok(),
    })
}

async fn state(session: &SessionClient, path: &str, name: &str) -> Result<u64, ClientError> {
    let url = session.path("files/upload");
    let query = [("path", path), ("upload", name)];
    match session.client().get::<State>(&url, &query).await {
        Ok(state) => Ok(state.offset),
        Err(ClientError::Refused(problem)) if problem.code == "not_found" => Ok(0),
        Err(error) => Err(error),
    }
}

async fn send(
    session: &SessionClient,
    source: &Source<'_>,
    path: &str,
    offset: u64,
    options: UploadOptions,
    progress: Progress<'_>,
) -> Result<Option<String>, ClientError> {
    let failed = |error: std::io::Error| local("read", source.path, &error);
    let mut file = File::open(source.path).await.map_err(failed)?;
    file.seek(SeekFrom::Start(offset)).await.map_err(failed)?;
    let left = source.size - offset;
    let counted = Counted::new(file.take(left));
    let done = counted.done.clone();
    let mut query = vec![
        ("path", path.to_owned()),
        ("upload", source.sha256[..NAME_CHARACTERS].to_owned()),
        ("offset", offset.to_string()),
        ("size", source.size.to_string()),
        ("sha256", source.sha256.clone()),
        ("overwrite", options.overwrite.to_string()),
    ];
    if options.keep {
        query.extend(source.mode.map(|mode| ("mode", format!("{mode:o}"))));
        let stamp = |time| DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Micros, true);
        query.extend(source.modified.map(|time| ("modified", stamp(time))));
    }
    let request = session
        .client()
        .request(Method::PUT, &session.path("files/content"))
        .query(&query)
        .header(CONTENT_LENGTH, left)
        .body(Body::wrap_stream(ReaderStream::with_capacity(
            counted, READ_BYTES,
        )));
    let sending = session.client().send(request);
    tokio::pin!(sending);
    let mut tick = tokio::time::interval(TICK);
    let response = loop {
        tokio::select! {
            response = &mut sending => break response?,
            _ = tick.tick() => {
                let sent = done.load(Ordering::Relaxed);
                progress(offset + sent, Some(source.size));
            }
        }
    };
    progress(source.size, Some(source.size));
    let body = response.bytes().await.unwrap_or_default();
    let written: Written = serde_json::from_slice(&body).unwrap_or_default();
    Ok(written.sha256)
}

/// A reader that says how much was read of it.
struct Counted<R> {
    reader: R,
    done: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            done: Arc::default(),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.reader).poll_read(context, buffer);
        let read = (buffer.filled().len() - before) as u64;
        self.done.fetch_add(read, Ordering::Relaxed);
        polled
    }
}
