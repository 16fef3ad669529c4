//! The description of the API, and the pages that show it.

use std::process::Command;

use gururmm_tests::binaries::binary;
use gururmm_tests::on_both_databases;
use serde_json::Value;

#[test]
fn the_description_is_printed_without_configuration_and_database() {
    let printed = Command::new(binary("gururmm-server"))
        .arg("openapi")
        .env_clear()
        // Neither can be used, and neither is looked at.
        .env("GURURMM_CONFIG", "/nonexistent/gururmm.toml")
        .env("GURURMM_DATABASE__URL", "postgres://127.0.0.1:1/none")
        .output()
        .expect("the server's program starts");
    assert!(printed.status.success(), "{printed:?}");
    assert!(printed.stderr.is_empty(), "{printed:?}");
    let document: Value = serde_json::from_slice(&printed.stdout).expect("it is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/agents"]["get"].is_object());
}

/// What a page loads: the values of its `src` and `href`.
fn loaded(page: &str) -> Vec<String> {
    let parts = page.split("src=\"").skip(1);
    let links = page.split("href=\"").skip(1);
    parts
        .chain(links)
        .filter_map(|part| part.split_once('"'))
        .map(|(value, _)| value.to_owned())
        .collect()
}

on_both_databases! {
    async fn the_server_shows_what_it_prints_to_anybody(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let answer = api.get("/api/openapi.json").await;
        assert_eq!(answer.header("content-type"), "application/json");
        let printed = Command::new(binary("gururmm-server")).arg("openapi").output();
        let printed: Value = serde_json::from_slice(&printed.unwrap().stdout).unwrap();
        assert_eq!(answer.expect(200), printed);
    }

    async fn the_pages_load_nothing_from_elsewhere(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let page = api.get("/api/docs/").await;
        page.check(200);
        assert!(page.header("content-type").starts_with("text/html"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
        let files = loaded(&page.text);
        assert!(files.len() >= 5, "{files:?}");
        for file in files {
            assert!(!file.contains("//"), "{file} lies elsewhere");
            let path = format!("/api/docs/{}", file.trim_start_matches("./"));
            api.get(&path).await.check(200);
        }
        let start = api.get("/api/docs/swagger-initializer.js").await;
        start.check(200);
        assert!(start.text.contains("/api/openapi.json"), "{}", start.text);
        assert!(start.text.contains("\"validatorUrl\": \"none\""), "{}", start.text);
        api.get("/api/docs/no-such-file").await.problem(404, "not_found");
        // A client makes that /etc/passwd, which is a path of the dashboard's own pages.
        let outside = api.get("/api/docs/../../etc/passwd").await;
        assert!(!outside.text.contains("root:"), "{}", outside.text);
    }

    async fn an_administrator_may_hide_them(world: World) {
        let server = world.server(&[("http.docs", "false")]).await;
        let api = server.anonymous();
        for path in ["/api/openapi.json", "/api/docs/", "/api/docs/index.html"] {
            api.get(path).await.problem(404, "not_found");
        }
    }
}
