//! A file from the machine: to a temporary file beside the target, checked, then renamed over it.

use std::path::Path;

use gururmm_shared::{FileInfo, FileKind};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Method, StatusCode};
use sha2::Digest;

use super::part::Part;
use super::{Progress, Retry, Transferred, hexadecimal, local, stat};
use crate::client::{ClientError, SessionClient};

/// How a download is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct DownloadOptions {
    /// Whether an existing target is replaced.
    pub overwrite: bool,
    /// Whether permissions (read, write, execute) and the time of the last change are as they are there.
    pub keep: bool,
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
    let info = match options.keep {
        true => Some(kept(session, path).await?),
        false => None,
    };
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
    if let Some(info) = info {
        part.keep(&info).await?;
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

/// What is to be kept of a file.
async fn kept(session: &SessionClient, path: &str) -> Result<FileInfo, ClientError> {
    let info = stat(session, path).await?;
    match info.kind {
        // What is told is the link's own.
        FileKind::Link => Err(ClientError::local(format!(
            "{path} is a link, whose permissions and times are nobody's: name what it leads to, or leave out -p"
        ))),
        _ => Ok(info),
    }
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
        let fresh = Part::begin(target, version).await?;
        if let Some(old) = part.replace(fresh)
            && part.as_ref().is_some_and(|fresh| fresh.path != old.path)
        {
            // Of another version: it will never be gone on with.
            let _ = tokio::fs::remove_file(&old.path).await;
        }
    }
    let Some(part) = part else { return Ok(None) };
    let expected = digest(response.headers());
    let left =
        header(response.headers(), CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    part.take(response, client, left, progress).await?;
    Ok(expected)
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
    fn a_digest_is_read_as_the_rfc_writes_it() {
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", "sha-256=:AQI=:".parse().unwrap());
        assert_eq!(digest(&headers).as_deref(), Some("0102"));
    }
}
