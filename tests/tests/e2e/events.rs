//! The stream of events: what happens is told to whoever may see it, soon and not too often.

use std::time::Duration;

use chrono::{Duration as Time, Utc};
use gururmm_shared::{AgentMessage, Metrics, close_code};
use gururmm_tests::api::text;
use gururmm_tests::commands::success;
use gururmm_tests::deployment::{Site, TECHNICIAN, add_site};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Api, Deployment, RawAgent, Subscriber, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::alerts::{raise, rules};

/// What the product promises to who may not any more.
const PROMISED: Duration = Duration::from_secs(5);
const PASSWORD: &str = "another long password";

on_both_databases! {
    async fn an_agent_that_comes_works_and_goes_is_told_with_its_state(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut events = Subscriber::open(&rmm.technician).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let of = move |event: &Value| event["agent_id"] == id.to_string();
        events.expect("agent_changed", of).await;
        let state = |wanted: &'static str| move |event: &Value| of(event) && event["state"] == wanted;
        let came = events.expect("agent", state("heartbeat")).await;
        assert_eq!(came["status"], "online");
        assert!(came["last_seen"].is_string(), "{came}");
        let session = rmm.open_raw(&mut agent, id).await;
        let ready = events.expect("session", of).await;
        assert_eq!((&ready["session_id"], &ready["status"]), (&json!(session.to_string()), &json!("ready")));
        assert_eq!(events.expect("agent", state("tunnel")).await["status"], "online");
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": session})).await.check(200);
        assert_eq!(events.expect("session", of).await["status"], "closed");
        events.expect("agent", state("heartbeat")).await;
        agent.close().await;
        assert_eq!(events.expect("agent", state("offline")).await["status"], "offline");
    }

    async fn a_load_is_told_at_most_once_in_5_s_and_the_last_one_in_the_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let mut events = Subscriber::open(&rmm.technician).await;
        for percent in 1..=20 {
            load(&mut agent, f64::from(percent)).await;
        }
        let last = move |event: &Value| event["agent_id"] == id.to_string() && event["cpu_percent"] == 20.0;
        let heard = events.until("agent", last).await;
        let told = heard.iter().filter(|event| event["type"] == "agent").count();
        assert!(told <= 3, "{heard:?}");
        assert_eq!(heard.last().unwrap()["memory_percent"], 50.0);
    }

    async fn commands_jobs_and_alerts_are_told_as_they_go_on(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let mut events = Subscriber::open(&rmm.technician).await;
        let command = rmm.give(id, "true").await;
        let sent = agent.command().await;
        let of = move |event: &Value| event["command_id"] == command.to_string();
        events.expect("command", move |event| of(event) && event["status"] == "running").await;
        agent.result(success(sent.id, "")).await;
        let ended = events.expect("command", move |event| of(event) && event["status"] == "completed").await;
        assert_eq!((&ended["agent_id"], &ended["job_id"]), (&json!(id.to_string()), &Value::Null));
        let body = json!({"name": "All", "command": "true", "filter": {"agent_ids": [id]}});
        let job = rmm.technician.post("/api/jobs", body).await.expect(201);
        let job_id = text(&job, "id").to_owned();
        events.expect("job", |event| event["job_id"] == job_id).await;
        let sent = agent.command().await;
        agent.result(success(sent.id, "")).await;
        events.expect("command", |event| event["job_id"] == job_id && event["status"] == "completed").await;
        events.expect("job", |event| event["job_id"] == job_id).await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "severity": "critical"}})).await;
        let alert = raise(&rmm, &mut agent, id).await;
        let alert_id = text(&alert, "id").to_owned();
        let told = events.expect("alert", |event| event["alert_id"] == alert_id).await;
        assert_eq!((&told["status"], &told["severity"]), (&json!("open"), &json!("critical")));
        rmm.technician.post(&format!("/api/alerts/{alert_id}/acknowledge"), json!({})).await.check(200);
        events.expect("alert", |event| event["alert_id"] == alert_id && event["status"] == "acknowledged").await;
    }

    async fn agents_that_are_made_moved_and_deleted_are_told(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let mut events = Subscriber::open(&rmm.admin).await;
        let body = json!({"site_id": rmm.site.id, "device_id": "by-hand", "hostname": "by-hand"});
        let made = rmm.admin.post("/api/agents", body).await.expect(201);
        let id = text(&made, "id").to_owned();
        let of = |event: &Value| event["agent_id"] == id;
        events.expect("agent_changed", of).await;
        rmm.admin.post(&format!("/api/agents/{id}/move"), json!({"site_id": other.id})).await.check(200);
        events.expect("agent_changed", of).await;
        rmm.admin.delete(&format!("/api/agents/{id}")).await.check(204);
        events.expect("agent_changed", of).await;
        let token = json!({"site_id": rmm.site.id, "approval": true});
        let token = rmm.admin.post("/api/registration-tokens", token).await.expect(201);
        let body = json!({"site_code": text(&token, "token"), "device_id": "waits", "hostname": "waits"});
        let waits = rmm.server.anonymous().post("/api/agent/register-legacy", body).await.expect(201);
        let id = text(&waits, "agent_id").to_owned();
        events.expect("agent_changed", |event| event["agent_id"] == id).await;
        rmm.admin.post(&format!("/api/agents/{id}/approve"), json!({})).await.check(200);
        events.expect("agent_changed", |event| event["agent_id"] == id).await;
    }

    async fn nobody_is_told_of_another_client_and_a_move_is_told_to_both(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let there = add_site(&rmm.admin, text(&client, "id"), "There").await;
        let here = scoped(&rmm, "here@example.com", &rmm.site).await;
        let elsewhere = scoped(&rmm, "there@example.com", &there).await;
        let mut ours = Subscriber::open(&here).await;
        let mut theirs = Subscriber::open(&elsewhere).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let command = rmm.give(id, "true").await;
        let sent = agent.command().await;
        agent.result(success(sent.id, "")).await;
        rmm.wait_command(command, "completed").await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0}})).await;
        raise(&rmm, &mut agent, id).await;
        let of = move |event: &Value| event["agent_id"] == id.to_string();
        let mut heard = ours.until("alert", of).await;
        // A technician's sessions are told to themselves and to who may watch them.
        let session = rmm.open_raw(&mut agent, id).await;
        heard.extend(ours.until("agent", move |event| of(event) && event["state"] == "tunnel").await);
        assert!(heard.iter().any(|event| event["type"] == "command"), "{heard:?}");
        assert!(heard.iter().all(|event| event["type"] != "session"), "{heard:?}");
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": session})).await.check(200);
        rmm.admin.post(&format!("/api/agents/{id}/move"), json!({"site_id": there.id})).await.check(200);
        ours.expect("agent_changed", of).await;
        // Their first word of it is that it came to them.
        let first = theirs.next().await.expect("the stream goes on");
        assert_eq!((&first["type"], &first["agent_id"]), (&json!("agent_changed"), &json!(id.to_string())), "{first}");
        load(&mut agent, 33.0).await;
        theirs.expect("agent", of).await;
        agent.close().await;
        theirs.expect("agent", move |event| of(event) && event["status"] == "offline").await;
        let quiet = ours.next_within(Duration::from_secs(1)).await;
        assert!(quiet.is_none(), "it is theirs now: {quiet:?}");
    }

    async fn a_browser_hears_of_it_with_its_cookie(world: World) {
        let rmm = world.deploy(&[]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(TECHNICIAN.0, TECHNICIAN.1).await;
        let mut events = Subscriber::open(&browser).await;
        events.say(r#"{"type":"ping"}"#).await;
        events.expect("pong", |_| true).await;
        let (_agent, id) = rmm.raw_agent().await;
        events.expect("agent", |event| event["agent_id"] == id.to_string()).await;
    }

    async fn a_user_has_so_many_streams_and_no_more(world: World) {
        let rmm = world.deploy(&[("limits.event_streams_per_user", "2")]).await;
        let _one = Subscriber::open(&rmm.technician).await;
        let two = Subscriber::open(&rmm.technician).await;
        assert_eq!(Subscriber::connect(&rmm.technician, None).await.err(), Some(429));
        let _other = Subscriber::open(&rmm.admin).await;
        let figures = rmm.server.anonymous().get("/metrics").await.text;
        assert!(figures.contains("gururmm_event_subscribers 3"), "{figures}");
        drop(two);
        eventually("a place is free again", SOON, || async {
            Subscriber::connect(&rmm.technician, None).await.ok()
        })
        .await;
    }

    async fn a_log_out_ends_the_stream_within_5_s(world: World) {
        out_after(world, async |_, _, api| api.post("/api/auth/logout", json!({})).await.check(204)).await;
    }

    async fn a_role_change_ends_the_stream_within_5_s(world: World) {
        out_after(world, async |rmm, user, _| {
            rmm.admin.patch(&format!("/api/users/{user}"), json!({"role": "read_only"})).await.check(200);
        }).await;
    }

    async fn a_scope_change_ends_the_stream_within_5_s(world: World) {
        out_after(world, async |rmm, user, _| {
            let body = json!({"scope": {"client_ids": []}});
            rmm.admin.patch(&format!("/api/users/{user}"), body).await.check(200);
        }).await;
    }

    async fn a_deletion_ends_the_stream_within_5_s(world: World) {
        out_after(world, async |rmm, user, _| {
            rmm.admin.delete(&format!("/api/users/{user}")).await.check(204);
        }).await;
    }

    async fn a_stream_ends_with_the_key_that_opened_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let soon = Utc::now() + Time::seconds(3);
        let mut streams = Vec::new();
        for expires in [json!(null), json!(soon)] {
            let body = json!({"name": "k", "role": "read_only", "expires_at": expires});
            let key = rmm.technician.post("/api/keys", body).await.expect(201);
            let api = rmm.server.anonymous().with_token(text(&key, "key"));
            streams.push((Subscriber::open(&api).await, text(&key, "id").to_owned()));
        }
        let (mut deleted, id) = streams.remove(0);
        rmm.technician.delete(&format!("/api/keys/{id}")).await.check(204);
        assert_eq!(deleted.close_code().await, Some(close_code::POLICY));
        let (mut expired, _) = streams.remove(0);
        assert_eq!(expired.close_code().await, Some(close_code::POLICY));
        assert!(Utc::now() >= soon, "not before its time");
    }

    async fn a_server_that_stops_says_so(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let mut events = Subscriber::open(&rmm.technician).await;
        rmm.server.terminate();
        assert_eq!(events.close_code().await, Some(close_code::GOING_AWAY));
        rmm.server.wait_stopped().await;
    }
}

async fn load(agent: &mut RawAgent, percent: f64) {
    let sample = Metrics {
        cpu_percent: Some(percent),
        memory_used_bytes: Some(1),
        memory_total_bytes: Some(2),
        ..Metrics::default()
    };
    agent.send(&AgentMessage::Metrics(sample)).await;
}

/// A technician who may act in the client of a site alone.
async fn scoped(rmm: &Deployment, email: &str, site: &Site) -> Api {
    let body = json!({"email": email, "password": PASSWORD, "role": "technician",
        "scope": {"client_ids": [site.client_id]}});
    rmm.admin.post("/api/users", body).await.check(201);
    rmm.server.anonymous().log_in(email, PASSWORD).await
}

/// A technician with a stream, whose right is then taken away.
async fn out_after(world: gururmm_tests::World, act: impl AsyncFn(&Deployment, &str, &Api)) {
    let rmm = world.deploy(&[]).await;
    let (user, api) = rmm.add_user("soon.gone@example.com", "technician").await;
    let mut events = Subscriber::open(&api).await;
    act(&rmm, &user, &api).await;
    let closed = tokio::time::timeout(PROMISED, events.close_code()).await;
    assert_eq!(
        closed.expect("in the promised time"),
        Some(close_code::POLICY)
    );
    assert_eq!(Subscriber::connect(&api, None).await.err(), Some(401));
}
