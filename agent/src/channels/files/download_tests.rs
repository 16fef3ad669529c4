#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use gururmm_shared::{ErrorCode, FileRead, Operation};

use super::testing::*;
use crate::platform::make_pipe;

#[tokio::test]
async fn a_file_comes_whole_with_its_size_its_time_and_its_version() {
    let ground = Ground::new();
    let bytes = noise(1_000_000);
    let path = ground.file("a", &bytes);
    let mut channel = read(whole(&path), &anywhere());
    let opened = channel.peer.opened().await;
    assert_eq!((opened.size, opened.window), (Some(1_000_000), WINDOW));
    assert!(opened.modified.is_some() && opened.version.is_some());
    assert_eq!(channel.peer.rest().await, bytes);
    let closed = channel.end().await;
    assert_eq!((closed.bytes, closed.error), (Some(1_000_000), None));
}

#[tokio::test]
async fn a_download_begins_at_any_offset() {
    let ground = Ground::new();
    let size = 3 * WINDOW + 17;
    let bytes = noise(usize::try_from(size).unwrap());
    let path = ground.file("a", &bytes);
    for offset in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, size - 1, size] {
        let open = FileRead {
            offset,
            ..whole(&path)
        };
        let from = usize::try_from(offset).unwrap();
        assert_eq!(
            read_all(open, &anywhere()).await.unwrap(),
            bytes[from..],
            "{offset}"
        );
        for length in [0, 1, WINDOW, size * 2] {
            let open = FileRead {
                offset,
                length: Some(length),
                ..whole(&path)
            };
            let to = bytes.len().min(from + usize::try_from(length).unwrap());
            assert_eq!(read_all(open, &anywhere()).await.unwrap(), bytes[from..to]);
        }
    }
    let beyond = FileRead {
        offset: size + 1,
        ..whole(&path)
    };
    assert_eq!(
        read_all(beyond, &anywhere()).await,
        Err(ErrorCode::BadOffset)
    );
}

#[tokio::test]
async fn a_download_goes_on_only_with_the_file_that_it_began_with() {
    let ground = Ground::new();
    let path = ground.file("a", b"first");
    let mut channel = read(whole(&path), &anywhere());
    let version = channel.peer.opened().await.version;
    channel.peer.rest().await;
    let again = FileRead {
        offset: 2,
        version,
        ..whole(&path)
    };
    assert_eq!(read_all(again.clone(), &anywhere()).await.unwrap(), b"rst");
    ground.file("b", b"other");
    std::fs::rename(ground.path("b"), ground.path("a")).unwrap();
    assert_eq!(read_all(again, &anywhere()).await, Err(ErrorCode::Changed));
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    type Change = fn(&mut std::fs::File);
    let changes: [(&str, Change); 3] = [
        ("longer", |file| file.write_all(b"more").unwrap()),
        ("shorter", |file| file.set_len(WINDOW * 2).unwrap()),
        ("overwritten", |file| {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }),
    ];
    for (what, change) in changes {
        let ground = Ground::new();
        let path = ground.file("a", &noise(usize::try_from(WINDOW * 20).unwrap()));
        let channel = read(whole(&path), &anywhere());
        // The window is used up: the rest is not read yet.
        while channel.peer.received() < WINDOW {
            tokio::task::yield_now().await;
        }
        let mut file = std::fs::File::options()
            .append(true)
            .open(ground.path("a"))
            .unwrap();
        change(&mut file);
        while let Ok(Some(_)) = channel.peer.recv().await {}
        assert_eq!(
            code(&channel.end().await),
            Some(ErrorCode::Changed),
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_has_no_bytes_is_not_opened_and_holds_nobody_up() {
    let ground = Ground::new();
    let folder = ground.folder("folder");
    let pipe = ground.text("pipe");
    make_pipe(&ground.path("pipe"));
    let socket = ground.text("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = ground.link("pipe", "link");
    for path in [
        folder.as_str(),
        &pipe,
        &socket,
        &link,
        "/dev/zero",
        "/dev/null",
        "/dev/tty",
        "/",
        "/proc/self/status",
        "/proc/self/fd/0",
    ] {
        let rules = anywhere();
        let refused = read_all(whole(path), &rules);
        let refused = tokio::time::timeout(Duration::from_secs(20), refused);
        let refused = refused
            .await
            .unwrap_or_else(|_| panic!("{path} holds up"))
            .unwrap_err();
        assert!(
            matches!(refused, ErrorCode::WrongKind | ErrorCode::NotFound),
            "{path}: {refused:?}"
        );
    }
    assert_eq!(
        read_all(whole(&ground.text("none")), &anywhere()).await,
        Err(ErrorCode::NotFound)
    );
}

#[tokio::test]
async fn links_are_followed_inside_of_the_allowed_folders_only() {
    let ground = Ground::new();
    let root = ground.folder("root/inner");
    let root = root.strip_suffix("/inner").unwrap();
    ground.folder("outside");
    let secret = ground.file("outside/secret", b"secret");
    ground.file("root/plain", b"plain");
    ground.link("../plain", "root/inner/relative");
    ground.link(ground.path("root/plain"), "root/inner/absolute");
    ground.link("../../outside/secret", "root/inner/out");
    ground.link(&secret, "root/inner/absolute-out");
    ground.link("../../outside", "root/inner/folder-out");
    ground.link("inner/loop", "root/loop");
    ground.link("../loop", "root/inner/loop");
    ground.link("/proc/self/root", "root/magic");
    let rules = within(&[root]);
    for inside in ["plain", "inner/relative", "inner/absolute"] {
        let path = format!("{root}/{inside}");
        assert_eq!(
            read_all(whole(&path), &rules).await.as_deref(),
            Ok(&b"plain"[..]),
            "{inside}"
        );
    }
    for out in [
        "inner/out",
        "inner/absolute-out",
        "inner/folder-out/secret",
        "magic/etc/passwd",
    ] {
        let path = format!("{root}/{out}");
        assert_eq!(
            read_all(whole(&path), &rules).await,
            Err(ErrorCode::NotAllowed),
            "{out}"
        );
    }
    let looped = read_all(whole(&format!("{root}/loop")), &rules).await;
    assert_eq!(looped, Err(ErrorCode::WrongKind));
    assert_eq!(
        read_all(whole(&secret), &rules).await,
        Err(ErrorCode::NotAllowed)
    );
    assert_eq!(
        read_all(whole(&secret), &anywhere()).await.unwrap(),
        b"secret"
    );
    let magic = format!("/proc/self/root{secret}");
    assert!(read_all(whole(&magic), &anywhere()).await.is_err());
}

#[tokio::test]
async fn several_folders_can_be_allowed_and_each_name_counts_whole() {
    let ground = Ground::new();
    let (one, two) = (ground.folder("one"), ground.folder("two"));
    let rules = within(&[&one, &format!("{two}/"), "relative", "/no/such/folder"]);
    for name in ["one/a", "two/a"] {
        let path = ground.file(name, b"a");
        assert_eq!(read_all(whole(&path), &rules).await.unwrap(), b"a");
    }
    ground.folder("one2");
    let beside = ground.file("one2/a", b"a");
    assert_eq!(
        read_all(whole(&beside), &rules).await,
        Err(ErrorCode::NotAllowed)
    );
    let gone = read_all(whole("/no/such/folder/a"), &rules).await;
    assert_eq!(gone, Err(ErrorCode::NotFound));
    symlink(ground.path("one"), ground.path("three")).unwrap();
    let by_link = within(&[&ground.text("three")]);
    let path = ground.text("three/a");
    assert_eq!(read_all(whole(&path), &by_link).await.unwrap(), b"a");
}

/// Files of the system that the tests' user may not even look at: a child with another user's rights is
/// denied them, and so the agent is where it has not the administrator's.
#[test]
fn what_the_system_denies_is_said_so() {
    let ground = Ground::new();
    let path = ground.file("private", b"private");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    as_nobody("denied_in_a_child", ground.path("").as_path());
    drop(ground);
}

/// Runs one test of this binary again, as a user without rights.
fn as_nobody(test: &str, folder: &std::path::Path) {
    use std::os::unix::process::CommandExt;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    // Where this binary lies, another user may not get to.
    let program = folder.join("test-program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let name = format!("channels::files::download_tests::{test}");
    let mut child = std::process::Command::new(&program);
    child
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env("DENIED_FOLDER", folder)
        .env("TMPDIR", "/tmp")
        .current_dir("/");
    if crate::platform::is_administrator() {
        child.uid(65534).gid(65534);
    }
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
#[ignore = "started by another test, as a user without rights"]
async fn denied_in_a_child() {
    let folder = std::env::var("DENIED_FOLDER").unwrap();
    assert!(
        !crate::platform::is_administrator(),
        "this user may do everything"
    );
    let private = read_all(whole(&format!("{folder}/private")), &anywhere()).await;
    assert_eq!(private, Err(ErrorCode::PermissionDenied));
    let new = write_all(upload(&format!("{folder}/new"), 1), b"x", &anywhere()).await;
    assert_eq!(code(&new), Some(ErrorCode::PermissionDenied));
    for operation in [
        Operation::FileMkdir {
            path: format!("{folder}/made"),
            parents: true,
        },
        Operation::FileDelete {
            path: format!("{folder}/private"),
            recursive: false,
        },
        Operation::FileRename {
            from: format!("{folder}/private"),
            to: format!("{folder}/public"),
            overwrite: false,
        },
    ] {
        let denied = ask(operation, &anywhere()).await;
        assert_eq!(denied, Err(ErrorCode::PermissionDenied));
    }
}

/// Quick, and so on few threads: as the agent runs. Figures are printed, and only a floor that any machine
/// passes is held.
#[test]
fn many_downloads_at_once_share_few_threads() {
    let ground = Ground::new();
    let bytes = noise(4 * 1024 * 1024);
    let path = ground.file("a", &bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // These never take a byte: they hold no thread.
        let stalled: Vec<_> = (0..20).map(|_| read(whole(&path), &anywhere())).collect();
        for channel in &stalled {
            while channel.peer.received() < WINDOW {
                tokio::task::yield_now().await;
            }
        }
        let reading: Vec<_> = (0..20)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { read_all(whole(&path), &anywhere()).await })
            })
            .collect();
        for one in reading {
            assert!(one.await.unwrap().unwrap() == bytes);
        }
        for channel in stalled {
            channel.task.abort();
        }
    });
}

#[test]
#[ignore = "a benchmark: run it in release, on a quiet machine"]
fn benchmark_of_a_download_from_memory() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("a");
    let size = 512 * 1024 * 1024;
    std::fs::write(&path, noise(size)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    for _ in 0..5 {
        let path = path.to_str().unwrap().to_owned();
        let began = Instant::now();
        let task = runtime.spawn(async move {
            let (stream, peer) = crate::channels::stream_testing::pair(1 << 20, 1 << 20);
            let reading = tokio::spawn(async move {
                let closed = super::read(&stream, whole(&path), &anywhere(), 1 << 20).await;
                stream.finish().await.unwrap();
                closed
            });
            let mut received = 0;
            while let Some(bytes) = peer.recv().await.unwrap() {
                received += bytes.len();
            }
            assert_eq!(reading.await.unwrap().error, None);
            received
        });
        assert_eq!(runtime.block_on(task).unwrap(), size);
        let seconds = began.elapsed().as_secs_f64();
        println!("{:.0} MiB/s", 512.0 / seconds);
    }
}
