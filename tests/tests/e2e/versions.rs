//! Versions of single things, and the budget of requests.

use gururmm_tests::api::text;
use gururmm_tests::{Answer, Api, on_both_databases};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases! {
    async fn a_reader_that_has_the_version_is_told_that_nothing_changed(world: World) {
        let rmm = world.deploy(&[]).await;
        for path in [format!("/api/clients/{}", rmm.site.client_id), format!("/api/sites/{}", rmm.site.id),
            format!("/api/users/{}", rmm.technician_id)] {
            let first = rmm.admin.get(&path).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 10, "{path}: {tag}");
            let again = with(&rmm.admin, Method::GET, &path, ("if-none-match", &tag), None).await;
            again.check(304);
            assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));
            with(&rmm.admin, Method::GET, &path, ("if-none-match", "\"old\""), None).await.check(200);
        }
    }

    async fn a_writer_with_a_stale_version_is_refused(world: World) {
        let rmm = world.deploy(&[]).await;
        for (method, path) in [(Method::PUT, format!("/api/clients/{}", rmm.site.client_id)),
            (Method::PUT, format!("/api/sites/{}", rmm.site.id)),
            (Method::PATCH, format!("/api/users/{}", rmm.technician_id))] {
            let stale = rmm.admin.get(&path).await.header("etag").to_owned();
            let body = |name: &str| Some(json!({"name": name}));
            let changed = with(&rmm.admin, method.clone(), &path, ("if-match", &stale), body("One")).await;
            changed.check(200);
            assert_ne!(changed.header("etag"), stale);
            let refused = with(&rmm.admin, method.clone(), &path, ("if-match", &stale), body("Two")).await;
            refused.problem(412, "precondition_failed");
            let fresh = changed.header("etag");
            assert_eq!(rmm.admin.get(&path).await.header("etag"), fresh);
            with(&rmm.admin, method.clone(), &path, ("if-match", fresh), body("Three")).await.check(200);
            with(&rmm.admin, method.clone(), &path, ("if-match", "*"), body("Four")).await.check(200);
            let now = rmm.admin.get(&path).await.expect(200);
            assert_eq!(text(&now, "name"), "Four");
            let path = format!("{path}?cascade=true");
            let refused = with(&rmm.admin, Method::DELETE, &path, ("if-match", fresh), None).await;
            refused.problem(412, "precondition_failed");
        }
    }

    async fn a_policy_and_a_channel_have_versions_too(world: World) {
        let rmm = world.deploy(&[]).await;
        let policy = json!({"name": "p", "site_id": rmm.site.id, "settings": {}});
        let channel = json!({"name": "c", "kind": "email", "target": "ops@example.com"});
        for (collection, body) in [("/api/policies", policy), ("/api/notifications", channel)] {
            let made = rmm.admin.post(collection, body.clone()).await;
            let path = format!("{collection}/{}", text(&made.expect(201), "id"));
            let first = made.header("etag").to_owned();
            assert_eq!(rmm.admin.get(&path).await.header("etag"), first);
            with(&rmm.admin, Method::GET, &path, ("if-none-match", &first), None).await.check(304);
            let change = |name: &str| {
                let mut change = match collection {
                    "/api/policies" => json!({"settings": {}}),
                    _ => json!({"target": "ops@example.com", "min_severity": "info", "enabled": true}),
                };
                change["name"] = json!(name);
                Some(change)
            };
            let changed = with(&rmm.admin, Method::PUT, &path, ("if-match", &first), change("One")).await;
            changed.check(200);
            let second = changed.header("etag").to_owned();
            assert_ne!(first, second);
            for (method, body) in [(Method::PUT, change("Two")), (Method::DELETE, None)] {
                let refused = with(&rmm.admin, method, &path, ("if-match", &first), body).await;
                refused.problem(412, "precondition_failed");
            }
            assert_eq!(text(&rmm.admin.get(&path).await.expect(200), "name"), "One");
            with(&rmm.admin, Method::DELETE, &path, ("if-match", &second), None).await.check(204);
        }
    }

    async fn a_deletion_by_one_version_never_takes_what_was_changed_meanwhile(world: World) {
        let rmm = world.deploy(&[]).await;
        for round in 0..5 {
            let name = format!("Brief {round}");
            let made = rmm.admin.post("/api/clients", json!({"name": name})).await;
            let path = format!("/api/clients/{}", text(&made.expect(201), "id"));
            let tag = rmm.admin.get(&path).await.header("etag").to_owned();
            let rename = Some(json!({"name": format!("{name} anew")}));
            let (renamed, deleted) = tokio::join!(
                with(&rmm.admin, Method::PUT, &path, ("if-match", &tag), rename),
                with(&rmm.admin, Method::DELETE, &path, ("if-match", &tag), None),
            );
            let left = rmm.admin.get(&path).await.status;
            match (renamed.status, deleted.status) {
                (200, 412) => assert_eq!(left, 200),
                (404 | 412, 204) => assert_eq!(left, 404),
                other => panic!("{other:?}: {} {}", renamed.text, deleted.text),
            }
        }
    }

    async fn of_two_writers_with_one_version_one_wins(world: World) {
        let rmm = world.deploy(&[]).await;
        let path = format!("/api/clients/{}", rmm.site.client_id);
        for round in 0..5 {
            let tag = rmm.admin.get(&path).await.header("etag").to_owned();
            let write = |name: String| {
                let (tag, path, admin) = (tag.clone(), path.clone(), rmm.admin.clone());
                async move {
                    with(&admin, Method::PUT, &path, ("if-match", &tag), Some(json!({"name": name}))).await.status
                }
            };
            let (a, b) = tokio::join!(write(format!("a{round}")), write(format!("b{round}")));
            let mut statuses = [a, b];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 412]);
        }
    }

    async fn a_users_budget_of_requests_is_told_and_kept(world: World) {
        let rmm = world.deploy(&[("limits.requests_per_minute", "30")]).await;
        let first = rmm.technician.get("/api/auth/me").await;
        assert_eq!(first.header("ratelimit-policy"), "\"user\";q=30;w=60");
        assert!(first.header("ratelimit").starts_with("\"user\";r="), "{}", first.header("ratelimit"));
        let key = rmm.technician.post("/api/keys", json!({"name": "k", "role": "read_only"})).await.expect(201);
        let script = rmm.server.anonymous().with_token(text(&key, "key"));
        let mut refused = None;
        for _ in 0..200 {
            let answer = script.get("/api/auth/me").await;
            if answer.status != 200 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("the budget ends");
        refused.problem(429, "too_many_requests");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(refused.header("ratelimit").starts_with("\"user\";r=0;"), "{}", refused.header("ratelimit"));
        rmm.admin.get("/api/auth/me").await.check(200);
        assert_eq!(rmm.server.anonymous().get("/healthz").await.header("ratelimit"), "");
    }
}

async fn with(
    api: &Api,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: Option<Value>,
) -> Answer {
    let headers = [header, ("content-type", "application/json")];
    let body = body.map(|body| body.to_string());
    let sent = api.send(method, path, &headers, body).await;
    sent.expect("the server answers")
}
