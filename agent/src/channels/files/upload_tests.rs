#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant, SystemTime};

use chrono::DateTime;
use gururmm_shared::{ErrorCode, FileWrite, Operation, Reply};

use super::testing::*;
use crate::platform::make_pipe;

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

async fn written(path: &str) -> u64 {
    let state = Operation::UploadState {
        path: path.into(),
        upload: "one".into(),
    };
    match ask(state, &anywhere()).await.unwrap() {
        Reply::Upload { offset } => offset,
        other => panic!("no upload: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_arrives_whole_with_its_hash_its_mode_and_its_time() {
    let ground = Ground::new();
    let (path, bytes) = (ground.text("a"), noise(1_000_000));
    let open = FileWrite {
        sha256: Some(sha256(&bytes).to_uppercase()),
        mode: Some(0o750),
        modified: DateTime::from_timestamp(1_000_000_000, 5000),
        ..upload(&path, 1_000_000)
    };
    let closed = write_all(open, &bytes, &anywhere()).await;
    assert_eq!((closed.error, closed.bytes), (None, Some(1_000_000)));
    assert_eq!(closed.sha256, Some(sha256(&bytes)));
    assert!(std::fs::read(&path).unwrap() == bytes);
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(
        (mode(&path), metadata.mtime(), metadata.mtime_nsec()),
        (0o750, 1_000_000_000, 5000)
    );
    assert_eq!(ground.names(""), ["a"]);
}

#[tokio::test]
async fn an_empty_file_arrives_without_a_byte() {
    let ground = Ground::new();
    let path = ground.text("a");
    let closed = write(upload(&path, 0), &anywhere()).end().await;
    assert_eq!((closed.error, closed.bytes), (None, Some(0)));
    assert_eq!(
        (std::fs::read(&path).unwrap().len(), mode(&path)),
        (0, 0o644)
    );
}

#[tokio::test]
async fn an_upload_goes_on_at_any_offset_and_the_whole_is_hashed() {
    let size = 3 * WINDOW + 17;
    let bytes = noise(usize::try_from(size).unwrap());
    for offset in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, size - 1] {
        let ground = Ground::new();
        let (path, split) = (ground.text("a"), usize::try_from(offset).unwrap());
        let open = FileWrite {
            sha256: Some(sha256(&bytes)),
            ..upload(&path, size)
        };
        let early = write_all(open.clone(), &bytes[..split], &anywhere()).await;
        assert_eq!(code(&early), Some(ErrorCode::Cancelled), "{offset}");
        assert!(
            !ground.path("a").exists(),
            "no part of a file is at the target"
        );
        assert_eq!(written(&path).await, offset);
        let on = FileWrite { offset, ..open };
        let closed = write_all(on, &bytes[split..], &anywhere()).await;
        assert_eq!((closed.error, closed.bytes), (None, Some(size - offset)));
        assert!(std::fs::read(&path).unwrap() == bytes, "{offset}");
        assert_eq!(ground.names(""), ["a"]);
    }
}

#[tokio::test]
async fn an_upload_that_was_written_wholly_is_ended_by_one_without_a_byte() {
    let ground = Ground::new();
    let (path, bytes) = (ground.text("a"), noise(1000));
    // Everything is written, and then the target is there.
    let channel = write(upload(&path, 1000), &anywhere());
    channel.peer.send(&bytes[..999]).await.unwrap();
    while written(&path).await < 999 {
        tokio::task::yield_now().await;
    }
    ground.file("a", b"somebody else's");
    channel.peer.send(&bytes[999..]).await.unwrap();
    assert_eq!(code(&channel.end().await), Some(ErrorCode::AlreadyExists));
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
    let on = FileWrite {
        offset: 1000,
        overwrite: true,
        sha256: Some(sha256(&bytes)),
        ..upload(&path, 1000)
    };
    let closed = write(on, &anywhere()).end().await;
    assert_eq!((closed.error, closed.bytes), (None, Some(0)));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn another_offset_than_what_is_on_the_disk_is_refused_with_the_right_one() {
    let ground = Ground::new();
    let path = ground.text("a");
    write_all(upload(&path, 100), &[1; 40], &anywhere()).await;
    for offset in [0, 1, 39, 41, 100] {
        let open = FileWrite {
            offset,
            ..upload(&path, 100)
        };
        let refused = write(open, &anywhere()).end().await.error.unwrap();
        assert_eq!(refused.code, ErrorCode::BadOffset);
        assert!(
            refused.message.contains("go on at 40"),
            "{}",
            refused.message
        );
    }
    let new = FileWrite {
        offset: 5,
        upload: "other".into(),
        ..upload(&path, 100)
    };
    assert_eq!(
        code(&write(new, &anywhere()).end().await),
        Some(ErrorCode::BadOffset)
    );
    assert_eq!(ground.names(""), [".a.one.gururmm-part"]);
}

#[tokio::test]
async fn a_cut_connection_leaves_what_was_written_and_a_dropped_upload_nothing() {
    let ground = Ground::new();
    let path = ground.text("a");
    let channel = write(upload(&path, 100), &anywhere());
    channel.peer.send(&[1; 60]).await.unwrap();
    while written(&path).await < 60 {
        tokio::task::yield_now().await;
    }
    channel.peer.reset();
    assert_eq!(code(&channel.end().await), Some(ErrorCode::Gone));
    assert_eq!(written(&path).await, 60);
    for _ in 0..2 {
        let drop_it = Operation::UploadDrop {
            path: path.clone(),
            upload: "one".into(),
        };
        assert_eq!(ask(drop_it, &anywhere()).await, Ok(Reply::Done));
    }
    assert_eq!(written(&path).await, 0);
    assert!(ground.names("").is_empty());
}

#[tokio::test]
async fn another_checksum_refuses_the_file_and_drops_it() {
    let ground = Ground::new();
    let path = ground.file("a", b"old");
    let open = FileWrite {
        sha256: Some(sha256(b"good")),
        overwrite: true,
        ..upload(&path, 4)
    };
    let closed = write_all(open.clone(), b"evil", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::BadChecksum));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(ground.names(""), ["a"]);
    let damaged = FileWrite {
        sha256: Some("no hash".into()),
        ..open
    };
    assert_eq!(
        code(&write(damaged, &anywhere()).end().await),
        Some(ErrorCode::BadChecksum)
    );
}

#[tokio::test]
async fn what_an_earlier_channel_wrote_is_hashed_too() {
    let ground = Ground::new();
    let path = ground.text("a");
    let open = FileWrite {
        sha256: Some(sha256(b"0123456789")),
        ..upload(&path, 10)
    };
    write_all(open.clone(), b"01234", &anywhere()).await;
    std::fs::write(ground.path(".a.one.gururmm-part"), b"0123x").unwrap();
    let on = FileWrite { offset: 5, ..open };
    let closed = write_all(on, b"56789", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::BadChecksum));
    assert!(ground.names("").is_empty());
}

#[tokio::test]
async fn more_bytes_than_announced_are_refused() {
    let ground = Ground::new();
    let closed = write_all(upload(&ground.text("a"), 3), b"four", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::TooLarge));
    assert!(ground.names("").is_empty());
}

#[tokio::test]
async fn a_target_is_replaced_only_where_asked_and_keeps_its_owner_and_mode() {
    let ground = Ground::new();
    let path = ground.file("a", b"old");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
    let refused = write_all(upload(&path, 3), b"new", &anywhere()).await;
    assert_eq!(code(&refused), Some(ErrorCode::AlreadyExists));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let open = FileWrite {
        overwrite: true,
        ..upload(&path, 3)
    };
    assert_eq!(
        write_all(open.clone(), b"new", &anywhere()).await.error,
        None
    );
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(
        (mode(&path), metadata.uid(), metadata.gid()),
        (0o640, 65534, 65534)
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let setuid = FileWrite {
        mode: Some(0o4755),
        ..open
    };
    assert_eq!(
        code(&write(setuid, &anywhere()).end().await),
        Some(ErrorCode::NotAllowed)
    );
}

#[tokio::test]
async fn no_link_no_folder_and_no_pipe_is_written_to() {
    let ground = Ground::new();
    let target = ground.file("target", b"target");
    let link = ground.link(&target, "link");
    let dangling = ground.link("nowhere", "dangling");
    let folder = ground.folder("folder");
    make_pipe(&ground.path("pipe"));
    for path in [link, dangling, folder, ground.text("pipe")] {
        let open = FileWrite {
            overwrite: true,
            ..upload(&path, 3)
        };
        let closed = write_all(open, b"new", &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::WrongKind), "{path}");
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"target");
    assert!(!ground.path("nowhere").exists());
}

#[tokio::test]
async fn what_somebody_else_put_in_the_uploads_place_is_not_written_to() {
    let ground = Ground::new();
    let (path, victim) = (ground.text("a"), ground.file("victim", b""));
    let part = ground.path(".a.one.gururmm-part");
    let plant: [fn(&str, &std::path::Path); 3] = [
        |victim, part| std::os::unix::fs::symlink(victim, part).unwrap(),
        |victim, part| std::fs::hard_link(victim, part).unwrap(),
        |_, part| {
            std::fs::write(part, b"").unwrap();
            std::os::unix::fs::chown(part, Some(65534), Some(65534)).unwrap();
        },
    ];
    for plant in plant {
        plant(&victim, &part);
        let closed = write_all(upload(&path, 4), b"evil", &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::WrongKind));
        std::fs::remove_file(&part).unwrap();
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"");
}

#[tokio::test]
async fn an_upload_outside_of_the_allowed_folders_is_refused_through_links_too() {
    let ground = Ground::new();
    let (root, outside) = (ground.folder("root"), ground.folder("outside"));
    ground.link("../outside", "root/out");
    ground.link(&outside, "root/absolute-out");
    let rules = within(&[&root]);
    for path in [
        format!("{outside}/a"),
        format!("{root}/out/a"),
        format!("{root}/absolute-out/a"),
    ] {
        let closed = write_all(upload(&path, 1), b"x", &rules).await;
        assert_eq!(code(&closed), Some(ErrorCode::NotAllowed), "{path}");
    }
    assert!(ground.names("outside").is_empty());
    let into_root = write_all(upload(&root, 1), b"x", &rules).await;
    assert_eq!(code(&into_root), Some(ErrorCode::NotAllowed));
}

#[tokio::test]
async fn a_name_of_any_length_has_a_temporary_one() {
    let ground = Ground::new();
    for name in [
        "n".repeat(255),
        "ä".repeat(127),
        "n".repeat(200),
        "a b\n".into(),
    ] {
        let open = FileWrite {
            upload: "u".repeat(64),
            ..upload(&ground.text(&name), 1)
        };
        assert_eq!(
            write_all(open, b"x", &anywhere()).await.error,
            None,
            "{name}"
        );
    }
    assert_eq!(ground.names("").len(), 4);
    let long = write_all(upload(&ground.text(&"n".repeat(256)), 1), b"x", &anywhere()).await;
    assert_eq!(code(&long), Some(ErrorCode::BadName));
    for upload_name in ["", "a/b", "..", "a.b", "ä", &"u".repeat(65)] {
        let open = FileWrite {
            upload: upload_name.into(),
            ..upload(&ground.text("b"), 1)
        };
        assert_eq!(
            code(&write(open, &anywhere()).end().await),
            Some(ErrorCode::BadName)
        );
    }
}

#[tokio::test]
async fn names_that_only_differ_at_their_end_do_not_share_a_temporary_one() {
    let begin = "n".repeat(250);
    let part = |end: &str| super::part::part_name(format!("{begin}{end}").as_ref(), "one");
    assert_ne!(part("a"), part("b"));
    assert!(part("a").len() <= 255);
}

#[tokio::test]
async fn one_channel_writes_an_upload_and_a_second_one_waits_for_its_end() {
    let ground = Ground::new();
    let path = ground.text("a");
    let first = write(upload(&path, 10), &anywhere());
    first.peer.send(b"01234").await.unwrap();
    while written(&path).await < 5 {
        tokio::task::yield_now().await;
    }
    let on = FileWrite {
        offset: 5,
        ..upload(&path, 10)
    };
    let second = write(on, &anywhere());
    second.peer.send(b"").await.unwrap();
    first.peer.reset();
    first.end().await;
    second.peer.send(b"56789").await.unwrap();
    assert_eq!(second.end().await.error, None);
    assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
}

#[tokio::test]
async fn what_was_left_a_week_ago_goes_when_a_new_upload_begins() {
    let ground = Ground::new();
    let age = |name: &str, days: u64| {
        ground.file(name, b"x");
        let file = std::fs::File::options()
            .write(true)
            .open(ground.path(name))
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400))
            .unwrap();
    };
    age(".old.one.gururmm-part", 8);
    age(".young.one.gururmm-part", 6);
    age("old", 8);
    age(".old", 8);
    write_all(upload(&ground.text("a"), 1), b"x", &anywhere()).await;
    assert_eq!(
        ground.names(""),
        [".old", ".young.one.gururmm-part", "a", "old"]
    );
}

#[tokio::test]
async fn credit_comes_back_only_for_what_is_written() {
    let ground = Ground::new();
    let channel = write(upload(&ground.text("a"), 10 * WINDOW), &anywhere());
    let bytes = noise(usize::try_from(10 * WINDOW).unwrap());
    channel.peer.send(&bytes).await.unwrap();
    assert_eq!(channel.end().await.error, None);
    assert!(std::fs::read(ground.path("a")).unwrap() == bytes);
}

/// A file system of one MiB; unmounted at the end.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "gururmm-test"])
            .arg(folder.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "this test needs the right to mount a file system: run it as root, in a container with CAP_SYS_ADMIN"
        );
        Self { folder }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.folder.path())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_leaves_no_part_at_the_target_and_can_be_gone_on_from() {
    let disk = SmallDisk::mount();
    let filler = disk.folder.path().join("filler");
    std::fs::write(&filler, vec![0; 600 * 1024]).unwrap();
    let path = text(&disk.folder.path().join("a"));
    let bytes = noise(800 * 1024);
    let open = FileWrite {
        sha256: Some(sha256(&bytes)),
        ..upload(&path, 800 * 1024)
    };
    let full = write_all(open.clone(), &bytes, &anywhere()).await;
    assert_eq!(code(&full), Some(ErrorCode::DiskFull));
    assert!(!std::path::Path::new(&path).exists());
    let offset = written(&path).await;
    assert!(offset > 0 && offset < 800 * 1024);
    std::fs::remove_file(&filler).unwrap();
    let on = FileWrite { offset, ..open };
    let closed = write_all(on, &bytes[usize::try_from(offset).unwrap()..], &anywhere()).await;
    assert_eq!(closed.error, None);
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[tokio::test]
async fn a_full_disk_ends_the_unpacking_of_an_archive_without_half_a_file() {
    let disk = SmallDisk::mount();
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["first", "second"] {
        let mut header = tar::Header::new_ustar();
        header.set_size(700 * 1024);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, noise(700 * 1024).as_slice())
            .unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let closed = unpack(&text(disk.folder.path()), &archive, false, &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::DiskFull));
    let names: Vec<_> = std::fs::read_dir(disk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["first"]);
}

#[test]
#[ignore = "a benchmark: run it in release, on a quiet machine"]
fn benchmark_of_an_upload_to_memory() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = text(&folder.path().join("a"));
    let bytes = noise(512 * 1024 * 1024);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let bytes = std::sync::Arc::new(bytes);
    for _ in 0..5 {
        let (path, bytes) = (path.clone(), bytes.clone());
        let began = Instant::now();
        let task = runtime.spawn(async move {
            let (stream, peer) = crate::channels::stream_testing::pair(1 << 20, 1 << 20);
            let open = FileWrite {
                overwrite: true,
                ..upload(&path, bytes.len() as u64)
            };
            let writing =
                tokio::spawn(
                    async move { super::write(&stream, open, &anywhere(), 1 << 20).await },
                );
            for piece in bytes.chunks(32 * 1024) {
                peer.send(piece).await.unwrap();
            }
            assert_eq!(writing.await.unwrap().error, None);
        });
        runtime.block_on(task).unwrap();
        println!("{:.0} MiB/s", 512.0 / began.elapsed().as_secs_f64());
    }
}
