//! Scopes: a user sees and touches its own clients and sites, and nothing else.

use std::time::Duration;

use gururmm_shared::AgentId;
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::{Site, add_site};
use gururmm_tests::{Api, Deployment, RawAgent, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_scope_is_set_shown_changed_and_lifted(world: World) {
        let rmm = world.deploy(&[]).await;
        let scope = json!({"client_ids": [rmm.site.client_id], "site_ids": [rmm.site.id]});
        let body = json!({"email": "own@example.com", "password": "a long password 3",
            "role": "technician", "scope": scope});
        let user = rmm.admin.post("/api/users", body).await.expect(201);
        assert_eq!(user["scope"], scope);
        let path = format!("/api/users/{}", text(&user, "id"));
        assert_eq!(rmm.admin.get(&path).await.expect(200)["scope"], scope);
        let list = items(&rmm.admin.get("/api/users").await.expect(200));
        assert!(list.iter().any(|one| one["scope"] == scope) && list.iter().any(|one| one["scope"].is_null()));
        let named = rmm.admin.patch(&path, json!({"name": "Other"})).await.expect(200);
        assert_eq!(named["scope"], scope, "what is missing stays");
        let nothing = rmm.admin.patch(&path, json!({"scope": {}})).await.expect(200);
        assert_eq!(nothing["scope"], json!({"client_ids": [], "site_ids": []}));
        let own = rmm.server.anonymous().log_in("own@example.com", "a long password 3").await;
        assert_eq!(own.get("/api/auth/me").await.expect(200)["scope"], nothing["scope"]);
        for path in ["/api/clients", "/api/sites", "/api/agents"] {
            assert!(items(&own.get(path).await.expect(200)).is_empty(), "{path}");
        }
        let lifted = rmm.admin.patch(&path, json!({"scope": null})).await.expect(200);
        assert_eq!(lifted["scope"], Value::Null);
        own.get("/api/auth/me").await.problem(401, "token_revoked");
    }

    async fn a_scope_names_what_exists_and_not_too_much(world: World) {
        let rmm = world.deploy(&[]).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        let many: Vec<_> = (0..1001).map(|_| uuid::Uuid::new_v4()).collect();
        for scope in [json!({"client_ids": [uuid::Uuid::new_v4()]}), json!({"site_ids": many}),
            json!({"site_ids": ["x"]}), json!("all"), json!({"client_ids": null})] {
            rmm.admin.patch(&path, json!({"scope": scope})).await.refusal(400);
        }
        let unknown = json!({"scope": {"site_ids": [uuid::Uuid::new_v4()]}});
        let refused = rmm.admin.patch(&path, unknown).await.refusal(400);
        assert_eq!(refused["field"], "scope");
        rmm.technician.get("/api/auth/me").await.check(200);
    }

    async fn lists_show_what_is_in_scope_only(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = elsewhere(&rmm).await;
        let technician = scoped(&rmm, "technician", json!({"client_ids": [other.site.client_id]})).await;
        let (_own, own_id) = rmm.raw_agent().await;
        for (path, id) in [("/api/clients", &other.site.client_id), ("/api/sites", &other.site.id),
            ("/api/agents", &other.agent_id.to_string())] {
            let list = items(&technician.get(path).await.expect(200));
            assert_eq!(list.iter().map(|item| text(item, "id")).collect::<Vec<_>>(), [id], "{path}");
        }
        let stats = technician.get("/api/agents/stats").await.expect(200);
        assert_eq!((&stats["total"], &stats["online"]), (&json!(1), &json!(1)));
        let summary = technician.get("/api/metrics/summary").await.expect(200);
        assert_eq!(summary["fleet"]["agents"], 1);
        assert!(!summary.to_string().contains(&rmm.site.client_id), "{summary}");
        let path = format!("/api/agents?site_id={}", rmm.site.id);
        assert!(items(&technician.get(&path).await.expect(200)).is_empty());
        let all = rmm.admin.get("/api/agents").await.expect(200).to_string();
        assert!(all.contains(&own_id.to_string()) && all.contains(&other.agent_id.to_string()));

        let one_site = scoped(&rmm, "read_only", json!({"site_ids": [other.site.id]})).await;
        assert!(items(&one_site.get("/api/clients").await.expect(200)).is_empty());
        assert_eq!(items(&one_site.get("/api/sites").await.expect(200)).len(), 1);
        assert_eq!(items(&one_site.get("/api/agents").await.expect(200)).len(), 1);
    }

    async fn single_things_out_of_scope_are_refused_by_name(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = elsewhere(&rmm).await;
        let (_own, own) = rmm.raw_agent().await;
        let admin = scoped(&rmm, "administrator", json!({"client_ids": [other.site.client_id]})).await;
        let (client, site) = (&rmm.site.client_id, &rmm.site.id);
        for path in [format!("/api/clients/{client}"), format!("/api/clients/{client}/sites"),
            format!("/api/sites/{site}"), format!("/api/agents/{own}"), format!("/api/agents/{own}/state")] {
            admin.get(&path).await.problem(403, "out_of_scope");
            rmm.technician.get(&path).await.check(200);
        }
        let name = json!({"name": "Mine Now"});
        for path in [format!("/api/clients/{client}"), format!("/api/sites/{site}")] {
            admin.put(&path, name.clone()).await.problem(403, "out_of_scope");
            admin.delete(&format!("{path}?cascade=true")).await.problem(403, "out_of_scope");
        }
        admin.delete(&format!("/api/agents/{own}")).await.problem(403, "out_of_scope");
        let path = format!("/api/sites/{site}/regenerate-key");
        admin.post(&path, json!({})).await.problem(403, "out_of_scope");
        let new = json!({"client_id": client, "name": "Foot In The Door"});
        admin.post("/api/sites", new).await.problem(403, "out_of_scope");
        let new = json!({"site_id": site, "device_id": "d", "hostname": "h"});
        admin.post("/api/agents", new).await.problem(403, "out_of_scope");
        let path = format!("/api/agents/{own}/move");
        admin.post(&path, json!({"site_id": other.site.id})).await.problem(403, "out_of_scope");
        let path = format!("/api/agents/{}/move", other.agent_id);
        admin.post(&path, json!({"site_id": site})).await.problem(403, "out_of_scope");
        admin.post("/api/clients", json!({"name": "New"})).await.problem(403, "out_of_scope");
        let new = json!({"client_id": other.site.client_id, "name": "Inside"});
        admin.post("/api/sites", new).await.check(201);
    }

    async fn a_scoped_administrator_cannot_lift_its_own_scope(world: World) {
        let rmm = world.deploy(&[]).await;
        let admin = scoped(&rmm, "administrator", json!({"client_ids": [rmm.site.client_id]})).await;
        let me = admin.get("/api/auth/me").await.expect(200);
        let path = format!("/api/users/{}", text(&me, "id"));
        admin.patch(&path, json!({"scope": null})).await.problem(403, "out_of_scope");
        admin.get("/api/users").await.problem(403, "out_of_scope");
        let new = json!({"email": "free@example.com", "password": "a long password 3", "role": "administrator"});
        admin.post("/api/users", new).await.problem(403, "out_of_scope");
        let me = rmm.admin.get("/api/auth/me").await.expect(200);
        let path = format!("/api/users/{}", text(&me, "id"));
        rmm.admin.patch(&path, json!({"scope": {}})).await.problem(409, "last_administrator");
        rmm.admin.delete(&path).await.problem(409, "last_administrator");
    }

    async fn a_tunnel_out_of_scope_is_refused_and_audited(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = elsewhere(&rmm).await;
        let (mut agent, own) = rmm.raw_agent().await;
        let technician = scoped(&rmm, "technician", json!({"site_ids": [other.site.id]})).await;
        let open = json!({"agent_id": own});
        technician.post("/api/v1/tunnel/open", open.clone()).await.problem(403, "out_of_scope");
        let rows = items(&rmm.admin.get(&format!("/api/audit/tunnel?agent_id={own}")).await.expect(200));
        assert_eq!((&rows[0]["action"], &rows[0]["outcome"]), (&json!("refused"), &json!("out_of_scope")));
        let admin = scoped(&rmm, "administrator", json!({"site_ids": [other.site.id]})).await;
        assert!(items(&admin.get("/api/audit/tunnel").await.expect(200)).is_empty());
        let session = rmm.open_raw(&mut agent, own).await;
        let audit = admin.get(&format!("/api/audit/tunnel?session_id={session}")).await.expect(200);
        assert!(items(&audit).is_empty(), "{audit}");
    }

    async fn a_change_of_scope_ends_sessions_and_streams(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&path, json!({"scope": {"client_ids": []}})).await.check(200);
        assert_eq!(agent.tunnel_close().await, session);
        rmm.wait_session(session, "closed", "access_revoked", Duration::from_secs(5)).await;
        rmm.technician.get("/api/auth/me").await.problem(401, "token_revoked");
        let again = rmm.server.anonymous().log_in(gururmm_tests::deployment::TECHNICIAN.0,
            gururmm_tests::deployment::TECHNICIAN.1).await;
        for path in [format!("/api/v1/tunnel/status/{session}"), format!("/api/v1/tunnel/{session}/audit")] {
            again.get(&path).await.problem(403, "out_of_scope");
        }
    }
}

struct Elsewhere {
    site: Site,
    agent_id: AgentId,
    _agent: RawAgent,
}

/// Another client with a site and an agent that is online.
async fn elsewhere(rmm: &Deployment) -> Elsewhere {
    let body = json!({"name": "Other Client"});
    let client = rmm.admin.post("/api/clients", body).await.expect(201);
    let site = add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let agent_id = agent.enrol(&site.code).await.agent_id.unwrap();
    Elsewhere {
        site,
        agent_id,
        _agent: agent,
    }
}

/// Adds a user of this role and scope and logs in.
async fn scoped(rmm: &Deployment, role: &str, scope: Value) -> Api {
    let email = format!("{}@example.com", uuid::Uuid::new_v4());
    let password = "a long password 3";
    let body = json!({"email": email, "password": password, "role": role, "scope": scope});
    rmm.admin.post("/api/users", body).await.check(201);
    rmm.server.anonymous().log_in(&email, password).await
}
