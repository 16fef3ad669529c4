//! Which pages a browser may let call the API.

use gururmm_tests::{Answer, Api, on_both_databases};
use reqwest::Method;

const OURS: &str = "https://dashboard.example.com";

on_both_databases! {
    async fn only_configured_origins_are_let_in_by_a_preflight(world: World) {
        let rmm = world.deploy(&[("http.allowed_origins", OURS)]).await;
        let asked = preflight(&rmm.admin, OURS, "POST", "authorization,content-type,idempotency-key").await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        assert_eq!(asked.header("access-control-allow-origin"), OURS);
        let allowed = asked.header("access-control-allow-headers").to_ascii_lowercase();
        for name in ["authorization", "content-type", "idempotency-key", "if-match"] {
            assert!(allowed.contains(name), "{name}: {allowed}");
        }
        assert_eq!(asked.header("access-control-allow-credentials"), "");
        for origin in ["https://evil.example.com", "null", "http://dashboard.example.com", "https://dashboard.example.com.evil.example"] {
            let refused = preflight(&rmm.admin, origin, "POST", "authorization").await;
            assert_eq!(refused.header("access-control-allow-origin"), "", "{origin}");
        }
        let refused = preflight(&rmm.admin, OURS, "TRACE", "authorization").await;
        assert_eq!(refused.header("access-control-allow-origin"), "", "a method that nobody needs");
    }

    async fn an_answer_tells_a_configured_page_what_it_may_read_and_others_nothing(world: World) {
        let rmm = world.deploy(&[("http.allowed_origins", OURS)]).await;
        let told = from(&rmm.admin, OURS).await;
        assert_eq!((told.status, told.header("access-control-allow-origin")), (200, OURS));
        let exposed = told.header("access-control-expose-headers").to_ascii_lowercase();
        for name in ["x-request-id", "etag", "retry-after", "ratelimit"] {
            assert!(exposed.contains(name), "{name}: {exposed}");
        }
        assert!(told.header("vary").to_ascii_lowercase().contains("origin"));
        for origin in ["https://evil.example.com", "null"] {
            let answer = from(&rmm.admin, origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        }
    }

    async fn without_configuration_no_other_origin_is_let_in(world: World) {
        let rmm = world.deploy(&[]).await;
        let asked = preflight(&rmm.admin, OURS, "POST", "authorization").await;
        assert_eq!(asked.header("access-control-allow-origin"), "");
        assert_eq!(from(&rmm.admin, OURS).await.header("access-control-allow-origin"), "");
    }
}

async fn preflight(api: &Api, origin: &str, method: &str, headers: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", headers),
    ];
    let sent = api.send(Method::OPTIONS, "/api/clients", &headers, None);
    sent.await.expect("the server answers")
}

async fn from(api: &Api, origin: &str) -> Answer {
    let headers = [("origin", origin)];
    let sent = api.send(Method::GET, "/api/clients", &headers, None);
    sent.await.expect("the server answers")
}
