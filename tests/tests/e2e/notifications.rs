//! Notifications: signed webhooks and mail, tried again, and nowhere they may not go.

use gururmm_shared::{AgentMessage, Metrics};
use gururmm_tests::api::{items, text};
use gururmm_tests::receiver::{MailReceiver, WebhookReceiver};
use gururmm_tests::wait::{SOON, eventually_trying};
use gururmm_tests::{Deployment, Obstacle, eventually, on_both_databases};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::alerts::{raise, rules};

const LOCAL: (&str, &str) = ("notifications.allow_private_targets", "true");
const QUICK: (&str, &str) = ("notifications.retry_seconds", "1");

on_both_databases! {
    async fn an_alert_is_told_by_a_signed_webhook_and_so_is_its_end(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let receiver = WebhookReceiver::start(&["200 OK"]).await;
        let channel = webhook(&rmm, &receiver.url()).await;
        let secret = text(&channel, "secret");
        let id = text(&channel, "id");
        let shown = rmm.admin.get(&format!("/api/notifications/{id}")).await.expect(200);
        assert!(shown.get("secret").is_none(), "{shown}");
        let (mut agent, agent_id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0, "severity": "critical"}})).await;
        let alert = raise(&rmm, &mut agent, agent_id).await;
        let good = Metrics { cpu_percent: Some(1.0), ..Metrics::default() };
        agent.send(&AgentMessage::Metrics(good)).await;
        let calls = eventually("both are told", SOON, || async {
            Some(receiver.calls()).filter(|calls| calls.len() == 2)
        })
        .await;
        let signer = Webhook::new(secret).unwrap();
        for (call, event) in calls.iter().zip(["alert.opened", "alert.resolved"]) {
            let (id, at) = (call.header("webhook-id"), call.header("webhook-timestamp"));
            let signature = signer.sign(id, at.parse().unwrap(), call.body.as_bytes()).unwrap();
            assert_eq!(call.header("webhook-signature"), signature);
            let body: Value = serde_json::from_str(&call.body).unwrap();
            assert_eq!(body["type"], event);
            assert_eq!(body["data"]["alert"]["id"], alert["id"]);
            assert_eq!(body["data"]["alert"]["agent"]["hostname"], "raw-agent");
        }
    }

    async fn an_alert_whose_notice_cannot_be_written_is_opened_and_told_in_the_end(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let receiver = WebhookReceiver::start(&["200 OK"]).await;
        webhook(&rmm, &receiver.url()).await;
        let (mut agent, id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0, "severity": "critical"}})).await;
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "notification_deliveries", "NEW.attempts = 0").await;
        let high = Metrics { cpu_percent: Some(99.0), ..Metrics::default() };
        eventually_trying("the alert was tried to be written", SOON, async || {
            agent.send(&AgentMessage::Metrics(high.clone())).await;
            rmm.server.log().contains("an alert cannot be written").then_some(())
        })
        .await;
        let path = format!("/api/alerts?agent_id={id}");
        let none = items(&rmm.admin.get(&path).await.expect(200));
        assert!(none.is_empty(), "no alert without its notice: {none:?}");
        refusing.remove().await;
        eventually("it is told", SOON, || async { receiver.calls().pop() }).await;
        let open = items(&rmm.admin.get(&path).await.expect(200));
        assert_eq!(open.len(), 1);
        // The same for its end, which somebody declares.
        let refusing = Obstacle::refusing(&rmm.database, "INSERT", "notification_deliveries", "NEW.attempts = 0").await;
        let resolve = format!("/api/alerts/{}/resolve", text(&open[0], "id"));
        let refused = rmm.admin.post(&resolve, json!({})).await;
        assert!(refused.status >= 500, "{}", refused.text);
        refusing.remove().await;
        rmm.admin.post(&resolve, json!({})).await.check(200);
        eventually("its end is told", SOON, || async {
            let last = receiver.calls().into_iter().map(|call| call.body).find(|body| body.contains("alert.resolved"));
            last.map(|_| ())
        })
        .await;
    }

    async fn the_end_of_an_alert_is_told_after_its_beginning_even_if_that_is_tried_again(world: World) {
        let rmm = world.deploy(&[LOCAL, QUICK]).await;
        let receiver = WebhookReceiver::start(&["500 Oops", "500 Oops", "200 OK", "200 OK"]).await;
        webhook(&rmm, &receiver.url()).await;
        let (mut agent, agent_id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0, "resolve_minutes": 0, "severity": "critical"}})).await;
        raise(&rmm, &mut agent, agent_id).await;
        let good = Metrics { cpu_percent: Some(1.0), ..Metrics::default() };
        agent.send(&AgentMessage::Metrics(good)).await;
        let calls = eventually("all are told", SOON, || async {
            Some(receiver.calls()).filter(|calls| calls.len() == 4)
        })
        .await;
        let told: Vec<Value> = calls
            .iter()
            .map(|call| serde_json::from_str::<Value>(&call.body).unwrap()["type"].clone())
            .collect();
        assert_eq!(told, ["alert.opened", "alert.opened", "alert.opened", "alert.resolved"]);
    }

    async fn a_webhook_that_fails_is_tried_again_and_its_log_tells_why(world: World) {
        let rmm = world.deploy(&[LOCAL, QUICK]).await;
        let receiver = WebhookReceiver::start(&["500 Oops", "200 OK"]).await;
        let channel = webhook(&rmm, &receiver.url()).await;
        let id = text(&channel, "id");
        rmm.admin.post(&format!("/api/notifications/{id}/test"), json!({})).await.check(202);
        let log = delivery(&rmm, id, |row| row["status"] == "delivered").await;
        assert_eq!(log["attempts"], 2, "{log}");
        let calls = receiver.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"), "one id for all attempts");
        assert_eq!(calls[0].line, "POST /hook HTTP/1.1");
    }

    async fn a_private_target_is_not_called_unless_that_is_configured(world: World) {
        let rmm = world.deploy(&[]).await;
        let receiver = WebhookReceiver::start(&["200 OK"]).await;
        let channel = webhook(&rmm, &receiver.url()).await;
        let id = text(&channel, "id");
        rmm.admin.post(&format!("/api/notifications/{id}/test"), json!({})).await.check(202);
        let log = delivery(&rmm, id, |row| row["attempts"] == 1).await;
        assert_eq!(log["status"], "pending");
        assert!(text(&log, "last_error").contains("private address"), "{log}");
        assert!(receiver.calls().is_empty());
    }

    async fn a_redirect_is_not_followed(world: World) {
        let rmm = world.deploy(&[LOCAL]).await;
        let inside = WebhookReceiver::start(&["200 OK"]).await;
        let redirect = format!("307 Temporary Redirect\r\nlocation: {}", inside.url());
        let outside = WebhookReceiver::start(&[&redirect]).await;
        let channel = webhook(&rmm, &outside.url()).await;
        let id = text(&channel, "id");
        rmm.admin.post(&format!("/api/notifications/{id}/test"), json!({})).await.check(202);
        let log = delivery(&rmm, id, |row| row["attempts"] == 1).await;
        assert!(text(&log, "last_error").contains("307"), "{log}");
        assert!(inside.calls().is_empty());
    }

    async fn an_alert_is_told_by_mail(world: World) {
        let mail = MailReceiver::start().await;
        let port = mail.port.to_string();
        let rmm = world.deploy(&[("notifications.smtp.host", "127.0.0.1"), ("notifications.smtp.port", port.as_str()),
            ("notifications.smtp.tls", "none"), ("notifications.smtp.from", "GuruRMM <rmm@example.com>")]).await;
        let body = json!({"name": "mail", "kind": "email", "target": "ops@example.com", "min_severity": "warning"});
        let channel = rmm.admin.post("/api/notifications", body).await.expect(201);
        assert!(channel.get("secret").is_none());
        let (mut agent, agent_id) = rmm.raw_agent().await;
        rules(&rmm, json!({"cpu": {"for_minutes": 0}})).await;
        raise(&rmm, &mut agent, agent_id).await;
        let mail = eventually("the mail arrives", SOON, || async { mail.mails().pop() }).await;
        assert!(mail.contains("RCPT TO:<ops@example.com>"), "{mail}");
        assert!(mail.contains("Subject: [warning] raw-agent: cpu is at 99"), "{mail}");
    }

    async fn only_administrators_see_channels_and_bad_targets_are_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        rmm.technician.get("/api/notifications").await.problem(403, "not_allowed");
        for (kind, target) in [("webhook", "ftp://example.com"), ("webhook", "https://user:pw@example.com"),
            ("email", "nobody"), ("webhook", "")] {
            let body = json!({"name": "x", "kind": kind, "target": target});
            let answer = rmm.admin.post("/api/notifications", body).await;
            assert_eq!(answer.problem(400, "invalid_field")["field"], "target", "{target}");
        }
        let channel = webhook(&rmm, "https://hooks.example.com/x").await;
        let path = format!("/api/notifications/{}", text(&channel, "id"));
        let change = json!({"name": "off", "target": "https://hooks.example.com/y", "min_severity": "critical", "enabled": false});
        assert_eq!(rmm.admin.put(&path, change).await.expect(200)["enabled"], false);
        rmm.admin.delete(&path).await.check(204);
        rmm.admin.get(&path).await.problem(404, "not_found");
    }
}

async fn webhook(rmm: &Deployment, url: &str) -> Value {
    let body = json!({"name": "hook", "kind": "webhook", "target": url, "min_severity": "info"});
    rmm.admin.post("/api/notifications", body).await.expect(201)
}

/// Waits until the newest delivery of a channel is as wanted.
async fn delivery(rmm: &Deployment, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually("the log of deliveries", SOON, || async {
        let path = format!("/api/notifications/{id}/deliveries");
        let rows = items(&rmm.admin.get(&path).await.expect(200));
        rows.into_iter().next().filter(|row| wanted(row))
    })
    .await
}
