//! The technician's command-line tool against a real server and a real agent.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gururmm_tests::api::text;
use gururmm_tests::cluster::free_port;
use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::files::{noise, sha256};
use gururmm_tests::machine::names;
use gururmm_tests::tool::Ended;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, Tool, eventually, on_both_databases};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

on_both_databases! {
    async fn a_log_in_is_kept_for_its_owner_only_and_forgotten_at_log_out(world: World) {
        let rmm = world.deploy(&[]).await;
        let tool = Tool::new();
        let ended = tool.run(&["--server", &rmm.server.url(), "agents"]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("gururmm login"), "{ended:?}");
        let ended = tool.log_in(&rmm.server.url(), TECHNICIAN).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("tech@example.com (technician)"), "{ended:?}");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&tool.credentials()), 0o600);
        assert_eq!(mode(tool.credentials().parent().unwrap()), 0o700);
        let kept = std::fs::read_to_string(tool.credentials()).unwrap();
        assert!(!kept.contains(TECHNICIAN.1), "the password is kept");
        let me = json_of(&tool.run(&["--json", "whoami"]).await);
        assert_eq!(me["user"]["email"], TECHNICIAN.0, "{me}");
        assert_eq!(tool.run(&["logout"]).await.code, 0);
        assert!(!std::fs::read_to_string(tool.credentials()).unwrap().contains("token = "));
        assert_eq!(tool.run(&["whoami"]).await.code, 1);
    }

    async fn a_wrong_password_is_one_clear_line(world: World) {
        let rmm = world.deploy(&[]).await;
        let tool = Tool::new();
        let ended = tool.log_in(&rmm.server.url(), (TECHNICIAN.0, "a wrong password")).await;
        one_line(&ended, 1);
        assert!(!ended.stderr.contains("a wrong password"), "{ended:?}");
        assert!(!tool.credentials().exists());
        let login = ["--json", "--server", &rmm.server.url(), "login", "--email", TECHNICIAN.0, "--password-stdin"];
        let ended = tool.run_with(&login, "another wrong one").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
        let told: Value = serde_json::from_str(&ended.stderr).unwrap();
        assert_eq!(told["error"]["code"], "invalid_credentials", "{told}");
    }

    async fn a_server_that_cannot_be_reached_is_one_clear_line(world: World) {
        let rmm = world.deploy(&[]).await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let nowhere = format!("http://127.0.0.1:{}", free_port().unwrap());
        let ended = tool.log_in(&nowhere, TECHNICIAN).await;
        one_line(&ended, 255);
        assert!(ended.stderr.contains(&nowhere), "{ended:?}");
        drop(rmm);
        for arguments in [&["agents"][..], &["run", "x", "--", "true"], &["cp", "x:/a", "b"], &["shell", "x"]] {
            one_line(&tool.run(arguments).await, 255);
        }
    }

    async fn agents_are_listed_for_people_and_for_programs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let agents = json_of(&tool.run(&["--json", "agents"]).await);
        assert_eq!(agents.as_array().unwrap().len(), 1, "{agents}");
        assert_eq!((&agents[0]["id"], &agents[0]["status"]), (&json!(id), &json!("online")), "{agents}");
        let host = text(&agents[0], "hostname");
        let ended = tool.run(&["agents"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        for word in ["HOST", host, "online", "Example Client", "Head Office", &id.to_string()] {
            assert!(ended.stdout.contains(word), "no {word} in {ended:?}");
        }
        agent.stop().await;
        rmm.wait_status(id, "offline", SOON).await;
        assert_eq!(json_of(&tool.run(&["--json", "agents", "--online"]).await), json!([]));
        let ended = tool.run(&["run", &id.to_string(), "--", "true"]).await;
        assert_eq!(ended.code, 255, "{ended:?}");
        assert!(ended.stderr.contains("offline") || ended.stderr.contains("not connected"), "{ended:?}");
    }

    async fn a_command_has_its_own_exit_code_and_two_outputs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let id = id.to_string();
        let ended = tool.run(&["run", &id, "--", "echo to out; echo to err >&2; exit 7"]).await;
        let wanted = Ended { code: 7, stdout: "to out\n".to_owned(), stderr: "to err\n".to_owned() };
        assert_eq!(ended, wanted);
        let ended = tool.run(&["--json", "run", &id, "--", "echo", "a", "b;", "exit", "3"]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (3, ""), "{ended:?}");
        let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let stdout: String = lines.iter().filter_map(|line| line["stdout"].as_str()).collect();
        assert_eq!((stdout.as_str(), &lines.last().unwrap()["exit_code"]), ("a b\n", &json!(3)), "{lines:?}");
        let ended = tool.run(&["run", &id, "--", "seq 1 100000"]).await;
        let wanted: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        assert!(ended.stdout == wanted, "{} of {} bytes", ended.stdout.len(), wanted.len());
        let ended = tool.run(&["run", &id, "--timeout", "1", "--", "sleep 1000"]).await;
        assert_eq!(ended.code, 124, "{ended:?}");
        assert!(ended.stderr.contains("--timeout"), "{ended:?}");
        assert_no_session(&rmm).await;
    }

    async fn a_name_that_several_agents_have_is_refused_with_all_of_them(world: World) {
        let rmm = world.deploy(&[]).await;
        let ((_one, first), (_other, second)) = (rmm.agent().await, rmm.agent().await);
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let agents = json_of(&tool.run(&["--json", "agents"]).await);
        let host = text(&agents[0], "hostname");
        let ended = tool.run(&["run", host, "--", "true"]).await;
        one_line(&ended, 255);
        assert!(ended.stderr.contains(&first.to_string()) && ended.stderr.contains(&second.to_string()), "{ended:?}");
        one_line(&tool.run(&["run", "no-such-machine", "--", "true"]).await, 255);
        assert_eq!(tool.run(&["run", &first.to_string(), "--", "true"]).await.code, 0);
    }

    async fn files_and_folders_are_copied_both_ways(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let there = world.file("there");
        std::fs::create_dir(&there).unwrap();
        let bytes = noise((5 << 20) + 1);
        let local = tool.path("data.bin");
        std::fs::write(&local, &bytes).unwrap();
        std::fs::set_permissions(&local, PermissionsExt::from_mode(0o750)).unwrap();
        let remote = |path: &Path| format!("{id}:{}", path.display());
        let up = json_of(&tool.run(&["--json", "cp", "-p", "data.bin", &remote(&there)]).await);
        assert_eq!((&up["bytes"], &up["sha256"]), (&json!(bytes.len()), &json!(sha256(&bytes))), "{up}");
        let copied = there.join("data.bin");
        assert!(std::fs::read(&copied).unwrap() == bytes);
        assert_eq!(copied.metadata().unwrap().permissions().mode() & 0o777, 0o750);
        let ended = tool.run(&["cp", "data.bin", &remote(&there)]).await;
        one_line(&ended, 1);
        assert_eq!(tool.run(&["cp", "--overwrite", "data.bin", &remote(&there)]).await.code, 0);
        let down = json_of(&tool.run(&["--json", "cp", &remote(&copied), "back.bin"]).await);
        assert_eq!(down["sha256"], sha256(&bytes), "{down}");
        assert!(std::fs::read(tool.path("back.bin")).unwrap() == bytes);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::open(&copied).unwrap().set_modified(long_ago).unwrap();
        std::fs::set_permissions(&copied, PermissionsExt::from_mode(0o4751)).unwrap();
        let kept = tool.run(&["cp", "-p", &remote(&copied), "kept.bin"]).await;
        assert_eq!(kept.code, 0, "{kept:?}");
        let kept = tool.path("kept.bin").metadata().unwrap();
        assert_eq!((kept.permissions().mode() & 0o7777, kept.modified().unwrap()), (0o751, long_ago));
        let other = tool.path("back.bin").metadata().unwrap();
        assert_ne!(other.modified().unwrap(), long_ago, "nobody asked for it");
        std::os::unix::fs::symlink(&copied, there.join("link")).unwrap();
        one_line(&tool.run(&["cp", "-p", &remote(&there.join("link")), "link"]).await, 1);
        std::fs::remove_file(there.join("link")).unwrap();
        // Folders.
        std::fs::create_dir_all(tool.path("tree/deep")).unwrap();
        std::fs::write(tool.path("tree/deep/file"), b"in the deep").unwrap();
        std::fs::write(tool.path("tree/empty"), b"").unwrap();
        one_line(&tool.run(&["cp", "tree", &remote(&there)]).await, 2);
        let ended = tool.run(&["cp", "-r", "tree", &remote(&there)]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(std::fs::read(there.join("tree/deep/file")).unwrap(), b"in the deep");
        for name in ["tree/deep/file", "tree/deep"] {
            let place = there.join(name);
            std::fs::set_permissions(&place, PermissionsExt::from_mode(0o4750)).unwrap();
            std::fs::File::open(&place).unwrap().set_modified(long_ago).unwrap();
        }
        let ended = tool.run(&["cp", "-r", "-p", &remote(&there.join("tree")), "kept"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        for name in ["kept/deep/file", "kept/deep"] {
            let kept = tool.path(name).metadata().unwrap();
            assert_eq!((kept.permissions().mode() & 0o7777, kept.modified().unwrap()), (0o750, long_ago), "{name}");
        }
        let ended = tool.run(&["cp", "-r", &remote(&there.join("tree")), "again"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(names(&tool.path("again")), ["deep", "empty"]);
        assert_eq!(std::fs::read(tool.path("again/deep/file")).unwrap(), b"in the deep");
        let ended = tool.run(&["cp", &remote(&there.join("gone")), "gone"]).await;
        one_line(&ended, 1);
        assert!(!tool.path("gone").exists());
        assert_eq!(names(&there), ["data.bin", "tree"]);
    }

    async fn a_forwarded_port_reaches_a_service_of_the_machine(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = service.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut peer, _)) = service.accept().await {
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    peer.read_to_end(&mut all).await.unwrap();
                    peer.write_all(&all).await.unwrap();
                });
            }
        });
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let closed = free_port().unwrap();
        let forwards = [format!("0:127.0.0.1:{port}"), format!("0:127.0.0.1:{closed}")];
        let mut forwarding = tool.start(&["--json", "forward", &id.to_string(), &forwards[0], &forwards[1]]);
        let listening: Vec<String> = eventually("it listens", SOON, || async {
            let log = forwarding.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let listening: Vec<String> = lines.filter_map(|line| Some(line["listen"].as_str()?.to_owned())).collect();
            (listening.len() == 2).then_some(listening)
        })
        .await;
        for size in [0, 1, 3 << 20] {
            let bytes = noise(size);
            let stream = TcpStream::connect(&listening[0]).await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            let (mut got, sent) = (Vec::new(), bytes.clone());
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let both = async { tokio::join!(write, reader.read_to_end(&mut got)) };
            let (_, read) = tokio::time::timeout(SOON * 2, both).await.expect("it comes back in time");
            read.unwrap();
            assert!(got == bytes, "{} of {size} bytes", got.len());
        }
        let mut refused = TcpStream::connect(&listening[1]).await.unwrap();
        let mut got = Vec::new();
        let _ = tokio::time::timeout(SOON, refused.read_to_end(&mut got)).await.expect("an end in time");
        assert!(got.is_empty());
        eventually("the tool says why", SOON, || async {
            forwarding.log().contains("cannot be reached").then_some(())
        })
        .await;
        forwarding.signal(Signal::SIGINT);
        assert_eq!(forwarding.wait(SOON).await.code(), Some(130));
        assert_no_session(&rmm).await;
    }

    async fn a_shell_is_a_terminal_whose_exit_code_is_the_tools(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let mut typist = tool.start_in_terminal(&["shell", &id.to_string(), "--shell", "sh"]);
        typist.sees_prompt().await;
        // What is typed is shown as well: only the shell makes 42 of it.
        typist.types("echo answer=$((6 * 7))\r");
        typist.sees("answer=42").await;
        typist.types("stty size\r");
        typist.sees("24 80").await;
        typist.types("exit 3\r");
        assert_eq!(typist.exit_code().await, 3, "{}", typist.screen());
        assert_no_session(&rmm).await;
    }

    async fn what_is_typed_before_a_shell_is_there_reaches_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let mut typist = tool.start_in_terminal(&["shell", &id.to_string(), "--shell", "sh"]);
        typist.types("echo typed=$((6 * 7)); exit 4\n");
        typist.sees("typed=42").await;
        assert_eq!(typist.exit_code().await, 4);
    }

    async fn a_tilde_and_a_dot_end_a_shell_and_all_that_runs_in_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let marker = gururmm_tests::processes::Marker::new();
        let mut typist = tool.start_in_terminal(&["shell", &id.to_string(), "--shell", "sh"]);
        typist.sees_prompt().await;
        typist.types(&format!("{}\r", marker.sleep()));
        marker.wait_running(1, SOON).await;
        typist.types("\r~.");
        assert_eq!(typist.exit_code().await, 0, "{}", typist.screen());
        marker.wait_gone(SOON).await;
        assert_no_session(&rmm).await;
    }

    async fn what_is_piped_into_a_shell_is_typed_into_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let tool = Tool::logged_in(&rmm.server.url(), TECHNICIAN).await;
        let ended = tool.run_with(&["shell", &id.to_string(), "--shell", "sh"], "echo answer=$((6 * 7))\nexit 9\n").await;
        assert_eq!(ended.code, 9, "{ended:?}");
        assert!(ended.stdout.contains("answer=42"), "{ended:?}");
        let ended = tool.run(&["shell", &id.to_string(), "--shell", "/no/such/shell"]).await;
        assert_eq!(ended.code, 255, "{ended:?}");
        assert_no_session(&rmm).await;
    }
}

/// One line on standard error, nothing on standard output, and this exit code.
#[track_caller]
fn one_line(ended: &Ended, code: i32) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("gururmm: "), "{ended:?}");
}

#[track_caller]
fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

async fn assert_no_session(rmm: &Deployment) {
    let open = rmm.technician.get("/api/v1/tunnel").await.expect(200);
    assert_eq!(open["items"], json!([]), "what the tool opened it closes");
}
