//! Agents that poll over plain HTTP: register, heartbeat, result.

use gururmm_tests::api::text;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, eventually, on_both_databases};
use serde_json::{Value, json};
use uuid::Uuid;

struct Poller {
    api: Api,
    id: String,
}

impl Poller {
    async fn register(rmm: &Deployment) -> Self {
        let body = json!({"site_code": rmm.site.code, "device_id": format!("old-{}", Uuid::new_v4()),
            "hostname": "xp-till-1", "os_info": "Windows 7", "agent_version": "0.1"});
        let anonymous = rmm.server.anonymous();
        let answer = anonymous
            .post("/api/agent/register-legacy", body)
            .await
            .expect(201);
        Self {
            api: anonymous.with_token(text(&answer, "api_key")),
            id: text(&answer, "agent_id").to_owned(),
        }
    }

    async fn poll(&self, body: Value) -> Vec<Value> {
        let answer = self
            .api
            .post("/api/agent/heartbeat", body)
            .await
            .expect(200);
        answer["pending_commands"].as_array().unwrap().clone()
    }

    async fn result(&self, id: &str, code: i32, stdout: &str) -> u16 {
        let body = json!({"command_id": id, "exit_code": code, "stdout": stdout, "stderr": "", "duration_ms": 3});
        self.api
            .post("/api/agent/command-result", body)
            .await
            .status
    }
}

on_both_databases! {
    async fn a_polling_agent_gets_its_commands_and_its_results_are_kept(world: World) {
        let rmm = world.deploy(&[]).await;
        let poller = Poller::register(&rmm).await;
        let agent = poller.id.parse().unwrap();
        rmm.wait_status(agent, "online", SOON).await;
        let plain = rmm.give(agent, "ver").await.to_string();
        let task = json!({"claude_task": {"task": "tidy", "working_directory": null, "context_files": []}});
        let object = rmm.give_body(agent, json!({"command_type": task})).await.to_string();
        let pending = poller.poll(json!({"metrics": {"cpu_percent": 12.5}})).await;
        assert_eq!(pending.len(), 2);
        assert_eq!((&pending[0]["id"], &pending[0]["command_type"], &pending[0]["command"]), (&json!(plain), &json!("shell"), &json!("ver")));
        assert_eq!((&pending[1]["id"], &pending[1]["command_type"]), (&json!(object), &task));
        assert_eq!(rmm.command_row(plain.parse().unwrap()).await["status"], "running");
        assert_eq!(poller.result(&plain, 0, "6.1\r\n").await, 200);
        let row = rmm.command_row(plain.parse().unwrap()).await;
        assert_eq!((&row["status"], &row["stdout"]), (&json!("completed"), &json!("6.1\r\n")));
        eventually("the metrics are kept", SOON, || async {
            let agent = rmm.admin.get(&format!("/api/agents/{}", poller.id)).await.expect(200);
            (agent["metrics"]["cpu_percent"] == 12.5).then_some(())
        }).await;
    }

    async fn lost_and_repeated_polls_and_results_change_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let poller = Poller::register(&rmm).await;
        let agent = poller.id.parse().unwrap();
        let given = rmm.give(agent, "dir").await.to_string();
        let first = poller.poll(json!({"poll_id": "1"})).await;
        // Its answer was lost: the same poll again.
        assert_eq!(poller.poll(json!({"poll_id": "1"})).await, first);
        assert_eq!(first.len(), 1);
        assert!(poller.poll(json!({"poll_id": "2"})).await.is_empty());
        // An agent that does not number its polls is never told twice.
        let next = rmm.give(agent, "cls").await.to_string();
        assert_eq!(poller.poll(json!({})).await[0]["id"], next.as_str());
        assert!(poller.poll(json!({})).await.is_empty());
        assert_eq!(poller.result(&given, 0, "one").await, 200);
        assert_eq!(poller.result(&given, 1, "two").await, 200);
        let row = rmm.command_row(given.parse().unwrap()).await;
        assert_eq!((&row["status"], &row["stdout"], &row["attempts"]), (&json!("completed"), &json!("one"), &json!(1)));
        assert!(poller.poll(json!({"poll_id": "1"})).await.is_empty(), "what has ended is told no more");
    }

    async fn a_lost_registration_is_repeated_with_its_nonce_and_nothing_else(world: World) {
        let rmm = world.deploy(&[]).await;
        let anonymous = rmm.server.anonymous();
        let body = json!({"site_code": rmm.site.code, "device_id": "till-2", "enrollment_nonce": "a secret of this device"});
        let path = "/api/agent/register-legacy";
        let first = anonymous.post(path, body.clone()).await.expect(201);
        let again = anonymous.post(path, body.clone()).await.expect(201);
        assert_eq!(first["agent_id"], again["agent_id"]);
        assert_ne!(first["api_key"], again["api_key"]);
        let old = anonymous.with_token(text(&first, "api_key"));
        old.post("/api/agent/heartbeat", json!({})).await.problem(401, "unknown_key");
        let api = anonymous.with_token(text(&again, "api_key"));
        api.post("/api/agent/heartbeat", json!({})).await.check(200);
        // It has used its key: from now on nothing but that key is its.
        anonymous.post(path, body).await.problem(409, "already_enrolled");
    }

    async fn an_agents_key_opens_nothing_but_its_own_commands(world: World) {
        let rmm = world.deploy(&[]).await;
        let (one, other) = (Poller::register(&rmm).await, Poller::register(&rmm).await);
        let given = rmm.give(one.id.parse().unwrap(), "dir").await.to_string();
        assert!(other.poll(json!({})).await.is_empty());
        assert_eq!(other.result(&given, 0, "mine").await, 404);
        for path in ["/api/agents", "/api/commands", "/api/clients", "/api/auth/me"] {
            one.api.get(path).await.refusal(401);
        }
        let site = rmm.server.anonymous().with_token(&rmm.site.key);
        site.post("/api/agent/heartbeat", json!({})).await.problem(401, "unknown_key");
        rmm.technician.post("/api/agent/heartbeat", json!({})).await.problem(401, "unknown_key");
        rmm.server.anonymous().post("/api/agent/heartbeat", json!({})).await.problem(401, "token_missing");
        rmm.admin.delete(&format!("/api/agents/{}", one.id)).await.check(204);
        one.api.post("/api/agent/heartbeat", json!({})).await.problem(401, "unknown_key");
    }

    async fn hostile_requests_of_polling_agents_are_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let poller = Poller::register(&rmm).await;
        let anonymous = rmm.server.anonymous();
        let path = "/api/agent/register-legacy";
        anonymous.post(path, json!({"site_code": rmm.site.code})).await.refusal(400);
        anonymous.post(path, json!({"site_code": "NOPE-NOPE-1", "device_id": "x"})).await.problem(401, "unknown_site_code");
        anonymous.post(path, json!({"site_code": rmm.site.code, "device_id": " "})).await.refusal(400);
        anonymous.post_text(path, "{").await.refusal(400);
        poller.api.post("/api/agent/heartbeat", json!({"poll_id": "x".repeat(65)})).await.refusal(400);
        poller.api.post("/api/agent/heartbeat", json!({"poll_id": "é"})).await.refusal(400);
        poller.api.post("/api/agent/command-result", json!({"id": "1"})).await.refusal(400);
        let given = rmm.give(poller.id.parse().unwrap(), "type big.txt").await.to_string();
        poller.poll(json!({})).await;
        assert_eq!(poller.result(&given, 0, &"\0x".repeat(700_000)).await, 413, "5 MB as JSON writes them");
        assert_eq!(poller.result(&given, 0, &"x".repeat(1_500_000)).await, 200);
        let kept = rmm.command_row(given.parse().unwrap()).await;
        assert!(kept["stdout"].as_str().unwrap().len() <= 1 << 20);
        assert!(kept["stdout"].as_str().unwrap().ends_with("[truncated]\n"));
        let mut refused = None;
        for _ in 0..600 {
            let answer = poller.api.post("/api/agent/heartbeat", json!({})).await;
            if answer.status == 429 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("polls are limited");
        refused.problem(429, "rate_limited");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    }

    async fn guessed_site_codes_are_limited_over_http_too(world: World) {
        let rmm = world.deploy(&[]).await;
        let anonymous = rmm.server.anonymous().from_address([127, 0, 0, 99].into());
        let mut limited = false;
        for number in 0..30 {
            let body = json!({"site_code": format!("NOPE-NOPE-{number}"), "device_id": "x"});
            limited = anonymous.post("/api/agent/register-legacy", body).await.status == 429;
            if limited {
                break;
            }
        }
        assert!(limited, "30 wrong codes in a row");
        let right = json!({"site_code": rmm.site.code, "device_id": "x"});
        anonymous.post("/api/agent/register-legacy", right).await.problem(429, "rate_limited");
    }
}
