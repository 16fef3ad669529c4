//! Recordings over the API: who may, what is answered, and what a crash leaves. The recordings are put
//! in place as a server that was killed leaves them.

use std::fs;
use std::path::PathBuf;

use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, World, eventually, on_both_databases};
use serde_json::json;
use uuid::Uuid;

const WHOLE: &str = "{\"version\":2,\"width\":80,\"height\":24}\n[0.500000, \"o\", \"$ make\\r\\n\"]\n\
    [1.250000, \"o\", \"a need\"]\n[2.500000, \"o\", \"le\\r\\n\"]\n";
const TORN: &str = "[3.000000, \"o\", \"nev";
/// A line of the index.
const FRAME: &str = "{\"time\":1.0,\"offset\":OFFSET,\"stream\":8,\"kind\":\"key_frame\",\"size\":{\"cols\":80,\"rows\":24},\"state\":\"G2M=\"}\n";

struct Left {
    id: Uuid,
    session: Uuid,
    file: PathBuf,
}

/// A recording of a technician's terminal that a killed server was writing.
async fn leave(world: &World, rmm: &Deployment, tech_id: &str) -> Left {
    let (id, session, agent) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let path = format!("2026/11/{session}/terminal-1.cast");
    let file = world.data_dir().join("recordings").join(&path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("{WHOLE}{TORN}")).unwrap();
    let offset = WHOLE.find("[1.25").unwrap().to_string();
    fs::write(file.with_extension("idx"), FRAME.replace("OFFSET", &offset)).unwrap();
    let engine = world.database.engine();
    let uuid = |id: Uuid| match engine {
        Engine::Sqlite => format!("x'{}'", id.simple()),
        Engine::Postgres => format!("'{id}'"),
    };
    let (off, now, later) = match engine {
        Engine::Sqlite => ("0", "1700000000000000", "4700000000000000"),
        Engine::Postgres => ("false", "'2023-11-14'", "'2118-12-08'"),
    };
    let (id_text, agent, tech) = (uuid(id), uuid(agent), uuid(tech_id.parse().unwrap()));
    let client = uuid(rmm.site.client_id.parse().unwrap());
    let site = uuid(rmm.site.id.parse().unwrap());
    let row = format!(
        "INSERT INTO recordings (id, session_id, channel_id, agent_id, agent_hostname, client_id, site_id, \
         tech_id, tech_email, program, with_input, state, started_at, path, keep_until) VALUES ({id_text}, \
         '{session}', 'terminal-1', {agent}, 'web 01', {client}, {site}, {tech}, 't@example.com', 'bash', {off}, \
         'recording', {now}, '{path}', {later})"
    );
    world.database.execute(&row).await.unwrap();
    Left { id, session, file }
}

async fn listed(api: &Api, query: &str) -> Vec<String> {
    let body = api
        .get(&format!("/api/recordings{query}"))
        .await
        .expect(200);
    let rows = items(&body);
    rows.iter().map(|row| text(row, "id").to_owned()).collect()
}

on_both_databases! {
    async fn what_a_killed_server_recorded_is_ended_at_the_next_start_and_read(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let left = leave(&world, &rmm, &rmm.technician_id).await;
        let path = format!("/api/recordings/{}", left.id);
        let row = rmm.technician.get(&path).await.expect(200);
        assert_eq!((&row["state"], &row["sha256"]), (&json!("recording"), &json!(null)));
        let cast = rmm.technician.get(&format!("{path}/cast")).await;
        cast.check(200);
        assert_eq!(cast.text, WHOLE, "the cut line is not given");
        rmm.admin.delete(&path).await.refusal(409);

        rmm.server.kill9();
        rmm.server.restart().await;
        let what = "the recording is ended";
        let row = eventually(what, SOON, || async {
            let row = rmm.technician.get(&path).await.expect(200);
            (row["state"] != "recording").then_some(row)
        })
        .await;
        assert_eq!(row["state"], "interrupted");
        assert_eq!((&row["bytes"], &row["duration_ms"]), (&json!(WHOLE.len()), &json!(2500)));
        assert_eq!(fs::read_to_string(&left.file).unwrap(), WHOLE);
        let sum = std::process::Command::new("sha256sum").arg(&left.file).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let sum = sum.split(' ').next().unwrap();
        assert_eq!(row["sha256"], sum);
        let acts = format!("/api/audit?action=recording.finished&session_id={}", left.session);
        let acts = items(&rmm.admin.get(&acts).await.expect(200));
        assert_eq!(acts.len(), 1);
        assert!(text(&acts[0], "detail").contains(sum), "{}", acts[0]);

        let cast = rmm.technician.get(&format!("{path}/cast")).await;
        assert_eq!((cast.status, cast.text.as_str()), (200, WHOLE));
        assert_eq!(cast.header("content-type"), "application/x-asciicast");
        assert!(cast.header("content-disposition").contains("filename=\"web01-"));
        let index = rmm.technician.get(&format!("{path}/index?at=1.5")).await.expect(200);
        assert_eq!(index["key_frame"]["state"], "G2M=");
        assert_eq!(index["entries"][0]["state"], json!(null));
        let from = &index["key_frame"]["offset"];
        let rest = rmm.technician.get(&format!("{path}/cast?from={from}")).await;
        assert!(rest.text.starts_with("[1.25"), "{}", rest.text);
        let wrong = rmm.technician.get(&format!("{path}/cast?from=1")).await.refusal(400);
        assert_eq!(wrong["field"], "from");
        rmm.technician.get(&format!("{path}/index?at=nan")).await.refusal(400);
        let found = rmm.technician.get(&format!("{path}/search?text=Needle")).await.expect(200);
        assert_eq!(found["items"], json!([{"time": 2.5, "text": "a needle"}]));
        rmm.technician.get(&format!("{path}/search?text=")).await.refusal(400);
        let looked = format!("/api/audit?action=recording.read&session_id={}", left.session);
        let looked = items(&rmm.admin.get(&looked).await.expect(200));
        assert!(looked.len() >= 5, "every look is written down: {looked:?}");
    }

    async fn recordings_are_for_administrators_and_for_whose_terminal_it_was(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        let left = leave(&world, &rmm, &rmm.technician_id).await;
        let id = left.id.to_string();
        for path in ["", "/cast", "/index", "/search?text=x"] {
            let path = format!("/api/recordings/{id}{path}");
            let refused = other.get(&path).await.refusal(403);
            assert_eq!(refused["code"], "not_yours", "{path}");
            let refused = reader.get(&path).await.refusal(403);
            assert_eq!(refused["code"], "not_allowed", "{path}");
            rmm.technician.get(&path).await.check(200);
            rmm.admin.get(&path).await.check(200);
        }
        reader.get("/api/recordings").await.refusal(403);
        assert!(listed(&other, "").await.is_empty());
        let theirs = format!("?tech_id={}", rmm.technician_id);
        assert!(listed(&other, &theirs).await.is_empty());
        assert_eq!(listed(&rmm.technician, "").await, std::slice::from_ref(&id));
        let query = format!("?session_id={}&state=recording", left.session);
        assert_eq!(listed(&rmm.admin, &query).await, std::slice::from_ref(&id));
        assert!(listed(&rmm.admin, "?state=complete").await.is_empty());
        rmm.admin.get("/api/recordings?state=none").await.refusal(400);
        let path = format!("/api/recordings/{id}");
        rmm.technician.delete(&path).await.refusal(403);

        let end = "UPDATE recordings SET state = 'complete', ended_at = started_at";
        world.database.execute(end).await.unwrap();
        let scope = json!({"scope": {"client_ids": [], "site_ids": []}});
        let user = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&user, scope).await.check(200);
        let (email, password) = gururmm_tests::deployment::TECHNICIAN;
        let elsewhere = rmm.server.anonymous().log_in(email, password).await;
        let refused = elsewhere.get(&path).await.refusal(403);
        assert_eq!(refused["code"], "out_of_scope");
        assert!(listed(&elsewhere, "").await.is_empty());

        rmm.admin.delete(&path).await.check(204);
        assert!(!left.file.exists() && !left.file.with_extension("idx").exists());
        let row = rmm.admin.get(&path).await.expect(200);
        assert_eq!(row["state"], "deleted");
        rmm.admin.get(&format!("{path}/cast")).await.refusal(410);
        let acts = items(&rmm.admin.get("/api/audit?action=recording.delete").await.expect(200));
        let done = acts.iter().find(|act| act["outcome"] == "ok").unwrap();
        assert_eq!((&done["target"], &done["agent_hostname"]), (&json!(id), &json!("web 01")));
    }
}
