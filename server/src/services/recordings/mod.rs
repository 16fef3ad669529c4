//! Recordings of terminals: begins them, finds their files, ends what a crash left, deletes what is old.
//!
//! ```text
//!   session's actor ──▶ Recorder ──▶ queue (2 MiB) ──▶ a thread of its own ──▶ NAME.cast, NAME.idx
//!                          ◀── Progress: what is written, or why it failed ──┘   at the end: row and audit
//! ```
//!
//! The database has a row before there is a file, so no file is without its row; what the row says at the
//! end (state, size, SHA-256) goes into the audit in the same commit.

mod ending;
mod files;
mod keeping;
mod live;
mod mending;
mod queue;
pub mod reading;
mod recorder;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Duration;
use gururmm_shared::{AgentId, ChannelId, RecordingId, SessionId, TerminalSize, UserId};

use self::ending::Ending;
pub use self::ending::hex;
use self::files::OpenFiles;
pub use self::keeping::DeleteError;
use self::live::Live;
pub use self::recorder::{Progress, Recorder};
use self::writer::Writer;
use crate::db::{Db, DbError, places, recordings};
use crate::domain::policy::recording::RecordingRules;
use crate::domain::recording::Header;
use crate::domain::text::tame;
use crate::services::audit;

/// Terminals that are recorded at once.
const MOST: usize = 1000;
/// `TERM` where nobody says.
const TERM: &str = "xterm-256color";

/// What is recorded.
#[derive(Debug, Clone)]
pub struct NewRecording {
    /// In which session.
    pub session_id: SessionId,
    /// Which terminal.
    pub channel_id: ChannelId,
    /// On which agent.
    pub agent_id: AgentId,
    /// Its name.
    pub hostname: String,
    /// Whose session it is.
    pub tech_id: UserId,
    /// Whose, by e-mail address.
    pub user_email: String,
    /// The size at the beginning.
    pub size: TerminalSize,
    /// `TERM`; nothing means `xterm-256color`.
    pub term: Option<String>,
    /// What runs in it; empty where that is the machine's default.
    pub program: String,
    /// What the policy says.
    pub rules: RecordingRules,
}

/// Why a terminal cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The policy does not want it.
    #[error("the policy does not record terminals")]
    Off,
    /// Too many are recorded.
    #[error("{MOST} terminals are recorded already; close some")]
    TooMany,
    /// Its row cannot be written.
    #[error("the recording cannot be noted: {0}")]
    Database(#[from] DbError),
    /// Its file cannot be made.
    #[error("the recording cannot be written to the server's disk: {0}")]
    Disk(String),
}

/// The recordings of this server; clones are the same.
#[derive(Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    root: PathBuf,
    live: Live,
    searches: tokio::sync::Semaphore,
}

impl Recordings {
    /// Those in the folder `recordings` of a data directory.
    #[must_use]
    pub fn new(db: Db, data_dir: &Path) -> Self {
        let inner = Inner {
            db,
            root: data_dir.join("recordings"),
            live: Live::new(MOST),
            searches: tokio::sync::Semaphore::new(reading::SEARCHES),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Begins a recording: its row and its file are there when this returns.
    ///
    /// # Errors
    /// [`RecordingError`]: it cannot be written; where the policy says `required` the terminal must not
    /// be opened.
    pub async fn start(&self, new: NewRecording) -> Result<Recorder, RecordingError> {
        if !new.rules.is_on() {
            return Err(RecordingError::Off);
        }
        let inner = &self.inner;
        let id = RecordingId::generate();
        let guard = inner.live.enter(id).ok_or(RecordingError::TooMany)?;
        let place = places::of_agent(&inner.db, new.agent_id).await?;
        let started_at = audit::now();
        let root = inner.root.clone();
        let (session_id, channel_id) = (new.session_id, new.channel_id.clone());
        let path = blocking(move || files::free_path(&root, started_at, session_id, &channel_id));
        let path = path.await.map_err(RecordingError::Disk)?;
        let row = recordings::NewRecording {
            id,
            session_id: new.session_id,
            channel_id: new.channel_id.to_string(),
            agent_id: new.agent_id,
            agent_hostname: tame(&new.hostname, 255),
            place: place.unwrap_or_default(),
            tech_id: new.tech_id,
            tech_email: tame(&new.user_email, 254),
            program: tame(&new.program, 500),
            with_input: new.rules.with_input(),
            started_at,
            path: path.clone(),
            keep_until: started_at + Duration::days(new.rules.keep_days.into()),
        };
        let ending = Ending::of_new(&inner.db, &row);
        let header = Header {
            size: new.size,
            began_at: started_at,
            title: &format!(
                "{} on {}, by {}",
                row.channel_id, row.agent_hostname, row.tech_email
            ),
            term: new.term.as_deref().unwrap_or(TERM),
            shell: &row.program,
        }
        .line();
        recordings::insert(&inner.db, row).await?;
        let root = inner.root.clone();
        let made = blocking(move || OpenFiles::create(&root, &path, &header).map(Writer::new));
        let begun = match made.await {
            Ok(writer) => Recorder::begin(id, &new, writer, ending.clone(), guard),
            Err(error) => Err(error),
        };
        match begun {
            Ok(recorder) => Ok(recorder),
            Err(problem) => {
                ending.failed_at_once(&problem).await;
                Err(RecordingError::Disk(problem))
            }
        }
    }

    /// Waits until all that have ended are written; those that go on hold it up.
    pub async fn drain(&self) {
        self.inner.live.wait_for_none().await;
    }
}

/// Runs what waits for the disk beside the actors.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
