//! Jobs: one command for many agents, with its progress, cancel and retry.

use gururmm_shared::EndReason;
use gururmm_tests::api::text;
use gururmm_tests::commands::success;
use gururmm_tests::wait::SOON;
use gururmm_tests::{eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_job_reaches_every_agent_of_its_filter_and_shows_its_progress(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_one, _) = rmm.agent().await;
        let (_two, _) = rmm.agent().await;
        let (away, away_id, _) = rmm.journal_agent().await;
        away.close().await;
        rmm.wait_status(away_id, "offline", SOON).await;
        let body = json!({"name": "Say hello", "command": "echo hello", "filter": {"site_id": rmm.site.id}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        assert_eq!(job["total"], 3);
        let path = format!("/api/jobs/{}", text(&job, "id"));
        let row = eventually("two have ended", SOON, || async {
            let row = rmm.technician.get(&path).await.expect(200);
            (row["progress"]["completed"] == 2).then_some(row)
        }).await;
        assert_eq!((&row["progress"]["total"], &row["progress"]["pending"]), (&json!(3), &json!(1)));
        assert_eq!(row["name"], "Say hello");
        let listed = rmm.technician.get("/api/jobs").await.expect(200);
        assert_eq!(listed["items"][0]["progress"], row["progress"]);
        let own = format!("/api/commands?job_id={}", text(&job, "id"));
        let commands = rmm.technician.get(&own).await.expect(200);
        assert_eq!(commands["items"].as_array().unwrap().len(), 3);
    }

    async fn a_job_that_is_cancelled_ends_what_waits_and_asks_what_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut here, here_id, _) = rmm.journal_agent().await;
        let (away, away_id, _) = rmm.journal_agent().await;
        away.close().await;
        rmm.wait_status(away_id, "offline", SOON).await;
        let body = json!({"name": "Sleep", "command": "sleep 1000", "filter": {"agent_ids": [here_id, away_id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        let sent = here.command().await;
        let path = format!("/api/jobs/{}", text(&job, "id"));
        let answer = rmm.technician.post(&format!("{path}/cancel"), Value::Null).await.expect(202);
        assert_eq!((&answer["cancelled"], &answer["asked"]), (&json!(1), &json!(1)));
        assert_eq!(here.command_cancel().await, sent.id);
        let mut result = success(sent.id, "");
        result.reason = Some(EndReason::Cancelled);
        here.result(result).await;
        here.acknowledged().await;
        let row = rmm.technician.get(&path).await.expect(200);
        assert_eq!(row["progress"]["reasons"], json!({"cancelled": 2}));
        assert!(row["cancelled_at"].is_string());
    }

    async fn a_retry_runs_again_only_where_the_last_try_failed(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut good, good_id, _) = rmm.journal_agent().await;
        let (mut bad, bad_id, _) = rmm.journal_agent().await;
        let body = json!({"name": "Fix", "command": "fix", "filter": {"agent_ids": [good_id, bad_id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        let done = good.command().await;
        good.result(success(done.id, "")).await;
        good.acknowledged().await;
        let failed = bad.command().await;
        let mut result = success(failed.id, "");
        result.exit_code = Some(1);
        bad.result(result).await;
        bad.acknowledged().await;
        let path = format!("/api/jobs/{}", text(&job, "id"));
        let answer = rmm.technician.post(&format!("{path}/retry"), Value::Null).await.expect(202);
        assert_eq!(answer["retried"], 1);
        let again = bad.command().await;
        assert_ne!(again.id, failed.id);
        bad.result(success(again.id, "")).await;
        bad.acknowledged().await;
        let answer = rmm.technician.post(&format!("{path}/retry"), Value::Null).await.expect(202);
        assert_eq!(answer["retried"], 0);
    }

    async fn two_retries_at_once_give_the_command_once_to_each_that_failed(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut one, one_id, _) = rmm.journal_agent().await;
        let (mut two, two_id, _) = rmm.journal_agent().await;
        let body = json!({"name": "Fix", "command": "fix", "filter": {"agent_ids": [one_id, two_id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        for agent in [&mut one, &mut two] {
            let sent = agent.command().await;
            let mut result = success(sent.id, "");
            result.exit_code = Some(1);
            agent.result(result).await;
            agent.acknowledged().await;
        }
        let path = format!("/api/jobs/{}/retry", text(&job, "id"));
        let retries = (0..4).map(|_| rmm.technician.post(&path, Value::Null));
        let answers = futures_util::future::join_all(retries).await;
        let retried: u64 = answers.iter().map(|answer| answer.expect(202)["retried"].as_u64().unwrap()).sum();
        assert_eq!(retried, 2);
        let all = rmm.technician.get(&format!("/api/commands?job_id={}", text(&job, "id"))).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 4);
    }

    async fn jobs_for_nobody_or_by_nobody_are_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        let nobody = json!({"name": "x", "command": "x", "filter": {"os_family": "beos"}});
        let problem = rmm.technician.post("/api/jobs", nobody.clone()).await.problem(400, "invalid_field");
        assert_eq!(problem["field"], "filter");
        let unknown = json!({"name": "x", "command": "x", "filter": {"colour": "red"}});
        rmm.technician.post("/api/jobs", unknown).await.refusal(400);
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.post("/api/jobs", nobody).await.problem(403, "not_allowed");
        let path = format!("/api/jobs/{}", uuid::Uuid::now_v7());
        rmm.technician.get(&path).await.problem(404, "not_found");
    }
}
