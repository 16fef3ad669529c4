//! Changes of a machine's services as they happen, as server-sent events.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use gururmm_shared::{CAPABILITY_DATA_PLANE, CAPABILITY_SERVICES, SessionId};
use gururmm_tests::files::text;
use gururmm_tests::wait::SOON;
use gururmm_tests::{
    Deployment, Files, PreparedAgent, RawAgent, Surroundings, World, eventually, on_both_databases,
};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases! {
    async fn changes_of_services_are_told_as_they_happen(world: World) {
        let machine = Watched::start(&world).await;
        machine.services("ssh loaded active running A shell\ncron loaded active running Clock\n");
        let mut events = machine.watch(&[("interval_seconds", "1")]).await;
        for name in ["cron.service", "ssh.service"] {
            let event = events.next("service").await;
            assert_eq!((&event["change"], &event["service"]["name"]), (&json!("present"), &json!(name)), "{event}");
        }
        machine.services("ssh loaded failed failed A shell\nnginx loaded active running Web\n");
        let mut told = Vec::new();
        for _ in 0..3 {
            let event = events.next("service").await;
            told.push((event["change"].clone(), event["service"]["name"].clone(), event["service"]["state"].clone()));
        }
        let wanted = [("removed", "cron.service", "running"), ("added", "nginx.service", "running"), ("changed", "ssh.service", "failed")];
        let wanted = wanted.map(|(change, name, state)| (json!(change), json!(name), json!(state)));
        assert_eq!(told, wanted);
        let row = machine.row("watch services").await;
        assert_eq!((&row["action"], &row["outcome"]), (&json!("service"), &json!(null)), "{row}");
        let close = json!({"session_id": machine.session});
        machine.rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        let end = events.next("end").await;
        assert_eq!(end["code"], "gone", "{end}");
        events.is_over().await;
    }

    async fn only_those_that_are_named_are_watched_and_who_leaves_ends_it(world: World) {
        let machine = Watched::start(&world).await;
        machine.services("");
        machine.shown("ssh.service", "active", "running", 77);
        let mut events = machine.watch(&[("names", "ssh"), ("interval_seconds", "1")]).await;
        let event = events.next("service").await;
        assert_eq!((&event["change"], &event["service"]["pid"]), (&json!("present"), &json!(77)), "{event}");
        machine.shown("ssh.service", "active", "running", 78);
        let event = events.next("service").await;
        assert_eq!((&event["change"], &event["service"]["pid"]), (&json!("changed"), &json!(78)), "{event}");
        drop(events);
        eventually("the watch ends with its client", SOON * 3, || async {
            (machine.row("watch services ssh").await["outcome"] == "cancelled").then_some(())
        })
        .await;
    }

    async fn what_cannot_be_watched_is_refused(world: World) {
        let machine = Watched::start(&world).await;
        for (query, field) in [
            (&[("names", "")][..], "names"),
            (&[("names", "a,,b")], "names"),
            (&[("interval_seconds", "0")], "interval_seconds"),
            (&[("interval_seconds", "61")], "interval_seconds"),
        ] {
            let told = machine.files.get("services/watch", query).await.json(400);
            assert_eq!(told["field"], field, "{told}");
        }
        machine.files.get("services/watch", &[("names", "ssh.socket")]).await.problem(400, "bad_name");
        // One that is older.
        let rmm = &machine.rmm;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let mut auth = agent.auth(&rmm.site.code);
        auth.capabilities = [CAPABILITY_DATA_PLANE, CAPABILITY_SERVICES].map(str::to_owned).into();
        let id = agent.authenticate(auth).await.agent_id.expect("its id");
        let session = rmm.open_raw(&mut agent, id).await;
        Files::of(&rmm.technician, session).get("services/watch", &[]).await.problem(409, "unsupported");
    }

    async fn a_machine_without_systemd_has_nothing_to_watch(world: World) {
        let rmm = world.deploy(&[]).await;
        let nowhere = world.file("nowhere");
        let (_agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(text(&nowhere))).await;
        let files = Files::of(&rmm.technician, rmm.open(id).await);
        files.get("services/watch", &[]).await.problem(409, "unsupported");
    }
}

/// A machine whose services the test decides.
struct Watched {
    rmm: Deployment,
    session: SessionId,
    files: Files,
    folder: PathBuf,
    _agent: PreparedAgent,
}

impl Watched {
    async fn start(world: &World) -> Self {
        let folder = world.file("bin");
        std::fs::create_dir(&folder).unwrap();
        let program = folder.join("systemctl");
        std::fs::write(&program, SYSTEMCTL.replace("FOLDER", text(&folder))).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", text(&folder));
        let rmm = world.deploy(&[]).await;
        let (agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(&path)).await;
        let session = rmm.open(id).await;
        let files = Files::of(&rmm.technician, session);
        Self {
            rmm,
            session,
            files,
            folder,
            _agent: agent,
        }
    }

    /// The lines of `list-units`, without `.service`.
    fn services(&self, lines: &str) {
        let lines: String = lines
            .lines()
            .map(|line| line.replacen(' ', ".service ", 1) + "\n")
            .collect();
        self.put("units", &lines);
    }

    /// What `show` tells of one.
    fn shown(&self, name: &str, active: &str, sub: &str, pid: u32) {
        let lines = format!(
            "Id={name}\nDescription=A service\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nMainPID={pid}\nUnitFileState=enabled\n"
        );
        self.put("shown", &lines);
    }

    fn put(&self, name: &str, text: &str) {
        let new = self.folder.join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.join(name)).unwrap();
    }

    async fn watch(&self, query: &[(&str, &str)]) -> Events {
        let request = self.files.request(Method::GET, "services/watch", query);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.bytes_stream().boxed(),
            held: String::new(),
        }
    }

    async fn row(&self, detail: &str) -> Value {
        let rows = self.rmm.audit(self.session).await;
        let row = rows.into_iter().find(|row| row["detail"] == detail);
        row.unwrap_or_else(|| panic!("no act {detail:?}"))
    }
}

/// The events of a watch.
struct Events {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    held: String,
}

impl Events {
    /// The data of the next event, which has this name.
    async fn next(&mut self, name: &str) -> Value {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.held = rest;
                if event.starts_with(':') {
                    continue;
                }
                let data = event.strip_prefix(&format!("event: {name}\ndata: "));
                let data = data.unwrap_or_else(|| panic!("another event than {name}: {event:?}"));
                return serde_json::from_str(data).unwrap();
            }
            let piece = tokio::time::timeout(SOON, self.body.next()).await;
            let piece = piece.unwrap_or_else(|_| panic!("no event {name} in time"));
            let piece = piece.expect("the events go on").unwrap();
            self.held += std::str::from_utf8(&piece).unwrap();
        }
    }

    async fn is_over(&mut self) {
        let end = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await;
        assert!(matches!(end.expect("an end"), None | Some(Err(_))));
    }
}

/// Says what the test has written.
const SYSTEMCTL: &str = r#"#!/bin/sh
case "$1" in
list-units) cat 'FOLDER/units' ;;
list-unit-files) ;;
show) cat 'FOLDER/shown' ;;
esac
"#;
