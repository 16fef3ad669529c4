//! What is there on a machine, and changes that need no bytes.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use gururmm_tests::api::items;
use gururmm_tests::database::Engine;
use gururmm_tests::files::text;
use gururmm_tests::{Machine, Obstacle, PreparedAgent, Surroundings, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_folder_is_listed_by_name_page_by_page(world: World) {
        let machine = Machine::start(&world).await;
        for number in (0..25).rev() {
            let _ = machine.file(&format!("file-{number:02}"), b"x");
        }
        let path = text(machine.folder()).to_owned();
        let (mut names, mut pages) = (Vec::new(), 0);
        let mut after = String::new();
        loop {
            let mut query = vec![("path", path.as_str()), ("limit", "10")];
            if !after.is_empty() {
                query.push(("after", &after));
            }
            let page = machine.files.get("files", &query).await.json(200);
            names.extend(items(&page).iter().map(|file| file["name"].as_str().unwrap().to_owned()));
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(names, machine.names());
        assert_eq!((names.len(), pages), (25, 3));
        let whole = machine.files.get("files", &[("path", &path)]).await.json(200);
        assert_eq!(items(&whole).len(), 25);
        for bad in ["0", "1001", "x"] {
            let answer = machine.files.get("files", &[("path", path.as_str()), ("limit", bad)]).await;
            assert_eq!(answer.status, 400, "{bad}");
        }
        let file = machine.path("file-00");
        machine.files.get("files", &[("path", text(&file))]).await.problem(409, "wrong_kind");
        machine.files.get("files", &[("path", "/nowhere/at/all")]).await.problem(404, "not_found");
    }

    async fn a_file_is_told_with_its_kind_its_size_its_mode_and_its_time(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.file("data", b"12345");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
        File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        symlink("data", machine.path("link")).unwrap();
        nix::unistd::mkfifo(&machine.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let file = stat(&machine, &path).await;
        assert_eq!((&file["name"], &file["kind"], &file["size"]), (&json!("data"), &json!("file"), &json!(5)));
        assert_eq!(file["mode"].as_u64().unwrap() & 0o777, 0o640, "{file}");
        let modified: DateTime<Utc> = file["modified"].as_str().unwrap().parse().unwrap();
        assert_eq!(modified, DateTime::<Utc>::from(at));
        assert!(file["owner"].is_string() && file["group"].is_string(), "{file}");
        let link = stat(&machine, &machine.path("link")).await;
        assert_eq!((&link["kind"], &link["link_target"]), (&json!("link"), &json!("data")), "a link is not followed");
        assert_eq!(stat(&machine, &machine.path("pipe")).await["kind"], "other");
        assert_eq!(stat(&machine, machine.folder()).await["kind"], "directory");
        assert_eq!(stat(&machine, Path::new("/")).await["kind"], "directory");
        let gone = machine.path("gone");
        machine.files.get("files/stat", &[("path", text(&gone))]).await.problem(404, "not_found");
    }

    async fn folders_are_made_renamed_and_deleted_with_what_is_in_them(world: World) {
        let machine = Machine::start(&world).await;
        let (one, deep) = (machine.path("one"), machine.path("one/two/three"));
        let files = &machine.files;
        let make = |path: &Path, parents: bool| {
            let body = json!({"path": text(path), "parents": parents});
            async move { files.post("files/mkdir", body).await }
        };
        make(&deep, false).await.problem(404, "not_found");
        make(&one, false).await.check(204);
        make(&one, false).await.problem(409, "already_exists");
        make(&deep, true).await.check(204);
        make(&deep, true).await.check(204);
        assert!(deep.is_dir());
        let rename = |from: &Path, to: &Path, overwrite: bool| {
            let body = json!({"from": text(from), "to": text(to), "overwrite": overwrite});
            async move { files.post("files/rename", body).await }
        };
        let (a, b) = (machine.file("a", b"of a"), machine.file("b", b"of b"));
        rename(&a, &b, false).await.problem(409, "already_exists");
        assert_eq!(std::fs::read(&b).unwrap(), b"of b");
        rename(&a, &b, true).await.check(204);
        assert_eq!((std::fs::read(&b).unwrap(), a.exists()), (b"of a".to_vec(), false));
        rename(&a, &b, true).await.problem(404, "not_found");
        rename(&one, &machine.path("moved"), false).await.check(204);
        assert!(machine.path("moved/two/three").is_dir());
        let delete = |path: &Path, recursive: &'static str| {
            let path = text(path).to_owned();
            async move { files.delete("files", &[("path", path.as_str()), ("recursive", recursive)]).await }
        };
        symlink(&b, machine.path("moved/link")).unwrap();
        delete(&machine.path("moved"), "false").await.problem(409, "not_empty");
        delete(&machine.path("moved"), "true").await.check(204);
        assert_eq!(machine.names(), ["b"], "what the link led to is still there");
        delete(&b, "false").await.check(204);
        delete(&b, "false").await.problem(404, "not_found");
    }

    async fn what_the_system_denies_the_agent_is_said_so(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = PreparedAgent::start(&rmm, Surroundings::Permissions).await;
        let session = rmm.open(id).await;
        let files = gururmm_tests::Files::of(&rmm.technician, session);
        let folder = world.file("closed");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("secret"), "x").unwrap();
        std::fs::set_permissions(folder.join("secret"), PermissionsExt::from_mode(0o000)).unwrap();
        files.download(&folder.join("secret"), &[]).await.problem(403, "machine_permission_denied");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o500)).unwrap();
        let body = json!({"path": text(&folder.join("new"))});
        files.post("files/mkdir", body).await.problem(403, "machine_permission_denied");
        let target = folder.join("target");
        let answer = files.upload((&target, "u"), b"bytes", 0, &[]).await;
        let told = answer.problem(403, "machine_permission_denied");
        assert!(told["detail"].as_str().unwrap().contains("permission"), "{told}");
        let secret = folder.join("secret");
        let query = [("path", text(&secret))];
        files.delete("files", &query).await.problem(403, "machine_permission_denied");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(gururmm_tests::machine::names(&folder), ["secret"], "nothing is left of the upload");
    }

    async fn files_that_a_policy_leaves_to_be_read_are_not_changed(world: World) {
        let machine = Machine::with_policy(&world, |_| json!({"file_writes": false})).await;
        let path = machine.file("kept", b"kept");
        let (kept, new) = (text(&path), machine.path("new"));
        assert_eq!(machine.files.download(&path, &[]).await.body, b"kept");
        machine.files.upload((&new, "u"), b"new", 0, &[]).await.problem(403, "feature_not_allowed");
        machine.files.unpack(text(&new), Vec::new(), false).await.problem(403, "feature_not_allowed");
        for (route, body) in [
            ("files/mkdir", json!({"path": text(&new)})),
            ("files/rename", json!({"from": kept, "to": text(&new)})),
        ] {
            machine.files.post(route, body).await.problem(403, "feature_not_allowed");
        }
        machine.files.delete("files", &[("path", kept)]).await.problem(403, "feature_not_allowed");
        assert_eq!(machine.names(), ["kept"]);
        let rows = machine.rmm.audit(machine.session).await;
        let refused: Vec<_> = rows.iter().filter(|row| row["action"] == "refused").collect();
        assert_eq!(refused.len(), 5, "{rows:?}");
        for row in refused {
            assert_eq!(row["outcome"], "feature_not_allowed", "{row}");
            assert!(row["detail"].as_str().unwrap().contains(text(machine.folder())), "{row}");
        }
    }

    async fn files_outside_of_the_roots_of_a_policy_are_not_reached(world: World) {
        let machine = Machine::with_policy(&world, |folder| json!({"file_roots": [text(&folder.join("open"))]})).await;
        std::fs::create_dir(machine.path("open")).unwrap();
        let (inside, outside) = (machine.file("open/file", b"inside"), machine.file("secret", b"outside"));
        symlink("../secret", machine.path("open/out")).unwrap();
        symlink(machine.folder(), machine.path("open/up")).unwrap();
        symlink("file", machine.path("open/in")).unwrap();
        assert_eq!(machine.files.download(&inside, &[]).await.body, b"inside");
        assert_eq!(machine.files.download(&machine.path("open/in"), &[]).await.body, b"inside");
        for path in [outside.clone(), machine.path("open/out"), machine.path("open/up/secret"), "/etc/passwd".into(),
            machine.path("opening"), "/proc/self/root/etc/passwd".into()] {
            machine.files.download(&path, &[]).await.problem(403, "not_allowed");
        }
        for path in [machine.path("new"), machine.path("open/up/new"), machine.path("opened")] {
            machine.files.upload((&path, "u"), b"new", 0, &[]).await.problem(403, "not_allowed");
            let body = json!({"path": text(&path)});
            machine.files.post("files/mkdir", body).await.problem(403, "not_allowed");
            let body = json!({"from": text(&inside), "to": text(&path)});
            machine.files.post("files/rename", body).await.problem(403, "not_allowed");
        }
        let (root, up) = (machine.path("open"), machine.path("open/up"));
        let query = [("path", text(&root)), ("recursive", "true")];
        machine.files.delete("files", &query).await.problem(403, "not_allowed");
        for route in ["files", "files/archive"] {
            machine.files.get(route, &[("path", text(&up))]).await.problem(403, "not_allowed");
            machine.files.get(route, &[("path", text(machine.folder()))]).await.problem(403, "not_allowed");
        }
        assert_eq!(machine.names(), ["open", "secret"]);
        assert_eq!(std::fs::read(&outside).unwrap(), b"outside");
        // The link itself may be told of and taken away.
        assert_eq!(stat(&machine, &up).await["kind"], "link");
        machine.files.delete("files", &[("path", text(&up))]).await.check(204);
    }

    async fn nothing_is_done_before_it_stands_in_the_audit_and_its_end_stands_there_too(world: World) {
        let machine = Machine::start(&world).await;
        let path = machine.path("made");
        let body = json!({"path": text(&path)});
        let files = "NEW.action = 'file'";
        let refusing = Obstacle::refusing(&machine.rmm.database, "INSERT", "tunnel_audit", files).await;
        machine.files.post("files/mkdir", body.clone()).await.check(503);
        machine.files.upload((&machine.path("up"), "u"), b"x", 0, &[]).await.check(503);
        assert!(machine.names().is_empty(), "{:?}", machine.names());
        refusing.remove().await;
        let slow = Obstacle::slowing(&machine.rmm.database, "INSERT", "tunnel_audit", files).await;
        let making = tokio::spawn({
            let (files, body) = (machine.files.clone(), body.clone());
            async move { files.post("files/mkdir", body).await }
        });
        slow.wait_holds().await;
        let there = path.exists();
        assert!(slow.holds().await, "the write ended too early to show anything");
        assert!(!there, "the folder is there before the audit says so");
        // SQLite's goes on by itself, and lets nobody else write until then.
        let made = match machine.rmm.database.engine() {
            Engine::Sqlite => {
                let made = making.await.unwrap();
                slow.remove().await;
                made
            }
            Engine::Postgres => {
                slow.remove().await;
                making.await.unwrap()
            }
        };
        made.check(204);
        let detail = format!("make folder {}", text(&path));
        let row = machine.act(&detail).await;
        assert_eq!((&row["action"], &row["outcome"]), (&json!("file"), &json!("completed")), "{row}");
        assert_eq!(row["user_email"], "tech@example.com");
        assert!(row["channel_id"].is_string() && row["ended_at"].is_string(), "{row}");
        machine.files.post("files/mkdir", body).await.problem(409, "already_exists");
        let last = machine.act(&detail).await;
        assert_eq!(last["outcome"], "already_exists", "{last}");
    }
}

async fn stat(machine: &Machine, path: &Path) -> Value {
    let query = [("path", text(path))];
    machine.files.get("files/stat", &query).await.json(200)
}
