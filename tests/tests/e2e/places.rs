//! Clients, sites and agents as the API tells them.

use gururmm_tests::api::{items, text};
use gururmm_tests::{Deployment, on_both_databases};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

on_both_databases! {
    async fn a_client_is_made_and_listed_and_its_name_is_unique(world: World) {
        let rmm = world.deploy(&[]).await;
        let client = rmm.admin.post("/api/clients", json!({"name": "Acme ☂"})).await.expect(201);
        assert_eq!(client["name"], "Acme ☂");
        Uuid::parse_str(text(&client, "id")).unwrap();
        assert!(client["created_at"].is_string() && client["updated_at"].is_string());
        rmm.admin.post("/api/clients", json!({"name": "Acme ☂"})).await.refusal(409);
        let list = items(&rmm.technician.get("/api/clients").await.expect(200));
        assert!(list.iter().any(|item| item["id"] == client["id"] && item["name"] == "Acme ☂"), "{list:?}");
    }

    async fn a_site_gets_a_code_and_a_key_that_is_shown_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let parts: Vec<&str> = rmm.site.code.split('-').collect();
        assert_eq!(parts.len(), 3, "WORD-WORD-NUMBER, not {}", rmm.site.code);
        for word in &parts[..2] {
            assert!(!word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase()), "{}", rmm.site.code);
        }
        assert!(parts[2].bytes().all(|b| b.is_ascii_digit()), "{}", rmm.site.code);
        assert!(rmm.site.key.starts_with("grmm_") && rmm.site.key.len() >= 37, "a key with 128 bits");

        let list = rmm.admin.get("/api/sites").await.expect(200);
        let site = &items(&list)[0];
        assert_eq!(site["site_code"], rmm.site.code.as_str());
        assert_eq!(site["client_id"], rmm.site.client_id.as_str());
        assert!(site.get("api_key").is_none_or(Value::is_null), "{site}");
        assert!(!list.to_string().contains("grmm_"), "{list}");

        let hash = format!("{:x}", Sha256::digest(&rmm.site.key));
        let stored = match rmm.database.engine() {
            gururmm_tests::database::Engine::Sqlite => "lower(hex(api_key_hash))",
            gururmm_tests::database::Engine::Postgres => "encode(api_key_hash, 'hex')",
        };
        let rows = rmm.database.values(&format!("SELECT {stored} AS value FROM sites")).await;
        assert_eq!(rows, [Some(hash)]);
    }

    async fn sites_are_filtered_by_client_and_belong_to_one_that_exists(world: World) {
        let rmm = world.deploy(&[]).await;
        let other = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let other = text(&other, "id");
        let site = json!({"client_id": other, "name": "Head Office"});
        rmm.admin.post("/api/sites", site.clone()).await.check(201);
        rmm.admin.post("/api/sites", site).await.refusal(409);
        let path = format!("/api/sites?client_id={other}");
        assert_eq!(items(&rmm.admin.get(&path).await.expect(200)).len(), 1);
        assert_eq!(items(&rmm.admin.get("/api/sites").await.expect(200)).len(), 2);
        rmm.admin.get("/api/sites?client_id=1").await.refusal(400);
        let orphan = json!({"client_id": Uuid::new_v4(), "name": "x"});
        let answer = rmm.admin.post("/api/sites", orphan).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.text);
    }

    async fn who_may_only_read_may_not_create(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        for api in [&reader, &rmm.technician] {
            api.post("/api/clients", json!({"name": "x"})).await.refusal(403);
            let site = json!({"client_id": rmm.site.client_id, "name": "x"});
            api.post("/api/sites", site).await.refusal(403);
            for path in ["/api/clients", "/api/sites", "/api/agents"] {
                api.get(path).await.check(200);
            }
        }
        let (_agent, id) = rmm.raw_agent().await;
        reader.get(&format!("/api/agents/{id}")).await.check(200);
        reader.get(&format!("/api/agents/{id}/state")).await.check(200);
        for api in [&reader, &rmm.technician] {
            api.delete(&format!("/api/agents/{id}")).await.refusal(403);
            let body = json!({"site_id": rmm.site.id});
            api.post(&format!("/api/agents/{id}/move"), body).await.refusal(403);
        }
        reader.post("/api/v1/tunnel/open", json!({"agent_id": id})).await.refusal(403);
    }

    async fn an_agent_is_told_with_its_place_its_system_and_its_state(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.raw_agent().await;
        let body = rmm.technician.get(&format!("/api/agents/{id}")).await.expect(200);
        assert_eq!(body["id"], id.to_string());
        assert_eq!(body["hostname"], "raw-agent");
        assert_eq!(body["device_id"], agent.device_id.as_str());
        assert_eq!(body["status"], "online");
        assert_eq!(body["os"], json!({"family": "linux", "name": "Test OS", "version": "1", "arch": "x86_64"}));
        assert_eq!(body["agent_version"], "0.1.0");
        assert_eq!(body["protocol"], 2);
        assert_eq!(body["site"], json!({"id": rmm.site.id, "name": "Head Office"}));
        assert_eq!(body["client"], json!({"id": rmm.site.client_id, "name": "Example Client"}));
        assert!(body["last_seen_at"].is_string() && body["created_at"].is_string(), "{body}");
        assert_eq!(body["metrics"], Value::Null);
        let state = rmm.technician.get(&format!("/api/agents/{id}/state")).await.expect(200);
        assert_eq!(state["agent_id"], id.to_string());
        assert_eq!(state["status"], "online");
        assert_eq!(state["metrics"], Value::Null);
    }

    async fn agents_are_listed_in_pages_and_by_place(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agents = Vec::new();
        for _ in 0..5 {
            agents.push(rmm.raw_agent().await);
        }
        let other = gururmm_tests::deployment::add_site(&rmm.admin, &rmm.site.client_id, "Branch").await;
        let mut branch = gururmm_tests::RawAgent::connect(&rmm.server.agents_url()).await;
        let branch_id = branch.enrol(&other.code).await.agent_id.unwrap();

        let path = format!("/api/agents?site_id={}", other.id);
        let list = items(&rmm.technician.get(&path).await.expect(200));
        assert_eq!(list.len(), 1);
        assert_eq!(list[0]["id"], branch_id.to_string());
        let path = format!("/api/agents?client_id={}", rmm.site.client_id);
        assert_eq!(items(&rmm.technician.get(&path).await.expect(200)).len(), 6);

        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = None::<String>;
        for _ in 0..10 {
            let after = cursor.as_ref().map_or_else(String::new, |c| format!("&cursor={c}"));
            let path = format!("/api/agents?limit=2{after}");
            let page = rmm.technician.get(&path).await.expect(200);
            assert!(items(&page).len() <= 2);
            for item in items(&page) {
                assert!(seen.insert(text(&item, "id").to_owned()), "told twice");
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 6);
        for bad in ["limit=0", "limit=-1", "limit=x", "limit=1000000", "cursor=%27", "site_id=x"] {
            rmm.technician.get(&format!("/api/agents?{bad}")).await.refusal(400);
        }
    }

    async fn an_agent_that_does_not_exist_is_404_and_a_malformed_id_400(world: World) {
        let rmm = world.deploy(&[]).await;
        let none = Uuid::new_v4();
        for tail in ["", "/state"] {
            rmm.admin.get(&format!("/api/agents/{none}{tail}")).await.refusal(404);
            rmm.admin.get(&format!("/api/agents/not-a-uuid{tail}")).await.refusal(400);
        }
        rmm.admin.delete(&format!("/api/agents/{none}")).await.refusal(404);
        rmm.admin.delete("/api/agents/1%27--").await.refusal(400);
        let body = json!({"site_id": rmm.site.id});
        rmm.admin.post(&format!("/api/agents/{none}/move"), body).await.refusal(404);
        let (_agent, id) = rmm.raw_agent().await;
        let path = format!("/api/agents/{id}/move");
        let answer = rmm.admin.post(&path, json!({"site_id": none})).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.text);
        rmm.admin.post(&path, json!({"site_id": "x"})).await.refusal(400);
    }

    async fn sql_in_every_text_is_only_text(world: World) {
        let rmm = world.deploy(&[]).await;
        for (number, sql) in SQL.iter().enumerate() {
            let client = rmm.admin.post("/api/clients", json!({"name": sql})).await.expect(201);
            assert_eq!(client["name"], *sql);
            let site = json!({"client_id": client["id"], "name": sql});
            let site = rmm.admin.post("/api/sites", site).await.expect(201);
            assert_eq!(site["name"], *sql);
            let user = json!({"email": format!("sql{number}@example.com"), "name": sql,
                "password": format!("{sql} long enough"), "role": "read_only"});
            let user = rmm.admin.post("/api/users", user).await.expect(201);
            assert_eq!(user["name"], *sql);
            let login = json!({"email": sql, "password": sql});
            let answer = rmm.server.anonymous().post("/api/auth/login", login).await;
            assert!([400, 401].contains(&answer.status), "{}", answer.text);

            let mut agent = gururmm_tests::RawAgent::connect(&rmm.server.agents_url()).await;
            let mut auth = agent.auth(text(&site, "site_code"));
            auth.hostname = (*sql).to_owned();
            auth.device_id = Some((*sql).to_owned());
            auth.version = Some((*sql).to_owned());
            auth.os_info = Some(gururmm_shared::OsInfo::Text((*sql).to_owned()));
            let id = agent.authenticate(auth).await.agent_id.unwrap();
            let body = rmm.admin.get(&format!("/api/agents/{id}")).await.expect(200);
            assert_eq!(body["hostname"], *sql);
            assert_eq!(body["device_id"], *sql);
        }
        everything_is_still_there(&rmm).await;
    }

    async fn sql_in_paths_and_queries_is_a_malformed_id(world: World) {
        let rmm = world.deploy(&[]).await;
        for sql in ["%27%20OR%201%3D1--", "1%3BDROP%20TABLE%20users", "%00", "..%2f..%2fetc%2fpasswd"] {
            for path in [format!("/api/agents/{sql}"), format!("/api/agents/{sql}/state"),
                format!("/api/v1/tunnel/status/{sql}"), format!("/api/agents?site_id={sql}"),
                format!("/api/agents?cursor={sql}"), format!("/api/audit/tunnel?session_id={sql}")] {
                let answer = rmm.admin.get(&path).await;
                assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
            }
            let open = json!({"agent_id": sql});
            rmm.technician.post("/api/v1/tunnel/open", open).await.refusal(400);
            let close = json!({"session_id": sql});
            rmm.technician.post("/api/v1/tunnel/close", close).await.refusal(400);
        }
        everything_is_still_there(&rmm).await;
    }

    async fn names_that_are_empty_too_long_or_hold_control_characters_are_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        for bad in [json!(""), json!("   "), json!("x".repeat(10_000)), json!("a\u{0}b"), json!("a\nb"),
            json!("a\u{1b}[31mb"), json!(7), json!(null), json!(["x"]), json!({"x": 1})] {
            let answer = rmm.admin.post("/api/clients", json!({"name": bad})).await;
            assert_eq!(answer.status, 400, "client {bad}: {}", answer.text);
            let site = json!({"client_id": rmm.site.client_id, "name": bad});
            let answer = rmm.admin.post("/api/sites", site).await;
            assert_eq!(answer.status, 400, "site {bad}: {}", answer.text);
        }
        let answer = rmm.admin.post("/api/clients", json!({"name": ""})).await.refusal(400);
        assert_eq!(answer["field"], "name", "{answer}");
        for text in ["", "[]", "null", "{\"name\":", "{\"name\":\"\\ud800\"}", "\u{feff}{}"] {
            rmm.admin.post_text("/api/clients", text).await.refusal(400);
        }
    }
}

const SQL: [&str; 4] = [
    "'; DROP TABLE users; --",
    "\" OR \"\"=\"",
    "Robert'); DELETE FROM agents WHERE ('1'='1",
    "%' UNION SELECT password_hash FROM users --\\",
];

async fn everything_is_still_there(rmm: &Deployment) {
    rmm.admin.get("/api/auth/me").await.check(200);
    let users = items(&rmm.admin.get("/api/users").await.expect(200));
    assert!(users.len() >= 2);
    assert!(!items(&rmm.admin.get("/api/sites").await.expect(200)).is_empty());
}
