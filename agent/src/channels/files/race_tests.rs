//! A folder that is swapped for a link out of the allowed ones, over and over, while it is used.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use gururmm_shared::{Operation, Reply};

use super::testing::*;

const ROUNDS: usize = 400;

/// Swaps until it is dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapper {
    /// Exchanges `one` and `other` in a loop.
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// `root/swapped` is a folder and a link to `outside` by turns; both hold `file` and `folder/file`.
fn swapped(absolute: bool) -> (Ground, String, Swapper) {
    let ground = Ground::new();
    let root = ground.folder("root");
    for place in ["root/swapped", "outside"] {
        ground.folder(&format!("{place}/folder"));
    }
    for inside in ["root/swapped/file", "root/swapped/folder/file"] {
        ground.file(inside, b"inside");
    }
    for outside in ["outside/file", "outside/folder/file", "outside/secret-name"] {
        ground.file(outside, b"secret");
    }
    let target = if absolute {
        ground.path("outside")
    } else {
        "../outside".into()
    };
    ground.link(target, "root/link");
    let swapper = Swapper::start(ground.path("root/swapped"), ground.path("root/link"));
    (ground, root, swapper)
}

#[tokio::test]
async fn nothing_outside_is_ever_read_or_listed() {
    for absolute in [false, true] {
        let (_ground, root, _swapper) = swapped(absolute);
        let rules = within(&[&root]);
        let mut seen = 0;
        for _ in 0..ROUNDS {
            for path in ["swapped/file", "swapped/folder/file"] {
                if let Ok(bytes) = read_all(whole(&format!("{root}/{path}")), &rules).await {
                    assert_eq!(bytes, b"inside");
                    seen += 1;
                }
            }
            let list = Operation::FileList {
                path: format!("{root}/swapped"),
                after: None,
                limit: 10,
            };
            if let Ok(Reply::Files { entries, .. }) = ask(list, &rules).await {
                assert!(entries.iter().all(|entry| entry.name != "secret-name"));
                seen += 1;
            }
        }
        assert!(seen > 0, "the folder was never met as itself");
    }
}

#[tokio::test]
async fn nothing_outside_is_ever_packed() {
    let (_ground, root, _swapper) = swapped(true);
    let rules = within(&[&root]);
    for _ in 0..ROUNDS / 4 {
        let channel = archive_read(&root, &rules);
        let mut archive = Vec::new();
        while let Ok(Some(bytes)) = channel.peer.recv().await {
            archive.extend_from_slice(&bytes);
        }
        assert!(!archive.windows(6).any(|bytes| bytes == b"secret"));
    }
}

#[tokio::test]
async fn nothing_outside_is_ever_written_or_deleted() {
    let (ground, root, swapper) = swapped(true);
    let rules = within(&[&root]);
    for round in 0..ROUNDS {
        let path = format!("{root}/swapped/new-{round}");
        let _ = write_all(upload(&path, 3), b"new", &rules).await;
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(3);
        header.set_mode(0o644);
        let name = format!("swapped/unpacked-{round}");
        archive.append_data(&mut header, name, &b"new"[..]).unwrap();
        let _ = unpack(&root, &archive.into_inner().unwrap(), true, &rules).await;
        for (path, recursive) in [
            ("swapped/folder", true),
            ("swapped/file", false),
            ("swapped/secret-name", false),
        ] {
            let path = format!("{root}/{path}");
            let _ = ask(Operation::FileDelete { path, recursive }, &rules).await;
        }
        // Either the link or the folder itself would go: neither is what is tested here.
    }
    drop(swapper);
    assert_eq!(ground.names("outside"), ["file", "folder", "secret-name"]);
    assert_eq!(ground.names("outside/folder"), ["file"]);
}
