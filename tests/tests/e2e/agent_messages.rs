//! What a connected agent says: heartbeats, reports, and what nobody understands.

use std::time::Duration;

use gururmm_shared::{AgentMessage, Metrics, NetworkState, ServerMessage, WatchdogEvent};
use gururmm_tests::api::text;
use gururmm_tests::{Heard, eventually, on_both_databases};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

on_both_databases! {
    async fn a_heartbeat_moves_last_seen_at(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        let agent = tokio::sync::Mutex::new(agent);
        let path = format!("/api/agents/{id}/state");
        let first = rmm.admin.get(&path).await.expect(200);
        eventually("last_seen_at moves", Duration::from_secs(45), || async {
            agent.lock().await.send(&AgentMessage::Heartbeat).await;
            let now = rmm.admin.get(&path).await.expect(200);
            (text(&now, "last_seen_at") > text(&first, "last_seen_at")).then_some(())
        })
        .await;
    }

    async fn metrics_reach_the_state_and_the_history(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let sample = Metrics {
            timestamp: Some(chrono::Utc::now()),
            cpu_percent: Some(12.5),
            memory_used_bytes: Some(1 << 30),
            memory_total_bytes: Some(1 << 40),
            disk_used_bytes: Some(3),
            disk_total_bytes: Some(4),
            network_rx_bytes: Some(5),
            network_tx_bytes: Some(6),
            uptime_seconds: Some(7),
            waited_seconds: None,
        };
        agent.send(&AgentMessage::Metrics(sample)).await;
        let path = format!("/api/agents/{id}/state");
        let metrics = eventually("the metrics are in the state", SOON, || async {
            let state = rmm.admin.get(&path).await.expect(200);
            state["metrics"].is_object().then(|| state["metrics"].clone())
        })
        .await;
        assert_eq!(metrics["cpu_percent"], 12.5);
        assert_eq!(metrics["memory_used_bytes"], 1_u64 << 30);
        assert_eq!(metrics["memory_total_bytes"], 1_u64 << 40);
        assert_eq!(metrics["uptime_seconds"], 7);
        assert!(metrics["at"].is_string());
        let agent_body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
        assert_eq!(agent_body["metrics"], metrics);
        for _ in 0..20 {
            agent.send(&AgentMessage::Metrics(Metrics { cpu_percent: Some(1.0), ..Metrics::default() })).await;
        }
        eventually("every sample is in the history", SOON, || async {
            let rows = rmm.database.count("SELECT CAST(count(*) AS TEXT) AS value FROM metrics").await;
            (rows == 21).then_some(())
        })
        .await;
    }

    async fn numbers_that_no_machine_has_do_not_end_the_connection(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        for payload in [
            json!({"cpu_percent": 1e308, "memory_used_bytes": u64::MAX}),
            json!({"cpu_percent": -5.0, "uptime_seconds": u64::MAX}),
            json!({"cpu_percent": "high"}),
            json!({"memory_used_bytes": -1}),
            json!({"timestamp": "yesterday"}),
        ] {
            agent.send_text(&json!({"type": "metrics", "payload": payload}).to_string()).await;
        }
        agent.send(&AgentMessage::Metrics(Metrics { cpu_percent: Some(42.0), ..Metrics::default() })).await;
        eventually("the good sample arrives", SOON, || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            (state["status"] == "online" && state["metrics"]["cpu_percent"] == 42.0).then_some(())
        })
        .await;
    }

    async fn the_network_reaches_the_state(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let interfaces = vec![json!({"name": "eth0", "addresses": ["192.0.2.7"]})];
        let network = NetworkState { interfaces: interfaces.clone(), hash: Some("h1".to_owned()) };
        agent.send(&AgentMessage::NetworkState(network)).await;
        eventually("the network is in the state", SOON, || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            contains(&state["network"], &interfaces[0]).then_some(())
        })
        .await;
    }

    async fn a_watchdog_event_is_stored(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, _) = rmm.raw_agent().await;
        let event = WatchdogEvent {
            service: "nginx".to_owned(),
            event: "restarted".to_owned(),
            message: Some("'; DROP TABLE watchdog_events; --".to_owned()),
            timestamp: None,
            waited_seconds: None,
        };
        agent.send(&AgentMessage::WatchdogEvent(event)).await;
        eventually("the event is stored", SOON, || async {
            let query = "SELECT service || '/' || event || '/' || message AS value FROM watchdog_events";
            let rows = rmm.database.values(query).await;
            let row = rows.first()?.as_deref()?.to_owned();
            assert_eq!(row, "nginx/restarted/'; DROP TABLE watchdog_events; --");
            Some(())
        })
        .await;
    }

    async fn reports_that_come_too_fast_are_dropped_with_an_error(world: World) {
        const SENT: i64 = 100;
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let event = AgentMessage::WatchdogEvent(WatchdogEvent {
            service: "nginx".to_owned(),
            event: "restarted".to_owned(),
            message: None,
            timestamp: None,
            waited_seconds: None,
        });
        let start = std::time::Instant::now();
        for _ in 0..SENT {
            agent.send(&event).await;
        }
        // Answered after all of them.
        agent.send_text(r#"{"type":"telepathy"}"#).await;
        let mut dropped = 0;
        loop {
            match agent.expect_error().await.code.as_str() {
                "too_many_reports" => dropped += 1,
                "unknown_type" => break,
                other => panic!("{other}"),
            }
        }
        let kept = SENT - dropped;
        let refilled = i64::try_from(start.elapsed().as_secs()).unwrap() * 2 + 2;
        assert!((60..=60 + refilled).contains(&kept), "{kept} were kept");
        let stored = || rmm.database.count("SELECT CAST(count(*) AS TEXT) AS value FROM watchdog_events");
        eventually("what was kept is stored", SOON, || async {
            (stored().await == kept).then_some(())
        })
        .await;
        // Signs of life and samples are not among them.
        agent.send(&AgentMessage::Metrics(Metrics { cpu_percent: Some(7.0), ..Metrics::default() })).await;
        eventually("a sample is stored", SOON, || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            (state["metrics"]["cpu_percent"] == 7.0).then_some(())
        })
        .await;
        // Two a second are welcome again.
        let agent = tokio::sync::Mutex::new(agent);
        eventually("a later report is stored", SOON, || async {
            agent.lock().await.send(&event).await;
            (stored().await > kept).then_some(())
        })
        .await;
    }

    async fn a_network_over_512_kib_is_refused_and_one_below_is_kept(world: World) {
        const MOST: usize = 512 * 1024;
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let of_length = |bytes: usize, hash: &str| {
            let network = |name: usize| NetworkState {
                interfaces: vec![json!({"name": "x".repeat(name)})],
                hash: Some(hash.to_owned()),
            };
            let around = AgentMessage::NetworkState(network(0)).encode().len();
            let text = AgentMessage::NetworkState(network(bytes - around)).encode();
            assert_eq!(text.len(), bytes);
            text
        };
        let kept = || async {
            let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
            state["network"]["hash"].as_str().map(str::to_owned)
        };
        agent.send_text(&of_length(MOST + 1, "too large")).await;
        assert_eq!(agent.expect_error().await.code, "too_large");
        agent.send_text(&of_length(MOST, "fits")).await;
        eventually("the network is in the state", SOON, || async {
            let hash = kept().await?;
            assert_eq!(hash, "fits");
            Some(())
        })
        .await;
    }

    async fn networks_over_the_limit_count_as_messages(world: World) {
        let settings = [("agents.messages_per_second", "1"), ("agents.message_burst", "5")];
        let rmm = world.deploy(&settings).await;
        let (mut agent, _) = rmm.raw_agent().await;
        let interfaces = vec![json!({"name": "x".repeat(520 * 1024)})];
        let text = AgentMessage::NetworkState(NetworkState { interfaces, hash: None }).encode();
        for _ in 0..20 {
            let text = tokio_tungstenite::tungstenite::Message::text(text.clone());
            if agent.try_send(text).await.is_err() {
                break;
            }
        }
        assert_eq!(agent.expect_close().await.0, 1008);
    }

    async fn an_unknown_type_is_answered_with_an_error_and_the_connection_lives(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        for _ in 0..30 {
            agent.send_text(r#"{"type":"telepathy","payload":{"x":[1,2]}}"#).await;
            assert_eq!(agent.expect_error().await.code, "unknown_type");
        }
        let session = rmm.open_raw(&mut agent, id).await;
        rmm.session(session).await;
    }

    async fn malformed_json_is_answered_and_a_few_times_tolerated(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        for bad in ["{", "[]", "\u{0}"] {
            agent.send_text(bad).await;
            assert_eq!(agent.expect_error().await.code, "malformed_message", "{bad:?}");
        }
        agent.send_text(r#"{"type":"tunnel_ready","payload":{"session_id":"no uuid"}}"#).await;
        assert_eq!(agent.expect_error().await.code, "bad_payload");
        rmm.open_raw(&mut agent, id).await;
        for _ in 0..200 {
            let text = tokio_tungstenite::tungstenite::Message::text("{");
            if agent.try_send(text).await.is_err() {
                break;
            }
        }
        assert_eq!(agent.expect_close().await.0, 1008, "too many are enough");
    }

    async fn the_server_asks_a_silent_agent_for_a_sign_of_life(world: World) {
        let rmm = world.deploy(&[("agents.ping_interval_seconds", "1")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        agent
            .expect("ping", |message| matches!(message, ServerMessage::Ping).then_some(()))
            .await;
        agent.send(&AgentMessage::Heartbeat).await;
        rmm.wait_status(id, "online", SOON).await;
    }

    async fn a_second_auth_on_a_connection_changes_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let mut auth = agent.auth(&rmm.site.code);
        auth.device_id = Some("another-device".to_owned());
        agent.send(&AgentMessage::Auth(auth)).await;
        match agent.hear().await {
            Heard::Message(ServerMessage::Error(_)) | Heard::Closed(_) => {}
            other => panic!("a second auth was answered with {other:?}"),
        }
        let agents = rmm.admin.get("/api/agents").await.expect(200);
        assert_eq!(gururmm_tests::api::items(&agents).len(), 1, "{agents}");
        assert_eq!(agents["items"][0]["id"], id.to_string());
    }

    async fn messages_about_tunnels_that_are_not_there_harm_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let none = gururmm_shared::SessionId::generate();
        agent.ready(none).await;
        for text in [
            r#"{"type":"tunnel_data","payload":{"channel_id":"terminal-99","data":{"type":"terminal_output","payload":{"stdout":"x","stderr":"","exit_code":0}}}}"#.to_owned(),
            r#"{"type":"tunnel_error","payload":{"channel_id":"terminal-99","error":"x"}}"#.to_owned(),
            format!(r#"{{"type":"tunnel_closed","payload":{{"session_id":"{none}","reason":"x"}}}}"#),
            r#"{"type":"command_result","payload":{"id":"550e8400-e29b-41d4-a716-446655440000","exit_code":0,"stdout":"","stderr":"","duration_ms":1}}"#.to_owned(),
            r#"{"type":"update_result","payload":{"version":"9","success":true}}"#.to_owned(),
        ] {
            agent.send_text(&text).await;
        }
        rmm.open_raw(&mut agent, id).await;
    }
}

/// Whether `needle` stands anywhere in `hay`.
fn contains(hay: &Value, needle: &Value) -> bool {
    hay == needle
        || match hay {
            Value::Array(items) => items.iter().any(|item| contains(item, needle)),
            Value::Object(map) => map.values().any(|item| contains(item, needle)),
            _ => false,
        }
}
