//! Updates of the agent: what is signed, newer and whole is installed and stays once the server is reached; of everything
//! else the server hears why not, and the old version runs on.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command as Program;

use harness::release::{Depot, Release, Serving, head_of, program, serve};
use harness::updating::{NEW, OLD, Updating, acknowledgement};
use harness::{Connection, command, command_id, soon};
use serde_json::{Value, json};

#[tokio::test]
async fn a_signed_release_takes_the_old_ones_place_and_stays_once_the_server_is_reached() {
    let updating = Updating::start("").await;
    let (mut server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], OLD);
    assert_eq!(auth.get("previous_version"), None);
    assert!(
        auth["capabilities"]
            .as_array()
            .unwrap()
            .contains(&json!("signed_update"))
    );
    let pid = updating.pid();
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    let (mut server, auth) = updating.updated(&mut server, order).await;
    assert_eq!(auth["version"], NEW);
    assert_eq!(auth["previous_version"], OLD);
    let result = server.expect("update_result").await;
    assert_eq!(result, json!({"version": NEW, "success": true}));
    assert_eq!(updating.version_on_disk(), NEW);
    assert_eq!(
        updating.beside_the_program(),
        [""; 0],
        "the old program is gone"
    );
    let rights = fs::metadata(updating.program())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(rights & 0o777, 0o755);
    updating.until(|this| this.record() == json!({})).await;
    assert_eq!(
        (updating.pid(), updating.starts()),
        (pid, 1),
        "the same process"
    );
    let asked = updating.depot.requests.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    let asked = asked[0].to_lowercase();
    assert!(
        !asked.contains("authorization") && !asked.contains("grmm_own"),
        "{asked}"
    );
}

#[tokio::test]
async fn one_update_follows_another_and_a_signed_downgrade_goes_back() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    for (version, downgrade) in [(NEW, false), ("0.10.0", false), ("0.3.0", true)] {
        let release = Release::good(version).with("downgrade", downgrade);
        let order = updating.depot.offer(&release, Serving::Whole);
        let (connection, auth) = updating.updated(&mut server, order).await;
        server = connection;
        assert_eq!(auth["version"], version);
        assert_eq!(result_of(&mut server, version).await["success"], true);
    }
    let order = updating
        .depot
        .offer(&Release::good("0.1.5"), Serving::Whole);
    server.send(order).await;
    assert_eq!(result_of(&mut server, "0.1.5").await["code"], "not_newer");
}

/// The result of the update to this version: those before it may be told again.
async fn result_of(server: &mut Connection, version: &str) -> Value {
    loop {
        let result = server.expect("update_result").await;
        if result["version"] == version {
            return result;
        }
    }
}

#[tokio::test]
async fn a_program_on_the_server_itself_is_fetched_with_the_agents_key() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let release = Release::good(NEW);
    server
        .send(release.order("/api/agent/releases/1?x=y"))
        .await;
    let mut stream = updating.accept_stream().await;
    let head = soon(head_of(&mut stream)).await.unwrap();
    assert!(
        head.starts_with("GET /api/agent/releases/1?x=y HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("authorization: bearer grmm_own\r\n"),
        "{head}"
    );
    soon(serve(
        stream,
        &release.program,
        Serving::Whole,
        &Default::default(),
    ))
    .await
    .unwrap();
    server.closed().await;
    let (_server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], NEW);
}

#[tokio::test]
async fn what_is_not_signed_for_this_agent_is_refused_before_anything_is_fetched() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let release = Release::of(NEW, b"program".to_vec());
    let now = chrono::Utc::now();
    let expired = release.clone().with(
        "released_at",
        (now - chrono::TimeDelta::days(2)).to_rfc3339(),
    );
    let expired = expired.with(
        "expires_at",
        (now - chrono::TimeDelta::days(1)).to_rfc3339(),
    );
    let cases = [
        (
            release.clone().with("platform", "plan9-m68k"),
            "wrong_platform",
        ),
        (release.clone().with("version", OLD), "not_newer"),
        (release.clone().with("version", "0.0.9"), "not_newer"),
        (expired, "expired"),
        (release.clone().with("size", 0), "bad_manifest"),
        (release.clone().with("format", 2), "bad_manifest"),
    ];
    for (release, code) in cases {
        let order = updating.depot.offer(&release, Serving::Whole);
        let why = updating.refused(&mut server, order, code).await;
        assert!(!why.is_empty());
    }
    let good = updating.depot.offer(&release, Serving::Whole);
    let changed = |key: &str, value: Value| {
        let mut order = good.clone();
        order["payload"][key] = value;
        order
    };
    let text = good["payload"]["manifest"].as_str().unwrap();
    let flipped = changed("manifest", json!(text.replace("\"size\":7", "\"size\":8")));
    assert_ne!(flipped, good);
    let others = Release::of("0.3.0", b"another".to_vec()).order(&updating.depot.url);
    let cases = [
        (flipped, "bad_signature"),
        (
            changed("signature", others["payload"]["signature"].clone()),
            "bad_signature",
        ),
        (changed("signature", json!("nonsense")), "bad_signature"),
        (changed("signature", Value::Null), "unsigned"),
        (changed("manifest", Value::Null), "unsigned"),
        (changed("checksum", json!("00".repeat(32))), "bad_checksum"),
        (changed("version", json!("0.9.0")), "bad_manifest"),
    ];
    for (order, code) in cases {
        updating.refused(&mut server, order, code).await;
    }
    assert_eq!(updating.depot.fetched(), 0);
    assert_eq!(updating.starts(), 1);
}

#[tokio::test]
async fn a_download_that_is_not_what_was_signed_is_given_up_and_the_next_one_is_good() {
    let updating = Updating::start("[update]\nstall_seconds = 1\ndownload_seconds = 3\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let release = Release::good(NEW);
    for (serving, code, why) in [
        (Serving::Flipped, "bad_checksum", "SHA-256"),
        (Serving::TooLong, "too_large", "were signed"),
        (Serving::Endless, "too_large", "were signed"),
        (Serving::Cut, "download_failed", "download has failed"),
        (Serving::Stalling, "download_failed", "update.stall_seconds"),
        (
            Serving::Trickling,
            "download_failed",
            "update.download_seconds",
        ),
        (Serving::NotFound, "download_failed", "404"),
    ] {
        let order = updating.depot.offer(&release, serving);
        let said = updating.refused(&mut server, order, code).await;
        assert!(said.contains(why), "{serving:?}: {said}");
    }
    let sent = updating
        .depot
        .sent
        .load(std::sync::atomic::Ordering::Relaxed);
    assert!(
        sent < 3 * release.program.len(),
        "an endless one ends with the first byte too many"
    );
    let order = updating.depot.offer(&release, Serving::Whole);
    let (_server, auth) = updating.updated(&mut server, order).await;
    assert_eq!(auth["version"], NEW);
}

#[tokio::test]
async fn nobody_who_serves_the_program_is_a_download_that_has_failed() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let nobody = Depot::start().await.url.clone();
    let release = Release::of(NEW, b"program".to_vec());
    for address in [
        nobody.as_str(),
        "ftp://127.0.0.1/x",
        "//127.0.0.1/x",
        "https://127.0.0.1:1/x",
    ] {
        updating
            .refused(&mut server, release.order(address), "download_failed")
            .await;
    }
}

#[tokio::test]
async fn a_program_that_fails_its_trial_run_is_not_installed() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let cut = program(NEW, None)[..1 << 20].to_vec();
    for (program, why) in [
        (b"this is no program".to_vec(), "does not run here"),
        (b"#!/bin/sh\necho 0.1.9".to_vec(), "says it is \"0.1.9\""),
        (b"#!/bin/sh\necho broken >&2; exit 3".to_vec(), "broken"),
        (b"#!/bin/sh\nyes".to_vec(), "does not run here"),
        (cut, "does not run here"),
    ] {
        let order = updating
            .depot
            .offer(&Release::of(NEW, program), Serving::Whole);
        let said = updating
            .refused(&mut server, order, "self_test_failed")
            .await;
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_leaves_the_old_version_and_is_told() {
    let lines = "[update]\nconfirm_seconds = 20\n";
    let updating = Updating::start_by(
        lines,
        |_| {},
        |program, config| {
            // Writing more than 4 MiB fails as a quota does.
            let line = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" run --config \"$1\"";
            let mut command = tokio::process::Command::new("/bin/sh");
            command.args(["-c", line]).args([program, config]);
            command
        },
    )
    .await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    let said = updating.refused(&mut server, order, "no_space").await;
    assert!(said.contains("make room"), "{said}");
    assert_eq!(updating.starts(), 1);
}

#[tokio::test]
async fn a_file_system_without_room_for_the_program_leaves_the_old_version_and_is_told() {
    let size = program(OLD, None).len() + (4 << 20);
    let updating = Updating::start_by("", |_| {}, move |program, config| {
        // A file system of its own in a mount namespace of its own, with room for one program.
        let line = format!(
            "bin=$(dirname \"$0\"); cp \"$0\" \"$bin/../kept\"; mount -t tmpfs -o size={size} none \"$bin\" && \
             cp \"$bin/../kept\" \"$0\" && exec \"$0\" run --config \"$1\""
        );
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", &line]);
        command.args([program, config]);
        command
    })
    .await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    let said = updating.refused(&mut server, order, "no_space").await;
    assert!(said.contains("No space left on device"), "{said}");
    // What had come is gone again: otherwise the disk would stay full.
    let root = format!(
        "/proc/{}/root{}",
        updating.pid().unwrap(),
        updating.stage.file("bin").display()
    );
    assert_eq!(fs::read_dir(root).unwrap().count(), 1);
}

#[tokio::test]
async fn a_version_that_the_server_never_acknowledges_gives_way_to_the_one_before() {
    let updating = Updating::start("[update]\nconfirm_seconds = 2\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    server.send(order).await;
    server.closed().await;
    let (unanswered, auth) = updating.accept().await;
    assert_eq!(auth["version"], NEW);
    rolled_back(&updating, "within 2 s").await;
    drop(unanswered);
}

#[tokio::test]
async fn a_version_that_hangs_before_it_connects_gives_way_to_the_one_before() {
    let updating = Updating::start("[update]\nconfirm_seconds = 2\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let hangs = Release::of(NEW, program(NEW, Some("hang")));
    server
        .send(updating.depot.offer(&hangs, Serving::Whole))
        .await;
    server.closed().await;
    rolled_back(&updating, "within 2 s").await;
}

#[tokio::test]
async fn a_version_that_crashes_at_each_start_gives_way_to_the_one_before() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let crashes = Release::of(NEW, program(NEW, Some("crash")));
    server
        .send(updating.depot.offer(&crashes, Serving::Whole))
        .await;
    server.closed().await;
    rolled_back(&updating, "started 3 times").await;
    assert_eq!(
        updating.starts(),
        1 + 3,
        "the fourth start of the new one became the old one"
    );
}

#[tokio::test]
async fn a_configuration_that_the_new_version_cannot_read_any_more_does_not_keep_it_there() {
    let mut updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    server
        .send(updating.depot.offer(&Release::good(NEW), Serving::Whole))
        .await;
    server.closed().await;
    let (unanswered, auth) = updating.accept().await;
    assert_eq!(auth["version"], NEW);
    let config = updating.stage.file("agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Neither it nor the last good one, which would take its place.
    fs::write(&config, "damaged [").unwrap();
    fs::write(updating.stage.file("agent.toml.last-good"), "damaged [").unwrap();
    updating.kill().await;
    drop(unanswered);
    updating.until(|this| this.version_on_disk() == OLD).await;
    fs::write(&config, text).unwrap();
    rolled_back(&updating, "started 3 times").await;
}

#[tokio::test]
async fn a_start_that_cannot_be_counted_gives_way_to_the_version_before() {
    let updating = Updating::start_by("", |_| {}, |program, config| {
        // From some moment on nothing can be written, as on a disk that is full to the last byte.
        let line = "trap '' XFSZ; [ ! -e \"$1.full\" ] || ulimit -f 0; exec \"$0\" run --config \"$1\"";
        let mut command = tokio::process::Command::new("/bin/sh");
        command.args(["-c", line]).args([program, config]);
        command
    })
    .await;
    let (mut server, _) = updating.acknowledge().await;
    updating.kill_at("put");
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    fs::write(updating.stage.file("agent.toml.full"), "").unwrap();
    server.send(order).await;
    updating.until_killed().await;
    let (mut server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], OLD);
    let result = server.expect("update_result").await;
    assert_eq!(result["code"], "install_failed", "{result}");
    assert_eq!(updating.version_on_disk(), OLD);
}

#[tokio::test]
async fn a_version_that_has_none_to_give_way_to_goes_on() {
    let updating = Updating::start("[update]\nconfirm_seconds = 1\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    updating.kill_at("put");
    server.send(order).await;
    updating.until_killed().await;
    fs::remove_file(updating.stage.file("bin/gururmm-agent.previous")).unwrap();
    let (mut server, auth) = updating.accept().await;
    assert_eq!(auth["version"], NEW);
    updating.until(|this| this.record() == json!({})).await;
    server.send(acknowledgement()).await;
    server.send(command(&command_id(), "echo works")).await;
    assert_eq!(server.result().await["stdout"], "works\n");
    assert_eq!(updating.version_on_disk(), NEW);
}

/// Waits until the old version is back and has told why.
async fn rolled_back(updating: &Updating, why: &str) {
    let (mut server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], OLD);
    let result = server.expect("update_result").await;
    assert_eq!(result["code"], "rolled_back", "{result}");
    assert_eq!(result["version"], NEW);
    assert_eq!(result["success"], false);
    assert!(result["error"].as_str().unwrap().contains(why), "{result}");
    assert_eq!(updating.version_on_disk(), OLD);
    updating
        .until(|this| this.beside_the_program().is_empty())
        .await;
    server.send(command(&command_id(), "echo works")).await;
    assert_eq!(server.result().await["stdout"], "works\n");
}

#[tokio::test]
async fn an_update_waits_for_commands_and_tunnels_and_is_busy_when_they_take_too_long() {
    let updating = Updating::start("[update]\nwait_seconds = 1\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    let id = command_id();
    let file = updating.stage.file("go");
    let line = format!("until [ -e {} ]; do sleep 0.05; done", file.display());
    server.send(command(&id, &line)).await;
    server.send(order.clone()).await;
    let result = server.expect_past("update_result", "command_output").await;
    assert_eq!(result["code"], "busy", "{result}");
    fs::write(&file, "").unwrap();
    assert_eq!(server.result().await["exit_code"], 0);

    let session = updating.stage.open(&mut server).await;
    updating.refused(&mut server, order.clone(), "busy").await;
    server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": session}}))
        .await;
    let (_server, auth) = updating.updated(&mut server, order).await;
    assert_eq!(auth["version"], NEW);
}

#[tokio::test]
async fn an_update_goes_on_when_the_command_that_it_waited_for_has_ended() {
    let updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let id = command_id();
    let file = updating.stage.file("go");
    let line = format!(
        "until [ -e {} ]; do sleep 0.05; done; echo whole",
        file.display()
    );
    server.send(command(&id, &line)).await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    server.send(order.clone()).await;
    updating
        .until(|this| !this.beside_the_program().is_empty())
        .await;
    // The server sends it again: one update is made. Another one has to wait for its end.
    server.send(order).await;
    server
        .send(Release::of("0.3.0", b"x".to_vec()).order(&updating.depot.url))
        .await;
    let result = server.expect_past("update_result", "command_output").await;
    assert_eq!(
        (&result["code"], &result["version"]),
        (&json!("busy"), &json!("0.3.0"))
    );
    fs::write(&file, "").unwrap();
    assert_eq!(
        server.result().await["stdout"],
        "whole\n",
        "it was not interrupted"
    );
    server.closed().await;
    let (_server, auth) = updating.acknowledge().await;
    assert_eq!(auth["version"], NEW);
    assert_eq!(updating.depot.fetched(), 1);
    // The process is the same one, so what the old version has started is still its to bury.
    updating
        .until(|this| !has_zombies(this.pid().unwrap()))
        .await;
}

/// Whether a process has children that have ended and that it has not heard of.
fn has_zombies(pid: u32) -> bool {
    let processes = fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).any(|process| {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.trim_start().starts_with(&format!("Z {pid} "))
    })
}

#[tokio::test]
async fn a_result_waits_for_a_connection_and_outlives_the_agent() {
    let mut updating = Updating::start("[update]\nstall_seconds = 1\n").await;
    let (mut server, _) = updating.acknowledge().await;
    let order = updating.depot.offer(&Release::good(NEW), Serving::Stalling);
    server.send(order).await;
    updating.until(|this| this.depot.fetched() == 1).await;
    drop(server);
    updating
        .until(|this| this.record()["results"][0]["code"] == "download_failed")
        .await;
    updating.kill().await;
    let (mut server, _) = updating.acknowledge().await;
    let result = server.expect("update_result").await;
    assert_eq!(result["code"], "download_failed");
    // A connection that is lost at once may have lost the result with it.
    drop(server);
    let (mut server, _) = updating.acknowledge().await;
    assert_eq!(server.expect("update_result").await, result);
    updating.until(|this| this.record() == json!({})).await;
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_the_program_that_runs_is_kept() {
    for damage in ["", "{\"format\": 1, \"on_trial\": {}}", "\0\0\0\0"] {
        let updating = Updating::start_by(
            "",
            |directory| {
                fs::create_dir(directory.join("update")).unwrap();
                fs::write(directory.join("update/state.json"), damage).unwrap();
                fs::write(
                    directory.join("bin/gururmm-agent.previous"),
                    "what was before",
                )
                .unwrap();
            },
            |program, config| {
                let mut command = tokio::process::Command::new(program);
                command.args(["run", "--config"]).arg(config);
                command
            },
        )
        .await;
        let (mut server, auth) = updating.acknowledge().await;
        assert_eq!(auth["version"], OLD);
        let aside = updating.stage.file("update/state.json.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), damage);
        assert_eq!(updating.version_on_disk(), OLD);
        let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
        let (_server, auth) = updating.updated(&mut server, order).await;
        assert_eq!(auth["version"], NEW);
    }
}

#[tokio::test]
async fn an_agent_whose_updates_are_switched_off_says_so() {
    let updating = Updating::start("[update]\nenabled = false\n").await;
    let (mut server, auth) = updating.acknowledge().await;
    assert!(
        !auth["capabilities"]
            .as_array()
            .unwrap()
            .contains(&json!("signed_update"))
    );
    let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
    updating.refused(&mut server, order, "disabled").await;
    assert_eq!(updating.depot.fetched(), 0);
}

#[test]
fn the_self_test_tells_the_version_and_refuses_what_it_cannot_serve_with() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("agent.toml");
    let run = |text: &str| {
        fs::write(&config, text).unwrap();
        let program = env!("CARGO_BIN_EXE_gururmm-agent");
        let tested = Program::new(program)
            .args(["self-test", "--config"])
            .arg(&config)
            .output();
        let tested = tested.unwrap();
        let said = [tested.stdout, tested.stderr].concat();
        (tested.status.success(), String::from_utf8(said).unwrap())
    };
    let good = "[server]\nurl = \"wss://rmm.example.com/ws\"\napi_key = \"A-B-1\"\n";
    assert_eq!(
        run(good),
        (true, format!("{}\n", env!("CARGO_PKG_VERSION")))
    );
    let (fits, said) = run(&format!("{good}ca_file = \"/nowhere.pem\"\n"));
    assert!(!fits && said.contains("server.ca_file"), "{said}");
    let (fits, said) = run("[server]\nurl = 1");
    assert!(!fits && said.contains("agent.toml line 2"), "{said}");
    fs::write(folder.path().join("identity.json"), "{").unwrap();
    fs::set_permissions(
        folder.path().join("identity.json"),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let (fits, said) = run(good);
    assert!(!fits && said.contains("damaged"), "{said}");
}
