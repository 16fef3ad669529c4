//! Requests that have one answer: file metadata, services, processes, the Windows registry.
//!
//! Each goes through a channel of its own: `request` to the agent, `reply` back, and the channel is gone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::SessionId;

/// A request (server to agent).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The session it belongs to; one for another session is refused.
    pub session_id: SessionId,
    /// What is to be done.
    #[serde(flatten)]
    pub operation: Operation,
}

/// What is to be done; made to grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// Lists a folder, by name; `after` is the last name of the page before.
    FileList {
        /// Absolute.
        path: String,
        /// The page goes on after this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// 1 to 1,000.
        limit: u32,
    },
    /// Tells about one file; a link is not followed.
    FileStat {
        /// Absolute.
        path: String,
    },
    /// Makes a folder.
    FileMkdir {
        /// Absolute.
        path: String,
        /// Whether missing ones above it are made, and an existing one is as good.
        #[serde(default)]
        parents: bool,
    },
    /// Renames or moves within one file system.
    FileRename {
        /// Absolute.
        from: String,
        /// Absolute.
        to: String,
        /// Whether an existing file at `to` is replaced.
        #[serde(default)]
        overwrite: bool,
    },
    /// Deletes a file, a link (not what it points to) or a folder.
    FileDelete {
        /// Absolute.
        path: String,
        /// Whether a folder goes with what is in it.
        #[serde(default)]
        recursive: bool,
    },
    /// Tells how far an upload is, to go on with it.
    UploadState {
        /// The target's absolute path.
        path: String,
        /// The upload's name.
        upload: String,
    },
    /// Drops what an upload has written.
    UploadDrop {
        /// The target's absolute path.
        path: String,
        /// The upload's name.
        upload: String,
    },
    /// Lists the services.
    ServiceList,
    /// Tells about one service.
    ServiceStat {
        /// Its name.
        name: String,
    },
    /// Starts, stops or restarts a service.
    ServiceControl {
        /// Its name.
        name: String,
        /// What is to happen.
        action: ServiceAction,
    },
    /// Sets when a service starts.
    ServiceStartType {
        /// Its name.
        name: String,
        /// When.
        start_type: StartType,
    },
    /// Lists the processes.
    ProcessList,
    /// Ends a process.
    ProcessKill {
        /// Its number.
        pid: u32,
        /// When it started, as the list told it: another process of that number is left alone.
        started: u64,
    },
    /// Lists the keys and values under a key (Windows).
    RegistryList {
        /// As `HKLM\SOFTWARE\Example`.
        key: String,
    },
    /// Writes a value and makes its key (Windows).
    RegistryWrite {
        /// As `HKLM\SOFTWARE\Example`.
        key: String,
        /// The value.
        value: RegistryValue,
    },
    /// Deletes a value, or a key with all that is under it (Windows).
    RegistryDelete {
        /// As `HKLM\SOFTWARE\Example`.
        key: String,
        /// The value's name, empty for the default value; missing means the key with all that is under it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Writes a key with all that is under it as the text of a .reg file (Windows).
    RegistryExport {
        /// As `HKLM\SOFTWARE\Example`.
        key: String,
    },
}

/// What is to happen to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServiceAction {
    /// It is to run.
    Start,
    /// It is to end.
    Stop,
    /// It is to end and run again.
    Restart,
}

/// When a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartType {
    /// With the machine.
    Automatic,
    /// When somebody asks.
    Manual,
    /// Not at all.
    Disabled,
}

/// The answer to a request (agent to server).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Reply {
    /// It is done; there is nothing to tell.
    Done,
    /// It is done; what a write replaced, so that it can be put back.
    Replaced {
        /// The value, or service, as it was; missing where there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// A page of a folder.
    Files {
        /// By name.
        entries: Vec<FileInfo>,
        /// Whether more follow.
        more: bool,
    },
    /// One file.
    File {
        /// What it is.
        entry: FileInfo,
    },
    /// How far an upload is.
    Upload {
        /// Bytes that are on the disk.
        offset: u64,
    },
    /// Services.
    Services {
        /// By name.
        services: Vec<ServiceState>,
    },
    /// Processes.
    Processes {
        /// By number.
        processes: Vec<ProcessInfo>,
    },
    /// A registry key.
    Registry {
        /// Names of the keys under it.
        keys: Vec<String>,
        /// Its values.
        values: Vec<RegistryValue>,
    },
    /// Text, as of a .reg file.
    Text {
        /// The text.
        text: String,
    },
    /// It was not done.
    Failed {
        /// Why.
        error: OperationError,
    },
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct OperationError {
    /// What it is, for programs.
    pub code: ErrorCode,
    /// What it is, for people.
    pub message: String,
}

impl OperationError {
    /// Makes one.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Why something was not done, for programs; an unknown one reads as [`ErrorCode::Failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No such file, service, process, key.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// The operating system does not let the agent.
    PermissionDenied,
    /// The policy does not allow it.
    NotAllowed,
    /// The path or name cannot be used.
    BadName,
    /// It is a folder and must not be, or is none and must be.
    WrongKind,
    /// A folder that is not empty.
    NotEmpty,
    /// The file was changed meanwhile.
    Changed,
    /// The checksum does not fit.
    BadChecksum,
    /// The archive is damaged, or none.
    BadArchive,
    /// The offset does not fit what was written before.
    BadOffset,
    /// The disk is full, or a quota used up.
    DiskFull,
    /// More than fits: too many entries, too long.
    TooLarge,
    /// It took too long.
    TimedOut,
    /// The other end refuses or cannot be reached.
    Unreachable,
    /// As many as may be open are.
    TooMany,
    /// Not on this platform, or not by this agent.
    Unsupported,
    /// The session or the agent's connection ended meanwhile.
    Gone,
    /// Somebody ended it.
    Cancelled,
    /// Something else.
    #[serde(other)]
    Failed,
}

/// A file, as a folder lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileInfo {
    /// Its name, without the folders above; what is no UTF-8 is shown as U+FFFD.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<DateTime<Utc>>,
    /// Permission bits, on Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The user's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The group's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_target: Option<String>,
    /// Whether the name is no UTF-8, so the file cannot be named here.
    #[serde(default)]
    pub unnameable: bool,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file with bytes.
    File,
    /// A folder.
    Directory,
    /// A symbolic link or a junction.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// A service as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceState {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// `running`, `stopped`, `failed`, `starting`, `stopping` or what the system says.
    pub state: String,
    /// When it starts, where the system says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_type: Option<StartType>,
    /// Its first process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// A service that is watched, as it is or has become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceChange {
    /// What happened to it.
    pub change: ServiceChangeKind,
    /// How it is now; of one that is gone, how it was.
    pub service: ServiceState,
}

impl ServiceChange {
    /// The longest line in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;
}

/// What happened to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServiceChangeKind {
    /// It was there when the watch began.
    Present,
    /// It has come.
    Added,
    /// Its state or its start type is another one.
    Changed,
    /// It has gone.
    Removed,
}

/// A process as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its command line, cut at 1,000 characters.
    #[serde(default)]
    pub command: String,
    /// The user's name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Load of the CPUs, 100 for one of them. JSON writes what is no number as `null`; it reads as 0.
    #[serde(default, deserialize_with = "number_or_zero")]
    pub cpu_percent: f32,
    /// Bytes of resident memory.
    pub memory: u64,
    /// When it started, seconds since 1970.
    pub started: u64,
}

fn number_or_zero<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistryValue {
    /// Its name; empty for the default value.
    pub name: String,
    /// Its type and data.
    #[serde(flatten)]
    pub data: RegistryData,
}

/// The types of values of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum RegistryData {
    /// `REG_SZ`.
    String(String),
    /// `REG_EXPAND_SZ`.
    ExpandString(String),
    /// `REG_MULTI_SZ`.
    MultiString(Vec<String>),
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_QWORD`.
    Qword(u64),
    /// `REG_BINARY`, in hexadecimal.
    Binary(String),
    /// `REG_NONE` and others.
    Other {
        /// The type's number.
        number: u32,
        /// The bytes in hexadecimal.
        bytes: String,
    },
}
