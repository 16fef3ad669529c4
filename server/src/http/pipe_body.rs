//! The body of a download: what comes out of a pipe, taken as fast as the client takes it. One that takes nothing, or
//! an agent that sends nothing, is cut off; a body that fails breaks the connection, so that half a file is not
//! taken for a whole one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use gururmm_shared::{Closed, OperationError, ResetCode};

use crate::actors::pipe::Pipe;

/// How long an agent may send nothing while somebody waits for it.
const AGENT_PATIENCE: Duration = Duration::from_secs(60);
/// How long an agent may take to say that there are no bytes.
const NOTHING_PATIENCE: Duration = Duration::from_secs(2);
/// How often stalled clients are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Why a body broke off; it goes to the log, for the client only sees the connection break.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The machine says so.
    #[error("the machine ended it: {0}")]
    Machine(OperationError),
    /// The agent sends nothing.
    #[error("the agent sent nothing for {} s", AGENT_PATIENCE.as_secs())]
    Silent,
    /// Fewer or more bytes than were promised.
    #[error("it is {0} bytes off from what was promised")]
    Size(u64),
}

/// When the client last took something.
pub(super) struct Progress {
    epoch: Instant,
    /// Milliseconds since `epoch` at which bytes were handed over that it has not taken yet; 0 where it has all.
    owes: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            owes: AtomicU64::new(0),
        }
    }
}

impl Progress {
    pub(super) fn handed_over(&self) {
        let millis = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.owes.store(millis.max(1), Ordering::Relaxed);
    }

    pub(super) fn taken(&self) {
        self.owes.store(0, Ordering::Relaxed);
    }

    fn stalled_for(&self) -> Duration {
        match self.owes.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self
                .epoch
                .elapsed()
                .saturating_sub(Duration::from_millis(since)),
        }
    }
}

struct Download {
    pipe: Arc<Pipe>,
    progress: Arc<Progress>,
    left: Option<u64>,
    over: bool,
}

/// The body that a pipe makes, of `length` bytes where that is known. A client that takes nothing for `patience` is
/// cut off.
pub fn body(
    pipe: Pipe,
    length: Option<u64>,
    patience: Duration,
) -> impl Stream<Item = Result<Bytes, Broken>> + 'static {
    let pipe = Arc::new(pipe);
    let progress = Arc::new(Progress::default());
    progress.handed_over();
    actix_web::rt::spawn(watch(Arc::downgrade(&pipe), progress.clone(), patience));
    let download = Download {
        pipe,
        progress,
        left: length,
        over: false,
    };
    try_unfold(download, async |download| {
        download.next().await.inspect_err(|error| {
            tracing::warn!(%error, "a download was broken off");
        })
    })
}

/// Reads a pipe of no bytes to its end, so that its row is finished as complete: no body is asked for it.
pub async fn read_nothing(pipe: &Pipe) {
    let end = async {
        // Its last word comes after the last byte, and without it the row says that it was given up.
        if matches!(pipe.recv().await, Ok(None)) {
            pipe.closed().await;
        }
    };
    // One that does not end is cut off when it is dropped.
    drop(tokio::time::timeout(NOTHING_PATIENCE, end).await);
}

/// The body is not asked for more while its client takes nothing, so somebody else has to look.
pub(super) async fn watch(
    pipe: std::sync::Weak<Pipe>,
    progress: Arc<Progress>,
    patience: Duration,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(pipe) = pipe.upgrade() else { return };
        if progress.stalled_for() >= patience {
            tracing::warn!("a download whose client took nothing for too long was cut off");
            let reason = "the client took nothing for too long";
            return pipe.cut_off(ResetCode::Stalled, reason, "stalled");
        }
    }
}

impl Download {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Broken> {
        if self.over {
            return Ok(None);
        }
        // Being asked for more means that what was handed over has been taken.
        self.progress.taken();
        self.pipe.consumed();
        let Some(bytes) = self.recv().await? else {
            self.end().await?;
            return Ok(None);
        };
        if let Some(left) = self.left {
            let length = bytes.len() as u64;
            let rest = left.checked_sub(length);
            self.left = Some(rest.ok_or_else(|| Broken::Size(length - left))?);
        }
        if self.left == Some(0) {
            // The last bytes go out once the machine says that all is well: who has all of them can be sure.
            self.pipe.consumed();
            if let Some(more) = self.recv().await? {
                return Err(Broken::Size(more.len() as u64));
            }
            self.end().await?;
            self.over = true;
        }
        self.progress.handed_over();
        Ok(Some((bytes, self)))
    }

    async fn recv(&self) -> Result<Option<Bytes>, Broken> {
        match tokio::time::timeout(AGENT_PATIENCE, self.pipe.recv()).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(reset)) => Err(Broken::Machine(self.pipe.why(&reset).await)),
            Err(_) => {
                let reason = "nothing came for too long";
                self.pipe.cut_off(ResetCode::Stalled, reason, "stalled");
                Err(Broken::Silent)
            }
        }
    }

    async fn end(&self) -> Result<(), Broken> {
        let closed = tokio::time::timeout(AGENT_PATIENCE, self.pipe.closed()).await;
        match closed.map_err(|_| Broken::Silent)? {
            Closed {
                error: Some(error), ..
            } => Err(Broken::Machine(error)),
            _ => match self.left {
                Some(left) if left > 0 => Err(Broken::Size(left)),
                _ => Ok(()),
            },
        }
    }
}
