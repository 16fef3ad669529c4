//! Terminals that a policy has recorded: read while they run and after, hashed in the audit, without what is typed
//! unless the policy says so, and refused where a recording is a must and cannot be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gururmm_shared::{AgentId, SessionId};
use gururmm_tests::api::{items, text};
use gururmm_tests::terminal_viewer::{TerminalViewer, ask_for_terminal, line};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, World, eventually, on_both_databases};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a server that is killed may lose of a recording; a quarter for a shared machine.
const LAST_SECOND: Duration = Duration::from_millis(1250);

on_both_databases! {
    async fn a_terminal_is_recorded_read_while_it_runs_and_hashed_when_it_ends(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        policy(&rmm, json!({"mode": "output"})).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let script = r"stty -echo; printf 'hello \342\230\202 \033[31mred\033[0m\r\n'; echo ready; read secret; echo end; exit 3";
        let terminal = viewer.run(&rmm.technician, script).await;
        viewer.reads(&terminal, "ready\r\n").await;
        viewer.resizes(&terminal, 100, 30).await;
        let row = eventually("it is recorded", SOON, || async {
            let row = recording(&rmm, session).await?;
            let cast = cast(&rmm, &row).await;
            (shown(&cast).contains("ready") && cast.contains("\"r\"")).then_some(row)
        })
        .await;
        assert_eq!((&row["state"], &row["sha256"]), (&json!("recording"), &json!(null)));
        assert_eq!((&row["channel_id"], &row["agent_id"]), (&json!(terminal.channel.as_str()), &json!(id.to_string())));
        viewer.types(&terminal, b"hunter2\n").await;
        viewer.ended(&terminal).await;
        let row = ended(&rmm, session).await;
        assert_eq!(row["state"], "complete");
        let cast = cast(&rmm, &row).await;
        let header: Value = serde_json::from_str(cast.lines().next().unwrap()).unwrap();
        assert_eq!((&header["version"], &header["width"], &header["height"]), (&json!(2), &json!(80), &json!(24)));
        assert_eq!(shown(&cast), viewer.of(&terminal).text());
        let resized: Vec<_> = events(&cast).into_iter().filter(|(_, kind, _)| kind == "r").collect();
        assert_eq!(resized.len(), 1);
        assert_eq!(resized[0].2, "100x30");
        let times: Vec<f64> = events(&cast).iter().map(|event| event.0).collect();
        assert!(times.is_sorted() && times.iter().all(|time| *time >= 0.0), "{times:?}");
        assert!(!cast.contains("hunter2") && events(&cast).iter().all(|event| event.1 != "i"), "{cast}");

        let sum = hexadecimal(&Sha256::digest(cast.as_bytes()));
        assert_eq!(row["sha256"], sum);
        let file = std::fs::read(file_of(&world, &row)).unwrap();
        assert_eq!(hexadecimal(&Sha256::digest(&file)), sum);
        let acts = format!("/api/audit?action=recording.finished&session_id={session}");
        let acts = items(&rmm.admin.get(&acts).await.expect(200));
        assert_eq!(acts.len(), 1);
        assert!(text(&acts[0], "detail").contains(&sum), "{}", acts[0]);
    }

    async fn what_is_typed_is_recorded_only_where_the_policy_says_so(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        policy(&rmm, json!({"mode": "output_and_input"})).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "stty -echo; echo ready; read secret; exit 0").await;
        viewer.reads(&terminal, "ready\r\n").await;
        viewer.types(&terminal, b"hunter2\n").await;
        viewer.ended(&terminal).await;
        let row = ended(&rmm, session).await;
        assert_eq!(row["with_input"], true);
        let cast = cast(&rmm, &row).await;
        let typed: String = events(&cast).into_iter().filter(|event| event.1 == "i").map(|event| event.2).collect();
        assert_eq!(typed, "hunter2\n");
        assert!(!shown(&cast).contains("hunter2"));
    }

    async fn commands_beside_a_terminal_are_marks_in_its_recording(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        policy(&rmm, json!({"mode": "output"})).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "stty -echo; echo ready; read word; exit 0").await;
        viewer.reads(&terminal, "ready\r\n").await;
        rmm.run(session, "echo beside").await;
        viewer.types(&terminal, b"x\n").await;
        viewer.ended(&terminal).await;
        let row = ended(&rmm, session).await;
        let cast = cast(&rmm, &row).await;
        let marks: Vec<String> = events(&cast).into_iter().filter(|event| event.1 == "m").map(|event| event.2).collect();
        assert_eq!(marks, ["echo beside"]);
        let index = rmm.technician.get(&format!("/api/recordings/{}/index", text(&row, "id"))).await.expect(200);
        let entries = index["entries"].as_array().unwrap();
        let mark = entries.iter().find(|entry| entry["kind"] == "marker").expect("the index has it");
        assert_eq!(mark["label"], "echo beside", "{mark}");
        let from = format!("/api/recordings/{}/cast?from={}", text(&row, "id"), mark["offset"]);
        let rest = rmm.technician.get(&from).await;
        assert!(rest.text.contains("\"m\", \"echo beside\""), "a player finds it there: {}", rest.text);
    }

    async fn where_no_policy_says_so_nothing_is_recorded(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "echo private").await;
        viewer.ended(&terminal).await;
        rmm.wait_outcome(session, &terminal.command_id, "completed").await;
        assert!(recording(&rmm, session).await.is_none());
    }

    async fn a_terminal_whose_recording_is_a_must_and_cannot_be_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let own = policy(&rmm, json!({"mode": "output", "required": true})).await;
        let session = rmm.open(id).await;
        // Where folders should be made stands a file.
        let folder = world.data_dir().join("recordings");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::write(&folder, "in the way").unwrap();
        let marker = world.file("ran");
        let body = line(&format!("touch {}", marker.display()));
        let refused = ask_for_terminal(&rmm.technician, session, body.clone()).await;
        refused.problem(503, "not_recorded");
        assert!(!marker.exists(), "it never ran");
        // Where it is no must, it goes on without.
        let change = json!({"name": "p", "settings": {"recording": {"mode": "output", "required": false}}});
        rmm.admin.put(&format!("/api/policies/{own}"), change).await.check(200);
        let session = reopen(&rmm, session, id).await;
        ask_for_terminal(&rmm.technician, session, body.clone()).await.check(201);
        eventually("it ran", SOON, || async { marker.exists().then_some(()) }).await;
        // And where there is room again, it is recorded.
        std::fs::remove_file(&folder).unwrap();
        let change = json!({"name": "p", "settings": {"recording": {"mode": "output", "required": true}}});
        rmm.admin.put(&format!("/api/policies/{own}"), change).await.check(200);
        let session = reopen(&rmm, session, id).await;
        ask_for_terminal(&rmm.technician, session, body).await.check(201);
    }

    async fn a_killed_server_leaves_a_recording_without_gaps(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        policy(&rmm, json!({"mode": "output"})).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let script = "stty -opost; i=0; while :; do i=$((i+1)); echo $i; case $i in *00) sleep 0.01;; esac; done";
        let terminal = viewer.run(&rmm.technician, script).await;
        viewer.has(&terminal, 60_000).await;
        let (seen, since) = (viewer.of(&terminal).bytes.len(), Instant::now());
        viewer.until("the last second", |_| since.elapsed() >= LAST_SECOND).await;
        rmm.server.kill9();
        rmm.server.restart().await;
        let row = ended(&rmm, session).await;
        assert_eq!(row["state"], "interrupted");
        let cast = cast(&rmm, &row).await;
        let lines = shown(&cast);
        let numbers: String = (1..=500_000).map(|number| format!("{number}\n")).collect();
        assert!(numbers.starts_with(&lines), "lines are missing or come twice");
        assert!(lines.len() >= seen, "{} bytes are left of {seen}", lines.len());
        assert_eq!(row["sha256"], hexadecimal(&Sha256::digest(cast.as_bytes())));
    }
}

/// Makes a policy for all; answers its id.
async fn policy(rmm: &Deployment, recording: Value) -> String {
    let body = json!({"name": "p", "settings": {"recording": recording}});
    let made = rmm.admin.post("/api/policies", body).await.expect(201);
    text(&made, "id").to_owned()
}

/// Closes a session and opens another, for a policy that was changed.
async fn reopen(rmm: &Deployment, session: SessionId, agent: AgentId) -> SessionId {
    let close = json!({"session_id": session});
    let path = "/api/v1/tunnel/close";
    rmm.technician.post(path, close).await.check(200);
    rmm.wait_opens(&rmm.technician, agent, SOON).await
}

/// The one recording of a session, where there is one.
async fn recording(rmm: &Deployment, session: SessionId) -> Option<Value> {
    let path = format!("/api/recordings?session_id={session}");
    let mut rows = items(&rmm.technician.get(&path).await.expect(200));
    assert!(rows.len() <= 1, "{rows:?}");
    rows.pop()
}

async fn ended(rmm: &Deployment, session: SessionId) -> Value {
    eventually("the recording is ended", SOON, || async {
        let row = recording(rmm, session).await?;
        (row["state"] != "recording").then_some(row)
    })
    .await
}

async fn cast(rmm: &Deployment, row: &Value) -> String {
    let path = format!("/api/recordings/{}/cast", text(row, "id"));
    let answer = rmm.technician.get(&path).await;
    answer.check(200);
    answer.text
}

/// The events of a recording: time, kind, data.
fn events(cast: &str) -> Vec<(f64, String, String)> {
    let lines = cast.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What was shown, all of it.
fn shown(cast: &str) -> String {
    let shown = events(cast).into_iter().filter(|event| event.1 == "o");
    shown.map(|event| event.2).collect()
}

/// The file in which a recording lies.
fn file_of(world: &World, row: &Value) -> PathBuf {
    let name = format!("{}.cast", text(row, "channel_id"));
    let mut folders = vec![world.data_dir().join("recordings")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with(&name) {
                return path;
            }
        }
    }
    panic!("there is no {name}");
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
