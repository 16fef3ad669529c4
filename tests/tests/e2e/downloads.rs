//! Files on their way from a machine: whole, in ranges, and changed while they go.

use std::path::Path;

use futures_util::StreamExt;
use gururmm_tests::files::{noise, text};
use gururmm_tests::{Files, Machine, on_both_databases};
use reqwest::Method;
use serde_json::json;

/// What a file may have on its way.
const WINDOW: usize = 1 << 20;
const SIZE: usize = 3 * WINDOW + 17;

on_both_databases! {
    async fn a_download_is_the_file_from_every_offset(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        let path = machine.file("data.bin", &bytes);
        let whole = machine.files.download(&path, &[]).await;
        whole.check(200);
        assert!(whole.body == bytes, "the whole file");
        assert_eq!(whole.header("content-length"), SIZE.to_string());
        assert_eq!(whole.header("accept-ranges"), "bytes");
        assert_eq!(whole.header("content-type"), "application/octet-stream");
        assert_eq!(whole.header("x-content-type-options"), "nosniff");
        assert!(whole.header("content-disposition").contains("data.bin"));
        assert!(whole.header("etag").starts_with('"'));
        for offset in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, SIZE - 1] {
            let range = format!("bytes={offset}-");
            let part = machine.files.download(&path, &[("range", &range)]).await;
            part.check(206);
            let told = format!("bytes {offset}-{}/{SIZE}", SIZE - 1);
            assert_eq!(part.header("content-range"), told);
            assert_eq!(part.header("content-length"), (SIZE - offset).to_string());
            assert_eq!(part.header("etag"), whole.header("etag"));
            assert!(part.body == bytes[offset..], "from {offset}");
        }
        for offset in [SIZE, SIZE + 1, usize::MAX / 2] {
            let range = format!("bytes={offset}-");
            let none = machine.files.download(&path, &[("range", &range)]).await;
            none.problem(416, "range_not_satisfiable");
            assert_eq!(none.header("content-range"), format!("bytes */{SIZE}"));
        }
        let row = machine.act(&format!("read {} from 1", text(&path))).await;
        assert_eq!((&row["outcome"], &row["bytes"]), (&json!("completed"), &json!(SIZE - 1)), "{row}");
    }

    async fn ranges_with_an_end_and_from_the_end_are_cut_at_the_files_own(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        let path = machine.file("data", &bytes);
        for (range, first, last) in [
            ("bytes=0-0".to_owned(), 0, 0),
            (format!("bytes={}-{WINDOW}", WINDOW - 1), WINDOW - 1, WINDOW),
            (format!("bytes=5-{}", SIZE * 2), 5, SIZE - 1),
            ("bytes=-1".to_owned(), SIZE - 1, SIZE - 1),
            (format!("bytes=-{}", WINDOW + 1), SIZE - WINDOW - 1, SIZE - 1),
            (format!("bytes=-{}", SIZE * 2), 0, SIZE - 1),
        ] {
            let part = machine.files.download(&path, &[("range", &range)]).await;
            part.check(206);
            assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{SIZE}"), "{range}");
            assert!(part.body == bytes[first..=last], "{range}");
        }
        machine.files.download(&path, &[("range", "bytes=-0")]).await.problem(416, "range_not_satisfiable");
        for left_aside in ["bytes=0-1,5-6", "lines=0-1", "bytes=9-5"] {
            let whole = machine.files.download(&path, &[("range", left_aside)]).await;
            whole.check(200);
            assert!(whole.body == bytes, "{left_aside}");
        }
    }

    async fn an_empty_file_is_a_download_too(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.file("empty", b"");
        let answer = machine.files.download(&path, &[]).await;
        answer.check(200);
        assert_eq!((answer.body.len(), answer.header("content-length")), (0, "0"));
        let none = machine.files.download(&path, &[("range", "bytes=0-")]).await;
        none.problem(416, "range_not_satisfiable");
        assert_eq!(none.header("content-range"), "bytes */0");
        let row = machine.act(&format!("read {} from 0", text(&path))).await;
        assert_eq!(row["outcome"], "completed", "{row}");
    }

    async fn a_range_of_a_file_that_is_another_one_by_now_is_answered_with_all_of_it(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.file("data", b"the first state");
        let tag = machine.files.download(&path, &[]).await.header("etag").to_owned();
        let rest = [("range", "bytes=4-"), ("if-range", tag.as_str())];
        let same = machine.files.download(&path, &rest).await;
        assert_eq!((same.status, same.body.as_slice()), (206, b"first state".as_slice()));
        std::fs::write(&path, b"the second one.").unwrap();
        let other = machine.files.download(&path, &rest).await;
        assert_eq!((other.status, other.body.as_slice()), (200, b"the second one.".as_slice()));
        assert_ne!(other.header("etag"), tag);
        for weak in ["W/\"1\"", "Tue, 15 Nov 1994 12:45:26 GMT"] {
            let headers = [("range", "bytes=4-"), ("if-range", weak)];
            machine.files.download(&path, &headers).await.check(200);
        }
        // Gone on with behind the end of what is shorter by now.
        std::fs::write(&path, b"x").unwrap();
        let other = machine.files.download(&path, &rest).await;
        assert_eq!((other.status, other.body.as_slice()), (200, b"x".as_slice()));
    }

    async fn the_head_of_a_download_tells_all_but_its_bytes(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.file("data", &noise(SIZE));
        let whole = machine.files.download(&path, &[]).await;
        let head = machine.files.ask(Method::HEAD, "files/content", &[("path", text(&path))]).await;
        head.check(200);
        assert!(head.body.is_empty());
        for name in ["content-length", "etag", "accept-ranges", "content-type", "last-modified", "content-disposition"] {
            assert_eq!(head.header(name), whole.header(name), "{name}");
            assert!(!head.header(name).is_empty(), "{name}");
        }
        let gone = machine.path("gone");
        let head = machine.files.ask(Method::HEAD, "files/content", &[("path", text(&gone))]).await;
        assert_eq!(head.status, 404);
    }

    async fn a_file_that_changes_while_it_is_read_breaks_the_download(world: World) {
        let machine = Machine::start(&world).await;
        for (name, change) in [("shorter", 0), ("touched", BIG)] {
            let path = machine.path(name);
            std::fs::File::create(&path).unwrap().set_len(BIG).unwrap();
            let mut body = begin(&machine.files, &path).await;
            body.next().await.unwrap().unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(change).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
            let mut broken = false;
            while let Some(piece) = body.next().await {
                broken |= piece.is_err();
            }
            assert!(broken, "{name}: the download ended as if it were whole");
            let row = machine.act(&format!("read {} from 0", text(&path))).await;
            assert_eq!(row["outcome"], "changed", "{row}");
        }
    }

    async fn a_client_that_hangs_up_ends_the_download_on_the_machine(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("data");
        std::fs::File::create(&path).unwrap().set_len(BIG).unwrap();
        let mut body = begin(&machine.files, &path).await;
        body.next().await.unwrap().unwrap();
        drop(body);
        let row = machine.act(&format!("read {} from 0", text(&path))).await;
        assert_eq!(row["outcome"], "cancelled", "{row}");
        assert!(row["bytes"].as_u64().unwrap() < BIG, "{row}");
        let output = machine.rmm.run(machine.session, "echo the session lives").await;
        assert_eq!(output.stdout, "the session lives\n");
    }
}

/// More than all that lies between the machine and a client that reads nothing.
const BIG: u64 = 64 << 20;

/// Begins a download; its body is read as the test likes.
async fn begin(
    files: &Files,
    path: &Path,
) -> impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin + use<> {
    let query = [("path", text(path))];
    let request = files.request(Method::GET, "files/content", &query);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    Box::pin(response.bytes_stream())
}
