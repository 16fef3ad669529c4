//! Names of files that are made to harm: refused with a word that says what is wrong, or taken as the plain names
//! that they are.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use gururmm_tests::files::{FileAnswer, text};
use gururmm_tests::{Files, Machine, on_both_databases};
use reqwest::Method;
use serde_json::json;

on_both_databases! {
    async fn a_name_that_leads_elsewhere_or_means_nothing_is_refused_by_every_call(world: World) {
        let machine = Machine::with_policy(&world, |folder| json!({"file_roots": [text(&folder.join("open"))]})).await;
        std::fs::create_dir(machine.path("open")).unwrap();
        let (inside, _) = (machine.file("open/file", b"inside"), machine.file("secret", b"outside"));
        let root = text(&machine.path("open")).to_owned();
        let long = "x".repeat(256);
        let deep = "/d".repeat(200);
        for bad in [
            format!("{root}/../secret"), format!("{root}/.."), format!("{root}/a/../../secret"),
            format!("{root}/./file"), format!("{root}/."), format!("{root}//file"), format!("{root}/file/"),
            format!("{root}/fi\0le"), format!("{root}/file\0"), format!("{root}/{long}"), format!("{root}{deep}"),
            "open/file".to_owned(), "../secret".to_owned(), "~/file".to_owned(), r"C:\Windows\win.ini".to_owned(),
            r"\\server\share".to_owned(), "file:///etc/passwd".to_owned(),
        ] {
            for (call, answer) in every_call(&machine.files, &bad, text(&inside)).await {
                assert_eq!(answer.status, 400, "{call} of {bad:?}: {}", String::from_utf8_lossy(&answer.body));
                if call != "head" {
                    answer.problem(400, "bad_name");
                }
            }
        }
        let too_long = format!("{root}/{}", "x/".repeat(2100));
        for bad in ["", too_long.as_str()] {
            for (call, answer) in every_call(&machine.files, bad, text(&inside)).await {
                assert_eq!(answer.status, 400, "{call} of {} bytes", bad.len());
            }
        }
        assert_eq!(machine.names(), ["open", "secret"]);
        assert_eq!(gururmm_tests::machine::names(&machine.path("open")), ["file"]);
        assert_eq!(std::fs::read(machine.path("secret")).unwrap(), b"outside");
    }

    async fn what_is_encoded_twice_is_a_name_and_no_way_up(world: World) {
        let machine = Machine::start(&world).await;
        let _ = machine.file("secret", b"secret");
        std::fs::create_dir(machine.path("open")).unwrap();
        let root = text(&machine.path("open")).to_owned();
        // As they stand in the request: one decoding is the API's, and there is no second.
        for (raw, statuses) in [
            ("%2e%2e%2fsecret", [400, 400]), ("..%2fsecret", [400, 400]), ("%252e%252e%252fsecret", [404, 404]),
            ("%252e%252e/secret", [404, 404]), ("..%5csecret", [404, 404]), ("%c0%ae%c0%ae%2fsecret", [404, 400]),
            ("%ff", [404, 400]), ("%uff0e%uff0e/secret", [404, 400]), ("%EF%BC%8E%EF%BC%8E/secret", [404, 404]),
            ("..;/secret", [404, 404]), ("%00", [400, 400]), ("file%00.txt", [400, 400]),
        ] {
            let query = format!("files/content?path={root}/{raw}");
            let answer = machine.files.get(&query, &[]).await;
            assert!(statuses.contains(&answer.status), "{raw}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            assert_ne!(answer.body, b"secret");
        }
        // What stands in the path of the request is no file's name at all.
        for path in ["files/content/../../../../etc/passwd", "files/%2e%2e/%2e%2e", "files//etc/passwd"] {
            let answer = machine.files.get(path, &[]).await;
            assert!([400, 404, 405].contains(&answer.status), "{path}: {}", answer.status);
        }
    }

    async fn what_is_no_file_is_neither_read_nor_replaced(world: World) {
        let machine = Machine::start(&world).await;
        nix::unistd::mkfifo(&machine.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(machine.path("socket")).unwrap();
        std::fs::create_dir(machine.path("folder")).unwrap();
        symlink("pipe", machine.path("to-pipe")).unwrap();
        symlink("loop", machine.path("loop")).unwrap();
        symlink("/dev/zero", machine.path("to-zero")).unwrap();
        let own: Vec<_> = ["pipe", "socket", "folder", "to-pipe", "to-zero", "loop"].map(|name| machine.path(name)).into();
        let devices = ["/dev/zero", "/dev/null", "/dev/full", "/dev/tty", "/dev", "/", "/proc/version"];
        for path in own.iter().map(|path| path.as_path()).chain(devices.iter().map(Path::new)) {
            let answer = machine.files.download(path, &[]).await;
            answer.problem(409, "wrong_kind");
        }
        // It says that it is a file, of no size, and is the memory of the agent.
        let memory = machine.files.download(Path::new("/proc/self/mem"), &[]).await;
        memory.problem(409, "wrong_kind");
        let devices = ["/dev/null", "/dev/full"];
        for path in own.iter().map(|path| path.as_path()).chain(devices.iter().map(Path::new)) {
            let answer = machine.files.upload((path, "u"), b"bytes", 0, &[("overwrite", "true")]).await;
            answer.problem(409, "wrong_kind");
        }
        assert_eq!(machine.names(), ["folder", "loop", "pipe", "socket", "to-pipe", "to-zero"]);
        let file = machine.file("file", b"x");
        let below = file.join("below");
        machine.files.download(&below, &[]).await.problem(409, "wrong_kind");
        machine.files.upload((&below, "u"), b"x", 0, &[]).await.problem(409, "wrong_kind");
    }

    async fn strange_names_are_names_in_paths_in_lists_and_in_headers(world: World) {
        let machine = Machine::start(&world).await;
        let longest = "ä".repeat(127) + "x";
        for name in ["a b", "ümläut 文件 🦀", "quote\"s'", "semi;colon, comma", "back\\slash", "%2e%2e", "?a=b&c#d",
            "line\nend", "a\r\nx-evil: 1", "\u{1b}[31mred", "\u{202e}gnp.exe", "-rf", "*", "CON", "a:b", "dot.",
            ".gururmm-part", longest.as_str()] {
            let path = machine.path(name);
            let answer = machine.files.upload((&path, "u"), name.as_bytes(), 0, &[]).await;
            answer.check(200);
            assert_eq!(std::fs::read(&path).unwrap(), name.as_bytes(), "{name:?}");
            let answer = machine.files.download(&path, &[]).await;
            answer.check(200);
            assert_eq!(answer.body, name.as_bytes(), "{name:?}");
            assert!(answer.headers.get("x-evil").is_none(), "{name:?}");
            assert!(answer.header("content-disposition").starts_with("attachment; "), "{name:?}");
            let told = machine.files.get("files/stat", &[("path", text(&path))]).await.json(200);
            assert_eq!(told["name"], name);
            machine.files.delete("files", &[("path", text(&path))]).await.check(204);
            assert!(machine.names().is_empty(), "{name:?}: {:?}", machine.names());
        }
    }

    async fn the_name_of_an_upload_names_no_other_file(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("file");
        let long = "u".repeat(65);
        for bad in ["", "../u", "a/b", "a.b", "a b", "ü", "u\0", long.as_str()] {
            let answer = machine.files.upload((&path, bad), b"x", 0, &[]).await;
            answer.problem(400, "invalid_field");
            let query = [("path", text(&path)), ("upload", bad)];
            machine.files.get("files/upload", &query).await.problem(400, "invalid_field");
            machine.files.delete("files/upload", &query).await.problem(400, "invalid_field");
        }
        // What somebody else has put in the part's place is not written through.
        let victim = machine.file("victim", b"as it was");
        let mut held = machine.files.begin_upload((&path, "u"), b"bytes", 0).await;
        held.send(b"b").await;
        gururmm_tests::eventually("the part is there", gururmm_tests::wait::SOON, || async {
            (machine.files.uploaded(&path, "u").await == 1).then_some(())
        })
        .await;
        held.cut();
        let part = machine.path(&machine.parts()[0]);
        std::fs::remove_file(&part).unwrap();
        symlink(&victim, &part).unwrap();
        let answer = machine.files.upload((&path, "u"), b"bytes", 0, &[]).await;
        answer.problem(409, "wrong_kind");
        assert_eq!(std::fs::read(&victim).unwrap(), b"as it was");
        assert!(!path.exists());
    }
}

/// What every call answers that takes a path; `good` is the other one of those that take two.
async fn every_call(files: &Files, bad: &str, good: &str) -> Vec<(&'static str, FileAnswer)> {
    let path = [("path", bad)];
    let upload = [("path", bad), ("upload", "u")];
    let (size, bytes) = ([("size", "1")], b"x");
    let put = files
        .request(
            Method::PUT,
            "files/content",
            &[&upload[..], &size[..]].concat(),
        )
        .body(&bytes[..]);
    let put = put.send().await.expect("an answer");
    let status = put.status().as_u16();
    let head = files.ask(Method::HEAD, "files/content", &path).await;
    let mut answers = vec![
        ("list", files.get("files", &path).await),
        ("stat", files.get("files/stat", &path).await),
        ("download", files.get("files/content", &path).await),
        ("head", head),
        ("archive", files.get("files/archive", &path).await),
        ("unpack", files.unpack(bad, vec![0; 1024], false).await),
        ("upload state", files.get("files/upload", &upload).await),
        ("drop", files.delete("files/upload", &upload).await),
        ("delete", files.delete("files", &path).await),
        (
            "mkdir",
            files
                .post("files/mkdir", json!({"path": bad, "parents": true}))
                .await,
        ),
        (
            "rename from",
            files
                .post(
                    "files/rename",
                    json!({"from": bad, "to": good, "overwrite": true}),
                )
                .await,
        ),
        (
            "rename to",
            files
                .post(
                    "files/rename",
                    json!({"from": good, "to": bad, "overwrite": true}),
                )
                .await,
        ),
    ];
    let delete = [("path", bad), ("recursive", "true")];
    answers.push(("delete all", files.delete("files", &delete).await));
    assert_eq!(
        status,
        400,
        "upload of {bad:?}: {}",
        put.text().await.unwrap_or_default()
    );
    answers
}
