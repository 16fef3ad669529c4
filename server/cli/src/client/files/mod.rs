//! Files of an agent's machine: what there is, bytes from it and to it. Transfers go on where they stopped.

mod archive;
mod archive_pipe;
mod download;
mod part;
mod upload;

use std::time::Duration;

use gururmm_shared::FileInfo;
use serde::Deserialize;
use tokio::time::Instant;

pub use self::archive::{fetch_folder, send_folder};
pub use self::download::{DownloadOptions, download};
pub use self::upload::{UploadOptions, upload};
use super::{ClientError, SessionClient};

/// How long a transfer that gets no further tries to go on.
const PATIENCE: Duration = Duration::from_secs(120);

/// The wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The most pages of a folder.
const MOST_PAGES: usize = 1000;

/// How far a transfer is: bytes so far, and all of them where that is known.
pub type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// What a transfer has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// SHA-256 of the whole file in hexadecimal; none for a folder.
    pub sha256: Option<String>,
    /// Bytes that an earlier try had carried already.
    pub resumed_from: u64,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<FileInfo>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// Tells about one file.
///
/// # Errors
/// [`ClientError`]; the code `not_found` where there is none.
pub async fn stat(session: &SessionClient, path: &str) -> Result<FileInfo, ClientError> {
    let url = session.path("files/stat");
    session.client().get(&url, &[("path", path)]).await
}

/// Lists a folder by name.
///
/// # Errors
/// [`ClientError`]
pub async fn list(session: &SessionClient, path: &str) -> Result<Vec<FileInfo>, ClientError> {
    let url = session.path("files");
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut query = vec![("path", path), ("limit", "1000")];
        if let Some(cursor) = &cursor {
            query.push(("after", cursor));
        }
        let page: Page = session.client().get(&url, &query).await?;
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

/// When a transfer that stopped is tried again: for as long as it gets further, and a while after.
struct Retry {
    since: Instant,
    wait: Duration,
    furthest: u64,
}

impl Retry {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            wait: FIRST_WAIT,
            furthest: 0,
        }
    }

    /// Waits, or hands the error on.
    async fn after(&mut self, error: ClientError, done: u64) -> Result<(), ClientError> {
        if done > self.furthest {
            *self = Self {
                furthest: done,
                ..Self::new()
            };
        }
        // The machine's line may come back, too.
        let gone = matches!(error.code(), Some("gone" | "agent_offline"));
        if !(error.is_passing() || gone) || self.since.elapsed() >= PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn local(what: &str, path: &std::path::Path, error: &std::io::Error) -> ClientError {
    ClientError::local(format!("cannot {what} {}: {error}", path.display()))
}
