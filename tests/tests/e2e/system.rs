//! How the server itself is, for administrators of everything.

use gururmm_tests::database::Engine;
use gururmm_tests::{Subscriber, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn an_administrator_sees_how_the_server_is(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, _) = rmm.raw_agent().await;
        let _events = Subscriber::open(&rmm.admin).await;
        let seen = rmm.admin.get("/api/system").await.expect(200);
        let kind = match rmm.database.engine() {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        assert_eq!(seen["database"]["kind"], kind);
        assert!(seen["database"]["size_bytes"].as_i64() > Some(10_000), "{seen}");
        assert!(seen["database"]["latency_ms"].as_f64() > Some(0.0), "{seen}");
        for queue in ["reports_waiting", "audit_unsealed", "notifications_pending", "notifications_late_seconds"] {
            assert!(seen["queues"][queue].as_i64() >= Some(0), "{queue}: {seen}");
        }
        assert_eq!((&seen["agents_online"], &seen["tunnels_open"], &seen["event_streams"]), (&json!(1), &json!(0), &json!(1)));
        assert_eq!(seen["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(seen["protocol"], gururmm_shared::PROTOCOL);
        assert!(seen["uptime_seconds"].as_i64() >= Some(0) && seen["started_at"].is_string(), "{seen}");
        assert!(seen["disk"]["free_bytes"].as_u64() <= seen["disk"]["total_bytes"].as_u64(), "{seen}");
        assert!(seen["disk"]["total_bytes"].as_u64() > Some(0), "{seen}");
    }

    async fn nobody_else_does(world: World) {
        let rmm = world.deploy(&[]).await;
        rmm.technician.get("/api/system").await.problem(403, "not_allowed");
        let body = json!({"email": "scoped@example.com", "password": "a long password 3", "role": "administrator",
            "scope": {"client_ids": [rmm.site.client_id]}});
        rmm.admin.post("/api/users", body).await.check(201);
        let scoped = rmm.server.anonymous().log_in("scoped@example.com", "a long password 3").await;
        scoped.get("/api/system").await.problem(403, "out_of_scope");
        rmm.server.anonymous().get("/api/system").await.problem(401, "token_missing");
    }
}
