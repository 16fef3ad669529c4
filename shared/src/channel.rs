//! How a channel of the data plane opens and ends: the payloads beside its binary frames.
//!
//! ```text
//!   server                                              agent
//!     open {session_id, stream, window, kind} ───────▶
//!     ◀─────────────── opened {window, …}   or   closed {error}
//!                      (where a lane was offered: the agent dials it first; see [`crate::lane`])
//!     DATA · WINDOW · EOF · RESET  ◀────────▶  on `stream`
//!     resize · signal · close ─────────────────────────▶
//!     ◀─────────────── closed {exit_code, reason, error, …}     the last word of the channel
//! ```

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{EndReason, OperationError, SessionId, StreamId};

/// Opens a channel with a stream of bytes (server to agent, capability `data_plane`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenChannel {
    /// The session it belongs to; one for another session is refused.
    pub session_id: SessionId,
    /// The number of its frames, unique on the agent's connection.
    pub stream: StreamId,
    /// The agent may send bytes with offset < this until a WINDOW says more.
    pub window: u64,
    /// What it is for.
    pub kind: ChannelKind,
    /// The agent may carry the bytes over a connection of their own (capability `bulk_lane`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneOffer>,
}

/// A connection of its own for the bytes of one channel: the agent dials it, once and soon.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOffer {
    /// What the agent shows there, once.
    pub token: String,
    /// How long the token is good.
    pub seconds: u32,
}

impl fmt::Debug for LaneOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneOffer")
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}

/// What a channel is for; made to grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChannelKind {
    /// A program under a pseudo-terminal.
    Terminal(TerminalOptions),
    /// A TCP connection from the machine to somewhere (capability `tcp_forward`).
    Tcp(TcpTarget),
    /// The bytes of a file, from the machine (capability `files`).
    FileRead(FileRead),
    /// The bytes of a file, to the machine (capability `files`).
    FileWrite(FileWrite),
    /// A folder as a tar archive, from the machine (capability `files`).
    ArchiveRead(ArchiveRead),
    /// A tar archive to be unpacked into a folder, to the machine (capability `files`).
    ArchiveWrite(ArchiveWrite),
    /// Changes of services as they happen, from the machine: one [`ServiceChange`](crate::ServiceChange) a line of
    /// JSON (capability `service_watch`).
    ServiceWatch(ServiceWatch),
}

/// The program of a terminal and how it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TerminalOptions {
    /// `sh`, `bash`, `cmd`, `powershell` or a path; missing means the machine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Its arguments; missing means those of a log-in shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Variables beside the agent's own environment, as [`crate::environment`] allows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Where it starts; missing means the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Its size.
    pub size: TerminalSize,
    /// `TERM`; missing means `xterm-256color`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
}

/// The size of a terminal in characters, 1 to 1,000 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalSize {
    /// Characters in a line.
    pub cols: u16,
    /// Lines.
    pub rows: u16,
}

impl TerminalSize {
    /// The most columns or rows.
    pub const MOST: u16 = 1000;

    /// The nearest allowed size.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            cols: self.cols.clamp(1, Self::MOST),
            rows: self.rows.clamp(1, Self::MOST),
        }
    }
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { cols: 80, rows: 24 }
    }
}

/// Where a TCP connection goes, as seen from the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpTarget {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRead {
    /// Its absolute path.
    pub path: String,
    /// The first byte that is wanted.
    #[serde(default)]
    pub offset: u64,
    /// How many bytes; missing means all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Refuse unless the file still is this one ([`Opened::version`]): a download that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A file to be written: beside the target first, renamed over it at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWrite {
    /// Its absolute path.
    pub path: String,
    /// Names the upload, so that it can go on: the temporary file's name holds it. 1 to 64 bytes of
    /// `a-z`, `A-Z`, `0-9`, `-`, `_`.
    pub upload: String,
    /// Where the bytes of this channel begin; at most as many were written by an earlier one.
    #[serde(default)]
    pub offset: u64,
    /// The whole file's size; reaching it ends the upload.
    pub size: u64,
    /// SHA-256 of the whole file in hexadecimal; another one refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether an existing target is replaced.
    #[serde(default)]
    pub overwrite: bool,
    /// Permission bits, on Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<DateTime<Utc>>,
}

/// A folder to be read as a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRead {
    /// Its absolute path.
    pub path: String,
}

/// A folder to unpack a tar archive into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveWrite {
    /// Its absolute path; it is made if it is not there.
    pub path: String,
    /// Whether existing files are replaced.
    #[serde(default)]
    pub overwrite: bool,
}

/// Services to be watched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceWatch {
    /// Which ones, at most [`ServiceWatch::MOST_NAMES`]; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Time between looks at them, 1 to 60; missing means the agent's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u32>,
}

impl ServiceWatch {
    /// The most names.
    pub const MOST_NAMES: usize = 100;
    /// The longest time between looks.
    pub const MOST_SECONDS: u32 = 60;
}

/// A channel is open (agent to server).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Opened {
    /// The server may send bytes with offset < this until a WINDOW says more.
    pub window: u64,
    /// The whole file's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When the file was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<DateTime<Utc>>,
    /// Names this state of the file: another one means that it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The first process of a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What the terminal runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Whether the bytes go over the lane that was offered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lane: bool,
}

/// The last word of a channel (agent to server).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Closed {
    /// How the program ended (128 + n for signal n).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why, where it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// Why it failed or was not opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OperationError>,
    /// Bytes of file contents that were carried, both ways together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of a whole file that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Files, folders and links that an archive held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// What is not in an archive that was read: devices, pipes, sockets, other file systems, what the agent
    /// may not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
}

impl Closed {
    /// A channel that failed or was not opened.
    #[must_use]
    pub fn failed(error: OperationError) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }
}

/// A signal for the program in a terminal's foreground (server to agent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignalName {
    /// Ctrl-C.
    Interrupt,
    /// The terminal is gone.
    Hangup,
    /// Ctrl-\.
    Quit,
    /// Please end.
    Terminate,
    /// End.
    Kill,
}

/// The payload of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Which one.
    pub signal: SignalName,
}
