//! Who may not any more is out within 5 s: the session, its stream and its log-in, whatever took the right
//! away.

use std::time::Duration;

use gururmm_shared::{SessionId, close_code};
use gururmm_tests::api::text;
use gururmm_tests::terminal_viewer::ask_for_ticket;
use gururmm_tests::viewer::Viewer;
use gururmm_tests::{Api, Deployment, World, on_both_databases};
use serde_json::{Value, json};

/// What the product promises.
const PROMISED: Duration = Duration::from_secs(5);
const PASSWORD: &str = "another long password";

on_both_databases! {
    async fn a_role_change_ends_session_and_stream_within_5_s(world: World) {
        let body = json!({"role": "read_only"});
        let (rmm, session) = out_after(&world, async |rmm, user, _| changed(rmm, user, body.clone()).await).await;
        rmm.wait_session(session, "closed", "access_revoked", PROMISED).await;
    }

    async fn a_scope_change_ends_session_and_stream_within_5_s(world: World) {
        let body = json!({"scope": {"client_ids": []}});
        let (rmm, session) = out_after(&world, async |rmm, user, _| changed(rmm, user, body.clone()).await).await;
        rmm.wait_session(session, "closed", "access_revoked", PROMISED).await;
    }

    async fn a_disabling_ends_session_and_stream_within_5_s(world: World) {
        let body = json!({"disabled": true});
        let (rmm, session) = out_after(&world, async |rmm, user, _| changed(rmm, user, body.clone()).await).await;
        rmm.wait_session(session, "closed", "access_revoked", PROMISED).await;
    }

    async fn a_deletion_ends_session_and_stream_within_5_s(world: World) {
        out_after(&world, async |rmm, user, _| {
            rmm.admin.delete(&format!("/api/users/{user}")).await.check(204);
        }).await;
    }

    async fn a_log_out_ends_session_and_stream_within_5_s(world: World) {
        out_after(&world, async |_, _, api| {
            api.post("/api/auth/logout", json!({})).await.check(204);
        }).await;
    }

    async fn a_new_password_ends_session_and_stream_within_5_s(world: World) {
        out_after(&world, async |_, _, api| {
            let body = json!({"current_password": PASSWORD, "new_password": "a wholly new password"});
            api.post("/api/auth/password", body).await.check(200);
        }).await;
    }

    async fn a_watcher_who_is_disabled_or_logs_out_is_closed_within_5_s(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let (first_id, first) = rmm.add_user("first@example.com", "administrator").await;
        let (_, second) = rmm.add_user("second@example.com", "administrator").await;
        let mut watchers = Vec::new();
        for api in [&first, &second] {
            let ticket = ask_for_ticket(api, session, json!({"read_only": true})).await.expect(201);
            let query = format!("ticket={}", text(&ticket, "ticket"));
            let mut watcher = Viewer::connect(api, session, &query, None).await.expect("a stream");
            watcher.session().await;
            watchers.push(watcher);
        }
        rmm.admin.patch(&format!("/api/users/{first_id}"), json!({"disabled": true})).await.check(200);
        second.post("/api/auth/logout", json!({})).await.check(204);
        for mut watcher in watchers {
            let code = tokio::time::timeout(PROMISED, watcher.close_code()).await;
            assert_eq!(code.expect("it ends in the promised time"), Some(close_code::POLICY));
        }
        // Whose session it is is not disturbed.
        rmm.technician.get(&format!("/api/v1/tunnel/status/{session}")).await.check(200);
        Viewer::open(&rmm.technician, session).await.session().await;
    }
}

async fn changed(rmm: &Deployment, user: &str, body: Value) {
    let path = format!("/api/users/{user}");
    rmm.admin.patch(&path, body).await.check(200);
}

/// A technician with a session and a stream, whose right is then taken away.
async fn out_after(
    world: &World,
    act: impl AsyncFn(&Deployment, &str, &Api),
) -> (Deployment, SessionId) {
    let rmm = world.deploy(&[]).await;
    let (mut agent, id) = rmm.raw_agent().await;
    let (user, api) = rmm.add_user("soon.gone@example.com", "technician").await;
    let (session, ()) = tokio::join!(gururmm_tests::deployment::open(&api, id), async {
        let session = agent.tunnel_open().await;
        agent.ready(session).await;
    });
    let mut viewer = Viewer::open(&api, session).await;
    viewer.session().await;
    act(&rmm, &user, &api).await;
    let out = tokio::time::timeout(PROMISED, async {
        assert_eq!(agent.tunnel_close().await, session);
        // An agent of this protocol confirms; this one says nothing, and the server does not wait long.
        let (last, code) = viewer.closed().await;
        assert_eq!(last.reason, "access_revoked");
        assert_eq!(code, Some(close_code::NORMAL));
    });
    out.await.expect("the stream ends in the promised time");
    api.get("/api/auth/me").await.refusal(401);
    (rmm, session)
}
