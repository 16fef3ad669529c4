//! What each list is searched, sorted and filtered by.

use std::collections::BTreeSet;

use chrono::{Duration as Time, Utc};
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::add_site;
use gururmm_tests::{Api, on_both_databases};
use serde_json::{Value, json};

/// Lists, one of their orders, and a filter with a word that it does not know.
const LISTS: [(&str, &str, &str); 9] = [
    ("/api/commands", "-created", "status"),
    ("/api/jobs", "name", "state"),
    ("/api/alerts", "kind", "severity"),
    ("/api/policies", "-updated", "level"),
    ("/api/registration-tokens", "expires", "usable"),
    ("/api/notifications", "-name", "kind"),
    ("/api/maintenance", "-ends", "state"),
    ("/api/sessions", "activity", "status"),
    ("/api/recordings", "started", "state"),
];

on_both_databases! {
    async fn every_list_takes_limit_cursor_sort_and_search_and_names_what_it_does_not_know(world: World) {
        let rmm = world.deploy(&[]).await;
        for (path, sort, filter) in LISTS {
            rmm.admin.get(&format!("{path}?limit=1000&sort={sort}&q=x")).await.check(200);
            let word = format!("{filter}=nonsense");
            for (query, field) in [("limit=0", "limit"), ("limit=1001", "limit"), ("sort=shoe_size", "sort"),
                ("cursor=abc", "cursor"), ("colour=red", "colour"), ("q=", "q"), (&word, filter)] {
                let refused = rmm.admin.get(&format!("{path}?{query}")).await.problem(400, "invalid_field");
                assert_eq!(refused["field"], field, "{path}?{query}");
            }
        }
    }

    async fn commands_and_jobs_are_found_by_what_they_are(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let (other, other_id, _) = rmm.journal_agent().await;
        other.close().await;
        for line in ["echo 100%", "echo alpha", "echo beta"] {
            rmm.give(other_id, line).await;
        }
        let sent = rmm.give(id, "false").await;
        let taken = agent.command().await;
        let mut result = gururmm_tests::commands::success(taken.id, "");
        result.exit_code = Some(1);
        agent.result(result).await;
        rmm.wait_command(sent, "failed").await;
        let found = async |query: &str| commands(&rmm.technician, query).await;
        assert_eq!(found("q=ALPHA").await, ["echo alpha"]);
        assert_eq!(found("q=%25").await, ["echo 100%"]);
        assert_eq!(found("status=failed&reason=exit_code").await, ["false"]);
        assert_eq!(found("reason=expired").await, [""; 0]);
        assert_eq!(found(&format!("agent_id={other_id}&status=pending")).await, ["echo beta", "echo alpha", "echo 100%"]);
        assert_eq!(found(&format!("agent_id={other_id}&sort=created&limit=1")).await, ["echo 100%"]);
        assert_eq!(found(&format!("client_id={}", rmm.site.client_id)).await.len(), 4);
        assert_eq!(found(&format!("user_id={}", rmm.technician_id)).await.len(), 4);
        assert_eq!(found("from=2100-01-01T00:00:00Z").await.len(), 0);
        walk(&rmm.technician, "/api/commands?limit=1", "id", 4).await;

        for name in ["Patch all", "reboot"] {
            let body = json!({"name": name, "command": "true", "filter": {"agent_ids": [other_id]}});
            rmm.technician.post("/api/jobs", body).await.check(201);
        }
        let jobs = async |query: &str| names(&rmm.technician, &format!("/api/jobs?{query}"), "name").await;
        assert_eq!(jobs("").await, ["reboot", "Patch all"], "the newest first");
        assert_eq!(jobs("sort=name").await, ["Patch all", "reboot"]);
        assert_eq!(jobs("q=PATCH").await, ["Patch all"]);
        assert_eq!(jobs("state=active").await.len(), 2);
        assert_eq!(jobs("state=done").await.len(), 0);
        let first = items(&rmm.technician.get("/api/jobs?q=patch").await.expect(200));
        let cancel = format!("/api/jobs/{}/cancel", text(&first[0], "id"));
        rmm.technician.post(&cancel, Value::Null).await.check(202);
        assert_eq!(jobs("state=done").await, ["Patch all"]);
        walk(&rmm.technician, "/api/jobs?limit=1&sort=name", "id", 2).await;
    }

    async fn policies_windows_tokens_and_channels_are_found_by_what_they_are_for(world: World) {
        let rmm = world.deploy(&[]).await;
        let site = add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let settings = json!({"metrics": {"interval_seconds": 60}});
        for (name, target) in [("All", json!({})), ("One client", json!({"client_id": rmm.site.client_id})),
            ("One site", json!({"site_id": site.id}))] {
            let mut body = target.clone();
            body["name"] = json!(name);
            body["settings"] = settings.clone();
            rmm.admin.post("/api/policies", body).await.check(201);
            let mut body = target;
            body["reason"] = json!(name);
            body["ends_at"] = json!(Utc::now() + Time::hours(1));
            if name == "One site" {
                body["starts_at"] = json!(Utc::now() + Time::minutes(30));
            }
            rmm.admin.post("/api/maintenance", body).await.check(201);
        }
        let policies = async |query: &str| names(&rmm.technician, &format!("/api/policies?{query}"), "name").await;
        assert_eq!(policies("").await, ["All", "One client", "One site"]);
        assert_eq!(policies("level=default").await, ["All"]);
        assert_eq!(policies("level=client").await, ["One client"]);
        assert_eq!(policies("q=ONE&sort=-name").await, ["One site", "One client"]);
        assert_eq!(policies(&format!("site_id={}", site.id)).await, ["One site"]);
        walk(&rmm.technician, "/api/policies?limit=1&sort=-created", "id", 3).await;
        let windows = async |query: &str| names(&rmm.technician, &format!("/api/maintenance?{query}"), "reason").await;
        assert_eq!(windows("state=upcoming").await, ["One site"]);
        assert_eq!(windows("state=active&q=client").await, ["One client"]);
        assert_eq!(windows("sort=-starts&limit=1").await, ["One site"]);
        walk(&rmm.technician, "/api/maintenance?limit=1", "id", 3).await;

        for (name, body) in [("Spring", json!({"site_id": site.id})), ("Autumn", json!({"site_id": rmm.site.id, "uses": 1}))] {
            let mut body = body;
            body["name"] = json!(name);
            rmm.admin.post("/api/registration-tokens", body).await.check(201);
        }
        let tokens = async |query: &str| names(&rmm.admin, &format!("/api/registration-tokens?{query}"), "name").await;
        assert_eq!(tokens("").await, ["Autumn", "Spring"], "the newest first");
        assert_eq!(tokens("q=SPRI&usable=true").await, ["Spring"]);
        assert_eq!(tokens(&format!("site_id={}", site.id)).await, ["Spring"]);
        assert_eq!(tokens(&format!("client_id={}&sort=created", rmm.site.client_id)).await, ["Spring", "Autumn"]);
        let autumn = items(&rmm.admin.get("/api/registration-tokens?q=autumn").await.expect(200));
        let used = format!("UPDATE registration_tokens SET uses_left = 0 WHERE name = '{}'", text(&autumn[0], "name"));
        rmm.database.execute(&used).await.unwrap();
        assert_eq!(tokens("usable=false").await, ["Autumn"]);

        for (name, kind, target, enabled) in [("Mail", "email", "ops@example.com", true), ("Hook", "webhook", "https://hooks.example.com/x", false)] {
            let body = json!({"name": name, "kind": kind, "target": target, "enabled": enabled});
            rmm.admin.post("/api/notifications", body).await.check(201);
        }
        let channels = async |query: &str| names(&rmm.admin, &format!("/api/notifications?{query}"), "name").await;
        assert_eq!(channels("").await, ["Hook", "Mail"]);
        assert_eq!(channels("kind=email").await, ["Mail"]);
        assert_eq!(channels("enabled=false").await, ["Hook"]);
        assert_eq!(channels("q=OPS@").await, ["Mail"]);
        walk(&rmm.admin, "/api/notifications?limit=1", "id", 2).await;
    }

    async fn sessions_are_listed_to_their_own_technician_and_to_administrators(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let first = rmm.open_raw(&mut agent, id).await;
        rmm.technician.post("/api/v1/tunnel/close", json!({"session_id": first})).await.check(200);
        let second = rmm.open_raw(&mut agent, id).await;
        let sessions = async |api: &Api, query: &str| names(api, &format!("/api/sessions?{query}"), "session_id").await;
        let (first, second) = (first.to_string(), second.to_string());
        for api in [&rmm.technician, &rmm.admin] {
            assert_eq!(sessions(api, "").await, [second.clone(), first.clone()], "the newest first");
            assert_eq!(sessions(api, "status=open").await, *std::slice::from_ref(&second));
            assert_eq!(sessions(api, "status=closed").await, *std::slice::from_ref(&first));
            assert_eq!(sessions(api, "q=RAW-AGENT&sort=opened&limit=1").await, *std::slice::from_ref(&first));
            assert_eq!(sessions(api, &format!("tech_id={}", rmm.technician_id)).await.len(), 2);
            assert_eq!(sessions(api, &format!("client_id={}", rmm.site.client_id)).await.len(), 2);
            walk(api, "/api/sessions?limit=1", "session_id", 2).await;
        }
        let row = &items(&rmm.admin.get("/api/sessions?status=closed").await.expect(200))[0];
        assert_eq!((&row["hostname"], &row["close_reason"]), (&json!("raw-agent"), &json!("closed_by_technician")));
        let (colleague_id, colleague) = rmm.add_user("colleague@example.com", "technician").await;
        assert_eq!(sessions(&colleague, "").await.len(), 0);
        assert_eq!(sessions(&colleague, &format!("tech_id={}", rmm.technician_id)).await.len(), 0);
        assert_eq!(sessions(&rmm.admin, &format!("tech_id={colleague_id}")).await.len(), 0);
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.get("/api/sessions").await.problem(403, "not_allowed");
    }

    async fn alerts_are_found_by_text_kind_and_place(world: World) {
        let rmm = world.deploy(&[]).await;
        let things = crate::things::Things::create(&rmm, rmm.site.clone(), &rmm.technician, "zanzibar").await;
        let alerts = async |query: &str| names(&rmm.technician, &format!("/api/alerts?{query}"), "id").await;
        for query in ["", "q=ZANZI", "q=zanzibar-host", "kind=cpu", "status=unresolved", "severity=warning", "sort=kind"] {
            assert_eq!(alerts(query).await, *std::slice::from_ref(&things.alert), "{query}");
        }
        assert_eq!(alerts(&format!("client_id={}", things.site.client_id)).await.len(), 1);
        assert_eq!(alerts(&format!("site_id={}", things.spare_site.id)).await.len(), 0);
        for query in ["q=elsewhere", "kind=cp", "kind=memory", "severity=critical", "status=resolved", "from=2100-01-01T00:00:00Z"] {
            assert_eq!(alerts(query).await.len(), 0, "{query}");
        }
    }
}

async fn names(api: &Api, path: &str, field: &str) -> Vec<String> {
    let list = items(&api.get(path).await.expect(200));
    let names = list.iter().map(|item| text(item, field).to_owned());
    names.collect()
}

async fn commands(api: &Api, query: &str) -> Vec<String> {
    names(api, &format!("/api/commands?{query}"), "command").await
}

/// Reads a list page by page: every row comes once.
async fn walk(api: &Api, path: &str, field: &str, total: usize) {
    let mut seen = BTreeSet::new();
    let mut next = path.to_owned();
    loop {
        let page = api.get(&next).await.expect(200);
        for item in items(&page) {
            assert!(
                seen.insert(text(&item, field).to_owned()),
                "{path}: told twice"
            );
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        next = format!("{path}&cursor={cursor}");
    }
    assert_eq!(seen.len(), total, "{path}");
}
