//! Who may not any more is out within 5 s: the session, its stream and its log-in, whatever took the right
//! away.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use gururmm_shared::{SessionId, close_code};
use gururmm_tests::api::text;
use gururmm_tests::terminal_viewer::ask_for_ticket;
use gururmm_tests::viewer::Viewer;
use gururmm_tests::{
    Api, Deployment, Files, PreparedAgent, Surroundings, TcpChannel, World, on_both_databases,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

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

    async fn a_log_out_ends_tcp_downloads_and_watches_within_5_s(world: World) {
        transfers_end_after(&world, async |_, _, api| {
            api.post("/api/auth/logout", json!({})).await.check(204);
        }).await;
    }

    async fn a_role_change_ends_tcp_downloads_and_watches_within_5_s(world: World) {
        let body = json!({"role": "read_only"});
        transfers_end_after(&world, async |rmm, user, _| changed(rmm, user, body.clone()).await).await;
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

/// A technician with a TCP connection, a download and a watch of services, whose right is then taken away.
async fn transfers_end_after(world: &World, act: impl AsyncFn(&Deployment, &str, &Api)) {
    let rmm = world.deploy(&[]).await;
    let programs = systemctl(world);
    let (_agent, id) = PreparedAgent::start(&rmm, Surroundings::Programs(&programs)).await;
    let (user, api) = rmm.add_user("soon.gone@example.com", "technician").await;
    let session = gururmm_tests::deployment::open(&api, id).await;
    let files = Files::of(&api, session);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut tcp = TcpChannel::open(&api, session, to).await;
    let (mut peer, _) = listener.accept().await.unwrap();
    tcp.send(&b"here"[..]).await;
    peer.read_exact(&mut [0; 4]).await.unwrap();
    // Zeros without end, as far as the time of this test goes, that take no room.
    let large = world.file("large");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len(1 << 40).unwrap();
    let query = [("path", gururmm_tests::files::text(&large))];
    let mut download = begun(&files, "files/content", &query).await;
    let mut watch = begun(&files, "services/watch", &[]).await;

    act(&rmm, &user, &api).await;
    let out = tokio::time::timeout(PROMISED, async {
        tokio::join!(
            tcp.closed(),
            async {
                // By an end or a reset.
                let _ = peer.read_to_end(&mut Vec::new()).await;
            },
            async { while let Some(Ok(_)) = download.next().await {} },
            async { while let Some(Ok(_)) = watch.next().await {} },
        )
    });
    out.await.expect("all end in the promised time");
    rmm.wait_session(session, "closed", "access_revoked", PROMISED)
        .await;
}

/// The body of an answer of which some has come.
async fn begun(
    files: &Files,
    route: &str,
    query: &[(&str, &str)],
) -> BoxStream<'static, reqwest::Result<Bytes>> {
    let response = files.request(Method::GET, route, query).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.bytes_stream().boxed();
    assert!(!body.next().await.unwrap().unwrap().is_empty());
    body
}

/// A `PATH` in which `systemctl` tells of one service.
fn systemctl(world: &World) -> String {
    let folder = world.file("bin");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("systemctl");
    let script = "#!/bin/sh\ncase \"$1\" in\nlist-units) echo 'ssh.service loaded active running A shell' ;;\nesac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
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
