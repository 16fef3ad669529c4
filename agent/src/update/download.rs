//! Fetching a program to the disk, bounded by what its manifest says and by time.

use std::path::Path;
use std::time::Duration;

use gururmm_release::Manifest;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::failure::Failure;
use super::program;
use crate::config::UpdateSettings;
use crate::connection::{Fetched, LaneDialer};

/// Fetches the program of `manifest` from `address` into the file `to`, which is whole and on the disk when this
/// returns. What was there before goes.
///
/// # Errors
/// `download_failed`, `too_large`, `bad_checksum`, `no_space` or `install_failed`; what came stays in the file.
pub async fn fetch(
    dialer: &LaneDialer,
    address: &str,
    manifest: &Manifest,
    to: &Path,
    settings: &UpdateSettings,
) -> Result<(), Failure> {
    let limit = Duration::from_secs(settings.download_seconds);
    let stall = Duration::from_secs(settings.stall_seconds);
    let whole = async {
        let asked = timeout(stall, dialer.fetch(address)).await;
        let body = asked.map_err(|_| stalled(stall))?.map_err(failed)?;
        write(body, manifest, to, stall).await
    };
    let too_slow = |_| {
        let seconds = limit.as_secs();
        failed(format!(
            "it took longer than {seconds} s (update.download_seconds)"
        ))
    };
    timeout(limit, whole).await.map_err(too_slow)?
}

async fn write(
    mut body: Fetched,
    manifest: &Manifest,
    to: &Path,
    stall: Duration,
) -> Result<(), Failure> {
    if body.length().is_some_and(|length| length > manifest.size) {
        return Err(too_large(manifest));
    }
    let mut file = create(to).await?;
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let came = timeout(stall, body.next()).await;
        let Some(bytes) = came.map_err(|_| stalled(stall))?.map_err(failed)? else {
            break;
        };
        size += bytes.len() as u64;
        if size > manifest.size {
            return Err(too_large(manifest));
        }
        hash.update(&bytes);
        file.write_all(&bytes)
            .await
            .map_err(|error| unwritten(&error))?;
    }
    if size < manifest.size {
        let problem = format!("it ended after {size} of {} bytes", manifest.size);
        return Err(failed(problem));
    }
    let sum: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if sum != manifest.sha256 {
        let reason = "the program is not the one that was signed: its SHA-256 is another";
        return Err(Failure::new("bad_checksum", reason));
    }
    finish(file).await.map_err(|error| unwritten(&error))
}

async fn create(to: &Path) -> Result<File, Failure> {
    program::remove(to).map_err(|error| unwritten(&error))?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).open(to).await;
    file.map_err(|error| unwritten(&error))
}

/// Nobody may have it open for writing when it is run.
async fn finish(mut file: File) -> std::io::Result<()> {
    file.flush().await?;
    file.sync_all().await?;
    drop(file.into_std().await);
    Ok(())
}

fn failed(problem: String) -> Failure {
    Failure::new(
        "download_failed",
        format!("the download has failed: {problem}"),
    )
}

fn stalled(stall: Duration) -> Failure {
    let seconds = stall.as_secs();
    failed(format!(
        "nothing came for {seconds} s (update.stall_seconds)"
    ))
}

fn too_large(manifest: &Manifest) -> Failure {
    let reason = format!(
        "the server sends more than the {} bytes that were signed",
        manifest.size
    );
    Failure::new("too_large", reason)
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::of_disk("install_failed", "write the new program", error)
}
