//! A file from the machine: to a temporary file beside the target, checked, then renamed over it.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};

use super::{Progress, Retry, Transferred, hexadecimal, local};
use crate::client::{ClientError, SessionClient};

/// How temporary files end.
const PART: &str = ".gururmm-part";

/// The longest name of a version that a temporary file may carry.
const VERSION_BYTES: usize = 64;

/// How a download is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownloadOptions {
    /// Whether an existing target is replaced.
    pub overwrite: bool,
}

/// A temporary file and what is in it.
struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
    version: Option<String>,
}

/// Fetches a file; a part of the same version from an earlier try is gone on with.
///
/// # Errors
/// [`ClientError`]: nothing is at the target then that was not there before.
pub async fn download(
    session: &SessionClient,
    path: &str,
    target: &Path,
    options: DownloadOptions,
    progress: Progress<'_>,
) -> Result<Transferred, ClientError> {
    let taken = || {
        ClientError::local(format!(
            "{} is there already; --overwrite replaces it",
            target.display()
        ))
    };
    if !options.overwrite && target.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let mut part = Part::find(target).await?;
    let resumed_from = part.as_ref().map_or(0, |part| part.bytes);
    let mut retry = Retry::new();
    let (part, expected) = loop {
        let step = fetch(session, path, target, &mut part, progress).await;
        match (step, part.take()) {
            (Ok(expected), Some(whole)) => break (whole, expected),
            (Ok(_), None) => return Err(ClientError::Unexpected("no file came".to_owned())),
            (Err(error), kept) => {
                let done = kept.as_ref().map_or(0, |part| part.bytes);
                part = kept;
                retry.after(error, done).await?;
            }
        }
    };
    let sha256 = hexadecimal(&part.hash.clone().finalize());
    if expected.is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
        // A part that is wrong must not be gone on with.
        let _ = tokio::fs::remove_file(&part.path).await;
        return Err(ClientError::local(format!(
            "{path} did not come as it was sent (its SHA-256 differs); fetch it again"
        )));
    }
    part.file
        .sync_all()
        .await
        .map_err(|error| local("write", &part.path, &error))?;
    let (from, to) = (part.path.clone(), target.to_owned());
    // A link instead of a rename where nothing may be replaced: it fails if the target came meanwhile.
    let moved = if options.overwrite {
        tokio::fs::rename(&from, &to).await
    } else {
        match tokio::fs::hard_link(&from, &to).await {
            Ok(()) => tokio::fs::remove_file(&from).await,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(taken()),
            // A file system without links.
            Err(_) => tokio::fs::rename(&from, &to).await,
        }
    };
    moved.map_err(|error| local("write", target, &error))?;
    Ok(Transferred {
        bytes: part.bytes,
        sha256: Some(sha256),
        resumed_from,
    })
}

/// Asks for what is missing and writes it; answers the SHA-256 that the server names.
async fn fetch(
    session: &SessionClient,
    path: &str,
    target: &Path,
    part: &mut Option<Part>,
    progress: Progress<'_>,
) -> Result<Option<String>, ClientError> {
    let client = session.client();
    let mut request = client
        .request(Method::GET, &session.path("files/content"))
        .query(&[("path", path)]);
    if let Some(Part {
        bytes,
        version: Some(version),
        ..
    }) = part
        && *bytes > 0
    {
        request = request
            .header(RANGE, format!("bytes={bytes}-"))
            .header(IF_RANGE, version.as_str());
    }
    let response = match client.send(request).await {
        // All of it was there.
        Err(ClientError::Refused(problem)) if problem.status == 416 && part.is_some() => {
            *part = None;
            return Err(ClientError::Lost("the file is another one now".to_owned()));
        }
        answer => answer?,
    };
    let version = header(response.headers(), ETAG.as_str());
    let begin = if response.status() == StatusCode::PARTIAL_CONTENT {
        range_begin(response.headers())?
    } else {
        0
    };
    let fits = part
        .as_ref()
        .is_some_and(|part| part.bytes == begin && begin > 0);
    if !fits {
        if begin > 0 {
            return Err(ClientError::Unexpected(
                "bytes that were not asked for".to_owned(),
            ));
        }
        *part = Some(Part::begin(target, version).await?);
    }
    let Some(part) = part else { return Ok(None) };
    let expected = digest(response.headers());
    let left =
        header(response.headers(), CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    part.take(response, client, left, progress).await?;
    Ok(expected)
}

impl Part {
    /// Opens the part that an earlier try has left.
    async fn find(target: &Path) -> Result<Option<Self>, ClientError> {
        let Some((folder, prefix)) = place(target) else {
            return Err(ClientError::local(format!(
                "{} is no file's name",
                target.display()
            )));
        };
        let Ok(mut entries) = tokio::fs::read_dir(&folder).await else {
            return Err(ClientError::local(format!(
                "there is no folder {}",
                folder.display()
            )));
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(PART))
                .and_then(unhex);
            if let Some(version) = version {
                return Self::reopen(&entry.path(), version).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn reopen(path: &Path, version: String) -> Result<Self, ClientError> {
        let failed = |error: std::io::Error| local("read", path, &error);
        let opened = OpenOptions::new().read(true).write(true).open(path).await;
        let mut file = opened.map_err(failed)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = file.read(&mut buffer).await.map_err(failed)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            hash,
            bytes,
            version: Some(version),
        })
    }

    async fn begin(target: &Path, version: Option<String>) -> Result<Self, ClientError> {
        let Some((folder, prefix)) = place(target) else {
            return Err(ClientError::local(format!(
                "{} is no file's name",
                target.display()
            )));
        };
        let named = version.filter(|version| version.len() <= VERSION_BYTES);
        let suffix = match &named {
            Some(version) => hexadecimal(version.as_bytes()),
            // Not to be gone on with, so of its own.
            None => format!("{}-", std::process::id()),
        };
        let path = folder.join(format!("{prefix}{suffix}{PART}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let opened = options.open(&path).await;
        let mut file = opened.map_err(|error| local("write", &path, &error))?;
        let sought = file.seek(SeekFrom::Start(0)).await;
        sought.map_err(|error| local("write", &path, &error))?;
        Ok(Self {
            path,
            file,
            hash: Sha256::new(),
            bytes: 0,
            version: named,
        })
    }

    async fn take(
        &mut self,
        response: Response,
        client: &crate::client::Client,
        left: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<(), ClientError> {
        let size = left.map(|left| self.bytes + left);
        progress(self.bytes, size);
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.flush().await?;
                    return Err(client.lost(&error));
                }
            };
            let written = self.file.write_all(&bytes).await;
            written.map_err(|error| local("write", &self.path, &error))?;
            self.hash.update(&bytes);
            self.bytes += bytes.len() as u64;
            progress(self.bytes, size);
        }
        self.flush().await?;
        if size.is_some_and(|size| size != self.bytes) {
            return Err(ClientError::Lost("the file came short".to_owned()));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ClientError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| local("write", &self.path, &error))
    }
}

/// The folder of a target, and how the names of its temporary files begin.
fn place(target: &Path) -> Option<(PathBuf, String)> {
    let name = target.file_name()?.to_string_lossy();
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    Some((folder, format!(".{name}.")))
}

fn unhex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?)
        .ok()
        .filter(|text| !text.is_empty())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// The SHA-256 of the whole file, as RFC 9530 or a plain header says it.
fn digest(headers: &HeaderMap) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    if let Some(plain) = header(headers, "x-content-sha256") {
        return Some(plain);
    }
    let digests = header(headers, "repr-digest")?;
    let encoded = digests
        .split(',')
        .find_map(|one| one.trim().strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    Some(hexadecimal(&STANDARD.decode(encoded).ok()?))
}

fn range_begin(headers: &HeaderMap) -> Result<u64, ClientError> {
    let range = header(headers, CONTENT_RANGE.as_str()).unwrap_or_default();
    range
        .strip_prefix("bytes ")
        .and_then(|rest| rest.split('-').next())
        .and_then(|begin| begin.parse().ok())
        .ok_or_else(|| ClientError::Unexpected(format!("Content-Range: {range:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_part_stands_in_its_name() {
        let version = r#""1-2a""#;
        assert_eq!(
            unhex(&hexadecimal(version.as_bytes())).as_deref(),
            Some(version)
        );
        assert_eq!(unhex("xx"), None);
        assert_eq!(unhex(""), None);
        assert_eq!(unhex("123-"), None);
    }

    #[test]
    fn a_digest_is_read_as_the_rfc_writes_it() {
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", "sha-256=:AQI=:".parse().unwrap());
        assert_eq!(digest(&headers).as_deref(), Some("0102"));
    }
}
