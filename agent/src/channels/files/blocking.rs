//! Hops to a thread that may block: short ones, so that many transfers share few threads. No thread is
//! held while a transfer waits for its peer.

use std::time::Duration;

use gururmm_shared::{ErrorCode, OperationError};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// Bytes that one hop reads or writes.
pub(super) const HOP_BYTES: usize = 256 * 1024;

/// How long a hop may take: a disk that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the bytes of a whole file may take to the disk.
const SYNC_PATIENCE: Duration = Duration::from_secs(600);

/// Begins a small piece of work on a file; the answer is its end.
pub(super) fn hop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperationError> + Send + 'static,
) -> impl Future<Output = Result<T, OperationError>> {
    within(PATIENCE, spawn_blocking(work))
}

/// Begins what brings a whole file to the disk.
pub(super) fn long_hop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OperationError> + Send + 'static,
) -> impl Future<Output = Result<T, OperationError>> {
    within(SYNC_PATIENCE, spawn_blocking(work))
}

async fn within<T>(
    patience: Duration,
    work: JoinHandle<Result<T, OperationError>>,
) -> Result<T, OperationError> {
    let error = |code, text| Err(OperationError::new(code, text));
    match timeout(patience, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => error(ErrorCode::Gone, "the agent is being stopped"),
        Err(_) => error(ErrorCode::TimedOut, "the disk does not answer"),
    }
}
