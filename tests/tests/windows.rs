//! The agent for Windows against the server, under Wine. What Wine cannot show stands in docs/windows.md.

use std::time::Duration;

use gururmm_shared::{EndReason, TunnelPayload};
use gururmm_tests::agent::config;
use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::deployment::wait_device_online;
use gururmm_tests::processes::running;
use gururmm_tests::terminal_viewer::{TerminalViewer, open_terminal};
use gururmm_tests::wait::{CLEAN_UP, SOON};
use gururmm_tests::windows::{as_agents_see, run_agent};
use gururmm_tests::{AgentSettings, Files, World, eventually};
use serde_json::{Value, json};

/// Runs for ever, and is known by a number of its own.
struct Endless(String);

impl Endless {
    fn new() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// A shell in the shell, so that there is a tree to be ended.
    fn line(&self) -> String {
        format!("cmd.exe /d /c \"for /L %i in (1,0,2) do @rem {}\"", self.0)
    }

    fn processes(&self) -> usize {
        running(|arguments| arguments.iter().any(|one| one.contains(&self.0))).len()
    }

    async fn wait_running(&self) {
        eventually("it runs", SOON, || async {
            (self.processes() > 1).then_some(())
        })
        .await;
    }

    async fn wait_gone(&self, deadline: Duration) {
        eventually("nothing of it is left", deadline, || async {
            (self.processes() == 0).then_some(())
        })
        .await;
    }
}

macro_rules! on_windows {
    ($( async fn $name:ident($world:ident: World) $body:block )*) => { $(
        #[test]
        fn $name() {
            async fn body($world: World) $body
            gururmm_tests::world::run(Engine::Sqlite, body);
        }
    )* };
}

on_windows! {
    async fn an_agent_enrols_beats_and_reports_its_machine(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let path = format!("/api/agents/{id}");
        let body = rmm.admin.get(&path).await.expect(200);
        assert_eq!((&body["os"]["family"], &body["os"]["arch"]), (&json!("windows"), &json!("x86_64")), "{body}");
        assert!(!text(&body, "hostname").is_empty(), "{body}");
        let seen = body["last_seen_at"].clone();
        eventually("a heartbeat", SOON, || async {
            let now = rmm.admin.get(&path).await.expect(200);
            (now["last_seen_at"] != seen).then_some(())
        })
        .await;
        let state = eventually("metrics and network are there", Duration::from_secs(40), || async {
            let state = rmm.admin.get(&format!("{path}/state")).await.expect(200);
            (state["metrics"].is_object() && !state["network"].is_null()).then_some(state)
        })
        .await;
        let metrics = &state["metrics"];
        assert!(metrics["memory_total_bytes"].as_u64().unwrap() > 64 << 20, "{metrics}");
        assert!((0.0..=100.0).contains(&metrics["cpu_percent"].as_f64().unwrap()), "{metrics}");
        assert!(metrics["uptime_seconds"].as_u64().unwrap() > 0, "{metrics}");
        assert!(agent.state_dir().join("identity.json").is_file());
    }

    async fn an_agent_that_comes_again_uses_its_own_key(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        let identity = agent.state_dir().join("identity.json");
        eventually("its key is kept", SOON, || async {
            std::fs::read_to_string(&identity).is_ok_and(|text| text.contains("grmm_")).then_some(())
        })
        .await;
        agent.kill9();
        rmm.wait_status(id, "offline", SOON).await;
        let config = std::fs::read_to_string(agent.config_file()).unwrap();
        std::fs::write(agent.config_file(), config.replace(&rmm.site.code, "GONE-CODE-0000")).unwrap();
        agent.restart();
        assert_eq!(agent.wait_online(&rmm.admin).await, id);
    }

    async fn a_command_streams_its_output_and_tells_its_exit_code(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "echo \"a b\" %GURURMM_SESSION_ID%& echo err>&2& exit 3").await;
        assert_eq!(output.stdout, format!("\"a b\" {session}\r\n"));
        assert_eq!((output.stderr.as_str(), output.exit_code), ("err\r\n", Some(3)));
        // What is written comes before the end.
        let endless = Endless::new();
        let mut viewer = rmm.view(session).await;
        let (_, channel) = rmm.command(session, &format!("echo begun& {}", endless.line())).await;
        let mut begun = String::new();
        while !begun.contains("begun") {
            begun += &viewer.piece(&channel).await.stdout;
        }
        endless.wait_running().await;
        viewer.send_data(&channel, TunnelPayload::Close).await;
        assert_eq!(viewer.output(&channel).await.reason, Some(EndReason::Cancelled));
        endless.wait_gone(SOON).await;
    }

    async fn a_command_over_its_time_is_ended_with_its_whole_tree(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let endless = Endless::new();
        let mut viewer = rmm.view(session).await;
        let body = json!({"command": endless.line(), "timeout_seconds": 4});
        let answer = rmm.technician.post(&format!("/api/v1/tunnel/{session}/command"), body).await.expect(202);
        endless.wait_running().await;
        let output = viewer.output(text(&answer, "channel_id")).await;
        assert_eq!((output.exit_code, output.reason), (Some(124), Some(EndReason::TimedOut)));
        endless.wait_gone(SOON).await;
        assert_eq!(rmm.run(session, "echo next").await.stdout, "next\r\n");
    }

    async fn a_closed_tunnel_leaves_nothing_and_another_one_opens(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let endless = Endless::new();
        rmm.command(session, &endless.line()).await;
        endless.wait_running().await;
        let close = json!({"session_id": session});
        let closed = rmm.technician.post("/api/v1/tunnel/close", close).await.expect(200);
        assert_eq!(closed["status"], "closed");
        endless.wait_gone(SOON).await;
        rmm.wait_opens(&rmm.technician, id, SOON).await;
    }

    async fn kill_9_of_the_agent_ends_what_it_has_started(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let (inside, outside) = (Endless::new(), Endless::new());
        rmm.command(session, &inside.line()).await;
        let given = rmm.give(id, &outside.line()).await;
        inside.wait_running().await;
        outside.wait_running().await;
        agent.kill9();
        inside.wait_gone(CLEAN_UP).await;
        outside.wait_gone(CLEAN_UP).await;
        agent.restart();
        let row = rmm.wait_ended(given).await;
        assert_eq!((&row["exit_code"], &row["reason"]), (&json!(-1), &json!("interrupted")), "{row}");
    }

    async fn a_command_outside_of_tunnels_is_run_once_and_its_result_comes(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let given = rmm.give(id, "echo done& exit 4").await;
        let row = rmm.wait_ended(given).await;
        assert_eq!((&row["stdout"], &row["exit_code"]), (&json!("done\r\n"), &json!(4)), "{row}");
    }

    async fn the_registry_is_read_written_exported_and_what_was_there_is_kept(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let files = Files::of(&rmm.technician, session);
        let key = format!(r"HKCU\Software\GuruRMM-test-{}", uuid::Uuid::new_v4().simple());
        let write = async |value: Value| files.put("registry/value", json!({"key": key, "value": value})).await.json(200);
        let first = write(json!({"name": "Port", "type": "dword", "data": 80})).await;
        assert_eq!(first["before"], Value::Null);
        let second = write(json!({"name": "Port", "type": "string", "data": "none"})).await;
        assert!(text(&second, "before").contains("80"), "{second}");
        write(json!({"name": "", "type": "multi_string", "data": ["a", "b"]})).await;
        let found = files.get("registry", &[("key", &key)]).await.json(200);
        let values = found["values"].as_array().unwrap();
        assert!(values.contains(&json!({"name": "Port", "type": "string", "data": "none"})), "{found}");
        assert_eq!(values.len(), 2);
        let export = files.get("registry/export", &[("key", &key)]).await;
        assert_eq!((export.status, &export.body[..2]), (200, &[0xff, 0xfe][..]));
        files.delete("registry", &[("key", &key), ("name", "Port")]).await.check(200);
        files.delete("registry", &[("key", &key), ("name", "Port")]).await.problem(404, "not_found");
        let gone = files.delete("registry", &[("key", &key)]).await.json(200);
        assert!(text(&gone, "before").starts_with("Windows Registry Editor"), "{gone}");
        files.get("registry", &[("key", &key)]).await.problem(404, "not_found");
        files.get("registry", &[("key", "HKXX")]).await.problem(404, "not_found");
        let rows = rmm.audit(session).await;
        let kept = rows.iter().filter(|row| row["action"] == "registry" && row["before"].is_string());
        assert_eq!(kept.count(), 3, "{rows:?}");
    }

    async fn services_are_listed_and_looked_at(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let files = Files::of(&rmm.technician, rmm.open(id).await);
        let all = items(&files.get("services", &[]).await.json(200));
        assert!(!all.is_empty());
        let name = text(&all[0], "name");
        let one = files.get(&format!("services/{name}"), &[]).await.json(200);
        assert_eq!(one["name"], name, "{one}");
        files.get("services/gururmm-nowhere", &[]).await.problem(404, "not_found");
    }

    async fn a_file_comes_back_as_it_was_sent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let files = Files::of(&rmm.technician, rmm.open(id).await);
        let folder = format!(r"C:\gururmm-test-{}", uuid::Uuid::new_v4().simple());
        files.post("files/mkdir", json!({"path": folder})).await.check(204);
        let path = format!(r"{folder}\file.bin");
        let path = std::path::Path::new(&path);
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let answer = files.upload((path, "one"), &bytes, 0, &[]).await;
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        let answer = files.download(path, &[("range", "bytes=1000-")]).await;
        assert_eq!(answer.status, 206);
        assert!(answer.body == bytes[1000..]);
        for nasty in [r"C:\CON", r"C:\a:stream", r"\\.\PhysicalDrive0", r"C:\x\..\y", r"C:\trailing."] {
            let answer = files.download(std::path::Path::new(nasty), &[]).await;
            answer.problem(400, "bad_name");
        }
        let gone = files.delete("files", &[("path", &folder), ("recursive", "true")]).await;
        assert!((200..300).contains(&gone.status), "{}", gone.status);
    }

    async fn a_terminal_shows_what_its_shell_does(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        // Under Wine a program has to be given its console by name.
        let arguments = ["/d", "/c", r#""cmd.exe <CON >CON 2>&1""#];
        let body = json!({"shell": "cmd", "arguments": arguments, "cols": 80, "rows": 24});
        let terminal = open_terminal(&rmm.technician, session, body).await;
        assert!(terminal.program.to_lowercase().ends_with("cmd.exe"), "{}", terminal.program);
        viewer.shown(&terminal).await;
        viewer.types(&terminal, b"set /a 6*7\r").await;
        viewer.reads(&terminal, "42").await;
        viewer.types(&terminal, b"exit 5\r").await;
        assert_eq!(viewer.ended(&terminal).await.exit_code, Some(5));
    }

    async fn the_agent_is_installed_started_stopped_and_removed_as_a_service(world: World) {
        let rmm = world.deploy(&[]).await;
        // Wine ends its services when no other program runs any more.
        let (_other, _) = rmm.agent().await;
        let device = format!("test-device-{}", uuid::Uuid::new_v4());
        let state = as_agents_see(&world.file("state"));
        let (url, code) = (rmm.server.agents_url(), &rmm.site.code);
        let file = world.file("agent.toml");
        std::fs::write(&file, config(&url, code, &device, &state, &AgentSettings::default())).unwrap();
        let service = |arguments: &[&str]| {
            let output = run_agent(&[&["service"], arguments].concat());
            let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            (output.status.success(), told.trim().to_owned())
        };
        let status = || service(&["status"]).1;
        // One that an earlier run has left.
        service(&["uninstall"]);
        assert_eq!(status(), "not installed");
        assert!(!service(&["start"]).0);
        let (done, told) = service(&["install", "--config", &as_agents_see(&world.file("missing.toml"))]);
        assert!(!done && told.contains("missing.toml"), "{told}");
        assert_eq!(service(&["install", "--config", &as_agents_see(&file)]), (true, String::new()));
        let id = wait_device_online(&rmm.admin, &device).await;
        assert_eq!(status(), "running");
        assert!(!service(&["install", "--config", &as_agents_see(&file)]).0, "it is installed already");
        let session = rmm.open(id).await;
        assert_eq!(rmm.run(session, "echo as a service").await.stdout, "as a service\r\n");
        assert_eq!(service(&["stop"]), (true, String::new()));
        rmm.wait_status(id, "offline", SOON).await;
        assert_eq!(status(), "stopped");
        assert_eq!(service(&["start"]), (true, String::new()));
        rmm.wait_status(id, "online", SOON).await;
        assert_eq!(service(&["uninstall"]), (true, String::new()));
        assert_eq!(status(), "not installed");
        rmm.wait_status(id, "offline", SOON).await;
    }
}
