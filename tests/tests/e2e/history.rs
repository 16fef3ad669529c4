//! An agent's past load: samples as they came, minutes and hours made of them, and their end.

use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::{Deployment, eventually, on_both_databases};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(60);

on_both_databases! {
    async fn samples_are_told_in_order_and_in_pages(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        for cpu in 1..=5 {
            let sample = json!({"type": "metrics", "payload": {"cpu_percent": f64::from(cpu)}});
            agent.send_text(&sample.to_string()).await;
        }
        let path = format!("/api/agents/{id}/metrics");
        eventually("all samples are written", LONG, || async {
            let body = rmm.technician.get(&path).await.expect(200);
            (items(&body).len() == 5).then_some(())
        }).await;
        let mut seen = Vec::new();
        let mut next = format!("{path}?limit=2&step=raw&sort=-time");
        loop {
            let page = rmm.technician.get(&next).await.expect(200);
            assert_eq!((&page["agent_id"], &page["step"]), (&json!(id), &json!("raw")));
            seen.extend(items(&page).iter().map(|item| item["cpu_percent"].clone()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}?limit=2&step=raw&sort=-time&cursor={cursor}");
        }
        assert_eq!(json!(seen), json!([5.0, 4.0, 3.0, 2.0, 1.0]));
        for (query, field) in [("step=2m", "step"), ("from=yesterday", "from"), ("to=1", "to"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"), ("since=1", "since")] {
            let refused = rmm.technician.get(&format!("{path}?{query}")).await.problem(400, "invalid_field");
            assert_eq!(refused["field"], field, "{query}");
        }
        let missing = format!("/api/agents/{}/metrics", uuid::Uuid::new_v4());
        rmm.technician.get(&missing).await.problem(404, "not_found");
    }

    async fn samples_that_waited_at_their_agent_have_their_own_time_and_raise_no_alarm_of_today(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let rules = json!({"name": "alerts", "settings": {"alerts": {"clock": {"off_by_seconds": 60},
            "cpu": {"above_percent": 90, "for_minutes": 0}}}});
        rmm.admin.post("/api/policies", rules).await.check(201);
        let path = format!("/api/agents/{id}/metrics");
        // Minutes and hours are made up to now before the late ones come.
        let now = json!({"type": "metrics", "payload": {"cpu_percent": 1.0}});
        agent.send_text(&now.to_string()).await;
        eventually("the newest minute is made", LONG, || async {
            let minutes = items(&rmm.admin.get(&format!("{path}?step=1m")).await.expect(200));
            (!minutes.is_empty()).then_some(())
        }).await;
        let before = chrono::Utc::now();
        for (waited, cpu) in [(7200, 99.0), (7199, 97.0)] {
            // The agent's clock is wrong, as one without a battery.
            let sample = json!({"type": "metrics", "payload": {"timestamp": "2001-01-01T00:00:00Z",
                "cpu_percent": cpu, "waited_seconds": waited}});
            agent.send_text(&sample.to_string()).await;
        }
        let from = (before - chrono::Duration::hours(3)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        for step in ["raw", "1m", "1h"] {
            let query = format!("{path}?step={step}&from={from}");
            let late = eventually("what waited has its place", LONG, || async {
                let rows = items(&rmm.admin.get(&query).await.expect(200));
                let is_late = |row: &&Value| {
                    let at: chrono::DateTime<chrono::Utc> = text(row, "at").parse().unwrap();
                    before - at > chrono::Duration::minutes(100)
                };
                let late: Vec<Value> = rows.iter().filter(is_late).cloned().collect();
                (!late.is_empty()).then_some(late)
            }).await;
            if step != "raw" {
                assert_eq!(samples(&late), 2, "{late:?}");
            }
        }
        let state = rmm.admin.get(&format!("/api/agents/{id}/state")).await.expect(200);
        assert_eq!(state["metrics"]["cpu_percent"], 1.0, "the newest is the state");
        let alerts = items(&rmm.admin.get(&format!("/api/alerts?agent_id={id}")).await.expect(200));
        assert!(alerts.is_empty(), "{alerts:?}");
    }

    async fn minutes_and_hours_are_made_of_what_came_while_nobody_made_them(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.raw_agent().await;
        rmm.server.stop().await;
        // Two minutes of an hour long past, three samples in the first, and what is too old to keep.
        for (seconds, cpu) in [(7200, 10.0), (7190, 30.0), (7180, 20.0), (7130, 50.0), (9 * 86_400, 1.0)] {
            insert(&rmm, &id.to_string(), seconds, cpu).await;
        }
        nothing_made_yet(&rmm).await;
        rmm.server.restart().await;
        let path = format!("/api/agents/{id}/metrics");
        let (minutes, hours) = eventually("minutes and hours are made", LONG, || async {
            let minutes = items(&rmm.admin.get(&format!("{path}?step=1m")).await.expect(200));
            let hours = items(&rmm.admin.get(&format!("{path}?step=1h")).await.expect(200));
            (!minutes.is_empty() && samples(&hours) == 5).then_some((minutes, hours))
        }).await;
        assert_eq!(samples(&minutes), 4, "{minutes:?}");
        let all: Vec<_> = minutes.iter().map(|row| &row["cpu_percent"]).collect();
        assert!(all.iter().any(|cpu| cpu["max"] == 50.0) && all.iter().any(|cpu| cpu["min"] == 10.0), "{all:?}");
        let weighted: f64 = minutes.iter()
            .map(|row| row["cpu_percent"]["avg"].as_f64().unwrap() * row["samples"].as_f64().unwrap())
            .sum();
        assert!((weighted - 110.0).abs() < 0.001, "{minutes:?}");
        assert!(minutes.iter().all(|row| text(row, "at").ends_with(":00Z")), "{minutes:?}");
        assert!(hours.iter().all(|row| text(row, "at").ends_with(":00:00Z")), "{hours:?}");

        let raw = "SELECT CAST(count(*) AS TEXT) AS value FROM metrics";
        eventually("old samples are deleted", LONG, || async {
            (rmm.database.count(raw).await == 4).then_some(())
        }).await;
        let before = all_rows(&rmm).await;
        rmm.server.stop().await;
        nothing_made_yet(&rmm).await;
        rmm.server.restart().await;
        let made = "SELECT CAST(count(*) AS TEXT) AS value FROM metrics_rollups";
        eventually("all is made again", LONG, || async {
            (rmm.database.count(made).await == 2).then_some(())
        }).await;
        assert_eq!(all_rows(&rmm).await, before, "made again, they are the same");
    }
}

/// As where the server was stopped since before the first sample.
async fn nothing_made_yet(rmm: &Deployment) {
    let statement = "DELETE FROM metrics_rollups";
    rmm.database.execute(statement).await.unwrap();
}

fn samples(rows: &[Value]) -> u64 {
    rows.iter()
        .map(|row| row["samples"].as_u64().unwrap())
        .sum()
}

async fn all_rows(rmm: &Deployment) -> Vec<Option<String>> {
    let query = "SELECT CAST(samples AS TEXT) || ' ' || CAST(cpu_avg AS TEXT) AS value \
                 FROM metrics_1m UNION ALL \
                 SELECT CAST(samples AS TEXT) || ' ' || CAST(cpu_avg AS TEXT) FROM metrics_1h \
                 ORDER BY 1";
    rmm.database.values(query).await
}

async fn insert(rmm: &Deployment, agent: &str, seconds_ago: i64, cpu: f64) {
    let at = chrono::Utc::now() - chrono::Duration::seconds(seconds_ago);
    let (agent, at) = match rmm.database.engine() {
        Engine::Sqlite => (
            format!("x'{}'", agent.replace('-', "")),
            at.timestamp_micros().to_string(),
        ),
        Engine::Postgres => (format!("'{agent}'"), format!("'{}'", at.to_rfc3339())),
    };
    let sql = format!(
        "INSERT INTO metrics (agent_id, recorded_at, cpu_percent) VALUES ({agent}, {at}, {cpu})"
    );
    rmm.database.execute(&sql).await.unwrap();
}
