//! Browsers: log-ins by cookie, and what pages from elsewhere may not do with it.

use gururmm_tests::deployment::{ADMIN, TECHNICIAN};
use gururmm_tests::{Api, Subscriber, on_both_databases};
use reqwest::Method;
use serde_json::json;

const PUBLIC: &str = "https://rmm.example.com";

on_both_databases! {
    async fn a_browser_logs_in_by_cookie_and_no_script_gets_at_the_token(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"email": TECHNICIAN.0, "password": TECHNICIAN.1, "cookie": true});
        let answer = rmm.server.anonymous().post("/api/auth/login", body).await;
        let shown = answer.expect(200);
        assert!(shown.get("token").is_none(), "{shown}");
        assert!(shown["expires_at"].is_string() && shown["user"]["email"] == TECHNICIAN.0, "{shown}");
        let set = answer.header("set-cookie");
        for part in ["grmm_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=86"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
        let browser = rmm.server.anonymous().with_cookie(&answer.cookie());
        assert_eq!(browser.get("/api/auth/me").await.expect(200)["email"], TECHNICIAN.0);
        // Without the wish for it the token is in the body, as ever.
        let body = json!({"email": TECHNICIAN.0, "password": TECHNICIAN.1});
        let answer = rmm.server.anonymous().post("/api/auth/login", body).await;
        assert!(answer.expect(200)["token"].is_string());
        assert_eq!(answer.header("set-cookie"), "");
    }

    async fn the_first_administrator_is_set_up_by_cookie(world: World) {
        let server = world.server(&[("server.public_url", PUBLIC)]).await;
        let (email, password) = ADMIN;
        let body = json!({"token": server.setup_token(), "email": email, "password": password, "cookie": true});
        let answer = server.anonymous().post("/api/auth/setup", body).await;
        assert!(answer.expect(201).get("token").is_none());
        assert!(answer.header("set-cookie").contains("; Secure"), "browsers come by https: {}", answer.header("set-cookie"));
        let browser = server.anonymous().with_cookie(&answer.cookie());
        browser.post("/api/clients", json!({"name": "First"})).await.check(201);
    }

    async fn changes_by_cookie_need_the_header_and_reading_does_not(world: World) {
        let rmm = world.deploy(&[]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(ADMIN.0, ADMIN.1).await;
        let form = browser.without_csrf();
        form.get("/api/clients").await.check(200);
        for value in ["", "0", "true"] {
            let headers = [("content-type", "application/json"), ("x-gururmm-csrf", value)];
            let body = Some(json!({"name": "Forged"}).to_string());
            let answer = form.send(Method::POST, "/api/clients", &headers, body).await.unwrap();
            assert!(answer.problem(403, "csrf_header_missing")["detail"].as_str().unwrap().contains("X-GuruRMM-CSRF: 1"));
        }
        let client = format!("/api/clients/{}", rmm.site.client_id);
        form.post("/api/clients", json!({"name": "Forged"})).await.problem(403, "csrf_header_missing");
        form.put(&client, json!({"name": "Forged"})).await.problem(403, "csrf_header_missing");
        form.delete(&client).await.problem(403, "csrf_header_missing");
        form.post("/api/auth/logout", json!({})).await.problem(403, "csrf_header_missing");
        browser.post("/api/clients", json!({"name": "Meant"})).await.check(201);
        // A good header says nothing of a bad cookie.
        let bad = rmm.server.anonymous().with_cookie("grmm_session=nonsense");
        bad.post("/api/clients", json!({"name": "Forged"})).await.problem(401, "invalid_token");
        bad.without_csrf().post("/api/clients", json!({"name": "Forged"})).await.problem(401, "invalid_token");
    }

    async fn a_page_from_elsewhere_is_refused_with_a_good_cookie_and_header(world: World) {
        let allowed = "https://console.example.com";
        let rmm = world.deploy(&[("server.public_url", PUBLIC), ("http.allowed_origins", allowed)]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(ADMIN.0, ADMIN.1).await;
        let from = async |origin: &str, name: &str| {
            let headers = [("content-type", "application/json"), ("origin", origin)];
            let body = Some(json!({"name": name}).to_string());
            browser.send(Method::POST, "/api/clients", &headers, body).await.unwrap()
        };
        for (number, origin) in [rmm.server.url().as_str(), PUBLIC, allowed].into_iter().enumerate() {
            from(origin, &format!("Client {number}")).await.check(201);
        }
        for origin in ["https://evil.example", "null", "http://rmm.example.com", "https://rmm.example.com.evil.example"] {
            from(origin, "Forged").await.problem(403, "foreign_origin");
        }
        let headers = [("origin", "https://evil.example")];
        let read = browser.send(Method::GET, "/api/clients", &headers, None).await.unwrap();
        read.problem(403, "foreign_origin");
    }

    async fn a_log_out_revokes_the_cookie_and_clears_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(TECHNICIAN.0, TECHNICIAN.1).await;
        let answer = browser.post("/api/auth/logout", json!({})).await;
        answer.check(204);
        let set = answer.header("set-cookie");
        assert!(set.starts_with("grmm_session=;") && set.contains("Max-Age=0") && set.contains("Path=/"), "{set}");
        browser.get("/api/auth/me").await.problem(401, "token_revoked");
        rmm.technician.get("/api/auth/me").await.problem(401, "token_revoked");
    }

    async fn a_new_password_by_cookie_hands_out_a_new_cookie(world: World) {
        let rmm = world.deploy(&[]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(TECHNICIAN.0, TECHNICIAN.1).await;
        let body = json!({"current_password": TECHNICIAN.1, "new_password": "a wholly new password"});
        let answer = browser.post("/api/auth/password", body).await;
        assert!(answer.expect(200).get("token").is_none());
        browser.get("/api/auth/me").await.problem(401, "token_revoked");
        let renewed = rmm.server.anonymous().with_cookie(&answer.cookie());
        renewed.get("/api/auth/me").await.check(200);
    }

    async fn the_header_counts_before_the_cookie_and_no_key_is_a_cookie(world: World) {
        let rmm = world.deploy(&[]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(ADMIN.0, ADMIN.1).await;
        let with = async |authorization: &str| {
            let headers = [("authorization", authorization)];
            browser.send(Method::GET, "/api/auth/me", &headers, None).await.unwrap()
        };
        let own = format!("Bearer {}", rmm.technician.token());
        assert_eq!(with(&own).await.expect(200)["email"], TECHNICIAN.0);
        with("Bearer nonsense").await.problem(401, "invalid_token");
        with("Basic eDp5").await.problem(401, "token_missing");
        let key = rmm.admin.post("/api/keys", json!({"name": "k", "role": "read_only"})).await.expect(201);
        let cookie = format!("grmm_session={}", key["key"].as_str().unwrap());
        rmm.server.anonymous().with_cookie(&cookie).get("/api/auth/me").await.problem(401, "invalid_token");
    }

    async fn a_websocket_by_cookie_needs_an_origin_of_the_servers_own(world: World) {
        let rmm = world.deploy(&[("server.public_url", PUBLIC)]).await;
        let browser = rmm.server.anonymous().log_in_with_cookie(TECHNICIAN.0, TECHNICIAN.1).await;
        for origin in [None, Some("https://evil.example"), Some("null"), Some("")] {
            assert_eq!(refusal(&browser, origin).await, Some(403), "{origin:?}");
        }
        for origin in [rmm.server.url().as_str(), PUBLIC] {
            assert_eq!(refusal(&browser, Some(origin)).await, None, "{origin}");
        }
        // What is no browser has no Origin; one that is there must be ours all the same.
        assert_eq!(refusal(&rmm.technician, None).await, None);
        assert_eq!(refusal(&rmm.technician, Some("https://evil.example")).await, Some(403));
        let bad = rmm.server.anonymous().with_cookie("grmm_session=nonsense");
        assert_eq!(refusal(&bad, Some(&rmm.server.url())).await, Some(401));
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/tcp?host=127.0.0.1&port=9");
        let asked = browser.send(Method::GET, &path, &crate::requests::UPGRADE, None).await;
        asked.unwrap().problem(403, "foreign_origin");
    }
}

/// With what status a stream of events is refused; none where it is let in.
async fn refusal(api: &Api, origin: Option<&str>) -> Option<u16> {
    Subscriber::connect(api, origin).await.err()
}
