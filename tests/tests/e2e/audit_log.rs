//! The audit of everything: each change by a user before it is made and with its end, log-ins, refusals,
//! machines, the server itself; read with filters, within scopes, and as a file.

#[allow(dead_code, reason = "what the tests need of it")]
#[path = "../../../server/src/http/audited_routes.rs"]
mod audited_routes;

use std::collections::BTreeSet;
use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::deployment::{ADMIN, TECHNICIAN, add_site};
use gururmm_tests::server::run_server;
use gururmm_tests::{
    Api, Deployment, HeldRequest, Obstacle, RawAgent, eventually, on_both_databases,
};
use reqwest::Method;
use serde_json::{Value, json};

/// The acts that a query finds, the newest first.
async fn acts(api: &Api, query: &str) -> Vec<Value> {
    items(&api.get(&format!("/api/audit?{query}")).await.expect(200))
}

/// The one act that a query finds.
async fn act(api: &Api, query: &str) -> Value {
    let found = acts(api, query).await;
    assert_eq!(found.len(), 1, "{query}: {found:?}");
    found.into_iter().next().expect("one")
}

async fn count(rmm: &Deployment, which: &str) -> i64 {
    let query = format!("SELECT CAST(count(*) AS TEXT) AS value FROM audit_log WHERE {which}");
    rmm.database.count(&query).await
}

on_both_databases! {
    async fn a_change_is_on_record_with_who_what_where_and_how_it_ended(world: World) {
        let rmm = world.deploy(&[]).await;
        let api = rmm.admin.from_address([127, 0, 0, 79].into());
        let made = api.post("/api/clients", json!({"name": "Contoso"})).await;
        let id = text(&made.expect(201), "id").to_owned();
        let found = act(&rmm.admin, "action=client.create&q=contoso").await;
        assert_eq!(found["target"], id.as_str());
        assert_eq!(found["user_email"], ADMIN.0);
        assert_eq!(found["remote_addr"], "127.0.0.79");
        assert_eq!(text(&found, "request_id"), made.header("x-request-id"));
        assert_eq!(found["outcome"], "ok");
        assert!(found["ended_at"].is_string() && found["key_id"].is_null(), "{found}");
        let detail: Value = serde_json::from_str(text(&found, "detail")).unwrap();
        assert_eq!(detail["body"]["name"], "Contoso");

        let path = format!("/api/clients/{id}");
        api.put(&path, json!({"name": "Example Client"})).await.check(409);
        let refused = act(&rmm.admin, "action=client.change").await;
        assert_ne!(refused["outcome"], "ok", "what failed is on record with its reason");
        assert_eq!(refused["client_id"], id.as_str());
        api.delete(&format!("{path}?cascade=true")).await.check(204);
        let deleted = act(&rmm.admin, "action=client.delete").await;
        assert!(text(&deleted, "detail").contains("cascade=true"), "{deleted}");
        // With a key: which one.
        let key = json!({"name": "script", "role": "administrator"});
        let key = rmm.admin.post("/api/keys", key).await.expect(201);
        let by_key = rmm.admin.with_token(text(&key, "key"));
        by_key.post("/api/clients", json!({"name": "By key"})).await.check(201);
        let found = act(&rmm.admin, "q=By%20key").await;
        assert_eq!(found["key_id"], key["id"]);
    }

    async fn every_changing_route_is_on_record(world: World) {
        let rmm = world.deploy(&[("auth.account_attempts_per_minute", "1000")]).await;
        let mut asked = Vec::new();
        let mut api = rmm.admin.clone();
        for (method, path, action) in audited_routes::AUDITED {
            let id = uuid::Uuid::new_v4().to_string();
            let path = path.replace("{id}", &id).replace("{session_id}", &id);
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let headers = [("content-type", "application/json")];
            let body = (method != Method::DELETE).then(|| "{}".to_owned());
            let answer = api.send(method, &path, &headers, body).await.unwrap();
            assert!(answer.status != 401 && answer.status < 500, "{path}: {}", answer.text);
            asked.push((answer.header("x-request-id").to_owned(), *action));
            if *action == "session.logout" {
                api = api.log_in(ADMIN.0, ADMIN.1).await;
            }
        }
        for (request, action) in asked {
            let which = format!("request_id = '{request}' AND action = '{action}'");
            assert_eq!(count(&rmm, &which).await, 2, "{action}: asked and ended");
        }
        assert_eq!(count(&rmm, "action = 'change'").await, 0);
    }

    async fn nothing_is_changed_that_cannot_be_written_down(world: World) {
        let rmm = world.deploy(&[]).await;
        let when = "NEW.action = 'client.create'";
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "audit_log", when).await;
        let made = rmm.admin.post("/api/clients", json!({"name": "Unseen"})).await;
        made.problem(503, "unavailable");
        let clients = items(&rmm.admin.get("/api/clients").await.expect(200));
        assert!(clients.iter().all(|client| client["name"] != "Unseen"), "{clients:?}");
        refusing.remove().await;
        rmm.admin.post("/api/clients", json!({"name": "Unseen"})).await.check(201);
    }

    async fn nobody_is_let_in_who_cannot_be_written_down(world: World) {
        let rmm = world.deploy(&[]).await;
        let when = "NEW.action = 'session.login'";
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "audit_log", when).await;
        let log_in = json!({"email": TECHNICIAN.0, "password": TECHNICIAN.1});
        rmm.admin.post("/api/auth/login", log_in.clone()).await.problem(503, "unavailable");
        refusing.remove().await;
        rmm.admin.post("/api/auth/login", log_in).await.check(200);
    }

    async fn a_change_that_a_kill_cut_short_is_asked_for_and_its_end_is_unknown(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let slow = Obstacle::slowing(&rmm.database, "INSERT", "clients", "NEW.name = 'Slow'").await;
        let request = HeldRequest::send(&rmm.admin, "POST", "/api/clients", &json!({"name": "Slow"})).await;
        eventually("it is on record before its effect", Duration::from_secs(10), || async {
            let asked = "action = 'client.create' AND detail LIKE '%Slow%' AND stage = 'asked'";
            (count(&rmm, asked).await == 1).then_some(())
        })
        .await;
        slow.wait_holds().await;
        rmm.server.kill9();
        drop(request);
        slow.remove().await;
        rmm.server.restart().await;
        let admin = rmm.server.anonymous().log_in(ADMIN.0, ADMIN.1).await;
        let found = act(&admin, "q=Slow").await;
        assert_eq!(found["outcome"], "unknown");
        rmm.server.kill9();
        rmm.server.restart().await;
        assert_eq!(act(&admin, "outcome=unknown").await["id"], found["id"], "once");
    }

    async fn secrets_are_left_out(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"email": "new@example.com", "role": "read_only", "password": "hush hush hush 1"});
        rmm.admin.post("/api/users", body).await.check(201);
        let body = json!({"name": "chat", "kind": "webhook", "target": "https://chat.example.com/T0/hush2"});
        rmm.admin.post("/api/notifications", body).await.check(201);
        let body = json!({"current_password": "hush hush hush 3", "new_password": "hush hush hush 4"});
        rmm.admin.post("/api/auth/password", body).await.check(401);
        let made = rmm.admin.post("/api/keys", json!({"name": "k", "role": "read_only"})).await.expect(201);
        let log_in = json!({"email": ADMIN.0, "password": "hush hush hush 5"});
        rmm.admin.post("/api/auth/login", log_in).await.check(401);
        assert_eq!(count(&rmm, "detail LIKE '%hush%' OR target LIKE '%hush%'").await, 0);
        let key = text(&made, "key");
        assert_eq!(count(&rmm, &format!("detail LIKE '%{key}%' OR target LIKE '%{key}%'")).await, 0);
        let found = act(&rmm.admin, "action=notification.create").await;
        assert!(text(&found, "detail").contains("https://chat.example.com/"), "{found}");
    }

    async fn log_ins_are_on_record_right_wrong_and_too_many(world: World) {
        let rmm = world.deploy(&[("auth.account_attempts_per_minute", "3")]).await;
        let api = rmm.server.anonymous().from_address([127, 0, 0, 80].into());
        let email = "tech@example.com";
        let body = |password: &str| json!({"email": email, "password": password});
        let right = acts(&rmm.admin, &format!("action=session.login&q={email}")).await;
        assert_eq!(right[0]["outcome"], "ok");
        assert_eq!(right[0]["user_id"], rmm.technician_id.as_str());
        for _ in 0..20 {
            let answer = api.post("/api/auth/login", body("wrong wrong wrong")).await;
            assert!([401, 429].contains(&answer.status));
        }
        let wrong = acts(&rmm.admin, "action=session.login&outcome=invalid_credentials").await;
        assert!((1..=4).contains(&wrong.len()), "{wrong:?}");
        assert_eq!(wrong[0]["user_email"], email);
        assert_eq!(wrong[0]["remote_addr"], "127.0.0.80");
        let limited = acts(&rmm.admin, "action=session.login&outcome=too_many_attempts").await;
        assert!((1..=2).contains(&limited.len()), "one a minute: {limited:?}");
        let figures = rmm.admin.get("/metrics").await.text;
        assert!(figures.contains("gururmm_audit_refusals_left_out_total{kind=\"login_limited\"}"), "{figures}");
        rmm.technician.post("/api/auth/logout", json!({})).await.check(204);
        assert_eq!(act(&rmm.admin, "action=session.logout").await["outcome"], "ok");
        assert_eq!(acts(&rmm.admin, "action=user.setup").await.len(), 1);
    }

    async fn what_a_user_may_not_do_is_on_record_and_fills_no_disk(world: World) {
        let rmm = world.deploy(&[]).await;
        let (id, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.get("/api/users").await.check(403);
        let found = act(&rmm.admin, &format!("action=access.refused&user_id={id}")).await;
        assert_eq!(found["outcome"], "not_allowed");
        assert!(text(&found, "detail").contains("/api/users"), "{found}");
        reader.post("/api/clients", json!({"name": "Mine"})).await.check(403);
        let found = act(&rmm.admin, &format!("action=client.create&user_id={id}")).await;
        assert_eq!(found["outcome"], "not_allowed");
        for _ in 0..200 {
            reader.get("/api/users").await.check(403);
        }
        let rows = count(&rmm, "action = 'access.refused'").await;
        assert!((60..140).contains(&rows), "{rows}");
        let figures = rmm.admin.get("/metrics").await.text;
        assert!(figures.contains("gururmm_audit_refusals_left_out_total{kind=\"access\"}"), "{figures}");
        // A token that is none is nobody's refusal.
        let before = count(&rmm, "1 = 1").await;
        for _ in 0..20 {
            reader.with_token("x").post("/api/clients", json!({})).await.check(401);
        }
        assert_eq!(count(&rmm, "1 = 1").await, before);
    }

    async fn what_becomes_of_agents_is_on_record(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let enrolled = act(&rmm.admin, &format!("action=agent.enrolled&agent_id={id}")).await;
        assert_eq!(enrolled["site_id"], rmm.site.id.as_str());
        assert_eq!(enrolled["client_id"], rmm.site.client_id.as_str());
        drop(agent);
        let mut stranger = RawAgent::connect(&rmm.server.agents_url()).await;
        let mut auth = stranger.auth("NO-SUCH-1");
        auth.hostname = "stranger".to_owned();
        assert_eq!(stranger.refused(auth, 1008).await, "unknown_site_code");
        let refused = eventually("the refusal is on record", Duration::from_secs(10), || async {
            acts(&rmm.admin, "action=agent.refused").await.into_iter().next()
        })
        .await;
        assert_eq!(refused["outcome"], "unknown_site_code");
        let elsewhere = add_site(&rmm.admin, &rmm.site.client_id, "Elsewhere").await;
        let path = format!("/api/agents/{id}");
        rmm.admin.post(&format!("{path}/move"), json!({"site_id": elsewhere.id})).await.check(200);
        rmm.admin.delete(&path).await.check(204);
        let found = acts(&rmm.admin, &format!("agent_id={id}&sort=time")).await;
        let actions: Vec<_> = found.iter().map(|act| text(act, "action")).collect();
        assert_eq!(actions, ["agent.enrolled", "agent.move", "agent.moved", "agent.delete", "agent.deleted"]);
        assert_eq!(found[3]["site_id"], elsewhere.id.as_str(), "where it was then");
    }

    async fn a_command_is_one_act_with_its_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let path = format!("/api/agents/{id}/command");
        let given = rmm.technician.post(&path, json!({"command": "exit 3"})).await.expect(202);
        let query = format!("command_id={}", text(&given, "command_id"));
        let found = eventually("the command has ended", Duration::from_secs(20), || async {
            let found = act(&rmm.admin, &query).await;
            found["ended_at"].is_string().then_some(found)
        })
        .await;
        assert_eq!(found["action"], "command.run");
        assert_eq!((&found["outcome"], &found["exit_code"]), (&json!("failed"), &json!(3)));
        let session = rmm.open(id).await;
        rmm.command(session, "true").await;
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": session})).await.check(200);
        let found = acts(&rmm.admin, &format!("session_id={session}&sort=time")).await;
        let actions: Vec<_> = found.iter().map(|act| text(act, "action")).collect();
        assert_eq!(actions, ["tunnel.open", "tunnel.command", "tunnel.close"]);
        let tunnels = acts(&rmm.admin, &format!("action=tunnel.&agent_id={id}")).await;
        assert_eq!(tunnels.len(), 3, "a prefix");
    }

    async fn an_administrator_of_one_client_reads_its_acts_and_the_own(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let other = text(&other, "id").to_owned();
        add_site(&rmm.admin, &other, "Theirs").await;
        let body = json!({"email": "theirs@example.com", "password": "a long password 5",
            "role": "administrator", "scope": {"client_ids": [other]}});
        let theirs = text(&rmm.admin.post("/api/users", body).await.expect(201), "id").to_owned();
        let api = rmm.server.anonymous().log_in("theirs@example.com", "a long password 5").await;
        rmm.admin.put(&format!("/api/clients/{other}"), json!({"name": "Renamed"})).await.check(200);
        let path = format!("/api/clients/{}", rmm.site.client_id);
        rmm.admin.put(&path, json!({"name": "Not theirs"})).await.check(200);
        let found = acts(&api, "").await;
        assert!(found.iter().any(|act| text(act, "detail").contains("Renamed")), "{found:?}");
        assert!(found.iter().any(|act| act["action"] == "session.login"), "{found:?}");
        for act in &found {
            assert!(act["client_id"] == other.as_str() || act["user_id"] == theirs.as_str(), "{act}");
        }
        let exported = api.get("/api/audit/export?format=jsonl").await;
        exported.check(200);
        assert!(!exported.text.contains("Not theirs"));
        rmm.technician.get("/api/audit").await.problem(403, "not_allowed");
        rmm.technician.get("/api/audit/export").await.problem(403, "not_allowed");
    }

    async fn filters_narrow_and_pages_neither_repeat_nor_leave_out(world: World) {
        let rmm = world.deploy(&[]).await;
        for n in 0..25 {
            rmm.admin.post("/api/clients", json!({"name": format!("Client {n}")})).await.check(201);
        }
        let mut seen = BTreeSet::new();
        let mut query = "action=client.create&limit=7".to_owned();
        loop {
            let page = rmm.admin.get(&format!("/api/audit?{query}")).await.expect(200);
            for act in items(&page) {
                assert!(seen.insert(text(&act, "id").to_owned()), "twice: {act}");
            }
            rmm.admin.post("/api/policies", json!({})).await.check(400);
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            query = format!("action=client.create&limit=7&cursor={cursor}");
        }
        assert_eq!(seen.len(), 26);
        let newest = acts(&rmm.admin, "action=client.create&limit=1").await;
        assert!(text(&newest[0], "detail").contains("Client 24"), "{newest:?}");
        let at = text(&newest[0], "at").replace('+', "%2B");
        assert_eq!(acts(&rmm.admin, &format!("action=client.create&from={at}")).await.len(), 1);
        assert_eq!(acts(&rmm.admin, &format!("action=client.create&to={at}")).await.len(), 25);
        assert!(acts(&rmm.admin, &format!("user_id={}", rmm.technician_id)).await.iter()
            .all(|act| act["user_email"] == TECHNICIAN.0));
        for wrong in ["action_=x", "from=yesterday", "limit=1001", "sort=name", "user_id=x"] {
            rmm.admin.get(&format!("/api/audit?{wrong}")).await.check(400);
        }
        rmm.admin.get("/api/audit/export?format=xml").await.check(400);
    }

    async fn an_export_holds_every_act_once_in_both_formats(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"site_id": rmm.site.id, "device_id": "d,1\"", "hostname": "=cmd()"});
        rmm.admin.post("/api/agents", body).await.check(201);
        let many = match rmm.database.engine() {
            Engine::Sqlite => "INSERT INTO audit_log (act_id, stage, at, action, outcome) \
                WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1300) \
                SELECT randomblob(16), 'event', 1700000000000000, 'client.create', 'ok' FROM n",
            Engine::Postgres => "INSERT INTO audit_log (act_id, stage, at, action, outcome) \
                SELECT gen_random_uuid(), 'event', '2023-11-14T22:13:20Z', 'client.create', 'ok' \
                FROM generate_series(1, 1300)",
        };
        rmm.database.execute(many).await.unwrap();
        let (jsonl, csv, ()) = tokio::join!(
            rmm.admin.get("/api/audit/export?format=jsonl"),
            rmm.admin.get("/api/audit/export?format=csv"),
            async {
                for n in 0..20 {
                    rmm.admin.post("/api/clients", json!({"name": format!("Meanwhile {n}")})).await.check(201);
                }
            }
        );
        jsonl.check(200);
        let rows: Vec<Value> = jsonl.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: BTreeSet<_> = rows.iter().map(|row| text(row, "id").to_owned()).collect();
        assert_eq!(ids.len(), rows.len(), "an act twice");
        let old = rows.iter().filter(|row| text(row, "at").starts_with("2023")).count();
        assert_eq!(old, 1300);
        let kind = jsonl.header("content-disposition");
        assert!(kind.starts_with("attachment; filename=\"gururmm-audit-") && kind.ends_with(".jsonl\""), "{kind}");
        assert!(csv.header("content-type").starts_with("text/csv"));
        assert!(csv.text.starts_with("id,at,action,user_id,"), "{}", &csv.text[..100]);
        assert_eq!(csv.text.matches(",client.create,").count() - csv.text.matches("Meanwhile").count(), 1301);
        assert!(csv.text.contains(",'=cmd(),"), "a formula is a text");
        assert!(csv.text.contains("\"d,1\"\"\""), "quoted");
        let narrow = rmm.admin.get("/api/audit/export?format=jsonl&action=agent.enrolled").await;
        assert_eq!(narrow.text.lines().count(), 1);
    }

    async fn what_the_server_and_its_command_line_do_is_on_record(world: World) {
        let mut rmm = world.deploy(&[]).await;
        rmm.server.stop().await;
        let arguments = ["admin", "create", "--email", "cli@example.com", "--password-stdin"];
        let made = run_server(&world.data_dir(), &world.database, &[], &arguments, "a long password 6\n");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        rmm.server.restart().await;
        let found = act(&rmm.admin, "action=user.create&q=cli@example.com").await;
        assert_eq!(found["outcome"], "ok");
        assert!(text(&found, "detail").contains("command line"), "{found}");
        let found = acts(&rmm.admin, "action=server.&sort=time").await;
        let actions: Vec<_> = found.iter().map(|act| text(act, "action")).collect();
        assert_eq!(actions, ["server.migrated", "server.started", "server.stopped", "server.started"]);
    }
}
