//! Rules of alerts one by one: which load, at which level of policies, and to whom it is told.

use std::time::Duration;

use chrono::{Duration as Time, Utc};
use gururmm_shared::{AgentId, AgentMessage, Metrics};
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::add_site;
use gururmm_tests::receiver::WebhookReceiver;
use gururmm_tests::wait::{SOON, eventually_trying};
use gururmm_tests::{Deployment, RawAgent, eventually, hold, on_both_databases};
use serde_json::{Value, json};

use crate::alerts::{alert, raise, rules};

const LOCAL: (&str, &str) = ("notifications.allow_private_targets", "true");

on_both_databases! {
    async fn memory_above_its_threshold_raises_an_alert_that_is_over_below_it(world: World) {
        a_share(world, "memory", |used| Metrics {
            memory_used_bytes: Some(used), memory_total_bytes: Some(100), ..Metrics::default()
        }).await;
    }

    async fn disks_above_their_threshold_raise_an_alert_that_is_over_below_it(world: World) {
        a_share(world, "disk", |used| Metrics {
            disk_used_bytes: Some(used), disk_total_bytes: Some(100), ..Metrics::default()
        }).await;
    }

    async fn of_a_rule_at_several_levels_the_nearest_counts(world: World) {
        let rmm = world.deploy(&[]).await;
        let branch = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let elsewhere = add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
        let (mut own, own_id) = rmm.raw_agent().await;
        let (mut at_site, site_id) = rmm.raw_agent().await;
        let (mut at_branch, branch_id) = placed(&rmm, &branch.code).await;
        let (mut other, other_id) = placed(&rmm, &elsewhere.code).await;
        for (target, severity, enabled) in [
            (json!({}), "info", true),
            (json!({"client_id": rmm.site.client_id}), "warning", true),
            (json!({"site_id": rmm.site.id}), "critical", true),
            (json!({"agent_id": own_id}), "critical", false),
        ] {
            let rule = json!({"for_minutes": 0, "severity": severity, "enabled": enabled});
            let mut body = target;
            body["name"] = json!("a level");
            body["settings"] = json!({"alerts": {"cpu": rule}});
            rmm.admin.post("/api/policies", body).await.check(201);
        }
        for (agent, id, severity) in [(&mut other, other_id, "info"), (&mut at_branch, branch_id, "warning"),
            (&mut at_site, site_id, "critical")] {
            assert_eq!(raise(&rmm, agent, id).await["severity"], severity);
        }
        // The rules of all are known by now; that of the agent itself is switched off.
        high(&mut own).await;
        hold("its own rule is off", Duration::from_secs(3), || async {
            of(&rmm, own_id).await.is_empty()
        })
        .await;
    }

    async fn an_alert_that_is_put_off_is_told_of_again_when_its_time_is_over(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let receiver = WebhookReceiver::start(&["200 OK"]).await;
        channel(&rmm, &receiver.url(), "info").await;
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0}})).await;
        let open = raise(&rmm, &mut agent, id).await;
        eventually("it is told", SOON, || async { receiver.calls().pop() }).await;
        let path = format!("/api/alerts/{}/snooze", text(&open, "id"));
        let soon = Utc::now() + Time::seconds(4);
        let put_off = rmm.technician.post(&path, json!({"until": soon})).await.expect(200);
        assert!(put_off["snoozed_until"].is_string(), "{put_off}");
        let calls = eventually("it is told again", SOON, || async {
            Some(receiver.calls()).filter(|calls| calls.len() == 2)
        })
        .await;
        assert!(Utc::now() >= soon, "not before its time");
        assert!(calls.iter().all(|call| call.body.contains(text(&open, "id"))), "{calls:?}");
        assert_eq!(of(&rmm, id).await[0]["snoozed_until"], Value::Null);
    }

    async fn the_end_of_an_alert_that_is_put_off_is_not_told(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let receiver = WebhookReceiver::start(&["200 OK"]).await;
        channel(&rmm, &receiver.url(), "info").await;
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0}})).await;
        let open = raise(&rmm, &mut agent, id).await;
        eventually("it is told", SOON, || async { receiver.calls().pop() }).await;
        let path = format!("/api/alerts/{}/snooze", text(&open, "id"));
        let later = Utc::now() + Time::hours(1);
        rmm.technician.post(&path, json!({"until": later})).await.check(200);
        let low = Metrics { cpu_percent: Some(1.0), ..Metrics::default() };
        agent.send(&AgentMessage::Metrics(low)).await;
        alert(&rmm, id, "cpu", "resolved").await;
        // The next alert is told; by then its end would have been.
        raise(&rmm, &mut agent, id).await;
        let calls = eventually("the next is told", SOON, || async {
            Some(receiver.calls()).filter(|calls| calls.len() >= 2)
        })
        .await;
        assert!(calls.iter().all(|call| call.body.contains("alert.opened")), "{calls:?}");
    }

    async fn a_channel_is_told_of_what_is_bad_enough_for_it_and_of_nothing_else(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let mut receivers = Vec::new();
        for least in ["info", "warning", "critical"] {
            let receiver = WebhookReceiver::start(&["200 OK"]).await;
            channel(&rmm, &receiver.url(), least).await;
            receivers.push(receiver);
        }
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "severity": "warning"},
            "memory": {"for_minutes": 0, "severity": "critical"}})).await;
        raise(&rmm, &mut agent, id).await;
        let full = Metrics { memory_used_bytes: Some(99), memory_total_bytes: Some(100), ..Metrics::default() };
        agent.send(&AgentMessage::Metrics(full)).await;
        alert(&rmm, id, "memory", "open").await;
        for (receiver, wanted) in receivers.iter().zip([vec!["cpu", "memory"], vec!["cpu", "memory"], vec!["memory"]]) {
            let kinds = eventually("what is bad enough is told", SOON, || async {
                let calls = receiver.calls();
                (calls.len() == wanted.len()).then(|| kinds_of(&calls))
            })
            .await;
            assert_eq!(kinds, wanted);
        }
        hold("nothing else is told", Duration::from_secs(2), || async {
            receivers[2].calls().len() == 1
        })
        .await;
    }
}

fn kinds_of(calls: &[gururmm_tests::receiver::Call]) -> Vec<String> {
    let mut kinds: Vec<String> = calls
        .iter()
        .map(|call| {
            let body: Value = serde_json::from_str(&call.body).unwrap();
            text(&body["data"]["alert"], "kind").to_owned()
        })
        .collect();
    kinds.sort();
    kinds
}

/// An alert of a share that is too high: raised, kept between the threshold and its margin, over below.
async fn a_share(world: gururmm_tests::World, kind: &str, of_share: impl Fn(u64) -> Metrics) {
    let rmm = world.deploy(&[]).await;
    let (mut agent, id) = rmm.raw_agent().await;
    let rule =
        json!({"above_percent": 80, "margin_percent": 10, "for_minutes": 0, "resolve_minutes": 0});
    rules(&rmm, json!({ kind: rule })).await;
    let open = eventually_trying("the share raises an alert", SOON, async || {
        agent.send(&AgentMessage::Metrics(of_share(95))).await;
        of(&rmm, id).await.pop()
    })
    .await;
    assert_eq!(
        (&open["kind"], &open["status"]),
        (&json!(kind), &json!("open"))
    );
    agent.send(&AgentMessage::Metrics(of_share(75))).await;
    hold(
        "between the two nothing changes",
        Duration::from_secs(2),
        || async { of(&rmm, id).await[0]["status"] == "open" },
    )
    .await;
    agent.send(&AgentMessage::Metrics(of_share(60))).await;
    let over = alert(&rmm, id, kind, "resolved").await;
    assert_eq!(over["id"], open["id"]);
}

async fn of(rmm: &Deployment, id: AgentId) -> Vec<Value> {
    let path = format!("/api/alerts?agent_id={id}");
    items(&rmm.technician.get(&path).await.expect(200))
}

async fn high(agent: &mut RawAgent) {
    let sample = Metrics {
        cpu_percent: Some(99.0),
        ..Metrics::default()
    };
    agent.send(&AgentMessage::Metrics(sample)).await;
}

/// Connects an agent that enrols with another site's code.
async fn placed(rmm: &Deployment, code: &str) -> (RawAgent, AgentId) {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let ack = agent.enrol(code).await;
    (agent, ack.agent_id.unwrap())
}

async fn channel(rmm: &Deployment, url: &str, least: &str) {
    let body = json!({"name": least, "kind": "webhook", "target": url, "min_severity": least});
    rmm.admin.post("/api/notifications", body).await.check(201);
}
