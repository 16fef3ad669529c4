//! Lists: limit, cursor, sort, search and filters, the same for all.

use std::collections::BTreeSet;

use gururmm_tests::api::{items, text};
use gururmm_tests::database::Engine;
use gururmm_tests::{Api, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn every_list_refuses_what_it_does_not_know_and_names_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = format!("/api/clients/{}/sites", rmm.site.client_id);
        for path in ["/api/clients", "/api/sites", "/api/users", "/api/agents", "/api/agents/unassigned", &client] {
            for (query, field) in [("limit=0", "limit"), ("limit=1001", "limit"), ("sort=shoe_size", "sort"),
                ("cursor=abc", "cursor"), ("colour=red", "colour"), ("q=", "q"), ("limit=1&limit=2", "limit")] {
                let refused = rmm.admin.get(&format!("{path}?{query}")).await.problem(400, "invalid_field");
                assert_eq!(refused["field"], field, "{path}?{query}");
            }
            rmm.admin.get(&format!("{path}?limit=1000&sort=-created&q=x")).await.check(200);
        }
        for query in ["status=sleeping", "site_id=1", "client_id=%00"] {
            rmm.admin.get(&format!("/api/agents?{query}")).await.problem(400, "invalid_field");
        }
        rmm.admin.get("/api/users?role=god").await.problem(400, "invalid_field");
    }

    async fn pages_hold_every_row_once_though_rows_come_meanwhile(world: World) {
        let rmm = world.deploy(&[]).await;
        for number in 0..7 {
            let body = json!({"name": format!("Client {number}")});
            rmm.admin.post("/api/clients", body).await.check(201);
        }
        for sort in ["name", "-name", "created", "-created"] {
            let mut seen = BTreeSet::new();
            let mut names = Vec::new();
            let mut path = format!("/api/clients?limit=3&sort={sort}");
            loop {
                let page = rmm.technician.get(&path).await.expect(200);
                for item in items(&page) {
                    assert!(seen.insert(text(&item, "id").to_owned()), "{sort}: told twice");
                    names.push(text(&item, "name").to_owned());
                }
                let Some(cursor) = page["next_cursor"].as_str() else { break };
                let wrong = format!("/api/clients?sort=bogus&cursor={cursor}");
                rmm.technician.get(&wrong).await.refusal(400);
                path = format!("/api/clients?limit=3&sort={sort}&cursor={cursor}");
                let body = json!({"name": format!("0 {sort} {}", seen.len())});
                rmm.admin.post("/api/clients", body).await.check(201);
            }
            for number in 0..7 {
                let name = format!("Client {number}");
                assert_eq!(names.iter().filter(|one| **one == name).count(), 1, "{sort}: {names:?}");
            }
            if sort == "-name" {
                assert!(names.iter().rev().is_sorted(), "{names:?}");
            }
        }
    }

    async fn a_search_ignores_case_and_takes_no_wildcards(world: World) {
        let rmm = world.deploy(&[]).await;
        for (device, hostname) in [("AA-1", "Web_Server"), ("bb-2", "webXserver"), ("cc-3", "100% mail")] {
            let body = json!({"site_id": rmm.site.id, "device_id": device, "hostname": hostname,
                "os": {"family": if device == "cc-3" { "windows" } else { "linux" }}});
            rmm.admin.post("/api/agents", body).await.check(201);
        }
        for (query, expected) in [("q=WEB", vec!["Web_Server", "webXserver"]), ("q=web_", vec!["Web_Server"]),
            ("q=%25", vec!["100% mail"]), ("q=aa-", vec!["Web_Server"]), ("q=BB-2", vec!["webXserver"]),
            ("os_family=Windows", vec!["100% mail"]), ("q=%5C", vec![]), ("status=online", vec![])] {
            assert_eq!(hostnames(&rmm.technician, query).await, expected, "{query}");
        }
        let sites = items(&rmm.technician.get("/api/sites?q=HEAD").await.expect(200));
        assert_eq!(sites.len(), 1);
        let users = items(&rmm.admin.get("/api/users?q=TECH&role=technician&disabled=false").await.expect(200));
        assert_eq!(users.len(), 1);
    }

    async fn ten_thousand_agents_are_listed_page_by_page(world: World) {
        let rmm = world.deploy(&[]).await;
        rmm.database.execute(&ten_thousand(rmm.database.engine())).await.unwrap();
        for query in ["limit=100", "limit=100&sort=-last_seen", "limit=100&sort=created", "limit=100&q=host-9"] {
            let mut path = format!("/api/agents?{query}");
            let mut told = Vec::new();
            for _ in 0..5 {
                let page = rmm.technician.get(&path).await.expect(200);
                assert_eq!(items(&page).len(), 100, "{path}");
                told.extend(items(&page).iter().map(|item| text(item, "hostname").to_owned()));
                path = format!("/api/agents?{query}&cursor={}", text(&page, "next_cursor"));
            }
            assert_eq!(told, wanted(query), "{query}");
        }
        let stats = rmm.technician.get("/api/agents/stats").await.expect(200);
        assert_eq!(stats["total"], 10_000);
    }
}

/// The first 500 of ten thousand agents, in their order.
fn wanted(query: &str) -> Vec<String> {
    let mut names: Vec<String> = (1..=10_000).map(|n| format!("host-{n}")).collect();
    match query.rsplit('&').next() {
        Some("sort=-last_seen") => names.reverse(),
        Some("sort=created") => {}
        Some("q=host-9") => {
            names.retain(|name| name.starts_with("host-9"));
            names.sort();
        }
        // By name, where nothing else is said.
        _ => names.sort(),
    }
    names.truncate(500);
    names
}

async fn hostnames(api: &Api, query: &str) -> Vec<String> {
    let list = items(&api.get(&format!("/api/agents?{query}")).await.expect(200));
    let mut names: Vec<_> = list
        .iter()
        .map(|item| text(item, "hostname").to_owned())
        .collect();
    names.sort();
    names
}

fn ten_thousand(engine: Engine) -> String {
    let (id, capabilities, key, rows) = match engine {
        Engine::Sqlite => (
            "randomblob(16)",
            "'[]'",
            "1700000000000000 + n * 1000000",
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)",
        ),
        Engine::Postgres => (
            "gen_random_uuid()",
            "'[]'::jsonb",
            "to_timestamp(1700000000 + n)",
            "WITH numbers AS (SELECT generate_series(1, 10000) AS n)",
        ),
    };
    format!(
        "INSERT INTO agents (id, site_id, device_id, hostname, os_family, os_name, os_version, os_arch, \
         protocol, capabilities, status, last_seen_at, created_at, updated_at) \
         {rows} SELECT {id}, (SELECT id FROM sites), 'device-' || n, 'host-' || n, 'linux', '', '', '', \
         2, {capabilities}, 'offline', {key}, {key}, {key} FROM numbers"
    )
}
