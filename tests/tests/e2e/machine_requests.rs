//! Services, processes and the registry of a machine, and who may ask for what.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use gururmm_tests::api::items;
use gururmm_tests::files::text;
use gururmm_tests::processes::Marker;
use gururmm_tests::tcp_channel::Pass;
use gururmm_tests::wait::SOON;
use gururmm_tests::{
    Deployment, Files, Machine, PreparedAgent, Surroundings, TcpChannel, World, on_both_databases,
};
use serde_json::json;

on_both_databases! {
    async fn services_of_a_machine_without_systemd_are_refused_in_clear_words(world: World) {
        let rmm = world.deploy(&[]).await;
        let nowhere = world.file("nowhere");
        let (_agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(text(&nowhere))).await;
        let files = Files::of(&rmm.technician, rmm.open(id).await);
        for answer in [
            files.get("services", &[]).await,
            files.get("services/ssh", &[]).await,
            files.post("services/ssh/start", json!({})).await,
        ] {
            let told = answer.problem(409, "unsupported");
            let detail = told["detail"].as_str().unwrap();
            assert!(detail.contains("no systemd"), "{detail}");
        }
    }

    async fn services_are_listed_and_changed_and_what_they_were_is_kept(world: World) {
        let (rmm, session, files, asked) = with_systemd(&world).await;
        let _agent = asked.1;
        let list = items(&files.get("services", &[]).await.json(200));
        let ssh = list.iter().find(|one| one["name"] == "ssh.service").expect("ssh is listed");
        assert_eq!((&ssh["state"], &ssh["start_type"]), (&json!("running"), &json!("automatic")), "{ssh}");
        let one = files.get("services/ssh", &[]).await.json(200);
        assert_eq!((&one["name"], &one["pid"]), (&json!("ssh.service"), &json!(77)), "{one}");
        files.get("services/missing", &[]).await.problem(404, "not_found");
        let answer = files.post("services/ssh/restart", json!({})).await.json(200);
        assert!(answer["before"].as_str().unwrap().contains("running"), "{answer}");
        let body = json!({"start_type": "disabled"});
        let answer = files.put("services/ssh/start-type", body).await.json(200);
        assert!(answer["before"].as_str().unwrap().contains("automatic"), "{answer}");
        let answer = files.post("services/broken/start", json!({})).await;
        assert!(answer.problem(502, "failed")["detail"].as_str().unwrap().contains("broken.service failed"));
        for bad in ["-H", "a%20b", "ssh.socket", "..%2fssh", "%00"] {
            files.post(&format!("services/{bad}/stop"), json!({})).await.problem(400, "bad_name");
        }
        let answer = files.post("services/ssh/explode", json!({})).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.status);
        let text = std::fs::read_to_string(&asked.0).unwrap();
        let changes: Vec<&str> = text.lines().filter(|line| !line.starts_with("list") && !line.starts_with("show")).collect();
        let quiet = "--no-ask-password --no-pager --quiet --";
        assert_eq!(changes, [format!("restart {quiet} ssh.service"), format!("mask {quiet} ssh.service"),
            format!("start {quiet} broken.service")]);
        let rows = rmm.audit(session).await;
        let row = |detail: &str| rows.iter().find(|row| row["detail"] == detail).unwrap_or_else(|| panic!("no {detail:?} in {rows:?}"));
        let restarted = row("restart service ssh");
        assert_eq!((&restarted["action"], &restarted["outcome"]), (&json!("service"), &json!("completed")));
        assert!(restarted["before"].as_str().unwrap().contains("running"), "{restarted}");
        let masked = row("set start of service ssh to disabled");
        assert!(masked["before"].as_str().unwrap().contains("automatic"), "{masked}");
        assert_eq!(row("start service broken")["outcome"], "failed");
    }

    async fn a_process_is_listed_with_its_command_and_ended_where_it_is_the_one_that_was_meant(world: World) {
        let machine = Machine::start(&world).await;
        let marker = Marker::new();
        let (_, _) = machine.rmm.command(machine.session, &format!("exec {}", marker.sleep())).await;
        marker.wait_running(1, SOON).await;
        let pid = marker.running()[0];
        let list = items(&machine.files.get("processes", &[]).await.json(200));
        let found = list.iter().find(|one| one["pid"] == pid).expect("it is listed");
        assert_eq!((&found["name"], &found["command"]), (&json!("sleep"), &json!(marker.sleep())), "{found}");
        assert!(found["cpu_percent"].is_number() && found["memory"].as_u64() > Some(0), "{found}");
        assert!(found["user"].is_string() && found["parent"].is_u64(), "{found}");
        let started = found["started"].as_u64().unwrap();
        let kill = |pid: u32, started: u64| {
            let route = format!("processes/{pid}/kill");
            let files = machine.files.clone();
            async move { files.post(&route, json!({"started": started})).await }
        };
        kill(pid, started - 1).await.problem(404, "not_found");
        assert_eq!(marker.running(), [pid], "another process of that number is left alone");
        let own = machine.agent.pid();
        let agent = list.iter().find(|one| one["pid"] == own).expect("the agent is listed");
        kill(own, agent["started"].as_u64().unwrap()).await.problem(403, "not_allowed");
        kill(pid, started).await.check(204);
        marker.wait_gone(SOON).await;
        kill(pid, started).await.problem(404, "not_found");
        let row = machine.act(&format!("end process {pid} (started at {started})")).await;
        assert_eq!(row["action"], "process", "{row}");
    }

    async fn the_registry_is_refused_where_there_is_none(world: World) {
        let machine = Machine::start(&world).await;
        let key = r"HKLM\SOFTWARE\Example";
        let value = json!({"key": key, "value": {"name": "Port", "type": "dword", "data": 80}});
        for answer in [
            machine.files.get("registry", &[("key", key)]).await,
            machine.files.get("registry/export", &[("key", key)]).await,
            machine.files.delete("registry", &[("key", key), ("name", "Port")]).await,
            machine.files.put("registry/value", value).await,
        ] {
            answer.problem(409, "unsupported");
        }
    }

    async fn who_may_use_what_is_a_matter_of_policy(world: World) {
        let features = json!({"features": {"files": ["administrator"], "processes": [], "services": [], "tcp": ["administrator"],
            "registry": [], "terminal": ["administrator"]}});
        let machine = Machine::with_policy(&world, |_| features.clone()).await;
        let path = machine.file("file", b"x");
        let calls = async |files: &Files| {
            vec![
                files.download(&path, &[]).await,
                files.get("files", &[("path", text(machine.folder()))]).await,
                files.upload((&machine.path("new"), "u"), b"x", 0, &[("overwrite", "true")]).await,
                files.get("processes", &[]).await,
                files.get("services", &[]).await,
                files.get("registry", &[("key", r"HKLM\SOFTWARE")]).await,
            ]
        };
        let answers = calls(&machine.files).await;
        for answer in &answers {
            answer.problem(403, "feature_not_allowed");
        }
        let terminal = machine.files.post("terminal", json!({"cols": 80, "rows": 24})).await;
        terminal.problem(403, "feature_not_allowed");
        let to = ("127.0.0.1", 9);
        let asked = TcpChannel::connect(&machine.rmm.technician, machine.session, to, Pass::Authorization, None).await;
        assert_eq!(asked.err().unwrap_or_default().0, 403);
        let rows = machine.rmm.audit(machine.session).await;
        let refused = rows.iter().filter(|row| row["outcome"] == "feature_not_allowed").count();
        assert_eq!(refused, 8, "{rows:?}");
        assert_eq!(machine.names(), ["file"]);
        let output = machine.rmm.run(machine.session, "echo commands are still allowed").await;
        assert_eq!(output.stdout, "commands are still allowed\n");
        // An administrator may more, and what nobody may, not either.
        let body = json!({"session_id": machine.session});
        machine.rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        let session = machine.rmm.wait_opens(&machine.rmm.admin, machine.id, SOON).await;
        let answers = calls(&Files::of(&machine.rmm.admin, session)).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 403, 403, 403]);
    }

    async fn a_session_ends_when_it_has_been_open_for_as_long_as_the_policy_lets_it(world: World) {
        let machine = Machine::with_policy(&world, |_| json!({"max_session_seconds": 2})).await;
        let path = machine.path("file");
        let mut held = machine.files.begin_upload((&path, "u"), &[0; 100], 0).await;
        held.send(&[0; 50]).await;
        machine.rmm.wait_session(machine.session, "closed", "session_too_long", SOON).await;
        // It is told with the next byte.
        held.send(&[0]).await;
        let (status, body) = held.answer().await.expect("an answer");
        assert!((400..500).contains(&status), "{status}: {body}");
        let row = machine.act(&format!("upload {} (100 bytes)", text(&path))).await;
        assert_eq!(row["outcome"], "cancelled", "{row}");
        assert!(!path.exists());
        machine.files.get("processes", &[]).await.problem(409, "session_closed");
        // The next one has its own time.
        machine.rmm.wait_opens(&machine.rmm.technician, machine.id, SOON).await;
    }
}

/// A machine whose systemd is the test's: where it keeps what it was asked, and its agent.
async fn with_systemd(
    world: &World,
) -> (
    Deployment,
    gururmm_shared::SessionId,
    Files,
    (PathBuf, PreparedAgent),
) {
    let folder = world.file("bin");
    std::fs::create_dir(&folder).unwrap();
    let asked = world.file("asked");
    let script = SYSTEMCTL.replace("ASKED", text(&asked));
    let program = folder.join("systemctl");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", text(&folder));
    let rmm = world.deploy(&[]).await;
    let (agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(&path)).await;
    let session = rmm.open(id).await;
    let files = Files::of(&rmm.technician, session);
    (rmm, session, files, (asked, agent))
}

/// Answers as the real one would, and keeps what it is asked.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> 'ASKED'
case "$1" in
list-units) echo 'ssh.service loaded active running OpenBSD Secure Shell server' ;;
list-unit-files) echo 'ssh.service enabled enabled' ;;
show) case "$5" in
    missing.service) printf 'Id=missing.service\nLoadState=not-found\nActiveState=inactive\n' ;;
    *) printf 'Id=%s\nDescription=A service\nLoadState=loaded\nActiveState=active\nSubState=running\nMainPID=77\nUnitFileState=enabled\n' "$5" ;;
    esac ;;
start) case "$6" in broken.service) echo 'Job for broken.service failed.' >&2; exit 1 ;; esac ;;
esac
"#;
