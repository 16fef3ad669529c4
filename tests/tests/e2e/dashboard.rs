//! The dashboard: served by the server itself, at every path that is nobody else's.

use gururmm_tests::{Answer, Api, on_both_databases};
use reqwest::Method;

on_both_databases! {
    async fn every_path_that_is_nobody_elses_is_answered_with_the_page_and_its_policy(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        for path in ["/", "/devices", "/devices/0190f0c0-0000-7000-8000-000000000000", "/setup?x=1"] {
            let page = api.get(path).await;
            page.check(200);
            assert!(page.header("content-type").starts_with("text/html"), "{path}");
            assert!(page.text.contains("<html"), "{path}: {}", page.text);
            assert_eq!(page.header("cache-control"), "no-cache");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("http"), "{policy}");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert_eq!(page.header("referrer-policy"), "same-origin");
            assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        }
    }

    async fn what_the_api_does_not_have_stays_its_own_to_refuse(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        for path in ["/api", "/api/", "/api/nothing", "/ws/x", "/metrics/x", "/healthz/x", "/readyz/x", "/assets/none.js"] {
            api.get(path).await.problem(404, "not_found");
        }
        api.post_text("/", "{}").await.problem(404, "not_found");
        api.delete("/devices").await.problem(404, "not_found");
    }

    async fn no_path_leads_out_of_the_dashboard(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        for path in ["/../Cargo.toml", "/assets/../../Cargo.toml", "/%2e%2e/Cargo.toml", "/..%2fCargo.toml",
            "/.vite/manifest.json", "//etc/passwd", "/etc/passwd"] {
            let answer = api.get(path).await;
            assert!(!answer.text.contains("[workspace]") && !answer.text.contains("root:"), "{path}");
            assert!(answer.status == 404 || answer.text.contains("<html"), "{path}: {}", answer.text);
        }
    }

    async fn a_page_that_did_not_change_is_not_sent_again(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let page = api.get("/").await;
        let tag = page.header("etag").to_owned();
        assert!(!tag.is_empty(), "the server was built without its dashboard: `make web/dist/index.html`, then build it again");
        assert!(!tag.starts_with("W/"), "{tag}");
        let again = conditional(&api, &tag).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""));
        conditional(&api, "\"other\"").await.check(200);
    }
}

async fn conditional(api: &Api, tag: &str) -> Answer {
    let headers = [("if-none-match", tag)];
    let sent = api.send(Method::GET, "/", &headers, None);
    sent.await.expect("the server answers")
}
