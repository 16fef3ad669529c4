//! Recordings of terminals: what their files hold, line by line. Owns the formats and when what is due;
//! knows no file and no clock.
//!
//! ```text
//!   NAME.cast   asciicast v2: a header, then one event a line      (cast)
//!   NAME.idx    one JSON object a line: where which time begins,   (index)
//!               and key frames, which show the screen of that time
//! ```

pub mod cast;
pub mod index;
mod plain;
pub mod search;
pub mod state;

pub use cast::{Cast, Event, Header};
pub use index::{Entry, EntryKind, KeyFrames, Positions};
pub use search::{Found, Search};
pub use state::RecordingState;

/// The longest line of a file that is looked at; what is written is shorter.
pub const LINE_BYTES: u64 = 1 << 20;
/// The largest state of a screen that is kept as a key frame.
pub const KEY_FRAME_BYTES: usize = 500 * 1024;
