//! Saved scripts: written once, given parameters that never become a part of them.

use gururmm_shared::{AgentId, CAPABILITY_COMMAND_ENVIRONMENT};
use gururmm_tests::api::{items, text};
use gururmm_tests::commands::{journal_capabilities, success};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, RawAgent, on_both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases! {
    async fn a_script_runs_with_its_parameters_and_the_command_keeps_which_version_ran(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let body = json!({"name": "Greet", "body": "echo \"$GURURMM_GREETING, $GURURMM_NAME ($GURURMM_TIMES)\"; \
            echo \"${GURURMM_LOUD-unset}\"", "timeout_seconds": 77, "parameters": [
            {"name": "name", "required": true}, {"name": "greeting", "default": "Hello"},
            {"name": "times", "kind": "number", "default": 2}, {"name": "loud", "kind": "boolean"}]});
        let script = rmm.technician.post("/api/scripts", body.clone()).await.expect(201);
        let given = json!({"name": "world"});
        let row = run(&rmm, id, &script, given).await;
        assert_eq!((&row["status"], &row["stdout"]), (&json!("completed"), &json!("Hello, world (2)\nunset\n")));
        assert_eq!((&row["timeout_seconds"], &row["command"]), (&json!(77), &body["body"]));
        assert_eq!(row["script"], json!({"id": script["id"], "name": "Greet", "updated_at": script["updated_at"],
            "parameters": {"name": "world", "greeting": "Hello", "times": "2"}}));

        let mut other = body;
        other["body"] = json!("echo other");
        let path = format!("/api/scripts/{}", text(&script, "id"));
        let changed = rmm.technician.put(&path, other).await.expect(200);
        assert_ne!(changed["updated_at"], script["updated_at"]);
        let next = run(&rmm, id, &script, json!({"name": "x", "loud": true})).await;
        assert_eq!((&next["stdout"], &next["script"]["updated_at"]), (&json!("other\n"), &changed["updated_at"]));
        rmm.technician.delete(&path).await.check(204);
        let kept = rmm.command_row(text(&row, "id").parse().unwrap()).await;
        assert_eq!(kept["script"], row["script"], "it outlives the script");

        let rows = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
        let audited = rows.iter().find(|audited| audited["command_id"] == row["id"]).unwrap();
        let detail = text(audited, "detail");
        assert!(detail.starts_with("[script \"Greet\" {") && detail.contains("\"name\":\"world\""), "{detail}");
    }

    async fn a_value_never_becomes_a_part_of_the_script(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let trap = agent.state_dir().join("trap");
        let trap = trap.display();
        let body = json!({"name": "Print", "body": "printf %s \"$GURURMM_VALUE\"", "parameters": [{"name": "value"}]});
        let shell = rmm.technician.post("/api/scripts", body).await.expect(201);
        let body = json!({"name": "Print 2", "command_type": "script", "parameters": [{"name": "value"}],
            "body": "printf %s \"$GURURMM_VALUE\""});
        let interpreted = rmm.technician.post("/api/scripts", body).await.expect(201);
        for value in [
            format!("$(touch {trap})"), format!("`touch {trap}`"), format!("x\"; touch {trap}; \""),
            format!("'; touch {trap} #"), format!("a\ntouch {trap}\n"), format!("%PATH% & touch {trap}"),
            "${PATH}".to_owned(), "-n".to_owned(), "Ü \u{1f600} \\ \u{7}".to_owned(), String::new(), "x".repeat(4096),
        ] {
            for script in [&shell, &interpreted] {
                let row = run(&rmm, id, script, json!({"value": value})).await;
                assert_eq!(row["stdout"], json!(value), "{row}");
            }
        }
        assert!(!agent.state_dir().join("trap").exists(), "something of a value was run");
        let path = rmm.give(id, "echo $PATH").await;
        assert_ne!(rmm.wait_ended(path).await["stdout"], "\n", "what the agent has is there too");
    }

    async fn parameters_that_do_not_fit_are_refused_by_name_and_nothing_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = capable(&rmm).await;
        let body = json!({"name": "Restart", "body": "true", "parameters": [
            {"name": "service", "required": true}, {"name": "tries", "kind": "number"},
            {"name": "mode", "kind": "choice", "choices": ["soft", "hard"]}]});
        let script = rmm.technician.post("/api/scripts", body).await.expect(201);
        let path = format!("/api/agents/{id}/command");
        for (given, field) in [
            (json!({}), "parameters.service"),
            (json!({"service": 3}), "parameters.service"),
            (json!({"service": "x\u{0}y"}), "parameters.service"),
            (json!({"service": "x".repeat(4097)}), "parameters.service"),
            (json!({"service": "x", "tries": "3"}), "parameters.tries"),
            (json!({"service": "x", "mode": "gentle"}), "parameters.mode"),
            (json!({"service": "x", "PATH": "/tmp"}), "parameters.PATH"),
        ] {
            let body = json!({"script_id": script["id"], "parameters": given});
            let problem = rmm.technician.post(&path, body).await.problem(400, "invalid_field");
            assert_eq!(problem["field"], field);
            let job = json!({"name": "j", "filter": {}, "script_id": script["id"], "parameters": given});
            assert_eq!(rmm.technician.post("/api/jobs", job).await.refusal(400)["field"], field);
        }
        for (body, field) in [
            (json!({"script_id": Uuid::now_v7()}), "script_id"),
            (json!({"script_id": script["id"], "command": "true"}), "command"),
            (json!({"script_id": script["id"], "command_type": "shell"}), "command_type"),
            (json!({"command": "true", "parameters": {}}), "parameters"),
        ] {
            assert_eq!(rmm.technician.post(&path, body).await.refusal(400)["field"], field);
        }
        let listed = rmm.technician.get("/api/commands").await.expect(200);
        assert!(items(&listed).is_empty(), "{listed}");
    }

    async fn an_agent_that_cannot_take_parameters_gets_none_and_runs_scripts_without(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut old, id) = rmm.raw_agent().await;
        let body = json!({"name": "With", "body": "true", "parameters": [{"name": "a"}]});
        let script = rmm.technician.post("/api/scripts", body).await.expect(201);
        let path = format!("/api/agents/{id}/command");
        let with = json!({"script_id": script["id"], "parameters": {"a": "x"}});
        rmm.technician.post(&path, with.clone()).await.problem(409, "parameters_not_supported");
        let mut job = with.clone();
        job["name"] = json!("j");
        job["filter"] = json!({"site_id": rmm.site.id});
        let (_new, _) = capable(&rmm).await;
        let refused = rmm.technician.post("/api/jobs", job).await.problem(409, "parameters_not_supported");
        assert!(text(&refused, "detail").contains("1 of 2 agents"), "{refused}");

        let without = json!({"script_id": script["id"]});
        let given = rmm.technician.post(&path, without).await.expect(202);
        let command = old.command().await;
        assert_eq!((command.id.to_string(), command.environment.len()), (text(&given, "command_id").to_owned(), 0));

        let device = json!({"site_code": rmm.site.code, "device_id": "poller", "hostname": "till"});
        let poller = rmm.server.anonymous().post("/api/agent/register-legacy", device).await.expect(201);
        let path = format!("/api/agents/{}/command", text(&poller, "agent_id"));
        rmm.technician.post(&path, with).await.problem(409, "parameters_not_supported");
    }

    async fn a_command_with_parameters_is_not_sent_where_they_would_be_lost(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, key) = capable_with_key(&rmm).await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let body = json!({"name": "With", "body": "rm -r \"/srv/$GURURMM_A\"", "parameters": [{"name": "a", "required": true}]});
        let script = rmm.technician.post("/api/scripts", body).await.expect(201);
        let given = rmm.give_body(id, json!({"script_id": script["id"], "parameters": {"a": "x"}})).await;
        // Meanwhile an older version was installed there; it does not even speak WebSocket.
        let poll = rmm.server.anonymous().with_token(&key).post("/api/agent/heartbeat", json!({})).await.expect(200);
        assert_eq!(poll["pending_commands"], json!([]));
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let row = rmm.wait_ended(given).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("refused")));
        let next = rmm.give(id, "echo next").await;
        assert_eq!(agent.command().await.id, next);
    }

    async fn a_job_runs_a_script_on_every_agent_and_its_retry_gives_the_same(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut one, one_id) = capable(&rmm).await;
        let (mut two, two_id) = capable(&rmm).await;
        let body = json!({"name": "Fix", "command_type": "powershell", "body": "Fix $env:GURURMM_WHAT", "elevated": true,
            "parameters": [{"name": "what", "required": true}]});
        let script = rmm.technician.post("/api/scripts", body).await.expect(201);
        let job = json!({"name": "Fix all", "filter": {"agent_ids": [one_id, two_id]},
            "script_id": script["id"], "parameters": {"what": "it"}});
        let job = rmm.technician.post("/api/jobs", job).await.expect(201);
        assert_eq!(job["total"], 2);
        for (agent, code) in [(&mut one, 0), (&mut two, 1)] {
            let command = agent.command().await;
            assert_eq!((command.command_type.name(), command.elevated), ("powershell", true));
            assert_eq!(command.environment["GURURMM_WHAT"], "it");
            let mut result = success(command.id, "");
            result.exit_code = Some(code);
            agent.result(result).await;
            agent.acknowledged().await;
        }
        let path = format!("/api/jobs/{}", text(&job, "id"));
        let row = rmm.technician.get(&path).await.expect(200);
        assert_eq!((&row["script"]["name"], &row["script"]["parameters"]), (&json!("Fix"), &json!({"what": "it"})));
        let path = format!("{path}/retry");
        let answer = rmm.technician.post(&path, Value::Null).await.expect(202);
        assert_eq!((&answer["retried"], &answer["refused"]), (&json!(1), &json!(0)));
        let again = two.command().await;
        assert_eq!(again.environment["GURURMM_WHAT"], "it");
        let mut result = success(again.id, "");
        result.exit_code = Some(1);
        two.result(result).await;
        two.acknowledged().await;

        // What may no more run is left out by count and reason, not in silence.
        let deny = json!({"name": "No fixes", "settings": {"commands": {"deny": [{"glob": "Fix *"}]}}});
        rmm.admin.post("/api/policies", deny).await.check(201);
        let answer = rmm.technician.post(&path, Value::Null).await.expect(202);
        assert_eq!((&answer["retried"], &answer["refused"]), (&json!(0), &json!(1)));
        assert_eq!(answer["reasons"], json!({"command_not_allowed": 1}));
    }

    async fn a_policy_holds_for_scripts_and_says_how_many_agents_refuse(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_one, one) = capable(&rmm).await;
        let (_two, two) = capable(&rmm).await;
        let (_three, _) = capable(&rmm).await;
        let script = json!({"name": "Off", "body": "echo bye\nreboot now"});
        let script = rmm.technician.post("/api/scripts", script).await.expect(201);
        for id in [one, two] {
            let deny = json!({"name": "Stay", "agent_id": id, "settings": {"commands": {"deny": [{"glob": "reboot*"}]}}});
            rmm.admin.post("/api/policies", deny).await.check(201);
        }
        let path = format!("/api/agents/{one}/command");
        let body = json!({"script_id": script["id"]});
        rmm.technician.post(&path, body).await.problem(403, "command_not_allowed");
        let job = json!({"name": "j", "filter": {"site_id": rmm.site.id}, "script_id": script["id"]});
        let problem = rmm.technician.post("/api/jobs", job).await.problem(403, "command_not_allowed");
        assert!(text(&problem, "detail").contains("2 of 3 agents"), "{problem}");
        let listed = rmm.technician.get("/api/commands").await.expect(200);
        assert!(items(&listed).is_empty(), "all or none");
        let rows = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
        assert!(rows.iter().any(|row| row["action"] == "refused" && text(row, "detail").contains("\"Off\"")));
    }

    async fn scripts_are_read_by_all_and_written_by_who_may_act_everywhere(world: World) {
        let rmm = world.deploy(&[]).await;
        let script = json!({"name": "S", "body": "true"});
        let made = rmm.technician.post("/api/scripts", script.clone()).await.expect(201);
        assert_eq!(made["updated_by"], json!(rmm.technician_id));
        let path = format!("/api/scripts/{}", text(&made, "id"));
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        let scoped = json!({"email": "scoped@example.com", "password": "a long password 3", "role": "technician",
            "scope": {"site_ids": [rmm.site.id]}});
        rmm.admin.post("/api/users", scoped).await.check(201);
        let scoped = rmm.server.anonymous().log_in("scoped@example.com", "a long password 3").await;
        for (api, code) in [(&reader, "not_allowed"), (&scoped, "out_of_scope")] {
            assert_eq!(api.get(&path).await.expect(200)["body"], "true");
            assert_eq!(items(&api.get("/api/scripts").await.expect(200)).len(), 1);
            api.post("/api/scripts", script.clone()).await.problem(403, code);
            api.put(&path, script.clone()).await.problem(403, code);
            api.delete(&path).await.problem(403, code);
        }
        let (_own, own) = capable(&rmm).await;
        let run = format!("/api/agents/{own}/command");
        let body = json!({"script_id": made["id"]});
        reader.post(&run, body.clone()).await.problem(403, "not_allowed");
        scoped.post(&run, body).await.check(202);
        rmm.admin.delete(&path).await.check(204);
        reader.get(&path).await.problem(404, "not_found");
    }

    async fn of_two_writers_of_a_script_the_second_is_told(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = rmm.technician.post("/api/scripts", json!({"name": "S", "body": "one"})).await;
        let path = format!("/api/scripts/{}", text(&made.expect(201), "id"));
        let stale = made.header("etag").to_owned();
        assert_eq!(rmm.technician.get(&path).await.header("etag"), stale);
        let body = json!({"name": "S", "body": "two"});
        let changed = with(&rmm.technician, Method::PUT, &path, ("if-match", &stale), Some(body.clone())).await;
        changed.check(200);
        let refused = with(&rmm.technician, Method::PUT, &path, ("if-match", &stale), Some(body)).await;
        refused.problem(412, "precondition_failed");
        with(&rmm.technician, Method::DELETE, &path, ("if-match", &stale), None).await.problem(412, "precondition_failed");
        with(&rmm.technician, Method::GET, &path, ("if-none-match", changed.header("etag")), None).await.check(304);
        rmm.technician.post("/api/scripts", json!({"name": "s", "body": "x"})).await.problem(409, "script_exists");
        with(&rmm.technician, Method::DELETE, &path, ("if-match", changed.header("etag")), None).await.check(204);
    }

    async fn scripts_that_no_agent_could_run_are_refused_with_their_field(world: World) {
        let rmm = world.deploy(&[]).await;
        let api = &rmm.technician;
        for (body, field) in [
            (json!({"name": " ", "body": "x"}), "name"),
            (json!({"name": "x".repeat(201), "body": "x"}), "name"),
            (json!({"name": "s", "body": " "}), "body"),
            (json!({"name": "s", "body": "a\u{0}b"}), "body"),
            (json!({"name": "s", "body": "x".repeat(32 * 1024 + 1)}), "body"),
            (json!({"name": "s", "body": "x", "description": "x".repeat(2001)}), "description"),
            (json!({"name": "s", "body": "x", "timeout_seconds": 0}), "timeout_seconds"),
            (json!({"name": "s", "command_type": {"claude_task": {"task": ""}}}), "command_type"),
            (json!({"name": "s", "body": "x", "parameters": [{"name": "1"}]}), "parameters.1"),
            (json!({"name": "s", "body": "x", "parameters": [{"name": "command_id"}]}), "parameters.command_id"),
            (json!({"name": "s", "body": "x", "parameters": [{"name": "a"}, {"name": "A"}]}), "parameters.A"),
            (json!({"name": "s", "body": "x", "parameters": [{"name": "a", "kind": "choice"}]}), "parameters.a"),
            (json!({"name": "s", "body": "x", "parameters": [{"name": "a", "kind": "number", "default": "x"}]}), "parameters.a"),
        ] {
            let problem = api.post("/api/scripts", body.clone()).await.problem(400, "invalid_field");
            assert_eq!(problem["field"], field, "{body}");
        }
        for body in [json!({"name": "s", "body": "x", "command_type": "cobol"}), json!({"name": "s", "bdoy": "x"}),
            json!({"name": "s", "body": "x", "parameters": [{"name": "a", "kind": "secret"}]})] {
            api.post("/api/scripts", body).await.refusal(400);
        }
        let task = json!({"claude_task": {"task": "tidy", "working_directory": null, "context_files": []}});
        let made = api.post("/api/scripts", json!({"name": "s", "command_type": task})).await.expect(201);
        assert_eq!(made["command_type"], task);
        let plain = api.post("/api/scripts", json!({"name": "p", "body": "x", "command_type": {"shell": null}})).await;
        assert_eq!(plain.expect(201)["command_type"], "shell");
    }

    async fn scripts_are_searched_sorted_and_paged(world: World) {
        let rmm = world.deploy(&[]).await;
        for (name, description) in [("Beta", "restarts"), ("alpha", ""), ("Gamma", "100% RESTART"), ("delta", "x")] {
            let body = json!({"name": name, "description": description, "body": "x"});
            rmm.technician.post("/api/scripts", body).await.check(201);
        }
        let names = |page: &Value| -> Vec<String> {
            items(page).iter().map(|item| text(item, "name").to_owned()).collect()
        };
        let page = rmm.technician.get("/api/scripts?q=restart&sort=-updated").await.expect(200);
        assert_eq!(names(&page), ["Gamma", "Beta"]);
        let page = rmm.technician.get("/api/scripts?q=0%25").await.expect(200);
        assert_eq!(names(&page), ["Gamma"]);
        let mut seen = Vec::new();
        let mut path = "/api/scripts?sort=updated&limit=3".to_owned();
        loop {
            let page = rmm.technician.get(&path).await.expect(200);
            seen.extend(names(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/api/scripts?sort=updated&limit=3&cursor={cursor}");
        }
        assert_eq!(seen, ["Beta", "alpha", "Gamma", "delta"]);
        assert_eq!(rmm.technician.get("/api/scripts?colour=red").await.refusal(400)["field"], "colour");
    }
}

/// Runs a script on an agent to its end.
async fn run(rmm: &Deployment, id: AgentId, script: &Value, parameters: Value) -> Value {
    let body = json!({"script_id": script["id"], "parameters": parameters});
    let given = rmm.give_body(id, body).await;
    rmm.wait_ended(given).await
}

/// An agent of the tests' own that gives commands their variables.
async fn capable(rmm: &Deployment) -> (RawAgent, AgentId) {
    let (agent, id, _) = capable_with_key(rmm).await;
    (agent, id)
}

async fn capable_with_key(rmm: &Deployment) -> (RawAgent, AgentId, String) {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let mut auth = agent.auth(&rmm.site.code);
    auth.capabilities = journal_capabilities();
    auth.capabilities
        .push(CAPABILITY_COMMAND_ENVIRONMENT.to_owned());
    let ack = agent.authenticate(auth).await;
    let id = ack.agent_id.expect("auth_ack tells the id");
    rmm.wait_status(id, "online", SOON).await;
    (
        agent,
        id,
        ack.api_key.expect("a first enrolment gets a key"),
    )
}

/// Sends a request with one header more.
async fn with(
    api: &Api,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Option<Value>,
) -> gururmm_tests::Answer {
    let headers = [("content-type", "application/json"), header];
    let body = body.map(|body| body.to_string());
    let sent = api.send(method, path, &headers, body).await;
    sent.expect("the server answers")
}
