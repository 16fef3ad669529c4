//! The server as a process: health, configuration, logs, stopping.

use std::time::Duration;

use gururmm_tests::api::text;
use gururmm_tests::server::run_server;
use gururmm_tests::{eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn health_readiness_and_metrics_answer_without_a_log_in(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let alive = api.get("/healthz").await.expect(200);
        assert_eq!(alive, json!({"status": "alive"}));
        let ready = api.get("/readyz").await.expect(200);
        assert_eq!(ready["status"], "ready");
        assert_eq!(ready["database"], world.database.engine_name());
        let metrics = api.get("/metrics").await;
        metrics.check(200);
        assert!(metrics.header("content-type").starts_with("text/plain"));
        assert!(metrics.text.contains("# TYPE "), "{}", metrics.text);
    }

    async fn every_answer_tells_its_request_id_and_errors_are_problems(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        api.get("/api/no/such/thing").await.refusal(404);
        let first = api.get("/api/auth/me").await.refusal(401);
        let second = api.get("/api/auth/me").await.refusal(401);
        assert_ne!(first["request_id"], second["request_id"]);
        api.post_text("/api/auth/login", "{").await.refusal(400);
        api.post("/api/auth/login", json!({"email": "a@example.com"})).await.refusal(400);
        let long = json!({"email": "a@example.com", "password": "x".repeat(70_000)});
        api.post("/api/auth/login", long).await.refusal(413);
    }

    async fn the_log_is_json_by_configuration(world: World) {
        let mut server = world.server(&[("log.format", "json")]).await;
        server.anonymous().get("/api/auth/me").await.refusal(401);
        server.stop().await;
        let log = server.log();
        assert!(!log.is_empty());
        for line in log.lines() {
            let entry: Value = serde_json::from_str(line).expect(line);
            assert!(entry["level"].is_string(), "{line}");
        }
    }

    async fn nothing_secret_is_logged_even_at_trace(world: World) {
        let rmm = world.deploy(&[("log.filter", "trace")]).await;
        let (agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "printf 'printed-%s' secret-4711").await;
        assert_eq!(output.stdout, "printed-secret-4711");
        let ticket = gururmm_tests::viewer::ticket(&rmm.technician, session).await;
        let key = std::fs::read_dir(agent.state_dir()).unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
            .find_map(|text| text.find("grmm_").map(|at| text[at + 5..at + 25].to_owned()))
            .expect("the agent keeps its key");
        let log = rmm.server.log();
        let (_, password) = gururmm_tests::deployment::TECHNICIAN;
        let signature = rmm.technician.token().rsplit('.').next().unwrap();
        for secret in [&rmm.site.key[5..], &key, password, "printed-secret-4711", signature, &ticket] {
            assert!(!log.contains(secret), "the log tells {secret:?}");
        }
    }

    async fn a_graceful_stop_tells_agents_and_viewers_1001_and_leaves_nothing_open(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let mut viewer = rmm.view(session).await;
        viewer.session().await;
        let (command, _) = rmm.command(session, "sleep 600").await;
        agent.terminal().await;
        rmm.server.terminate();
        let ((code, _), viewer_code) = tokio::join!(agent.expect_close(), viewer.close_code());
        assert_eq!(code, 1001);
        assert_eq!(viewer_code, Some(1001));
        rmm.server.wait_stopped().await;
        rmm.wait_session(session, "closed", "server_stopped", Duration::from_secs(1)).await;
        rmm.server.restart().await;
        rmm.wait_outcome(session, &command, "interrupted").await;
    }

    async fn a_stop_with_many_open_sockets_takes_less_than_five_seconds(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let mut agents = Vec::new();
        for _ in 0..50 {
            agents.push(rmm.raw_agent().await);
        }
        // Connections that say nothing, and one in the middle of a request.
        let mute = gururmm_tests::RawSocket::connect(rmm.server.address()).await;
        let half = tokio::net::TcpStream::connect(rmm.server.address()).await.unwrap();
        half.try_write(b"POST /api/auth/login HTTP/1.1\r\n").unwrap();
        rmm.server.stop().await;
        drop((agents, mute, half));
    }

    async fn migrate_makes_the_tables_and_may_be_repeated(world: World) {
        for _ in 0..2 {
            let output = run_server(&world.data_dir(), &world.database, &[], &["migrate"], "");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        for table in "users clients sites agents agent_state agent_updates alerts commands metrics \
                      policies registration_tokens watchdog_events tech_sessions tunnel_audit"
            .split_whitespace()
        {
            let query = format!("SELECT CAST(count(*) AS TEXT) AS value FROM {table}");
            assert_eq!(world.database.count(&query).await, 0, "{table}");
        }
    }

    async fn a_second_server_on_the_same_port_says_so_in_one_line(world: World) {
        let server = world.server(&[]).await;
        let listen = server.address().to_string();
        let other = world.file("other");
        std::fs::create_dir(&other).unwrap();
        let output = run_server(&other, &world.database, &[], &["serve", "--listen", &listen], "");
        let line = refused_in_one_line(&output);
        assert!(line.contains(&listen), "{line}");
    }

    async fn a_database_that_cannot_be_opened_is_one_line(world: World) {
        for url in ["mysql://localhost/x", "postgres://gururmm@127.0.0.1:1/none"] {
            let settings = [("database.url", url)];
            let output = run_server(&world.data_dir(), &world.database, &settings, &["migrate"], "");
            refused_in_one_line(&output);
        }
    }

    async fn readiness_is_refused_while_the_database_does_not_answer(world: World) {
        let server = world.server(&[]).await;
        let gururmm_tests::Database::Postgres { name, .. } = &world.database else {
            // A file cannot go away, and who else writes to it does not keep the server from reading it; its own
            // writes wait for that, and are done when it is over.
            let held = world.database.hold_writer();
            let api = server.anonymous();
            api.get("/readyz").await.check(200);
            let body = json!({"token": server.setup_token(), "email": "ada@example.com", "name": "Ada",
                "password": "a password that is long"});
            let setup = api.post("/api/auth/setup", body);
            tokio::pin!(setup);
            let early = tokio::time::timeout(Duration::from_secs(2), &mut setup).await;
            assert!(early.is_err(), "it was written though another writes");
            api.get("/readyz").await.check(200);
            drop(held);
            setup.await.check(201);
            return;
        };
        let cluster = gururmm_tests::cluster::Cluster::shared();
        let other = gururmm_tests::Database::Postgres {
            name: "postgres".to_owned(),
            url: cluster.url().to_owned(),
        };
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        other.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.unwrap();
        other.execute(&end).await.unwrap();
        let api = server.anonymous();
        api.get("/readyz").await.refusal(503);
        api.get("/healthz").await.check(200);
        other.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
        eventually("the server is ready again", Duration::from_secs(20), || async {
            (api.get("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    async fn config_check_tells_each_value_with_its_origin_and_no_secret(world: World) {
        let file = world.file("gururmm.toml");
        std::fs::write(&file, "[tunnel]\nmax_viewers = 7\nidle_timeout_seconds = 600\n").unwrap();
        let settings = [
            ("GURURMM_CONFIG", file.to_str().unwrap()),
            ("tunnel.idle_timeout_seconds", "30"),
            ("auth.signing_key", "a-signing-key-of-more-than-32-bytes!"),
        ];
        let arguments = ["config", "check", "--listen", "127.0.0.1:0"];
        let output = run_server(&world.data_dir(), &world.database, &settings, &arguments, "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = String::from_utf8(output.stdout).unwrap();
        let line = |key: &str| {
            let found = report.lines().find(|line| line.starts_with(key));
            found.unwrap_or_else(|| panic!("no {key} in {report}")).to_owned()
        };
        assert!(line("tunnel.max_viewers").contains("gururmm.toml"), "{report}");
        let idle = line("tunnel.idle_timeout_seconds");
        assert!(idle.contains("30") && idle.contains("GURURMM_TUNNEL__IDLE_TIMEOUT_SECONDS"), "{idle}");
        assert!(line("listen").contains("--listen"), "{report}");
        assert!(line("tunnel.ticket_seconds").contains("default"), "{report}");
        assert!(!report.contains("a-signing-key"), "{report}");
    }

    async fn a_broken_configuration_is_one_line_and_an_error(world: World) {
        let file = world.file("gururmm.toml");
        for (text, word) in [
            ("[tunnel]\nno_such_key = 1\n", "no_such_key"),
            ("[tunnel]\nmax_viewers = \"many\"\n", "max_viewers"),
            ("[tunnel\n", "gururmm.toml"),
            ("[tunnel]\nidle_timeout_seconds = -1\n", "idle_timeout_seconds"),
            ("[auth]\nsigning_key = \"short\"\n", "signing_key"),
        ] {
            std::fs::write(&file, text).unwrap();
            let path = file.to_str().unwrap();
            for command in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
                let arguments = [command, &["--config", path]].concat();
                let output = run_server(&world.data_dir(), &world.database, &[], &arguments, "");
                let line = refused_in_one_line(&output);
                assert!(line.contains(word), "{text:?}: {line}");
            }
        }
        let settings = [("tunnel.max_viewers", "many")];
        let output = run_server(&world.data_dir(), &world.database, &settings, &["config", "check"], "");
        assert!(refused_in_one_line(&output).to_lowercase().contains("max_viewers"));
        let output = run_server(&world.data_dir(), &world.database, &[],
            &["config", "check", "--config", "/no/such/file.toml"], "");
        assert!(refused_in_one_line(&output).contains("/no/such/file.toml"));
    }

    async fn secrets_may_come_from_files(world: World) {
        let key = "a-signing-key-of-more-than-32-bytes!";
        let key_file = world.file("key");
        std::fs::write(&key_file, format!("{key}\n")).unwrap();
        let url_file = world.file("url");
        let mut settings = vec![("GURURMM_AUTH__SIGNING_KEY_FILE", key_file.to_str().unwrap())];
        if let Some(url) = world.database.url() {
            std::fs::write(&url_file, url).unwrap();
            settings.push(("database.url", ""));
            settings.push(("GURURMM_DATABASE__URL_FILE", url_file.to_str().unwrap()));
        }
        let rmm = world.deploy(&settings).await;
        let ready = rmm.admin.get("/readyz").await.expect(200);
        assert_eq!(ready["database"], world.database.engine_name());
        let claims = gururmm_tests::token::claims(rmm.admin.token());
        let same = gururmm_tests::token::signed(jsonwebtoken::Algorithm::HS256, &claims, key.as_bytes());
        let me = rmm.admin.with_token(&same).get("/api/auth/me").await.expect(200);
        assert_eq!(text(&me, "email"), gururmm_tests::deployment::ADMIN.0);
    }

    async fn what_the_server_makes_for_itself_is_for_its_owner_only(world: World) {
        use std::os::unix::fs::PermissionsExt;
        let server = world.server(&[]).await;
        assert!(!server.setup_token().is_empty());
        let mut secrets = 0;
        for entry in std::fs::read_dir(world.data_dir()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "listen.addr" || !path.is_file() {
                continue;
            }
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
            secrets += 1;
        }
        assert!(secrets >= 2, "a signing key and a set-up token");
    }
}

/// The one line that a program says when it cannot do its work.
#[track_caller]
fn refused_in_one_line(output: &std::process::Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it succeeded: {said}");
    assert!(output.status.code().is_some(), "a signal ended it: {said}");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    lines[0].to_owned()
}
