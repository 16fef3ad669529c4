//! Jobs over several clients, as somebody sees and cancels them who may act in one of these alone.

use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::add_site;
use gururmm_tests::{RawAgent, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn who_may_act_in_one_client_cancels_what_is_there_and_sees_no_more(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let there = add_site(&rmm.admin, text(&client, "id"), "There").await;
        let (away, here_id, _) = rmm.journal_agent().await;
        away.close().await;
        let mut away = RawAgent::connect(&rmm.server.agents_url()).await;
        let there_id = away.enrol(&there.code).await.agent_id.unwrap();
        away.close().await;
        for id in [here_id, there_id] {
            rmm.wait_status(id, "offline", gururmm_tests::wait::SOON).await;
        }
        let body = json!({"name": "Both", "command": "true", "filter": {"agent_ids": [here_id, there_id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        let path = format!("/api/jobs/{}", text(&job, "id"));
        let body = json!({"email": "here@example.com", "password": "a long password 3", "role": "technician",
            "scope": {"client_ids": [rmm.site.client_id]}});
        rmm.admin.post("/api/users", body).await.check(201);
        let scoped = rmm.server.anonymous().log_in("here@example.com", "a long password 3").await;

        let seen = scoped.get(&path).await.expect(200);
        assert_eq!((&seen["progress"]["total"], &seen["progress"]["pending"]), (&json!(1), &json!(1)));
        let foreign = [there_id.to_string(), there.id.clone(), there.client_id.clone()];
        let says_nothing = |body: &Value| {
            let shown = body.to_string();
            assert!(foreign.iter().all(|id| !shown.contains(id)), "{shown}");
        };
        says_nothing(&seen);
        says_nothing(&scoped.get("/api/jobs").await.expect(200));
        let own = scoped.get(&format!("/api/commands?job_id={}", text(&job, "id"))).await.expect(200);
        assert_eq!(items(&own).len(), 1);
        says_nothing(&own);

        let answer = scoped.post(&format!("{path}/cancel"), Value::Null).await.expect(202);
        assert_eq!((&answer["cancelled"], &answer["asked"]), (&json!(1), &json!(0)));
        let whole = rmm.technician.get(&path).await.expect(200);
        assert_eq!((&whole["progress"]["pending"], &whole["progress"]["failed"]), (&json!(1), &json!(1)));
        // What the other client's machine waits for is still to be cancelled, by who may.
        let rest = rmm.technician.post(&format!("{path}/cancel"), Value::Null).await.expect(202);
        assert_eq!(rest["cancelled"], 1);
        let retried = scoped.post(&format!("{path}/retry"), Value::Null).await.expect(202);
        assert_eq!(retried["retried"], 1, "only where they may act: {retried}");
    }
}
