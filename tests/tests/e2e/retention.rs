//! What is over and old goes; what a policy keeps longer or less long is kept so.

use std::time::Duration;

use gururmm_shared::AgentId;
use gururmm_tests::commands::success;
use gururmm_tests::database::Engine;
use gururmm_tests::{Deployment, eventually, on_both_databases};
use serde_json::json;

const LONG: Duration = Duration::from_secs(60);

on_both_databases! {
    async fn what_is_over_and_older_than_it_is_kept_is_deleted_and_nothing_else(world: World) {
        let mut rmm = world.deploy(&[("retention.commands_days", "10"), ("retention.alerts_days", "10"),
            ("retention.events_days", "10"), ("retention.sessions_days", "10")]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let old_job = json!({"name": "Old", "command": "true", "filter": {"agent_ids": [id]}});
        rmm.technician.post("/api/jobs", old_job).await.check(201);
        let done = agent.command().await;
        agent.result(success(done.id, "")).await;
        agent.acknowledged().await;
        let session = rmm.open_raw(&mut agent, id).await;
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": session})).await;
        agent.close().await;
        let waiting = rmm.give(id, "true").await;
        rmm.server.stop().await;
        insert_alerts_and_events(&rmm, id).await;
        let age = age(&rmm, 20);
        for (table, columns) in [("commands", &["created_at", "finished_at"][..]), ("jobs", &["created_at"]),
            ("alerts", &["opened_at", "resolved_at"]), ("watchdog_events", &["recorded_at"]),
            ("tech_sessions", &["opened_at", "closed_at"]), ("tunnel_audit", &["at", "ended_at"])] {
            let set: Vec<_> = columns.iter().map(|column| format!("{column} = {column} - {age}")).collect();
            rmm.database.execute(&format!("UPDATE {table} SET {}", set.join(", "))).await.unwrap();
        }
        let audited = count(&rmm, "tunnel_audit").await;
        rmm.server.restart().await;
        eventually("all of it is gone", LONG, || async {
            for table in ["jobs", "watchdog_events", "tech_sessions"] {
                if count(&rmm, table).await > 0 {
                    return None;
                }
            }
            (count(&rmm, "commands").await == 1 && count(&rmm, "alerts").await == 1).then_some(())
        })
        .await;
        assert_eq!(rmm.command_row(waiting).await["status"], "pending", "what waits is not over");
        let left = rmm.admin.get("/api/alerts").await.expect(200);
        assert_eq!(left["items"][0]["kind"], "disk", "nor is what is unresolved");
        assert_eq!(count(&rmm, "tunnel_audit").await, audited, "the audit is kept for ever");
    }

    async fn a_policy_says_how_long_samples_minutes_and_hours_are_kept(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_usual, usual) = rmm.raw_agent().await;
        let (_brief, brief) = rmm.raw_agent().await;
        let (_long, long) = rmm.raw_agent().await;
        for (id, retention) in [(brief, json!({"raw_days": 1, "minute_days": 2, "hour_days": 3})),
            (long, json!({"raw_days": 100, "minute_days": 100, "hour_days": 1000}))] {
            let body = json!({"name": "r", "agent_id": id, "settings": {"retention": retention}});
            rmm.admin.post("/api/policies", body).await.check(201);
        }
        let none = json!({"name": "r", "settings": {"retention": {"raw_days": 0}}});
        rmm.admin.post("/api/policies", none).await.problem(400, "invalid_field");
        rmm.server.stop().await;
        for id in [usual, brief, long] {
            for days in [0, 4, 50, 500] {
                insert_figures(&rmm, id, days).await;
            }
        }
        rmm.server.restart().await;
        // By configuration 7, 30 and 400 days.
        for (id, wanted) in [(usual, [2, 2, 3]), (brief, [1, 1, 1]), (long, [3, 3, 4])] {
            eventually("what is old is deleted", LONG, || async {
                let mut left = Vec::new();
                for (table, time) in [("metrics", "recorded_at"), ("metrics_1m", "at"), ("metrics_1h", "at")] {
                    let sql = format!("SELECT CAST(count(DISTINCT {}) AS TEXT) AS value FROM {table} WHERE agent_id = {}",
                        day(&rmm, time), literal(&rmm, id));
                    left.push(rmm.database.count(&sql).await);
                }
                (left == wanted).then_some(())
            })
            .await;
        }
    }
}

async fn count(rmm: &Deployment, table: &str) -> i64 {
    let sql = format!("SELECT CAST(count(*) AS TEXT) AS value FROM {table}");
    rmm.database.count(&sql).await
}

fn age(rmm: &Deployment, days: i64) -> String {
    match rmm.database.engine() {
        Engine::Sqlite => (days * 86_400_000_000).to_string(),
        Engine::Postgres => format!("interval '{days} days'"),
    }
}

fn literal(rmm: &Deployment, id: AgentId) -> String {
    match rmm.database.engine() {
        Engine::Sqlite => format!("x'{}'", id.0.simple()),
        Engine::Postgres => format!("'{id}'"),
    }
}

fn new_id(rmm: &Deployment) -> String {
    literal(rmm, AgentId::generate())
}

/// The day of a time, for counting: minutes and hours are made of samples, too.
fn day(rmm: &Deployment, column: &str) -> String {
    match rmm.database.engine() {
        Engine::Sqlite => format!("{column} / 86400000000"),
        Engine::Postgres => format!("date_trunc('day', {column} AT TIME ZONE 'UTC')"),
    }
}

fn time(rmm: &Deployment, days_ago: i64) -> String {
    // In the middle of the day and of the hour: no rounding brings it to another one.
    let day = chrono::Utc::now().date_naive() - chrono::Duration::days(days_ago);
    let at = day.and_hms_opt(0, 0, 30).unwrap().and_utc();
    match rmm.database.engine() {
        Engine::Sqlite => at.timestamp_micros().to_string(),
        Engine::Postgres => format!("'{}'", at.to_rfc3339()),
    }
}

async fn insert_figures(rmm: &Deployment, id: AgentId, days_ago: i64) {
    let (agent, at) = (literal(rmm, id), time(rmm, days_ago));
    let sql = format!(
        "INSERT INTO metrics (agent_id, recorded_at, cpu_percent) VALUES ({agent}, {at}, 1); \
         INSERT INTO metrics_1m (agent_id, at, samples) VALUES ({agent}, {at}, 1); \
         INSERT INTO metrics_1h (agent_id, at, samples) VALUES ({agent}, {at}, 1)"
    );
    rmm.database.execute(&sql).await.unwrap();
}

async fn insert_alerts_and_events(rmm: &Deployment, id: AgentId) {
    let (agent, at) = (literal(rmm, id), time(rmm, 0));
    let sql = format!(
        "INSERT INTO alerts (id, agent_id, kind, severity, status, message, opened_at, resolved_at) \
         VALUES ({}, {agent}, 'cpu', 'warning', 'resolved', 'm', {at}, {at}), \
                ({}, {agent}, 'disk', 'warning', 'open', 'm', {at}, NULL); \
         INSERT INTO watchdog_events (agent_id, service, event, recorded_at) \
         VALUES ({agent}, 'nginx', 'stopped', {at})",
        new_id(rmm),
        new_id(rmm)
    );
    rmm.database.execute(&sql).await.unwrap();
}
