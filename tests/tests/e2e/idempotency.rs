//! `Idempotency-Key`: a POST that is sent again does nothing again.

use gururmm_tests::api::text;
use gururmm_tests::commands::success;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Answer, Api, Obstacle, eventually, on_both_databases};
use reqwest::Method;
use serde_json::{Value, json};

async fn under(api: &Api, key: &str, path: &str, body: Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    api.send(Method::POST, path, &headers, Some(body.to_string()))
        .await
        .unwrap()
}

on_both_databases! {
    async fn a_command_sent_again_under_its_key_runs_once_and_is_answered_alike(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let first = under(&rmm.technician, "k-1", &path, json!({"command": "echo once"})).await;
        let body = first.expect(202);
        assert_eq!(first.header("idempotency-replayed"), "");
        let again = under(&rmm.technician, "\"k-1\"", &path, json!({"command": "echo once"})).await;
        assert_eq!(again.expect(202), body);
        assert_eq!(again.header("idempotency-replayed"), "true");
        let sent = agent.command().await;
        assert_eq!(sent.id.to_string(), text(&body, "command_id"));
        agent.result(success(sent.id, "")).await;
        agent.acknowledged().await;
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
    }

    async fn many_at_once_under_one_key_start_one_command(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let tries = (0..8).map(|_| under(&rmm.technician, "k", &path, json!({"command": "true"})));
        for answer in futures_util::future::join_all(tries).await {
            match answer.status {
                202 => {}
                409 => {
                    answer.problem(409, "idempotency_in_progress");
                    assert_eq!(answer.header("retry-after"), "1");
                }
                other => panic!("{other}: {}", answer.text),
            }
        }
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
    }

    async fn a_key_of_another_request_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        under(&rmm.technician, "k", &path, json!({"command": "true"})).await.check(202);
        let other = under(&rmm.technician, "k", &path, json!({"command": "false"})).await;
        other.problem(422, "idempotency_key_reused");
        let elsewhere = under(&rmm.technician, "k", "/api/jobs", json!({"command": "true"})).await;
        elsewhere.problem(422, "idempotency_key_reused");
    }

    async fn keys_of_two_users_have_nothing_in_common(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let one = under(&rmm.technician, "k", &path, json!({"command": "true"})).await.expect(202);
        let two = under(&rmm.admin, "k", &path, json!({"command": "true"})).await.expect(202);
        assert_ne!(one["command_id"], two["command_id"]);
    }

    async fn what_failed_may_be_tried_again_under_its_key(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, key) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let body = json!({"agent_id": id});
        under(&rmm.technician, "open", "/api/v1/tunnel/open", body.clone()).await.check(409);
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let opening = under(&rmm.technician, "open", "/api/v1/tunnel/open", body.clone());
        let ready = async {
            let session = agent.tunnel_open().await;
            agent.ready(session).await;
        };
        let (opened, ()) = tokio::join!(opening, ready);
        let session = opened.expect(201);
        let again = under(&rmm.technician, "open", "/api/v1/tunnel/open", body).await;
        assert_eq!(again.expect(201), session);
    }

    async fn a_key_that_is_shown_once_is_not_kept_for_a_second_answer(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"client_id": rmm.site.client_id, "name": "Depot"});
        let made = under(&rmm.admin, "k", "/api/sites", body.clone()).await.expect(201);
        assert!(text(&made, "api_key").starts_with("grmm_"));
        let again = under(&rmm.admin, "k", "/api/sites", body).await;
        again.problem(409, "idempotency_answer_not_kept");
        let kept = "SELECT CAST(count(*) AS TEXT) AS value FROM idempotency_keys WHERE body IS NOT NULL";
        assert_eq!(rmm.database.count(kept).await, 0);
        let sites = rmm.admin.get("/api/sites?q=Depot").await.expect(200);
        assert_eq!(sites["items"].as_array().unwrap().len(), 1);
    }

    async fn a_try_cut_off_by_a_crash_finds_what_it_had_made(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (agent, id, _) = rmm.journal_agent().await;
        agent.close().await;
        let path = format!("/api/agents/{id}/command");
        let job = json!({"name": "All", "command": "true", "filter": {"agent_ids": [id]}});
        let command = under(&rmm.technician, "c", &path, json!({"command": "true"})).await.expect(202);
        let made = under(&rmm.technician, "j", "/api/jobs", job.clone()).await.expect(201);
        let schedule = json!({"name": "Seldom", "cron": "0 0 29 2 *", "time_zone": "UTC", "when_offline": "wait",
            "filter": {"agent_ids": [id]}, "command": "true"});
        let schedule = rmm.technician.post("/api/schedules", schedule).await.expect(201);
        let run = format!("/api/schedules/{}/run", text(&schedule, "id"));
        let ran = under(&rmm.technician, "r", &run, json!({})).await.expect(201);
        rmm.server.kill9();
        // As if it had been killed after the commands' commit and before that of the answers.
        let forget = "UPDATE idempotency_keys SET status = NULL, body = NULL";
        rmm.database.execute(forget).await.unwrap();
        rmm.server.restart().await;
        let again = under(&rmm.technician, "c", &path, json!({"command": "true"})).await;
        assert_eq!(again.expect(202), command);
        let again = under(&rmm.technician, "j", "/api/jobs", job).await;
        assert_eq!(again.expect(201), made);
        let again = under(&rmm.technician, "r", &run, json!({})).await;
        assert_eq!(again.expect(201)["id"], ran["id"]);
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 3);
    }

    async fn a_try_cut_off_before_it_made_anything_is_carried_out(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (agent, id, _) = rmm.journal_agent().await;
        agent.close().await;
        let path = format!("/api/agents/{id}/command");
        let lost = under(&rmm.technician, "c", &path, json!({"command": "true"})).await.expect(202);
        rmm.server.kill9();
        let forget = "UPDATE idempotency_keys SET status = NULL, body = NULL; DELETE FROM commands; \
            DELETE FROM tunnel_audit WHERE command_id IS NOT NULL";
        rmm.database.execute(forget).await.unwrap();
        rmm.server.restart().await;
        let again = under(&rmm.technician, "c", &path, json!({"command": "true"})).await.expect(202);
        assert_eq!(again["command_id"], lost["command_id"], "under the id that it was given");
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
    }

    async fn a_try_that_failed_by_a_fault_of_the_server_is_carried_out_under_the_same_id(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "commands", "NEW.status = 'pending'").await;
        let failed = under(&rmm.technician, "k", &path, json!({"command": "true"})).await;
        assert!(failed.status >= 500, "{}", failed.text);
        let subject = if rmm.database.url().is_some() { "subject::text" } else { "lower(hex(subject))" };
        let claim = format!("SELECT {subject} AS value FROM idempotency_keys");
        let claimed = rmm.database.values(&claim).await;
        refusing.remove().await;
        let again = under(&rmm.technician, "k", &path, json!({"command": "true"})).await.expect(202);
        let subject = claimed[0].clone().unwrap().replace('-', "");
        assert_eq!(text(&again, "command_id").replace('-', ""), subject);
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
    }

    async fn what_holds_no_secret_is_answered_again_as_the_first_time(world: World) {
        let rmm = world.deploy(&[]).await;
        let user = json!({"email": "new@example.com", "password": "a long password 5", "role": "technician"});
        let channel = json!({"name": "hook", "kind": "webhook", "target": "https://hooks.example.com/x"});
        let channel = rmm.admin.post("/api/notifications", channel).await.expect(201);
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let test = format!("/api/notifications/{}/test", text(&channel, "id"));
        let close = json!({"session_id": session});
        for (api, path, body) in [(&rmm.admin, "/api/users", user), (&rmm.admin, test.as_str(), json!({})),
            (&rmm.technician, "/api/v1/tunnel/close", close)] {
            let first = under(api, path, path, body.clone()).await;
            assert!(first.status < 300, "{path}: {}", first.text);
            let again = under(api, path, path, body).await;
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
            assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        }
    }

    async fn a_retry_sent_again_after_a_crash_gives_each_agent_one_command(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let body = json!({"name": "Fix", "command": "fix", "filter": {"agent_ids": [id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        let sent = agent.command().await;
        let mut result = success(sent.id, "");
        result.exit_code = Some(1);
        agent.result(result.clone()).await;
        agent.acknowledged().await;
        let retry = format!("/api/jobs/{}/retry", text(&job, "id"));
        let first = under(&rmm.technician, "r", &retry, json!({})).await.expect(202);
        assert_eq!(first["retried"], 1);
        // It fails again before the request comes again.
        result.id = agent.command().await.id;
        agent.result(result).await;
        agent.acknowledged().await;
        rmm.server.kill9();
        let forget = "UPDATE idempotency_keys SET status = NULL, body = NULL";
        rmm.database.execute(forget).await.unwrap();
        rmm.server.restart().await;
        let again = under(&rmm.technician, "r", &retry, json!({})).await.expect(202);
        assert_eq!(again["retried"], 1);
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
    }

    async fn a_request_whose_caller_hung_up_is_carried_out_and_answered_later(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let body = json!({"command": "true"});
        let _ = tokio::time::timeout(
            std::time::Duration::from_millis(3),
            under(&rmm.technician, "k", &path, body.clone()),
        )
        .await;
        eventually("it is answered", SOON, || async {
            let answer = under(&rmm.technician, "k", &path, body.clone()).await;
            (answer.status == 202).then_some(())
        })
        .await;
        let all = rmm.technician.get(&format!("/api/commands?agent_id={id}")).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
    }

    async fn bad_keys_and_bodies_are_refused_with_what_is_right(world: World) {
        let rmm = world.deploy(&[]).await;
        let long = "x".repeat(256);
        for key in ["", "a b", "\"", &long] {
            let refused = under(&rmm.admin, key, "/api/clients", json!({"name": "C"})).await;
            assert_eq!(refused.problem(400, "invalid_field")["field"], "Idempotency-Key");
        }
        let large = json!({"name": "x".repeat(2 << 20)});
        under(&rmm.admin, "k", "/api/clients", large).await.problem(413, "body_too_large");
        let nobody = rmm.admin.with_token("no-token");
        under(&nobody, "k", "/api/clients", json!({"name": "C"})).await.check(401);
        let none = "SELECT CAST(count(*) AS TEXT) AS value FROM idempotency_keys";
        assert_eq!(rmm.database.count(none).await, 0);
    }

    async fn a_key_is_new_again_after_a_day(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let one = under(&rmm.technician, "k", &path, json!({"command": "true"})).await.expect(202);
        let day = if rmm.database.url().is_some() { "interval '24 hours'" } else { "86400000000" };
        let age = format!("UPDATE idempotency_keys SET created_at = created_at - {day}");
        rmm.database.execute(&age).await.unwrap();
        let two = under(&rmm.technician, "k", &path, json!({"command": "false"})).await.expect(202);
        assert_ne!(one["command_id"], two["command_id"]);
    }
}
