//! What becomes of a recording.
//!
//! ```text
//!   recording ──▶ complete      its terminal ended
//!             ──▶ interrupted   its session or the server went before the terminal ended
//!             ──▶ failed        it could not be written any more
//!   each of the three ──▶ deleted   its time was over, or somebody deleted it
//! ```

/// The state of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingState {
    /// It is written.
    Recording,
    /// It is whole.
    Complete,
    /// It ends before its terminal did.
    Interrupted,
    /// It ends where it could not be written any more.
    Failed,
    /// Its files are gone.
    Deleted,
}

impl RecordingState {
    /// Every state's word, for lists.
    pub const NAMES: &'static [&'static str] =
        &["recording", "complete", "interrupted", "failed", "deleted"];

    /// The word for it on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }
}
