//! Alerts: raised by rules, over by themselves, taken care of by people.

use chrono::{Duration as Time, Utc};
use gururmm_shared::{AgentId, AgentMessage, Metrics, UpdateResult, WatchdogEvent};
use gururmm_tests::api::items;
use gururmm_tests::wait::{SOON, eventually_trying};
use gururmm_tests::{Deployment, RawAgent, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_flapping_agent_raises_only_so_many_alerts(world: World) {
        let rmm = world.deploy(&[]).await;
        rules(&rmm, json!({"service_down": {"enabled": true}, "cpu": {"above_percent": 90, "for_minutes": 0}})).await;
        let (mut agent, id) = rmm.raw_agent().await;
        // Not before it is watched.
        raise(&rmm, &mut agent, id).await;
        // Its reports are limited too, and come back with time; each name is an alert of its own.
        for number in 0..60 {
            let event = WatchdogEvent { service: format!("s{number}"), event: "stopped".to_owned(), message: None, timestamp: None, waited_seconds: None };
            agent.send(&AgentMessage::WatchdogEvent(event)).await;
        }
        eventually("the flood is told", SOON, || async {
            let figures = rmm.admin.get("/metrics").await.text;
            figures.lines().any(|line| line.starts_with("gururmm_alerts_dropped_total") && !line.ends_with(" 0")).then_some(())
        })
        .await;
        let alerts = items(&rmm.admin.get("/api/alerts?limit=100").await.expect(200)).len();
        assert!(alerts <= 50, "{alerts}");
    }

    async fn an_agent_that_is_offline_raises_an_alert_that_is_over_when_it_is_back(world: World) {
        let rmm = world.deploy(&[]).await;
        rules(&rmm, json!({"offline": {"for_minutes": 0}})).await;
        let (agent, id, key) = keyed(&rmm).await;
        rmm.wait_status(id, "online", SOON).await;
        agent.close().await;
        let alert = alert(&rmm, id, "offline", "open").await;
        assert_eq!(alert["severity"], "critical");
        assert_eq!(alert["hostname"], "raw-agent");
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        agent.enrol(&key).await;
        let over = self::alert(&rmm, id, "offline", "resolved").await;
        assert_eq!(over["id"], alert["id"]);
        assert!(over["resolved_at"].is_string() && over["resolved_by"].is_null(), "{over}");
    }

    async fn a_load_raises_one_alert_and_is_over_only_below_its_margin(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"above_percent": 90, "margin_percent": 10, "for_minutes": 0,
            "resolve_minutes": 0}})).await;
        raise(&rmm, &mut agent, id).await;
        for percent in [85.0, 95.0, 89.0, 99.0, 81.0] {
            cpu(&mut agent, percent).await;
        }
        barrier(&rmm, &mut agent, id).await;
        assert_eq!(of(&rmm, id, "cpu", "unresolved").await.len(), 1);
        cpu(&mut agent, 50.0).await;
        alert(&rmm, id, "cpu", "resolved").await;
        raise(&rmm, &mut agent, id).await;
        assert_eq!(of(&rmm, id, "cpu", "resolved").await.len(), 1);
    }

    async fn services_updates_and_clocks_raise_alerts_of_their_own(world: World) {
        let rmm = world.deploy(&[]).await;
        rules(&rmm, json!({"service_down": {}, "watchdog_gave_up": {"severity": "critical"},
            "update_failed": {}, "clock": {"off_by_seconds": 60}, "cpu": {"enabled": false}})).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let skewed = Metrics { timestamp: Some(Utc::now() - Time::hours(2)), ..Metrics::default() };
        eventually_trying("the wrong clock is noticed", SOON, async || {
            agent.send(&AgentMessage::Metrics(skewed.clone())).await;
            of(&rmm, id, "clock", "open").await.pop()
        })
        .await;
        service(&mut agent, "stopped").await;
        alert(&rmm, id, "service_down:nginx", "open").await;
        service(&mut agent, "gave_up").await;
        assert_eq!(alert(&rmm, id, "watchdog_gave_up:nginx", "open").await["severity"], "critical");
        service(&mut agent, "restarted").await;
        alert(&rmm, id, "service_down:nginx", "resolved").await;
        alert(&rmm, id, "watchdog_gave_up:nginx", "resolved").await;
        let failed = UpdateResult { version: Some("9".to_owned()), success: false, error: None, code: None };
        agent.send(&AgentMessage::UpdateResult(failed)).await;
        alert(&rmm, id, "update_failed", "open").await;
        assert!(of(&rmm, id, "cpu", "unresolved").await.is_empty());
    }

    async fn an_alert_is_taken_put_off_and_resolved_by_people(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0}})).await;
        let open = raise(&rmm, &mut agent, id).await;
        let path = format!("/api/alerts/{}", open["id"].as_str().unwrap());
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.post(&format!("{path}/acknowledge"), json!({})).await.problem(403, "not_allowed");
        let taken = rmm.technician.post(&format!("{path}/acknowledge"), json!({})).await.expect(200);
        assert_eq!((&taken["status"], &taken["acknowledged_by"]), (&json!("acknowledged"), &json!(rmm.technician_id)));
        rmm.technician.post(&format!("{path}/acknowledge"), json!({})).await.problem(409, "alert_acknowledged");
        let past = json!({"until": Utc::now() - Time::hours(1)});
        rmm.technician.post(&format!("{path}/snooze"), past).await.problem(400, "invalid_field");
        let later = json!({"until": Utc::now() + Time::hours(1)});
        let snoozed = rmm.technician.post(&format!("{path}/snooze"), later).await.expect(200);
        assert!(snoozed["snoozed_until"].is_string());
        let done = rmm.technician.post(&format!("{path}/resolve"), json!({})).await.expect(200);
        assert_eq!((&done["status"], &done["resolved_by"]), (&json!("resolved"), &json!(rmm.technician_id)));
        for what in ["resolve", "acknowledge"] {
            rmm.technician.post(&format!("{path}/{what}"), json!({})).await.problem(409, "alert_resolved");
        }
        // What is still so raises a new one.
        let again = raise(&rmm, &mut agent, id).await;
        assert_ne!(again["id"], open["id"]);
        let page = rmm.technician.get("/api/alerts?limit=1").await.expect(200);
        let next = page["next_cursor"].as_str().unwrap();
        let rest = rmm.technician.get(&format!("/api/alerts?limit=1&cursor={next}")).await.expect(200);
        assert_eq!((&items(&page)[0]["id"], &items(&rest)[0]["id"]), (&again["id"], &open["id"]));
        rmm.technician.get("/api/alerts?status=bad").await.problem(400, "invalid_field");
        assert!(items(&rmm.technician.get("/api/alerts?severity=critical").await.expect(200)).is_empty());
    }

    async fn in_a_maintenance_window_no_alert_is_opened(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut quiet, first) = rmm.raw_agent().await;
        let (mut loud, second) = rmm.raw_agent().await;
        let body = json!({"agent_id": first, "ends_at": Utc::now() + Time::hours(1), "reason": "new disks"});
        let window = rmm.technician.post("/api/maintenance", body).await.expect(201);
        assert_eq!(items(&rmm.technician.get("/api/maintenance").await.expect(200)).len(), 1);
        rules(&rmm, json!({"cpu": {"for_minutes": 0}})).await;
        raise(&rmm, &mut loud, second).await;
        // The rules are known: from here on each sample counts.
        cpu(&mut quiet, 99.0).await;
        cpu(&mut loud, 10.0).await;
        rmm.wait_status(first, "online", SOON).await;
        assert!(of(&rmm, first, "cpu", "unresolved").await.is_empty());
        let past = json!({"ends_at": Utc::now() - Time::hours(1), "reason": "late"});
        rmm.admin.post("/api/maintenance", past).await.problem(400, "invalid_field");
        let id = window["id"].as_str().unwrap();
        rmm.technician.delete(&format!("/api/maintenance/{id}")).await.check(204);
        raise(&rmm, &mut quiet, first).await;
    }

    async fn an_alert_outlives_the_server_and_is_not_raised_twice(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = keyed(&rmm).await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0}})).await;
        let open = raise(&rmm, &mut agent, id).await;
        rmm.server.stop().await;
        rmm.server.restart().await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        agent.enrol(&key).await;
        cpu(&mut agent, 99.0).await;
        let over = eventually_trying("the alert is over", SOON, async || {
            cpu(&mut agent, 10.0).await;
            of(&rmm, id, "cpu", "resolved").await.pop()
        })
        .await;
        assert_eq!(over["id"], open["id"]);
        assert_eq!(of(&rmm, id, "cpu", "unresolved").await.len(), 0);
    }
}

/// Sets the rules of all agents.
pub async fn rules(rmm: &Deployment, alerts: Value) {
    let body = json!({"name": "alerts", "settings": {"alerts": alerts}});
    rmm.admin.post("/api/policies", body).await.check(201);
}

/// Connects an agent; answers its id and its key too.
async fn keyed(rmm: &Deployment) -> (RawAgent, AgentId, String) {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let ack = agent.enrol(&rmm.site.code).await;
    (agent, ack.agent_id.unwrap(), ack.api_key.unwrap())
}

async fn cpu(agent: &mut RawAgent, percent: f64) {
    let sample = Metrics {
        cpu_percent: Some(percent),
        ..Metrics::default()
    };
    agent.send(&AgentMessage::Metrics(sample)).await;
}

/// Sends a load that is too high until there is an alert: the rules may not be known at once.
pub async fn raise(rmm: &Deployment, agent: &mut RawAgent, id: AgentId) -> Value {
    eventually_trying("the load raises an alert", SOON, async || {
        cpu(agent, 99.0).await;
        of(rmm, id, "cpu", "open").await.pop()
    })
    .await
}

/// Waits until what the agent sent before is known.
async fn barrier(rmm: &Deployment, agent: &mut RawAgent, id: AgentId) {
    let sample = Metrics {
        uptime_seconds: Some(4242),
        ..Metrics::default()
    };
    agent.send(&AgentMessage::Metrics(sample)).await;
    eventually("the last sample is known", SOON, || async {
        let state = rmm
            .admin
            .get(&format!("/api/agents/{id}/state"))
            .await
            .expect(200);
        (state["metrics"]["uptime_seconds"] == 4242).then_some(())
    })
    .await;
}

async fn service(agent: &mut RawAgent, event: &str) {
    let event = WatchdogEvent {
        service: "nginx".to_owned(),
        event: event.to_owned(),
        message: None,
        timestamp: None,
        waited_seconds: None,
    };
    agent.send(&AgentMessage::WatchdogEvent(event)).await;
}

async fn of(rmm: &Deployment, id: AgentId, kind: &str, status: &str) -> Vec<Value> {
    let path = format!("/api/alerts?agent_id={id}&status={status}");
    let found = items(&rmm.technician.get(&path).await.expect(200));
    found
        .into_iter()
        .filter(|alert| alert["kind"] == kind)
        .collect()
}

/// Waits for an alert.
pub async fn alert(rmm: &Deployment, id: AgentId, kind: &str, status: &str) -> Value {
    let what = format!("an alert {kind} is {status}");
    eventually(&what, SOON, || async {
        of(rmm, id, kind, status).await.pop()
    })
    .await
}
