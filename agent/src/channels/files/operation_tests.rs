#![allow(clippy::unwrap_used)]

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use gururmm_shared::{ErrorCode, FileInfo, FileKind, Operation, Reply, TunnelRules};

use super::testing::*;
use crate::platform::make_pipe;

async fn page(
    path: &str,
    after: Option<&str>,
    limit: u32,
    rules: &TunnelRules,
) -> Result<(Vec<FileInfo>, bool), ErrorCode> {
    let operation = Operation::FileList {
        path: path.into(),
        after: after.map(str::to_owned),
        limit,
    };
    match ask(operation, rules).await? {
        Reply::Files { entries, more } => Ok((entries, more)),
        other => panic!("no page: {other:?}"),
    }
}

async fn stat(path: &str, rules: &TunnelRules) -> Result<FileInfo, ErrorCode> {
    match ask(Operation::FileStat { path: path.into() }, rules).await? {
        Reply::File { entry } => Ok(entry),
        other => panic!("no file: {other:?}"),
    }
}

async fn make(path: &str, parents: bool, rules: &TunnelRules) -> Result<Reply, ErrorCode> {
    let path = path.into();
    ask(Operation::FileMkdir { path, parents }, rules).await
}

async fn rename(from: &str, to: &str, overwrite: bool) -> Result<Reply, ErrorCode> {
    let operation = Operation::FileRename {
        from: from.into(),
        to: to.into(),
        overwrite,
    };
    ask(operation, &anywhere()).await
}

async fn delete(path: &str, recursive: bool, rules: &TunnelRules) -> Result<Reply, ErrorCode> {
    let path = path.into();
    ask(Operation::FileDelete { path, recursive }, rules).await
}

#[tokio::test]
async fn a_folder_is_listed_by_name_page_by_page() {
    let ground = Ground::new();
    let folder = ground.folder("folder");
    let mut names: Vec<String> = (0..2500).map(|number| format!("file-{number}")).collect();
    for name in &names {
        ground.file(&format!("folder/{name}"), b"x");
    }
    names.sort();
    let mut listed = Vec::new();
    let mut pages = 0;
    loop {
        let after = listed.last().cloned();
        let (entries, more) = page(&folder, after.as_deref(), 1000, &anywhere())
            .await
            .unwrap();
        listed.extend(entries.into_iter().map(|entry| entry.name));
        pages += 1;
        if !more {
            break;
        }
    }
    assert_eq!((listed, pages), (names, 3));
    for limit in [0, 1001] {
        assert_eq!(
            page(&folder, None, limit, &anywhere()).await,
            Err(ErrorCode::TooLarge)
        );
    }
    let (exactly, more) = page(&folder, Some("file-998"), 1, &anywhere())
        .await
        .unwrap();
    assert_eq!((exactly[0].name.as_str(), more), ("file-999", false));
}

#[tokio::test]
async fn a_page_fits_into_a_message_whatever_the_names_are() {
    let ground = Ground::new();
    let folder = ground.folder("folder");
    for number in 0..600 {
        let name = format!("folder/{number:03}{}", "\u{1}".repeat(250));
        ground.link("\u{1}".repeat(1000), &name);
    }
    let (entries, more) = page(&folder, None, 1000, &anywhere()).await.unwrap();
    assert!(more && entries.len() > 10 && entries.len() < 600);
    let last = entries.last().unwrap().name.clone();
    let (rest, _) = page(&folder, Some(&last), 1000, &anywhere()).await.unwrap();
    assert!(rest[0].name.starts_with(&format!("{:03}", entries.len())));
    let text = serde_json::to_string(&Reply::Files { entries, more }).unwrap();
    assert!(text.len() < 1_500_000, "{}", text.len());
}

#[tokio::test]
async fn each_kind_of_file_is_told_and_links_are_not_followed() {
    let ground = Ground::new();
    ground.file("file", b"12345");
    std::fs::set_permissions(ground.path("file"), PermissionsExt::from_mode(0o4640)).unwrap();
    ground.folder("folder");
    ground.link("/etc/shadow", "link");
    make_pipe(&ground.path("pipe"));
    let odd = ground
        .path("")
        .join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    std::fs::write(odd, b"").unwrap();
    let (entries, more) = page(&ground.text(""), None, 10, &anywhere()).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.name.as_str(),
                entry.kind,
                entry.size,
                entry.unnameable,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("file", FileKind::File, 5, false),
            ("folder", FileKind::Directory, 0, false),
            ("link", FileKind::Link, 0, false),
            ("odd\u{fffd}", FileKind::File, 0, true),
            ("pipe", FileKind::Other, 0, false),
        ]
    );
    assert!(!more);
    let file = stat(&ground.text("file"), &anywhere()).await.unwrap();
    assert_eq!(file, entries[0]);
    assert_eq!(file.mode, Some(0o4640));
    assert!(file.owner.is_some() && file.group.is_some() && file.modified.is_some());
    let link = stat(&ground.text("link"), &anywhere()).await.unwrap();
    assert_eq!(link.link_target.as_deref(), Some("/etc/shadow"));
    assert_eq!(
        stat("/", &anywhere()).await.unwrap().kind,
        FileKind::Directory
    );
    assert_eq!(
        stat(&ground.text("none"), &anywhere()).await,
        Err(ErrorCode::NotFound)
    );
    assert_eq!(
        stat(&ground.text("file/a"), &anywhere()).await,
        Err(ErrorCode::WrongKind)
    );
    let no_folder = page(&ground.text("file"), None, 1, &anywhere()).await;
    assert_eq!(no_folder, Err(ErrorCode::WrongKind));
}

#[tokio::test]
async fn nothing_outside_of_the_allowed_folders_is_told() {
    let ground = Ground::new();
    let (root, outside) = (ground.folder("root"), ground.folder("outside"));
    ground.file("outside/secret", b"");
    ground.link("../outside", "root/out");
    ground.link(&outside, "root/absolute-out");
    let rules = within(&[&root]);
    for path in [
        outside.as_str(),
        "/",
        "/etc",
        &ground.text("root/out"),
        &ground.text("root/absolute-out"),
    ] {
        assert_eq!(
            page(path, None, 10, &rules).await,
            Err(ErrorCode::NotAllowed),
            "{path}"
        );
    }
    for path in [
        "root/out/secret",
        "root/absolute-out/secret",
        "root/out/none",
        "outside/secret",
    ] {
        let told = stat(&ground.text(path), &rules).await;
        assert_eq!(told, Err(ErrorCode::NotAllowed), "{path}");
    }
    assert_eq!(stat(&root, &rules).await.unwrap().kind, FileKind::Directory);
    assert_eq!(
        stat(&ground.text("root/out"), &rules).await.unwrap().kind,
        FileKind::Link
    );
    for path in [
        "",
        "a",
        "../etc",
        &format!("{root}/../outside"),
        &format!("{root}//a"),
    ] {
        assert_eq!(stat(path, &rules).await, Err(ErrorCode::BadName), "{path}");
    }
}

#[tokio::test]
async fn folders_are_made() {
    let ground = Ground::new();
    let root = ground.folder("root");
    let rules = within(&[&root]);
    let path = |name: &str| format!("{root}/{name}");
    make(&path("a"), false, &rules).await.unwrap();
    assert_eq!(
        make(&path("a"), false, &rules).await,
        Err(ErrorCode::AlreadyExists)
    );
    assert_eq!(
        make(&path("b/c/d"), false, &rules).await,
        Err(ErrorCode::NotFound)
    );
    make(&path("b/c/d"), true, &rules).await.unwrap();
    make(&path("b/c/d"), true, &rules).await.unwrap();
    assert_eq!(
        make(&root, false, &rules).await,
        Err(ErrorCode::AlreadyExists)
    );
    assert_eq!(make(&root, true, &rules).await, Ok(Reply::Done));
    ground.file("root/file", b"");
    for parents in [false, true] {
        let over = make(&path("file/a"), parents, &rules).await;
        assert_eq!(over, Err(ErrorCode::WrongKind));
    }
    ground.folder("outside");
    ground.link("../outside", "root/out");
    for parents in [false, true] {
        let out = make(&path("out/a/b"), parents, &rules).await;
        assert_eq!(out, Err(ErrorCode::NotAllowed));
    }
    assert!(ground.names("outside").is_empty());
}

#[tokio::test]
async fn a_rename_replaces_only_where_asked() {
    let ground = Ground::new();
    let (a, b) = (ground.file("a", b"a"), ground.file("b", b"b"));
    assert_eq!(rename(&a, &b, false).await, Err(ErrorCode::AlreadyExists));
    assert_eq!(std::fs::read(&b).unwrap(), b"b");
    rename(&a, &b, true).await.unwrap();
    assert_eq!(std::fs::read(&b).unwrap(), b"a");
    assert_eq!(rename(&a, &b, true).await, Err(ErrorCode::NotFound));
    let folder = ground.folder("folder");
    ground.file("folder/inside", b"");
    assert_eq!(rename(&b, &folder, true).await, Err(ErrorCode::WrongKind));
    rename(&b, &ground.text("folder/b"), false).await.unwrap();
    let other = ground.folder("other");
    assert_eq!(
        rename(&other, &folder, true).await,
        Err(ErrorCode::NotEmpty)
    );
    rename(&folder, &ground.text("new"), false).await.unwrap();
    assert_eq!(ground.names("new"), ["b", "inside"]);
    let target = ground.file("target", b"target");
    let link = ground.link(&target, "link");
    rename(&ground.text("new/b"), &link, true).await.unwrap();
    assert_eq!(
        std::fs::read(&target).unwrap(),
        b"target",
        "the link is replaced"
    );
    let elsewhere = rename(&target, "/dev/shm/gururmm-rename-test", false).await;
    assert_eq!(elsewhere, Err(ErrorCode::Unsupported));
}

#[tokio::test]
async fn neither_end_of_a_rename_leaves_the_allowed_folders() {
    let ground = Ground::new();
    let root = ground.folder("root");
    ground.file("root/a", b"");
    ground.file("secret", b"");
    let rules = within(&[&root]);
    let (inside, outside) = (ground.text("root/a"), ground.text("secret"));
    for (from, to) in [
        (&inside, &outside),
        (&outside, &inside),
        (&root, &ground.text("root2")),
        (&inside, &root),
    ] {
        let operation = Operation::FileRename {
            from: from.clone(),
            to: to.clone(),
            overwrite: true,
        };
        assert_eq!(
            ask(operation, &rules).await,
            Err(ErrorCode::NotAllowed),
            "{from} {to}"
        );
    }
}

#[tokio::test]
async fn a_folder_is_deleted_with_what_is_in_it_and_nothing_behind_its_links() {
    let ground = Ground::new();
    let kept = ground.folder("kept");
    ground.file("kept/file", b"");
    let folder = ground.folder("folder");
    for number in 0..2500 {
        ground.file(&format!("folder/{number}"), b"");
    }
    let mut deep = "folder".to_owned();
    for _ in 0..100 {
        deep += "/d";
    }
    ground.folder(&deep);
    ground.link(&kept, "folder/out");
    ground.link("../../kept", "folder/d/out");
    make_pipe(&ground.path("folder/pipe"));
    assert_eq!(
        delete(&folder, false, &anywhere()).await,
        Err(ErrorCode::NotEmpty)
    );
    delete(&folder, true, &anywhere()).await.unwrap();
    assert_eq!(ground.names(""), ["kept"]);
    assert_eq!(ground.names("kept"), ["file"]);
    let link = ground.link(&kept, "link");
    delete(&link, true, &anywhere()).await.unwrap();
    delete(&ground.text("kept/file"), false, &anywhere())
        .await
        .unwrap();
    delete(&kept, false, &anywhere()).await.unwrap();
    assert!(ground.names("").is_empty());
    assert_eq!(
        delete(&kept, true, &anywhere()).await,
        Err(ErrorCode::NotFound)
    );
}

#[tokio::test]
async fn an_allowed_folder_itself_is_never_deleted() {
    let ground = Ground::new();
    let (outer, inner) = (ground.folder("outer"), ground.folder("outer/middle/inner"));
    let rules = within(&[&outer, &inner]);
    for path in [&outer, &inner, &ground.text("outer/middle")] {
        assert_eq!(
            delete(path, true, &rules).await,
            Err(ErrorCode::NotAllowed),
            "{path}"
        );
    }
    assert_eq!(
        delete("/", true, &anywhere()).await,
        Err(ErrorCode::NotAllowed)
    );
    assert!(ground.path("outer/middle/inner").exists());
}

#[tokio::test]
async fn folders_deeper_than_files_may_be_open_are_refused() {
    let ground = Ground::new();
    let mut deep = "folder".to_owned();
    for _ in 0..130 {
        deep += "/d";
    }
    ground.folder(&deep);
    let refused = delete(&ground.text("folder"), true, &anywhere()).await;
    assert_eq!(refused, Err(ErrorCode::TooLarge));
}

#[tokio::test]
async fn what_is_mounted_inside_of_a_folder_is_left_alone() {
    let ground = Ground::new();
    let folder = ground.folder("folder");
    let mounted = ground.folder("folder/mounted");
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "gururmm-test", &mounted])
        .status();
    assert!(
        mount.is_ok_and(|status| status.success()),
        "this test needs the right to mount a file system: run it as root, in a container with CAP_SYS_ADMIN"
    );
    ground.file("folder/mounted/kept", b"");
    let refused = delete(&folder, true, &anywhere()).await;
    let names = ground.names("folder/mounted");
    let _ = std::process::Command::new("umount").arg(&mounted).status();
    assert_eq!(
        (refused, names),
        (Err(ErrorCode::NotAllowed), vec!["kept".to_owned()])
    );
}
