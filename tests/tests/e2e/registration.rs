//! Registration tokens, approval, and devices that are enrolled twice.

use chrono::{Duration as Time, Utc};
use gururmm_shared::{AgentId, AgentMessage, Metrics};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::add_site;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, RawAgent, TestAgent, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_token_lets_so_many_agents_in_and_no_more(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"uses": 1, "name": "laptops"})).await;
        let secret = text(&made, "token");
        assert!(secret.starts_with("grmt_"), "{secret}");
        let mut first = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = first.enrol(secret).await;
        assert!(ack.api_key.is_some());
        rmm.wait_status(ack.agent_id.unwrap(), "online", SOON).await;
        assert_eq!(refused(&rmm, secret).await, "bad_token");
        let listed = items(&rmm.admin.get("/api/registration-tokens").await.expect(200));
        assert_eq!((&listed[0]["uses"], &listed[0]["uses_left"]), (&json!(1), &json!(0)));
        assert!(listed[0].get("token").is_none());
    }

    async fn of_many_that_use_the_last_use_at_once_one_comes_in(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"uses": 3})).await;
        let secret = text(&made, "token");
        let racing = (0..10).map(|_| async {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let auth = agent.auth(secret);
            agent.send(&AgentMessage::Auth(auth)).await;
            match agent.hear().await {
                gururmm_tests::Heard::Message(gururmm_shared::ServerMessage::AuthAck(_)) => Some(agent),
                _ => None,
            }
        });
        let came = futures_util::future::join_all(racing).await;
        assert_eq!(came.iter().flatten().count(), 3);
        assert_eq!(items(&rmm.admin.get("/api/agents").await.expect(200)).len(), 3);
    }

    async fn a_token_that_is_deleted_or_expired_opens_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({})).await;
        let path = format!("/api/registration-tokens/{}", text(&made, "id"));
        rmm.technician.delete(&path).await.problem(403, "not_allowed");
        rmm.admin.delete(&path).await.check(204);
        assert_eq!(refused(&rmm, text(&made, "token")).await, "bad_token");
        let past = json!({"site_id": rmm.site.id, "expires_at": Utc::now() - Time::hours(1)});
        rmm.admin.post("/api/registration-tokens", past).await.problem(400, "invalid_field");
        let brief = token(&rmm, json!({"expires_at": Utc::now() + Time::seconds(1)})).await;
        eventually("the token has expired", SOON, || async {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let auth = agent.auth(text(&brief, "token"));
            agent.send(&AgentMessage::Auth(auth)).await;
            match agent.hear().await {
                gururmm_tests::Heard::Message(gururmm_shared::ServerMessage::Error(error)) => Some(error.code),
                _ => None,
            }
        })
        .await;
    }

    async fn an_agent_that_waits_for_approval_can_do_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"approval": true})).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(text(&made, "token")).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let waiting = items(&rmm.technician.get("/api/agents/pending").await.expect(200));
        assert_eq!(waiting[0]["agent_id"], id.to_string());
        agent.send(&AgentMessage::Metrics(Metrics { cpu_percent: Some(50.0), ..Metrics::default() })).await;
        let open = rmm.technician.post("/api/v1/tunnel/open", json!({"agent_id": id})).await;
        open.problem(409, "agent_offline");
        rmm.technician.post(&format!("/api/agents/{id}/approve"), json!({})).await.problem(403, "not_allowed");
        assert_eq!(state(&rmm, id).await["status"], "offline");
        rmm.admin.post(&format!("/api/agents/{id}/approve"), json!({})).await.check(200);
        assert_eq!(agent.expect_close().await.0, 1001);
        assert!(state(&rmm, id).await["metrics"].is_null());
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        agent.enrol(&key).await;
        rmm.wait_status(id, "online", SOON).await;
        rmm.admin.post(&format!("/api/agents/{id}/approve"), json!({})).await.problem(409, "not_pending");
        rmm.open_raw(&mut agent, id).await;
    }

    async fn the_real_agent_comes_in_by_itself_once_it_is_approved(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"approval": true, "uses": 1})).await;
        let agent = TestAgent::start(&rmm.server.agents_url(), text(&made, "token"), AgentSettings::default());
        let id = eventually("the agent waits", SOON, || async {
            let waiting = items(&rmm.admin.get("/api/agents/pending").await.expect(200));
            let own = waiting.into_iter().find(|one| one["device_id"] == agent.device_id())?;
            Some(text(&own, "agent_id").to_owned())
        })
        .await;
        rmm.admin.post(&format!("/api/agents/{id}/approve"), json!({})).await.check(200);
        let online = agent.wait_online(&rmm.admin).await;
        assert_eq!(online.to_string(), id);
        let session = rmm.open(online).await;
        assert_eq!(rmm.run(session, "echo in").await.stdout, "in\n");
    }

    async fn a_polling_agent_that_waits_for_approval_is_offline_and_hears_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"approval": true})).await;
        let body = json!({"site_code": text(&made, "token"), "device_id": "till-9", "hostname": "till-9"});
        let anonymous = rmm.server.anonymous();
        let registered = anonymous.post("/api/agent/register-legacy", body).await.expect(201);
        let id: AgentId = text(&registered, "agent_id").parse().unwrap();
        let poller = anonymous.with_token(text(&registered, "api_key"));
        poller.post("/api/agent/heartbeat", json!({})).await.problem(403, "approval_pending");
        let waiting = items(&rmm.admin.get("/api/agents/pending").await.expect(200));
        assert_eq!(waiting[0]["agent_id"], id.to_string());
        assert_eq!(state(&rmm, id).await["status"], "offline");
        rmm.admin.post(&format!("/api/agents/{id}/approve"), json!({})).await.check(200);
        poller.post("/api/agent/heartbeat", json!({})).await.check(200);
        rmm.wait_status(id, "online", SOON).await;
    }

    async fn a_rejected_agent_is_gone_and_its_key_with_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = token(&rmm, json!({"approval": true})).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(text(&made, "token")).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        rmm.admin.post(&format!("/api/agents/{id}/reject"), json!({})).await.check(204);
        assert_eq!(agent.expect_close().await.0, 4003);
        rmm.admin.get(&format!("/api/agents/{id}")).await.problem(404, "not_found");
        assert_eq!(refused(&rmm, &key).await, "unknown_key");
        let (_live, other) = rmm.raw_agent().await;
        rmm.admin.post(&format!("/api/agents/{other}/reject"), json!({})).await.problem(409, "not_pending");
    }

    async fn a_device_that_is_enrolled_at_two_sites_is_reported(world: World) {
        let rmm = world.deploy(&[]).await;
        let (first, id) = rmm.raw_agent().await;
        let (_lonely, _) = rmm.raw_agent().await;
        let branch = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let mut second = RawAgent::connect(&rmm.server.agents_url()).await;
        second.device_id = first.device_id.clone();
        second.enrol(&branch.code).await;
        let found = items(&rmm.technician.get("/api/agents/duplicates").await.expect(200));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["device_id"], first.device_id);
        let agents = found[0]["agents"].as_array().unwrap();
        assert_eq!(agents.len(), 2);
        assert!(agents.iter().any(|agent| agent["id"] == id.to_string()));
    }
}

/// Makes a token of the site.
async fn token(rmm: &Deployment, settings: Value) -> Value {
    let mut body = settings;
    body["site_id"] = json!(rmm.site.id);
    rmm.admin
        .post("/api/registration-tokens", body)
        .await
        .expect(201)
}

/// Tries a credential in vain; answers the error's code.
async fn refused(rmm: &Deployment, credential: &str) -> String {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let auth = agent.auth(credential);
    agent.refused(auth, 1008).await
}

async fn state(rmm: &Deployment, id: AgentId) -> Value {
    rmm.admin
        .get(&format!("/api/agents/{id}/state"))
        .await
        .expect(200)
}
