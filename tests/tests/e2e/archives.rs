//! Whole folders as tar archives, both ways.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use gururmm_tests::files::{noise, text};
use gururmm_tests::{Machine, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn a_folder_comes_down_and_goes_up_as_it_is(world: World) {
        let machine = Machine::start(&world).await;
        let source = machine.path("source");
        std::fs::create_dir_all(source.join("deep/deeper")).unwrap();
        std::fs::create_dir(source.join("empty")).unwrap();
        let (big, long) = (noise((3 << 20) + 5), "long ".repeat(30));
        std::fs::write(source.join("big"), &big).unwrap();
        std::fs::write(source.join("deep/deeper/none"), b"").unwrap();
        std::fs::write(source.join("deep").join(&long), b"its name needs a header of its own").unwrap();
        std::fs::write(source.join("deep/ümläut 文件"), b"umlaut").unwrap();
        std::fs::set_permissions(source.join("big"), PermissionsExt::from_mode(0o751)).unwrap();
        symlink("deep/deeper", source.join("link")).unwrap();
        // Each its own time, long ago.
        for (number, name) in ["big", "deep/deeper/none", "deep/ümläut 文件"].iter().enumerate() {
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + 86_400 * number as u64);
            std::fs::File::open(source.join(name)).unwrap().set_modified(changed).unwrap();
        }
        let answer = machine.files.get("files/archive", &[("path", text(&source))]).await;
        answer.check(200);
        assert_eq!(answer.header("content-type"), "application/x-tar");
        assert!(answer.header("content-disposition").contains("source.tar"));
        let unpacked = world.file("unpacked");
        let mut archive = tar::Archive::new(answer.body.as_slice());
        archive.set_preserve_permissions(true);
        archive.unpack(&unpacked).unwrap();
        let wanted = tree(&source);
        assert_eq!(wanted.len(), 8);
        assert!(tree(&unpacked) == wanted, "what tar makes of it");
        let target = machine.path("target");
        let up = machine.files.unpack(text(&target), answer.body.clone(), false).await.json(200);
        assert_eq!(up["bytes"], answer.body.len());
        assert!(tree(&target) == wanted, "what the agent makes of it");
        let row = machine.act(&format!("unpack into {}", text(&target))).await;
        assert_eq!((&row["action"], &row["outcome"]), (&json!("file"), &json!("completed")), "{row}");
        let row = machine.act(&format!("read folder {}", text(&source))).await;
        assert_eq!(row["outcome"], "completed", "{row}");
        let file = source.join("big");
        machine.files.get("files/archive", &[("path", text(&file))]).await.problem(409, "wrong_kind");
    }

    async fn files_that_are_there_are_replaced_by_an_archive_only_where_it_is_asked_for(world: World) {
        let machine = Machine::start(&world).await;
        std::fs::create_dir(machine.path("target")).unwrap();
        let old = machine.file("target/file", b"as it was");
        let target = machine.path("target");
        let archive = tar_of(&[("file", b"new")]);
        machine.files.unpack(text(&target), archive.clone(), false).await.problem(409, "already_exists");
        assert_eq!(std::fs::read(&old).unwrap(), b"as it was");
        machine.files.unpack(text(&target), archive, true).await.check(200);
        assert_eq!(std::fs::read(&old).unwrap(), b"new");
        assert_eq!(tree(&target).len(), 1);
    }

    async fn an_archive_that_leads_out_of_its_folder_is_refused(world: World) {
        let machine = Machine::start(&world).await;
        let target = machine.path("target");
        let victim = machine.file("victim", b"as it was");
        for evil in ["../victim", "a/../../victim", "/tmp/gururmm-evil", text(&victim), "..", "a//b"] {
            let answer = machine.files.unpack(text(&target), tar_of(&[(evil, b"evil")]), true).await;
            answer.problem(400, "bad_name");
        }
        // A link that leads out, and a file through it.
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, "out", machine.folder()).unwrap();
        append(&mut builder, "out/victim", b"evil");
        let answer = machine.files.unpack(text(&target), builder.into_inner().unwrap(), true).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        // One that was there before is not walked through either.
        symlink(machine.folder(), target.join("there")).unwrap();
        let answer = machine.files.unpack(text(&target), tar_of(&[("there/victim", b"evil")]), true).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert_eq!(std::fs::read(&victim).unwrap(), b"as it was");
        assert_eq!(machine.names(), ["target", "victim"]);
        assert!(!Path::new("/tmp/gururmm-evil").exists());
    }

    async fn what_is_damaged_or_no_archive_is_said_so(world: World) {
        let machine = Machine::start(&world).await;
        let there = machine.path("there");
        for bytes in [noise(4096), vec![b'x'; 512]] {
            let answer = machine.files.unpack(text(&there), bytes, false).await;
            let told = answer.problem(422, "bad_archive");
            assert!(told["detail"].as_str().unwrap().contains("damaged"), "{told}");
        }
        let row = machine.act(&format!("unpack into {}", text(&there))).await;
        assert_eq!(row["outcome"], "bad_archive", "{row}");
    }

    async fn an_archive_that_breaks_off_leaves_no_half_of_a_file(world: World) {
        let machine = Machine::start(&world).await;
        let target = machine.path("target");
        let whole = tar_of(&[("first", b"whole"), ("second", &noise(2 << 20))]);
        let half = whole[..1 << 20].to_vec();
        let answer = machine.files.unpack(text(&target), half, false).await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        answer.problem(answer.status, "cancelled");
        assert_eq!(gururmm_tests::machine::names(&target), ["first"], "what was whole in it is unpacked");
        let rubbish = machine.files.unpack(text(&target), noise(1 << 20), false).await;
        rubbish.problem(422, "bad_archive");
        assert_eq!(gururmm_tests::machine::names(&target), ["first"]);
    }
}

/// A folder's entries: path, kind and mode, a file's time of change in seconds, bytes or where a link leads.
fn tree(folder: &Path) -> Vec<(String, u32, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let bytes = match () {
                () if metadata.is_symlink() => text(&path.read_link().unwrap()).as_bytes().to_vec(),
                () if metadata.is_dir() => Vec::new(),
                () => std::fs::read(&path).unwrap(),
            };
            let name = text(path.strip_prefix(folder).unwrap()).to_owned();
            let changed = if metadata.is_file() {
                metadata.mtime()
            } else {
                0
            };
            found.push((name, metadata.mode(), changed, bytes));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// An archive with files of any name.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        append(&mut builder, name, bytes);
    }
    builder.into_inner().unwrap()
}

/// Adds a file under a name that no well-meaning library writes.
fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}
