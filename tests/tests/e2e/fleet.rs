//! Clients, sites, agents and users one by one: changed, removed, registered, counted.

use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::{RawAgent, on_both_databases};
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases! {
    async fn a_client_and_a_site_are_read_and_named_anew(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = format!("/api/clients/{}", rmm.site.client_id);
        assert_eq!(rmm.technician.get(&client).await.expect(200)["name"], "Example Client");
        let body = rmm.admin.put(&client, json!({"name": " Renamed "})).await.expect(200);
        assert_eq!(body["name"], "Renamed");
        rmm.admin.post("/api/clients", json!({"name": "Taken"})).await.check(201);
        let refused = rmm.admin.put(&client, json!({"name": "taken"})).await.problem(409, "client_exists");
        assert_eq!(refused["field"], "name");
        rmm.admin.put(&client, json!({"name": ""})).await.refusal(400);
        rmm.technician.put(&client, json!({"name": "x"})).await.problem(403, "not_allowed");

        let site = format!("/api/sites/{}", rmm.site.id);
        let body = rmm.technician.get(&site).await.expect(200);
        assert_eq!((&body["name"], body.get("api_key")), (&json!("Head Office"), None));
        assert_eq!(rmm.admin.put(&site, json!({"name": "Annex"})).await.expect(200)["name"], "Annex");
        let of_client = rmm.technician.get(&format!("{client}/sites")).await.expect(200);
        assert_eq!(items(&of_client)[0]["name"], "Annex");
        for path in ["/api/clients", "/api/sites", "/api/users"] {
            let missing = format!("{path}/{}", Uuid::new_v4());
            rmm.admin.get(&missing).await.problem(404, "not_found");
            rmm.admin.delete(&missing).await.problem(404, "not_found");
            rmm.admin.get(&format!("{path}/x")).await.problem(400, "malformed_id");
        }
        let missing = format!("/api/clients/{}/sites", Uuid::new_v4());
        rmm.admin.get(&missing).await.problem(404, "not_found");
    }

    async fn a_site_gets_another_key_and_the_old_one_stops(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut before, id) = rmm.raw_agent().await;
        let path = format!("/api/sites/{}/regenerate-key", rmm.site.id);
        rmm.technician.post(&path, json!({})).await.problem(403, "not_allowed");
        let body = rmm.admin.post(&path, json!({})).await.expect(200);
        let key = text(&body, "api_key");
        assert!(key.starts_with("grmm_") && key != rmm.site.key);
        let shown = rmm.admin.get(&format!("/api/sites/{}", rmm.site.id)).await.expect(200);
        assert!(shown.get("api_key").is_none(), "{shown}");
        let mut old = RawAgent::connect(&rmm.server.agents_url()).await;
        let auth = old.auth(&rmm.site.key);
        assert_eq!(old.refused(auth, 1008).await, "unknown_key");
        let mut new = RawAgent::connect(&rmm.server.agents_url()).await;
        assert!(new.enrol(key).await.agent_id.is_some());
        before.send(&gururmm_shared::AgentMessage::Heartbeat).await;
        rmm.wait_status(id, "online", Duration::from_secs(5)).await;
    }

    async fn an_agent_that_is_registered_by_hand_comes_in_with_its_own_key(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"site_id": rmm.site.id, "device_id": "by-hand-1", "hostname": "srv-9",
            "os": {"family": "Windows", "name": "Windows Server 2022"}});
        rmm.technician.post("/api/agents", body.clone()).await.problem(403, "not_allowed");
        let made = rmm.admin.post("/api/agents", body.clone()).await.expect(201);
        assert_eq!((&made["status"], &made["os"]["family"]), (&json!("offline"), &json!("windows")));
        assert_eq!(made["site"]["id"], rmm.site.id.as_str());
        rmm.admin.post("/api/agents", body).await.problem(409, "device_exists");
        let path = format!("/api/agents/{}", text(&made, "id"));
        assert!(rmm.admin.get(&path).await.expect(200).get("api_key").is_none());
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(text(&made, "api_key")).await;
        assert_eq!(ack.agent_id.unwrap().to_string(), text(&made, "id"));
        for (field, bad) in [("device_id", json!("")), ("hostname", json!("a\u{0}b")),
            ("site_id", json!("x")), ("os", json!({"name": "x".repeat(201)}))] {
            let mut body = json!({"site_id": rmm.site.id, "device_id": "d2", "hostname": "h"});
            body[field] = bad;
            rmm.admin.post("/api/agents", body).await.refusal(400);
        }
        let body = json!({"site_id": Uuid::new_v4(), "device_id": "d2", "hostname": "h"});
        rmm.admin.post("/api/agents", body).await.problem(404, "not_found");
        let nowhere = json!({"device_id": "d3", "hostname": "lost"});
        let lost = rmm.admin.post("/api/agents", nowhere).await.expect(201);
        let list = items(&rmm.technician.get("/api/agents/unassigned").await.expect(200));
        assert_eq!(list.len(), 1);
        assert_eq!((&list[0]["id"], &list[0]["site"]), (&lost["id"], &Value::Null));
    }

    async fn a_place_that_holds_something_goes_only_with_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let client = format!("/api/clients/{}", rmm.site.client_id);
        let site = format!("/api/sites/{}", rmm.site.id);
        rmm.technician.delete(&client).await.problem(403, "not_allowed");
        let refused = rmm.admin.delete(&client).await.problem(409, "client_not_empty");
        assert!(text(&refused, "detail").contains("(sites: 1)"), "{refused}");
        let refused = rmm.admin.delete(&site).await.problem(409, "site_not_empty");
        assert!(text(&refused, "detail").contains("(agents: 1)"), "{refused}");
        rmm.admin.delete(&format!("{site}?cascade=maybe")).await.refusal(400);
        rmm.admin.delete(&format!("{site}?casade=true")).await.refusal(400);
        rmm.admin.get(&site).await.check(200);

        rmm.admin.delete(&format!("{client}?cascade=true")).await.check(204);
        assert_eq!(agent.tunnel_close().await, session);
        assert_eq!(agent.expect_close().await.0, 4003);
        for path in [client, site, format!("/api/agents/{id}")] {
            rmm.admin.get(&path).await.problem(404, "not_found");
        }
        rmm.admin.get(&format!("/api/audit/tunnel?session_id={session}")).await.check(200);
    }

    async fn an_empty_place_goes_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        rmm.admin.delete(&format!("/api/sites/{}", rmm.site.id)).await.check(204);
        rmm.admin.delete(&format!("/api/clients/{}", rmm.site.client_id)).await.check(204);
        assert!(items(&rmm.admin.get("/api/clients").await.expect(200)).is_empty());
    }

    async fn a_deleted_user_is_out_and_its_sessions_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        assert_eq!(rmm.admin.get(&path).await.expect(200)["role"], "technician");
        rmm.technician.delete(&path).await.problem(403, "not_allowed");
        rmm.admin.delete(&path).await.check(204);
        assert_eq!(agent.tunnel_close().await, session);
        rmm.technician.get("/api/auth/me").await.refusal(401);
        rmm.admin.get(&path).await.problem(404, "not_found");
        let rows = rmm.audit(session).await;
        assert!(rows.iter().any(|row| row["user_email"] == "tech@example.com"), "{rows:?}");
    }

    async fn the_fleet_is_counted_by_system_and_version_and_by_who_is_there(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_one, id) = rmm.raw_agent().await;
        let (two, gone) = rmm.raw_agent().await;
        drop(two);
        rmm.wait_status(gone, "offline", Duration::from_secs(10)).await;
        let body = json!({"device_id": "d", "hostname": "h", "os": {"family": "windows"}});
        rmm.admin.post("/api/agents", body).await.check(201);
        let stats = rmm.technician.get("/api/agents/stats").await.expect(200);
        assert_eq!((&stats["total"], &stats["online"], &stats["offline"], &stats["unassigned"]),
            (&json!(3), &json!(1), &json!(2), &json!(1)));
        assert_eq!((&stats["by_os_family"]["linux"], &stats["by_os_family"]["windows"]), (&json!(2), &json!(1)));
        assert_eq!(stats["by_version"]["unknown"], 1);
        gururmm_tests::eventually("the filter knows of the connection", Duration::from_secs(10), || async {
            let online = items(&rmm.technician.get("/api/agents?status=online").await.expect(200));
            let ids: Vec<_> = online.iter().map(|agent| text(agent, "id").to_owned()).collect();
            (ids == [id.to_string()]).then_some(())
        }).await;
    }

    async fn a_summary_sums_up_the_fleet_each_client_and_each_site(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut one, id) = rmm.raw_agent().await;
        let (mut two, _) = rmm.raw_agent().await;
        one.send_text(&sample(20.0, 1000)).await;
        two.send_text(&sample(40.0, 3000)).await;
        let summary = gururmm_tests::eventually("both have reported", Duration::from_secs(20), || async {
            let body = rmm.technician.get("/api/metrics/summary").await.expect(200);
            (body["fleet"]["reporting"] == 2).then_some(body)
        }).await;
        for part in [&summary["fleet"], &summary["clients"][0], &summary["sites"][0]] {
            assert_eq!((&part["agents"], &part["online"]), (&json!(2), &json!(2)), "{summary}");
            assert_eq!((&part["cpu_percent"], &part["memory_used_bytes"]), (&json!(30.0), &json!(4000)), "{summary}");
        }
        assert_eq!(summary["clients"][0]["client_id"], rmm.site.client_id.as_str());
        assert_eq!(summary["sites"][0]["name"], "Head Office");
        rmm.admin.get(&format!("/api/agents/{id}")).await.check(200);
    }
}

fn sample(cpu: f64, memory: u64) -> String {
    json!({"type": "metrics", "payload": {"cpu_percent": cpu, "memory_used_bytes": memory,
        "memory_total_bytes": 8000}})
    .to_string()
}
