//! A channel for bytes that no terminal shows: a file, an archive, a TCP connection.

use std::time::Duration;

use gururmm_shared::window_budget::LEAST_WINDOW_BYTES;
use gururmm_shared::{ChannelKind, Closed, EndReason, ErrorCode, OperationError, ResetCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::session::Session;
use super::stream::Stream;
use super::streams::OpenStream;
use super::{files, service_watch, tcp};

/// How long what runs in a channel may take to tidy up once its stream is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a file or an archive that may be on their way here.
const FILE_WINDOW: u64 = 1024 * 1024;

/// Bytes for a TCP connection that may be on their way here.
const TCP_WINDOW: u64 = 256 * 1024;

/// The first window of a channel of this kind.
#[must_use]
pub fn window(kind: &ChannelKind) -> u64 {
    match kind {
        ChannelKind::Tcp(_) => TCP_WINDOW,
        kind if comes_in(kind) => FILE_WINDOW,
        _ => LEAST_WINDOW_BYTES,
    }
}

/// Whether bytes come in over a channel of this kind.
fn comes_in(kind: &ChannelKind) -> bool {
    kind.writes() || matches!(kind, ChannelKind::Tcp(_))
}

/// Runs a channel, into which `window` bytes may be on their way, to its end and says the last word; becoming true, `cancelled` cuts its stream off.
/// `open` is held until the last word is on its way.
pub async fn run(
    session: Session,
    stream: Stream,
    open: OpenStream,
    kind: ChannelKind,
    window: u64,
    mut cancelled: watch::Receiver<bool>,
) {
    let mut carried = std::pin::pin!(carry(&session, &stream, kind, window));
    let carried_out = tokio::select! {
        closed = &mut carried => Some(closed),
        _ = cancelled.wait_for(|cancelled| *cancelled) => None,
    };
    let closed = match carried_out {
        Some(closed) => closed,
        None => {
            // An error means that the session is over, and the end is near.
            let _ = stream
                .reset(ResetCode::Cancelled, "the channel was closed")
                .await;
            let closed = timeout(PATIENCE, carried).await;
            cut_off(closed.unwrap_or_default())
        }
    };
    // Errors mean that the session is over and nobody hears it.
    let _ = stream.finish().await;
    let _ = stream.closed(closed).await;
    drop(open);
}

async fn carry(session: &Session, stream: &Stream, kind: ChannelKind, window: u64) -> Closed {
    let rules = &session.rules;
    match kind {
        ChannelKind::FileRead(read) => files::read(stream, read, rules, window).await,
        ChannelKind::FileWrite(write) => files::write(stream, write, rules, window).await,
        ChannelKind::ArchiveRead(read) => files::archive_read(stream, read, rules, window).await,
        ChannelKind::ArchiveWrite(write) => {
            files::archive_write(stream, write, rules, window).await
        }
        ChannelKind::ServiceWatch(watch) => service_watch::run(stream, watch, rules, window).await,
        ChannelKind::Tcp(target) => tcp::connect(stream, &target, rules, window).await,
        ChannelKind::Terminal(_) => Closed::failed(OperationError::new(
            ErrorCode::Unsupported,
            "a terminal is no transfer",
        )),
    }
}

/// What is said of a channel that was closed, whatever its end made of that.
fn cut_off(closed: Closed) -> Closed {
    Closed {
        reason: Some(EndReason::Cancelled),
        error: Some(OperationError::new(
            ErrorCode::Cancelled,
            "the channel was closed",
        )),
        ..closed
    }
}
