//! Files on their way to a machine: whole, gone on with, refused, and on a disk that is full.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use gururmm_tests::files::{noise, sha256, text};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Files, Machine, PreparedAgent, Surroundings, eventually, on_both_databases};
use reqwest::Method;
use serde_json::json;

/// What a file may have on its way.
const WINDOW: usize = 1 << 20;
const SIZE: usize = 2 * WINDOW + 33;

on_both_databases! {
    async fn an_upload_of_any_size_arrives_whole(world: World) {
        let machine = Machine::start(&world).await;
        for size in [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, SIZE] {
            let bytes = noise(size);
            let path = machine.path(&format!("of-{size}"));
            let answer = machine.files.upload((&path, "u"), &bytes, 0, &[]).await.json(200);
            assert_eq!((&answer["bytes"], &answer["sha256"]), (&json!(size), &json!(sha256(&bytes))));
            assert!(std::fs::read(&path).unwrap() == bytes, "{size} bytes");
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o644);
        }
        assert!(machine.parts().is_empty(), "{:?}", machine.names());
        let path = machine.path(&format!("of-{SIZE}"));
        let row = machine.act(&format!("upload {} (2 MiB)", text(&path))).await;
        assert_eq!((&row["outcome"], &row["bytes"]), (&json!("completed"), &json!(SIZE)), "{row}");
    }

    async fn an_upload_goes_on_from_every_offset(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        for offset in [1, WINDOW - 1, WINDOW, WINDOW + 1, SIZE - 1] {
            let path = machine.path(&format!("from-{offset}"));
            let mut held = machine.files.begin_upload((&path, "u"), &bytes, 0).await;
            held.send(&bytes[..offset]).await;
            wait_uploaded(&machine.files, &path, offset).await;
            held.cut();
            assert!(!path.exists(), "half a file is at the target");
            let told = machine.files.uploaded(&path, "u").await;
            assert_eq!(told, offset as u64);
            let answer = machine.files.upload((&path, "u"), &bytes, offset, &[]).await.json(200);
            assert_eq!((&answer["bytes"], &answer["sha256"]), (&json!(SIZE), &json!(sha256(&bytes))));
            assert!(std::fs::read(&path).unwrap() == bytes, "from {offset}");
        }
        assert!(machine.parts().is_empty(), "{:?}", machine.names());
    }

    async fn an_upload_that_only_lacks_its_end_is_finished_without_a_byte(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        let path = machine.path("file");
        // It is said to be one byte longer than it is.
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        let mut held = machine.files.begin_upload((&path, "u"), &longer, 0).await;
        held.send(&bytes).await;
        wait_uploaded(&machine.files, &path, SIZE).await;
        held.cut();
        machine.files.upload((&path, "u"), &bytes, SIZE, &[]).await.check(200);
        assert!(std::fs::read(&path).unwrap() == bytes);
    }

    async fn a_wrong_offset_is_refused_and_the_right_one_told(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        let path = machine.path("file");
        let answer = machine.files.upload((&path, "u"), &bytes, 5, &[]).await;
        assert_eq!(answer.problem(409, "bad_offset")["offset"], 0);
        let mut held = machine.files.begin_upload((&path, "u"), &bytes, 0).await;
        held.send(&bytes[..WINDOW]).await;
        wait_uploaded(&machine.files, &path, WINDOW).await;
        held.cut();
        for wrong in [0, WINDOW - 1, WINDOW + 1, SIZE] {
            let answer = machine.files.upload((&path, "u"), &bytes, wrong, &[]).await;
            assert_eq!(answer.problem(409, "bad_offset")["offset"], WINDOW, "from {wrong}");
        }
        assert!(!path.exists());
        machine.files.upload((&path, "u"), &bytes, WINDOW, &[]).await.check(200);
        let answer = machine.files.upload((&path, "u"), &bytes, SIZE, &[("size", "3")]).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], "offset", "beyond the size");
    }

    async fn a_wrong_checksum_leaves_nothing_at_the_target(world: World) {
        let machine = Machine::start(&world).await;
        let bytes = noise(SIZE);
        let (new, old) = (machine.path("new"), machine.file("old", b"as it was"));
        let wrong = sha256(b"something else");
        for path in [&new, &old] {
            let more = [("sha256", wrong.as_str()), ("overwrite", "true")];
            let answer = machine.files.upload((path, "u"), &bytes, 0, &more).await;
            answer.problem(422, "bad_checksum");
        }
        assert_eq!(machine.names(), ["old"]);
        assert_eq!(std::fs::read(&old).unwrap(), b"as it was");
        assert_eq!(machine.files.uploaded(&new, "u").await, 0, "what was wrong is not gone on with");
        machine.files.upload((&new, "u"), &bytes, 0, &[]).await.check(200);
        let row = machine.act(&format!("upload {} (2 MiB, overwrite)", text(&new))).await;
        assert_eq!(row["outcome"], "bad_checksum", "{row}");
    }

    async fn a_file_that_is_there_is_replaced_only_where_it_is_asked_for(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.file("file", b"as it was");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        machine.files.upload((&path, "u"), b"new", 0, &[]).await.problem(409, "already_exists");
        assert_eq!(std::fs::read(&path).unwrap(), b"as it was");
        // One that comes while it is on its way is not replaced either.
        let late = machine.path("late");
        let mut held = machine.files.begin_upload((&late, "u"), b"new", 0).await;
        held.send(b"ne").await;
        wait_uploaded(&machine.files, &late, 2).await;
        let _ = machine.file("late", b"faster");
        held.send(b"w").await;
        let (status, body) = held.answer().await.expect("an answer");
        assert_eq!((status, &body["code"]), (409, &json!("already_exists")), "{body}");
        assert_eq!(std::fs::read(&late).unwrap(), b"faster");
        machine.files.upload((&path, "u"), b"new", 0, &[("overwrite", "true")]).await.check(200);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "it keeps the permissions of what it replaces");
    }

    async fn permissions_and_times_are_kept_where_it_is_asked_for(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("script");
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890_250);
        let stamp = DateTime::<Utc>::from(at).to_rfc3339();
        let more = [("mode", "750"), ("modified", stamp.as_str())];
        machine.files.upload((&path, "u"), b"#!/bin/sh\n", 0, &more).await.check(200);
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o750);
        assert_eq!(metadata.modified().unwrap(), at);
        let other = machine.path("other");
        for (mode, status, code) in [("888", 400, "invalid_field"), ("4755", 403, "not_allowed")] {
            machine.files.upload((&other, "u"), b"x", 0, &[("mode", mode)]).await.problem(status, code);
        }
        assert!(!other.exists());
    }

    async fn an_upload_says_how_long_it_is(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("file");
        let query = [("path", text(&path)), ("upload", "u"), ("size", "10")];
        let put = || machine.files.request(Method::PUT, "files/content", &query);
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("0123456789")]);
        let answer = put().body(reqwest::Body::wrap_stream(stream)).send().await.unwrap();
        assert_eq!(answer.status(), 411, "a chunked body");
        let answer = put().body("01234").send().await.unwrap();
        assert_eq!(answer.status(), 400, "a shorter body");
        assert!(machine.names().is_empty(), "{:?}", machine.names());
    }

    async fn an_upload_that_is_dropped_leaves_nothing(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("file");
        let mut held = machine.files.begin_upload((&path, "u"), &noise(100), 0).await;
        held.send(&[0; 50]).await;
        wait_uploaded(&machine.files, &path, 50).await;
        held.cut();
        let row = machine.act(&format!("upload {} (100 bytes)", text(&path))).await;
        assert_eq!(row["outcome"], "cancelled", "{row}");
        assert_eq!(machine.parts().len(), 1);
        let query = [("path", text(&path)), ("upload", "u")];
        machine.files.delete("files/upload", &query).await.check(204);
        assert!(machine.names().is_empty(), "{:?}", machine.names());
        assert_eq!(machine.files.uploaded(&path, "u").await, 0);
    }

    async fn a_disk_that_is_full_is_said_so_and_the_upload_goes_on_once_there_is_room(world: World) {
        let rmm = world.deploy(&[]).await;
        let disk = world.file("disk");
        std::fs::create_dir(&disk).unwrap();
        let (agent, id) = PreparedAgent::start(&rmm, Surroundings::SmallDisk(&disk, 4 << 20)).await;
        let session = rmm.open(id).await;
        let files = Files::of(&rmm.technician, session);
        let (ballast, bytes) = (noise(2 << 20), noise(3 << 20));
        files.upload((&disk.join("ballast"), "u"), &ballast, 0, &[]).await.check(200);
        let target = disk.join("target");
        let mut held = files.begin_upload((&target, "u"), &bytes, 0).await;
        held.send(&bytes[..1 << 20]).await;
        wait_uploaded(&files, &target, 1 << 20).await;
        held.send(&bytes[1 << 20..(2 << 20) + 1]).await;
        eventually("the disk is full", SOON, || async {
            let rows = rmm.audit(session).await;
            rows.iter().any(|row| row["outcome"] == "disk_full").then_some(())
        })
        .await;
        // It is told without another byte of the client's.
        let (status, body) = held.answer().await.expect("an answer");
        assert_eq!((status, &body["code"]), (507, &json!("disk_full")), "{body}");
        let seen = agent.seen(&disk);
        let names = gururmm_tests::machine::names(&seen);
        assert!(!names.contains(&"target".to_owned()), "{names:?}");
        let written = files.uploaded(&target, "u").await;
        assert!((1 << 20..3 << 20).contains(&written), "{written} bytes are kept");
        let ballast = disk.join("ballast");
        files.delete("files", &[("path", text(&ballast))]).await.check(204);
        let offset = usize::try_from(written).unwrap();
        files.upload((&target, "u"), &bytes, offset, &[]).await.check(200);
        assert!(std::fs::read(seen.join("target")).unwrap() == bytes);
        assert_eq!(gururmm_tests::machine::names(&seen), ["target"]);
    }
}

/// Waits until so many bytes of an upload are on the disk.
async fn wait_uploaded(files: &Files, path: &std::path::Path, bytes: usize) {
    let what = format!("{bytes} bytes of {} are on the disk", text(path));
    eventually(&what, SOON, || async {
        (files.uploaded(path, "u").await == bytes as u64).then_some(())
    })
    .await;
}
