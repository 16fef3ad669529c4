//! Files as Windows has them. The names that mean something else there are refused by rule (`path_tests`) and,
//! here, on the machine.
#![allow(clippy::unwrap_used)]

use gururmm_shared::{ErrorCode, FileKind, FileWrite, Operation, Reply};

use super::testing::{
    Ground, anywhere, archive_read, ask, code, read_all, sha256, unpack, upload, whole, within,
    write, write_all,
};

fn list(path: &str) -> Operation {
    Operation::FileList {
        path: path.into(),
        after: None,
        limit: 100,
    }
}

fn stat(path: &str) -> Operation {
    Operation::FileStat { path: path.into() }
}

fn mkdir(path: &str) -> Operation {
    Operation::FileMkdir {
        path: path.into(),
        parents: true,
    }
}

#[tokio::test]
async fn files_are_listed_looked_at_renamed_and_deleted() {
    let ground = Ground::new();
    let path = ground.file("ä b.txt", b"bytes");
    let folder = ground.folder("inner");
    let Reply::Files { entries, more } = ask(list(&ground.text("")), &anywhere()).await.unwrap()
    else {
        panic!("no list")
    };
    let told: Vec<_> = entries
        .iter()
        .map(|one| (one.name.as_str(), one.kind, one.size))
        .collect();
    assert_eq!(
        told,
        [
            ("inner", FileKind::Directory, 0),
            ("ä b.txt", FileKind::File, 5)
        ]
    );
    assert!(
        !more
            && entries
                .iter()
                .all(|one| one.modified.is_some() && one.mode.is_none())
    );
    let to = format!("{folder}\\moved");
    let rename = |from: &str, to: &str, overwrite| Operation::FileRename {
        from: from.into(),
        to: to.into(),
        overwrite,
    };
    assert_eq!(
        ask(rename(&path, &to, false), &anywhere()).await,
        Ok(Reply::Done)
    );
    let other = ground.file("other", b"2");
    let refused = ask(rename(&other, &to, false), &anywhere()).await;
    assert_eq!(refused, Err(ErrorCode::AlreadyExists));
    assert_eq!(
        ask(rename(&other, &to, true), &anywhere()).await,
        Ok(Reply::Done)
    );
    assert_eq!(std::fs::read(&to).unwrap(), b"2");
    let delete = |path: &str, recursive| Operation::FileDelete {
        path: path.into(),
        recursive,
    };
    assert_eq!(
        ask(delete(&folder, false), &anywhere()).await,
        Err(ErrorCode::NotEmpty)
    );
    assert_eq!(
        ask(delete(&folder, true), &anywhere()).await,
        Ok(Reply::Done)
    );
    assert!(ground.names("").is_empty());
}

#[tokio::test]
async fn nasty_names_are_refused_before_the_system_sees_them() {
    let ground = Ground::new();
    let root = ground.text("");
    let long = "n".repeat(256);
    for nasty in [
        "CON",
        "nul",
        "NUL.txt",
        "COM1",
        "com9.log",
        "LPT1",
        "aux.tar.gz",
        "PRN",
        "CONIN$",
        "COM¹",
        "file:stream",
        "file::$DATA",
        "dir::$INDEX_ALLOCATION",
        "trailing.",
        "trailing ",
        "a<b",
        "a|b",
        "a?",
        "a*",
        "a\"b",
        "a\u{1}",
        "..",
        ".",
        "a\\..\\b",
        "a\\\\b",
        &long,
    ] {
        let path = format!("{root}\\{nasty}");
        let made = ask(mkdir(&path), &anywhere()).await;
        assert_eq!(made, Err(ErrorCode::BadName), "{nasty:?}");
        assert_eq!(
            ask(stat(&path), &anywhere()).await,
            Err(ErrorCode::BadName),
            "{nasty:?}"
        );
        let closed = write_all(upload(&path, 1), b"x", &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::BadName), "{nasty:?}");
    }
    for nasty in [
        r"\\server\share\x",
        r"\\?\C:\x",
        r"\\.\PhysicalDrive0",
        r"\\.\pipe\x",
        "C:x",
        "x",
        r"\x",
    ] {
        assert_eq!(
            ask(stat(nasty), &anywhere()).await,
            Err(ErrorCode::BadName),
            "{nasty:?}"
        );
    }
    assert!(ground.names("").is_empty());
}

#[tokio::test]
async fn what_lies_outside_of_the_allowed_folders_is_refused_whatever_its_case() {
    let ground = Ground::new();
    let inside = ground.folder("inside");
    let secret = ground.file("secret", b"s");
    let rules = within(&[&inside]);
    for outside in [&secret, &ground.text(""), &ground.text("inside2")] {
        assert_eq!(
            ask(stat(outside), &rules).await,
            Err(ErrorCode::NotAllowed),
            "{outside}"
        );
    }
    std::fs::write(ground.path("inside").join("a"), "a").unwrap();
    let shouted = format!("{}\\A", inside.to_uppercase());
    assert!(matches!(
        ask(stat(&shouted), &rules).await,
        Ok(Reply::File { .. })
    ));
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent_and_nothing_is_left_beside_it() {
    let ground = Ground::new();
    let bytes = super::testing::noise(300_000);
    let path = ground.text("target.bin");
    let order = FileWrite {
        sha256: Some(sha256(&bytes)),
        ..upload(&path, 300_000)
    };
    let closed = write_all(order, &bytes, &anywhere()).await;
    assert_eq!(closed.error, None);
    assert_eq!(ground.names(""), ["target.bin"]);
    assert_eq!(read_all(whole(&path), &anywhere()).await.unwrap(), bytes);
    let closed = write_all(upload(&path, 1), b"x", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::AlreadyExists));
    let over = FileWrite {
        overwrite: true,
        ..upload(&path, 1)
    };
    assert_eq!(write_all(over, b"x", &anywhere()).await.error, None);
    assert_eq!(std::fs::read(&path).unwrap(), b"x");
}

#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on_and_is_nobody_elses_meanwhile() {
    let ground = Ground::new();
    let path = ground.text("target");
    let closed = write_all(upload(&path, 10), b"01234", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::Cancelled));
    let [part] = &ground.names("")[..] else {
        panic!("no part: {:?}", ground.names(""))
    };
    let part = ground.path(part);
    let exposure = crate::platform::exposure(&std::fs::File::open(&part).unwrap(), &part).unwrap();
    assert_eq!(exposure, None);
    let state = Operation::UploadState {
        path: path.clone(),
        upload: "one".into(),
    };
    assert_eq!(
        ask(state, &anywhere()).await,
        Ok(Reply::Upload { offset: 5 })
    );
    let rest = FileWrite {
        offset: 5,
        sha256: Some(sha256(b"0123456789")),
        ..upload(&path, 10)
    };
    assert_eq!(write_all(rest, b"56789", &anywhere()).await.error, None);
    assert_eq!(ground.names(""), ["target"]);
}

#[tokio::test]
async fn two_channels_do_not_write_one_upload() {
    let ground = Ground::new();
    let path = ground.text("target");
    let first = write(upload(&path, 10), &anywhere());
    first.peer.send(b"01234").await.unwrap();
    while ground.names("").is_empty() {
        tokio::task::yield_now().await;
    }
    let second = FileWrite {
        offset: 5,
        ..upload(&path, 10)
    };
    let closed = write_all(second, b"56789", &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::TooMany));
    first.peer.finish();
    first.end().await;
}

#[tokio::test]
async fn a_folder_goes_through_an_archive_and_comes_back() {
    let ground = Ground::new();
    let from = ground.folder("from\\inner");
    std::fs::write(format!("{from}\\a.txt"), "a").unwrap();
    let channel = archive_read(&ground.text("from"), &anywhere());
    let mut archive = Vec::new();
    while let Ok(Some(bytes)) = channel.peer.recv().await {
        archive.extend_from_slice(&bytes);
    }
    assert_eq!(channel.end().await.error, None);
    let to = ground.text("to");
    assert_eq!(unpack(&to, &archive, false, &anywhere()).await.error, None);
    assert_eq!(std::fs::read(format!("{to}\\inner\\a.txt")).unwrap(), b"a");
}
