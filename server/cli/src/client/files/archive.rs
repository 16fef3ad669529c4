//! Folders as tar archives, streamed both ways: nothing of them lies on a disk as an archive.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Body, Method};
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::archive_pipe::{Pipe, Tail};
use super::{DownloadOptions, Progress, Transferred, local};
use crate::client::{ClientError, SessionClient};

/// Pieces on their way between the archive and the request.
const PIECES: usize = 4;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Unpacks a folder of the machine into `target`, which is made if it is not there. What would lie outside of it, as
/// names with `..` or through links, is refused.
///
/// # Errors
/// [`ClientError`]; what was unpacked before stays.
pub async fn fetch_folder(
    session: &SessionClient,
    path: &str,
    target: &Path,
    options: DownloadOptions,
    progress: Progress<'_>,
) -> Result<Transferred, ClientError> {
    let client = session.client();
    let request = client
        .request(Method::GET, &session.path("files/archive"))
        .query(&[("path", path)]);
    let response = client.send(request).await?;
    let count = Arc::new(AtomicU64::new(0));
    let tally = count.clone();
    let body = response.bytes_stream().map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        tally.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok::<Bytes, io::Error>(piece)
    });
    let reader = SyncIoBridge::new(StreamReader::new(body));
    let folder = target.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || unpack(reader, &folder, options));
    let done = watch(unpacking, &count, progress).await;
    done.map_err(io::Error::other)
        .flatten()
        .map_err(|error| local("unpack into", target, &error))?;
    Ok(Transferred {
        bytes: count.load(Ordering::Relaxed),
        sha256: None,
        resumed_from: 0,
    })
}

fn unpack(reader: impl Read, folder: &Path, options: DownloadOptions) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut archive = tar::Archive::new(Tail::new(reader));
    archive.set_overwrite(options.overwrite);
    archive.set_preserve_permissions(options.keep);
    // Who owns it is another one now, so bits that lend the owner's rights are left out.
    archive.set_mask(0o7000);
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Their times and permissions come last: a read-only folder could not be filled.
        if entry.header().entry_type().is_dir() {
            folders.push(entry);
            continue;
        }
        let name = entry.path()?.into_owned();
        if !entry.unpack_in(folder)? {
            return Err(outside(&name));
        }
    }
    for mut entry in folders.into_iter().rev() {
        let name = entry.path()?.into_owned();
        if !entry.unpack_in(folder)? {
            return Err(outside(&name));
        }
        if options.keep {
            let changed = UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?);
            std::fs::File::open(folder.join(&name))?.set_modified(changed)?;
        }
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink())?;
    if !rest.is_whole() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the archive was cut off; fetch the folder again",
        ));
    }
    Ok(())
}

fn outside(name: &Path) -> io::Error {
    let name = crate::plain::plain(&name.to_string_lossy());
    io::Error::other(format!("{name} would lie outside of it"))
}

/// Sends a folder, which is packed as it is read.
///
/// # Errors
/// [`ClientError`]
pub async fn send_folder(
    session: &SessionClient,
    folder: &Path,
    path: &str,
    overwrite: bool,
    progress: Progress<'_>,
) -> Result<Transferred, ClientError> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let count = Arc::new(AtomicU64::new(0));
    let pipe = Pipe::new(sender.clone(), count.clone());
    let from = folder.to_owned();
    let packing = tokio::task::spawn_blocking(move || {
        let packed = pack(&from, pipe);
        if let Err(error) = &packed {
            // The request must fail: an archive that just stops could look whole.
            let broken = io::Error::new(error.kind(), error.to_string());
            let _ = sender.blocking_send(Err(broken));
        }
        packed
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let client = session.client();
    let overwrite = overwrite.to_string();
    let request = client
        .request(Method::PUT, &session.path("files/archive"))
        .query(&[("path", path), ("overwrite", &overwrite)])
        .body(Body::wrap_stream(pieces));
    let sent = watch(client.send(request), &count, progress).await;
    // The packer ends with the request: its pieces have nowhere to go.
    let packed = packing.await.map_err(io::Error::other).flatten();
    match (sent, packed) {
        (Ok(_), Ok(())) => Ok(Transferred {
            bytes: count.load(Ordering::Relaxed),
            sha256: None,
            resumed_from: 0,
        }),
        (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(local("read", folder, &error))
        }
        (Err(error), _) => Err(error),
        (Ok(_), Err(error)) => Err(local("send", folder, &error)),
    }
}

fn pack(folder: &Path, pipe: Pipe) -> io::Result<()> {
    let mut builder = tar::Builder::new(pipe);
    builder.follow_symlinks(false);
    builder.append_dir_all(PathBuf::from("."), folder)?;
    builder.into_inner()?.flush()
}

/// Tells progress until the work is done.
async fn watch<T>(work: impl Future<Output = T>, count: &AtomicU64, progress: Progress<'_>) -> T {
    tokio::pin!(work);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => progress(count.load(Ordering::Relaxed), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive_pipe::END_BYTES;
    use super::*;

    const NEW: DownloadOptions = DownloadOptions {
        overwrite: false,
        keep: false,
    };
    const OVER: DownloadOptions = DownloadOptions {
        overwrite: true,
        keep: false,
    };

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            let field = &mut header.as_old_mut().name;
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(2);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, &b"hi"[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_folder_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        unpack(&archive(&["a/b"])[..], folder.path(), NEW).unwrap();
        assert_eq!(std::fs::read(folder.path().join("a/b")).unwrap(), b"hi");
    }

    #[test]
    fn nothing_is_unpacked_outside() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("in");
        assert!(unpack(&archive(&["../out"])[..], &inner, OVER).is_err());
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn an_archive_that_was_cut_off_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let whole = archive(&["a", "b"]);
        for length in [512, 1024, 1536, whole.len() - END_BYTES, whole.len() - 512] {
            let end = unpack(&whole[..length], folder.path(), OVER);
            assert!(end.is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn an_existing_file_is_replaced_only_if_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "old").unwrap();
        assert!(unpack(&archive(&["a"])[..], folder.path(), NEW).is_err());
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"old");
        unpack(&archive(&["a"])[..], folder.path(), OVER).unwrap();
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"hi");
    }
}
