//! Texts that are SQL, wherever a text may be given: they are kept and found as they are, and nothing else happens.

use chrono::{Duration as Time, Utc};
use gururmm_tests::api::items;
use gururmm_tests::files::text as path_text;
use gururmm_tests::{Deployment, Machine, on_both_databases};
use serde_json::{Value, json};

/// What ends a literal, comments the rest out, adds a statement, or stands for a parameter or a pattern.
const TEXTS: [&str; 7] = [
    "x'; DROP TABLE users; --",
    "x' OR '1'='1",
    "x\" OR \"1\"=\"1",
    "x\\'); DELETE FROM audit_acts; --",
    "x%' UNION SELECT password_hash FROM users --",
    "$1 ?1 :a @b",
    "x/**/_%||(SELECT 1)",
];

/// Every list.
const LISTS: [&str; 16] = [
    "/api/users",
    "/api/keys",
    "/api/clients",
    "/api/sites",
    "/api/agents",
    "/api/agents/unassigned",
    "/api/commands",
    "/api/jobs",
    "/api/scripts",
    "/api/schedules",
    "/api/policies",
    "/api/registration-tokens",
    "/api/maintenance",
    "/api/notifications",
    "/api/sessions",
    "/api/recordings",
];

/// Filters that take any text.
const TEXT_FILTERS: [&str; 3] = [
    "/api/agents?os_family",
    "/api/alerts?kind",
    "/api/audit?outcome",
];

/// Filters that take a word, an id or a time of those that there are.
const CHOICES: [&str; 14] = [
    "/api/users?role",
    "/api/agents?status",
    "/api/agents?site_id",
    "/api/commands?status",
    "/api/commands?agent_id",
    "/api/commands?from",
    "/api/jobs?state",
    "/api/alerts?severity",
    "/api/policies?level",
    "/api/notifications?kind",
    "/api/sessions?status",
    "/api/recordings?session_id",
    "/api/clients?sort",
    "/api/agents?cursor",
];

on_both_databases! {
    async fn every_text_of_a_body_is_kept_as_it_is(world: World) {
        let rmm = world.deploy(&[]).await;
        let agent = agent(&rmm).await;
        let before = tables(&rmm).await;
        for (number, sql) in TEXTS.iter().enumerate() {
            for (path, field, body) in bodies(&rmm, &agent, number, sql) {
                let made = rmm.admin.post(path, body).await.expect(201);
                let all = items(&rmm.admin.get(&format!("{path}?limit=1000")).await.expect(200));
                // A list of scripts does not tell their text.
                let kept = all.iter().chain([&made]).any(|one| one[field] == *sql);
                assert!(kept, "{path} {field} is not told as it was given: {made}");
                alone(&rmm, path, &made).await;
            }
        }
        assert_eq!(tables(&rmm).await, before, "the same tables");
        rmm.technician.get("/api/auth/me").await.check(200);
    }

    async fn a_search_finds_what_holds_the_text_and_nothing_else(world: World) {
        let rmm = world.deploy(&[]).await;
        let agent = agent(&rmm).await;
        let before = tables(&rmm).await;
        for number in 0..3 {
            for (path, _, body) in bodies(&rmm, &agent, number, &format!("harmless {number}")) {
                let made = rmm.admin.post(path, body).await.expect(201);
                alone(&rmm, path, &made).await;
            }
        }
        let query = |path: &str, sql: &str| {
            let (path, name) = path.split_once('?').unwrap_or((path, "q"));
            let url = reqwest::Url::parse_with_params("http://x", [(name, sql)]).unwrap();
            format!("{path}?{}", url.query().unwrap())
        };
        for sql in TEXTS {
            for path in LISTS.iter().chain(&TEXT_FILTERS) {
                let found = items(&rmm.admin.get(&query(path, sql)).await.expect(200));
                assert!(found.is_empty(), "{path} {sql}: {found:?}");
            }
            for path in CHOICES {
                rmm.admin.get(&query(path, sql)).await.problem(400, "invalid_field");
            }
        }
        assert_eq!(tables(&rmm).await, before, "the same tables");
    }

    async fn what_a_tunnel_is_asked_for_is_kept_in_the_audit_as_it_is(world: World) {
        let machine = Machine::start(&world).await;
        let rmm = &machine.rmm;
        let before = tables(rmm).await;
        for sql in TEXTS {
            // The folder's name may hold no slash.
            let sql = sql.replace('/', "|");
            let file = machine.file(&sql, b"as it is");
            machine.files.get("files/stat", &[("path", path_text(&file))]).await.check(200);
            assert_eq!(machine.files.download(&file, &[]).await.body, b"as it is");
            machine.act(&format!("read {} from 0", path_text(&file))).await;
            // No service has such a name, or there are no services at all.
            let service = machine.files.get(&format!("services/{}", encoded(&sql)), &[]).await;
            assert!((400..500).contains(&service.status), "{sql}: {}", service.status);
            let echo = format!("printf %s \"$0\" # {sql}");
            assert_eq!(rmm.run(machine.session, &echo).await.exit_code, Some(0));
            let rows = rmm.audit(machine.session).await;
            assert!(rows.iter().any(|row| row["detail"] == echo.as_str()), "{echo}");
        }
        assert_eq!(tables(rmm).await, before, "the same tables");
    }
}

/// Takes away what there may be only one of.
async fn alone(rmm: &Deployment, path: &str, made: &Value) {
    if path == "/api/policies" {
        let path = format!("{path}/{}", gururmm_tests::api::text(made, "id"));
        rmm.admin.delete(&path).await.check(204);
    }
}

/// An agent that is known and never comes; answers its id.
async fn agent(rmm: &Deployment) -> String {
    let body = json!({"site_id": rmm.site.id, "device_id": "quiet", "hostname": "quiet"});
    let made = rmm.admin.post("/api/agents", body).await.expect(201);
    let made = made.get("agent").unwrap_or(&made);
    gururmm_tests::api::text(made, "id").to_owned()
}

/// What is made with a text: path, the field that holds it, body. What must be unique gets the number as well.
fn bodies(
    rmm: &Deployment,
    agent: &str,
    number: usize,
    sql: &str,
) -> Vec<(&'static str, &'static str, Value)> {
    let site = &rmm.site.id;
    let tomorrow = Utc::now() + Time::days(1);
    vec![
        (
            "/api/users",
            "name",
            json!({"email": format!("u{number}@example.com"), "name": sql, "password": "a long password 5",
            "role": "read_only"}),
        ),
        (
            "/api/keys",
            "name",
            json!({"name": sql, "role": "read_only"}),
        ),
        ("/api/clients", "name", json!({"name": sql})),
        (
            "/api/sites",
            "name",
            json!({"name": sql, "client_id": rmm.site.client_id}),
        ),
        ("/api/scripts", "name", json!({"name": sql, "body": "true"})),
        (
            "/api/scripts",
            "body",
            json!({"name": format!("s{number}"), "body": sql}),
        ),
        (
            "/api/schedules",
            "name",
            json!({"name": sql, "cron": "0 0 1 1 *", "time_zone": "UTC", "when_offline": "wait",
            "filter": {"site_id": site}, "command": sql}),
        ),
        (
            "/api/jobs",
            "name",
            json!({"name": sql, "command": sql, "filter": {"agent_ids": [agent]}}),
        ),
        (
            "/api/policies",
            "name",
            json!({"name": sql, "site_id": site, "settings": {"commands": {"deny": [{"glob": sql}]}}}),
        ),
        (
            "/api/registration-tokens",
            "name",
            json!({"site_id": site, "name": sql}),
        ),
        (
            "/api/maintenance",
            "reason",
            json!({"site_id": site, "ends_at": tomorrow, "reason": sql}),
        ),
        (
            "/api/notifications",
            "name",
            json!({"name": sql, "kind": "webhook", "target": "https://hooks.example.com/x"}),
        ),
    ]
}

/// Which tables there are.
async fn tables(rmm: &Deployment) -> Vec<Option<String>> {
    let catalogue = match rmm.database.engine() {
        gururmm_tests::database::Engine::Sqlite => {
            "SELECT name AS value FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        }
        gururmm_tests::database::Engine::Postgres => {
            "SELECT table_name::text AS value FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    rmm.database.values(catalogue).await
}

/// A segment of a path.
fn encoded(text: &str) -> String {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.path_segments_mut().unwrap().push(text);
    url.path().trim_start_matches('/').to_owned()
}
