//! Keys for scripts: made by a user, at most what that user is, and dead with it.

use chrono::{Duration, Utc};
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::add_site;
use gururmm_tests::{Api, Deployment, on_both_databases};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_databases! {
    async fn a_key_is_shown_once_and_kept_as_its_hash(world: World) {
        let rmm = world.deploy(&[]).await;
        let made = rmm.technician.post("/api/keys", key("backup", "technician")).await.expect(201);
        let secret = text(&made, "key");
        assert!(secret.starts_with("grmu_") && secret.len() == 48, "{made}");
        assert_eq!((&made["scope"], &made["last_used_at"]), (&Value::Null, &Value::Null));
        let hash = format!("{:x}", Sha256::digest(secret));
        let stored = match rmm.database.engine() {
            gururmm_tests::database::Engine::Sqlite => "lower(hex(key_hash))",
            gururmm_tests::database::Engine::Postgres => "encode(key_hash, 'hex')",
        };
        let rows = rmm.database.values(&format!("SELECT {stored} AS value FROM api_keys")).await;
        assert_eq!(rows, [Some(hash)]);

        let script = rmm.server.anonymous().with_token(secret);
        assert_eq!(script.get("/api/auth/me").await.expect(200)["id"], rmm.technician_id.as_str());
        let list = rmm.technician.get("/api/keys").await.expect(200);
        assert!(items(&list)[0]["last_used_at"].is_string() && !list.to_string().contains("grmu_"), "{list}");
        assert!(items(&rmm.admin.get("/api/keys").await.expect(200)).is_empty());
        let all = items(&rmm.admin.get("/api/keys?all=true").await.expect(200));
        assert_eq!(all[0]["user_email"], "tech@example.com");
        rmm.technician.get("/api/keys?all=true").await.problem(403, "not_allowed");
    }

    async fn the_last_use_is_written_once_a_minute(world: World) {
        let rmm = world.deploy(&[]).await;
        let script = made(&rmm, &rmm.technician, key("k", "read_only")).await;
        script.get("/api/auth/me").await.check(200);
        let first = items(&rmm.technician.get("/api/keys").await.expect(200))[0]["last_used_at"].clone();
        script.get("/api/auth/me").await.check(200);
        let second = items(&rmm.technician.get("/api/keys").await.expect(200))[0]["last_used_at"].clone();
        assert!(first.is_string() && first == second, "{first} {second}");
    }

    async fn a_key_is_at_most_what_its_maker_is(world: World) {
        let rmm = world.deploy(&[]).await;
        let refused = rmm.technician.post("/api/keys", key("k", "administrator")).await.refusal(400);
        assert_eq!(refused["field"], "role");
        let reader = made(&rmm, &rmm.technician, key("r", "read_only")).await;
        reader.get("/api/agents").await.check(200);
        reader.post("/api/v1/tunnel/open", json!({"agent_id": uuid::Uuid::new_v4()})).await.problem(403, "not_allowed");
        for (field, bad) in [("name", json!("")), ("role", json!("god")), ("expires_at", json!("soon")),
            ("expires_at", json!(Utc::now() - Duration::seconds(1))),
            ("scope", json!({"client_ids": [uuid::Uuid::new_v4()]}))] {
            let mut body = key("k", "read_only");
            body[field] = bad;
            rmm.technician.post("/api/keys", body).await.refusal(400);
        }
    }

    async fn a_key_sees_at_most_what_its_maker_sees_now(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let other = add_site(&rmm.admin, text(&client, "id"), "There").await;
        let mut body = key("narrow", "read_only");
        body["scope"] = json!({"site_ids": [other.id, rmm.site.id]});
        let narrow = made(&rmm, &rmm.technician, body.clone()).await;
        let wide = made(&rmm, &rmm.technician, key("wide", "read_only")).await;
        assert_eq!(sites(&narrow).await, 2);
        narrow.get(&format!("/api/clients/{}", other.client_id)).await.problem(403, "out_of_scope");
        let path = format!("/api/users/{}", rmm.technician_id);
        let scope = json!({"scope": {"client_ids": [other.client_id]}});
        rmm.admin.patch(&path, scope).await.check(200);
        assert_eq!((sites(&narrow).await, sites(&wide).await), (1, 1));
        narrow.get(&format!("/api/sites/{}", rmm.site.id)).await.problem(403, "out_of_scope");
        let (email, password) = gururmm_tests::deployment::TECHNICIAN;
        let again = rmm.server.anonymous().log_in(email, password).await;
        let refused = again.post("/api/keys", body).await.refusal(400);
        assert_eq!(refused["field"], "scope");
    }

    async fn a_key_makes_no_keys_and_changes_no_passwords(world: World) {
        let rmm = world.deploy(&[]).await;
        let script = made(&rmm, &rmm.admin, key("k", "administrator")).await;
        script.get("/api/users").await.check(200);
        script.post("/api/keys", key("child", "read_only")).await.problem(403, "not_with_a_key");
        let id = text(&items(&script.get("/api/keys").await.expect(200))[0], "id").to_owned();
        script.delete(&format!("/api/keys/{id}")).await.problem(403, "not_with_a_key");
        let body = json!({"current_password": gururmm_tests::deployment::ADMIN.1, "new_password": "a wholly new password"});
        script.post("/api/auth/password", body).await.problem(403, "not_with_a_key");
        script.post("/api/auth/logout", json!({})).await.problem(403, "not_with_a_key");
        rmm.admin.get("/api/auth/me").await.check(200);
    }

    async fn a_key_dies_by_deletion_and_by_its_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut body = key("short", "read_only");
        body["expires_at"] = json!(Utc::now() + Duration::seconds(3));
        let short = made(&rmm, &rmm.technician, body).await;
        let long = made(&rmm, &rmm.technician, key("long", "read_only")).await;
        gururmm_tests::eventually("the key has ended", std::time::Duration::from_secs(20), || async {
            (short.get("/api/auth/me").await.status == 401).then_some(())
        }).await;
        short.get("/api/auth/me").await.problem(401, "key_revoked");
        long.get("/api/auth/me").await.check(200);
        let list = items(&rmm.technician.get("/api/keys?q=LONG").await.expect(200));
        let path = format!("/api/keys/{}", text(&list[0], "id"));
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.delete(&path).await.problem(403, "not_allowed");
        rmm.admin.delete(&path).await.check(204);
        long.get("/api/auth/me").await.problem(401, "unknown_key");
        rmm.admin.delete(&path).await.problem(404, "not_found");
    }

    async fn a_key_dies_with_its_makers_role_and_disabling_and_does_not_come_back(world: World) {
        let rmm = world.deploy(&[]).await;
        let working = made(&rmm, &rmm.technician, key("w", "technician")).await;
        let reading = made(&rmm, &rmm.technician, key("r", "read_only")).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&path, json!({"role": "read_only"})).await.check(200);
        working.get("/api/auth/me").await.problem(401, "key_revoked");
        reading.get("/api/auth/me").await.check(200);
        rmm.admin.patch(&path, json!({"role": "technician"})).await.check(200);
        working.get("/api/auth/me").await.problem(401, "key_revoked");
        rmm.admin.patch(&path, json!({"disabled": true})).await.check(200);
        reading.get("/api/auth/me").await.problem(401, "key_revoked");
        rmm.admin.patch(&path, json!({"disabled": false})).await.check(200);
        reading.get("/api/auth/me").await.problem(401, "key_revoked");
        rmm.admin.delete(&path).await.check(204);
        reading.get("/api/auth/me").await.problem(401, "unknown_key");
    }

    async fn a_key_uses_only_the_sessions_that_were_opened_with_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let script = made(&rmm, &rmm.technician, key("k", "technician")).await;
        assert!(items(&script.get("/api/v1/tunnel").await.expect(200)).is_empty());
        let body = json!({"command": "true"});
        script.post(&format!("/api/v1/tunnel/{session}/command"), body).await.problem(403, "not_your_session");
        script.post(&format!("/api/v1/tunnel/{session}/ticket"), json!({})).await.problem(403, "not_your_session");
        let close = json!({"session_id": session});
        script.post("/api/v1/tunnel/close", close.clone()).await.problem(403, "not_your_session");
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);

        let own = gururmm_tests::deployment::open(&script, id).await;
        assert_eq!(items(&script.get("/api/v1/tunnel").await.expect(200)).len(), 1);
        script.post(&format!("/api/v1/tunnel/{own}/command"), json!({"command": "true"})).await.check(202);
        // Its maker may look after what it does.
        assert_eq!(items(&rmm.technician.get("/api/v1/tunnel").await.expect(200)).len(), 1);
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": own})).await.check(200);
    }
}

fn key(name: &str, role: &str) -> Value {
    json!({"name": name, "role": role})
}

/// Makes a key and answers a client that holds it.
async fn made(rmm: &Deployment, maker: &Api, body: Value) -> Api {
    let made = maker.post("/api/keys", body).await.expect(201);
    rmm.server.anonymous().with_token(text(&made, "key"))
}

async fn sites(api: &Api) -> usize {
    items(&api.get("/api/sites").await.expect(200)).len()
}
