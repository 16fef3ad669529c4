//! What the tests of files share: a folder of their own, and channels that run beside the test.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use gururmm_shared::{
    ArchiveRead, ArchiveWrite, Closed, ErrorCode, FileRead, FileWrite, Operation, Reply,
    TunnelRules,
};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::channels::operations::perform;
use crate::channels::stream_testing::{Peer, pair};
use crate::device::hex;

/// The window of the tests' channels.
pub const WINDOW: u64 = 64 * 1024;

/// A folder that is removed at the end.
pub struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        match name {
            "" => self.folder.path().to_owned(),
            name => self.folder.path().join(name),
        }
    }

    pub fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }

    pub fn folder(&self, name: &str) -> String {
        std::fs::create_dir_all(self.path(name)).unwrap();
        self.text(name)
    }

    #[cfg(unix)]
    pub fn link(&self, target: impl AsRef<Path>, name: &str) -> String {
        std::os::unix::fs::symlink(target, self.path(name)).unwrap();
        self.text(name)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Rules that allow these folders.
pub fn within(roots: &[&str]) -> TunnelRules {
    TunnelRules {
        file_roots: roots.iter().map(|root| (*root).to_owned()).collect(),
        ..TunnelRules::default()
    }
}

pub fn anywhere() -> TunnelRules {
    TunnelRules::default()
}

/// Bytes that repeat nowhere near.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A channel that runs.
pub struct Channel {
    pub peer: Peer,
    pub task: JoinHandle<Closed>,
}

impl Channel {
    pub async fn end(self) -> Closed {
        self.task.await.unwrap()
    }
}

macro_rules! channel {
    ($what:path, $open:expr, $rules:expr) => {{
        let (stream, peer) = pair(WINDOW, WINDOW);
        let (open, rules) = ($open, $rules.clone());
        let task = tokio::spawn(async move {
            let closed = $what(&stream, open, &rules, WINDOW).await;
            // What the caller of the four does.
            match &closed.error {
                None => stream.finish().await.unwrap(),
                Some(_) => {
                    let failed = gururmm_shared::ResetCode::Failed;
                    let _ = stream.reset(failed, "failed").await;
                }
            }
            closed
        });
        Channel { peer, task }
    }};
}

pub fn read(open: FileRead, rules: &TunnelRules) -> Channel {
    channel!(super::read, open, rules)
}

pub fn write(open: FileWrite, rules: &TunnelRules) -> Channel {
    channel!(super::write, open, rules)
}

pub fn archive_read(path: &str, rules: &TunnelRules) -> Channel {
    channel!(
        super::archive_read,
        ArchiveRead { path: path.into() },
        rules
    )
}

pub fn archive_write(path: &str, overwrite: bool, rules: &TunnelRules) -> Channel {
    let open = ArchiveWrite {
        path: path.into(),
        overwrite,
    };
    channel!(super::archive_write, open, rules)
}

pub fn whole(path: &str) -> FileRead {
    FileRead {
        path: path.into(),
        offset: 0,
        length: None,
        version: None,
    }
}

pub fn upload(path: &str, size: u64) -> FileWrite {
    FileWrite {
        path: path.into(),
        upload: "one".into(),
        offset: 0,
        size,
        sha256: None,
        overwrite: false,
        mode: None,
        modified: None,
    }
}

/// Reads a file to its end, or tells why not.
pub async fn read_all(open: FileRead, rules: &TunnelRules) -> Result<Vec<u8>, ErrorCode> {
    let channel = read(open, rules);
    let mut all = Vec::new();
    while let Ok(Some(bytes)) = channel.peer.recv().await {
        all.extend_from_slice(&bytes);
    }
    match channel.end().await.error {
        None => Ok(all),
        Some(error) => Err(error.code),
    }
}

/// Sends these bytes as an upload's, and ends.
pub async fn write_all(open: FileWrite, bytes: &[u8], rules: &TunnelRules) -> Closed {
    let channel = write(open, rules);
    // An upload that is refused resets its stream.
    let _ = channel.peer.send(bytes).await;
    channel.peer.finish();
    channel.end().await
}

/// Unpacks an archive.
pub async fn unpack(path: &str, archive: &[u8], overwrite: bool, rules: &TunnelRules) -> Closed {
    let channel = archive_write(path, overwrite, rules);
    let _ = channel.peer.send(archive).await;
    channel.peer.finish();
    channel.end().await
}

pub fn code(closed: &Closed) -> Option<ErrorCode> {
    closed.error.as_ref().map(|error| error.code)
}

/// The answer to an operation, or why it was not done.
pub async fn ask(operation: Operation, rules: &TunnelRules) -> Result<Reply, ErrorCode> {
    match perform(operation, rules).await {
        Reply::Failed { error } => Err(error.code),
        reply => Ok(reply),
    }
}
