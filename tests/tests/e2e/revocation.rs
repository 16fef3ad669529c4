//! Access that is taken away is taken away wholly and at once, whatever the one who asked for it,
//! or the one who loses it, does with the connection meanwhile.

use std::time::Duration;

use gururmm_shared::SessionId;
use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::{Api, Deployment, HeldRequest, Obstacle, RawAgent, World, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_log_out_ends_the_sessions_even_if_the_client_hangs_up(world: World) {
        let (rmm, agent, session) = with_session(&world).await;
        let path = "/api/auth/logout";
        hang_up_in_mid_revocation(&rmm, &rmm.technician, ("POST", path, json!({}))).await;
        ended(&rmm, agent, session).await;
    }

    async fn a_change_of_role_ends_the_sessions_even_if_the_client_hangs_up(world: World) {
        let (rmm, agent, session) = with_session(&world).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        let body = json!({"role": "read_only"});
        hang_up_in_mid_revocation(&rmm, &rmm.admin, ("PATCH", &path, body)).await;
        ended(&rmm, agent, session).await;
    }

    async fn a_disabling_ends_the_sessions_even_if_the_client_hangs_up(world: World) {
        let (rmm, agent, session) = with_session(&world).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        let body = json!({"disabled": true});
        hang_up_in_mid_revocation(&rmm, &rmm.admin, ("PATCH", &path, body)).await;
        ended(&rmm, agent, session).await;
    }

    async fn a_new_password_ends_the_sessions_even_if_the_client_hangs_up(world: World) {
        let (rmm, agent, session) = with_session(&world).await;
        let path = "/api/auth/password";
        let body = json!({"current_password": TECHNICIAN.1, "new_password": "a wholly new password"});
        hang_up_in_mid_revocation(&rmm, &rmm.technician, ("POST", path, body)).await;
        ended(&rmm, agent, session).await;
    }

    async fn a_deleted_key_ends_the_sessions_that_were_opened_with_it_and_no_others(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let key = json!({"name": "script", "role": "technician"});
        let key = rmm.technician.post("/api/keys", key).await.expect(201);
        let script = rmm.server.anonymous().with_token(key["key"].as_str().unwrap());
        let open = script.post("/api/v1/tunnel/open", json!({"agent_id": id}));
        let (opened, asked) = tokio::join!(open, async {
            let session = agent.tunnel_open().await;
            agent.ready(session).await;
            session
        });
        opened.check(201);
        let (mut other, other_id) = rmm.raw_agent().await;
        let kept = rmm.open_raw(&mut other, other_id).await;
        let path = format!("/api/keys/{}", key["id"].as_str().unwrap());
        rmm.technician.delete(&path).await.check(204);
        assert_eq!(agent.tunnel_close().await, asked);
        rmm.wait_session(asked, "closed", "access_revoked", Duration::from_secs(5)).await;
        let status = rmm.technician.get(&format!("/api/v1/tunnel/status/{kept}")).await.expect(200);
        assert_eq!(status["status"], "ready", "its owner's log-in was not revoked");
    }

    async fn a_key_that_expires_ends_the_sessions_that_were_opened_with_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let expires_at = chrono::Utc::now() + chrono::Duration::seconds(4);
        let key = json!({"name": "brief", "role": "technician", "expires_at": expires_at});
        let key = rmm.technician.post("/api/keys", key).await.expect(201);
        let script = rmm.server.anonymous().with_token(key["key"].as_str().unwrap());
        let open = script.post("/api/v1/tunnel/open", json!({"agent_id": id}));
        let (opened, asked) = tokio::join!(open, async {
            let session = agent.tunnel_open().await;
            agent.ready(session).await;
            session
        });
        opened.check(201);
        assert_eq!(agent.tunnel_close().await, asked);
        assert!(chrono::Utc::now() >= expires_at, "not before its time");
        rmm.wait_session(asked, "closed", "access_revoked", Duration::from_secs(5)).await;
    }

    async fn a_request_that_is_held_open_is_refused_once_its_user_is_revoked(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.raw_agent().await;
        let (other_id, other) = rmm.add_user("second@example.com", "administrator").await;
        let none = uuid::Uuid::new_v4();
        let user = json!({"email": "late@example.com", "password": "a long password 5", "role": "administrator"});
        let mut held = Vec::new();
        for (method, path, body) in [
            ("POST", "/api/users".to_owned(), user),
            ("PATCH", format!("/api/users/{}", rmm.technician_id), json!({"disabled": true})),
            ("POST", "/api/auth/password".to_owned(),
                json!({"current_password": "another long password", "new_password": "a wholly new password"})),
            ("POST", "/api/clients".to_owned(), json!({"name": "A Late Client"})),
            ("POST", "/api/sites".to_owned(), json!({"client_id": rmm.site.client_id, "name": "A Late Site"})),
            ("POST", format!("/api/agents/{id}/move"), json!({"site_id": rmm.site.id})),
            ("POST", "/api/v1/tunnel/open".to_owned(), json!({"agent_id": id})),
            ("POST", "/api/v1/tunnel/close".to_owned(), json!({"session_id": none})),
            ("POST", format!("/api/v1/tunnel/{none}/command"), json!({"command": "true"})),
        ] {
            let request = HeldRequest::begin(&other, method, &path, &body).await;
            held.push((path, request));
        }
        let path = format!("/api/users/{other_id}");
        rmm.admin.patch(&path, json!({"disabled": true})).await.check(200);
        for (path, request) in held {
            let (status, answer) = request.finish().await;
            assert_eq!((status, &answer["code"]), (401, &json!("token_revoked")), "{path}: {answer}");
        }
        let users = rmm.admin.get("/api/users").await.expect(200);
        assert!(!users.to_string().contains("late@example.com"), "{users}");
        rmm.technician.get("/api/auth/me").await.check(200);
    }

    async fn a_request_that_is_held_open_does_what_it_asks_for_while_its_user_may(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"name": "A Slow Client"});
        let request = HeldRequest::begin(&rmm.admin, "POST", "/api/clients", &body).await;
        let (status, answer) = request.finish().await;
        assert_eq!((status, &answer["name"]), (201, &json!("A Slow Client")), "{answer}");
    }
}

async fn with_session(world: &World) -> (Deployment, RawAgent, SessionId) {
    let rmm = world.deploy(&[]).await;
    let (mut agent, id) = rmm.raw_agent().await;
    let session = rmm.open_raw(&mut agent, id).await;
    (rmm, agent, session)
}

/// Asks for a revocation and hangs up while it is being written.
async fn hang_up_in_mid_revocation(rmm: &Deployment, api: &Api, asked: (&str, &str, Value)) {
    let (method, path, body) = asked;
    let revokes = "NEW.token_version <> OLD.token_version";
    let slow = Obstacle::slowing(&rmm.database, "UPDATE", "users", revokes).await;
    let request = HeldRequest::send(api, method, path, &body).await;
    slow.wait_holds().await;
    request.hang_up().await;
    assert!(
        slow.holds().await,
        "the client hung up too late to show anything"
    );
    slow.remove().await;
}

/// The session ends on both sides, and its owner is out.
async fn ended(rmm: &Deployment, mut agent: RawAgent, session: SessionId) {
    assert_eq!(agent.tunnel_close().await, session);
    let limit = Duration::from_secs(10);
    rmm.wait_session(session, "closed", "access_revoked", limit)
        .await;
    rmm.technician
        .get("/api/auth/me")
        .await
        .problem(401, "token_revoked");
}
