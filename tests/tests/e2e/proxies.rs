//! A proxy in front of the server: whom it speaks for is known, and nobody else's word is taken.

use gururmm_tests::api::{items, text};
use gururmm_tests::{Answer, Api, on_both_databases};
use reqwest::Method;
use serde_json::json;

on_both_databases! {
    async fn behind_a_trusted_proxy_the_client_is_the_one_that_is_written_down_and_limited(world: World) {
        let settings = [("server.trusted_proxies", "127.0.0.1,10.0.0.0/8"), ("auth.address_attempts_per_minute", "3")];
        let rmm = world.deploy(&settings).await;
        let proxy = rmm.server.anonymous().from_address([127, 0, 0, 1].into());
        let guesser = "198.51.100.7, 203.0.113.9, 10.1.2.3";
        let limited = until_limited(&proxy, guesser).await;
        assert!(limited > 2, "limited after {limited} attempts");
        // What stands left of the client is the client's own word: it is no way around the limit.
        attempt(&proxy, "192.0.2.200, 203.0.113.9").await.refusal(429);
        attempt(&proxy, "203.0.113.10").await.refusal(401);
        attempt(&proxy, "2001:db8::1").await.refusal(401);
        for address in ["203.0.113.9", "203.0.113.10", "2001:db8::1"] {
            let seen = addresses(&rmm.admin, "session.login").await;
            assert!(seen.iter().any(|seen| seen == address), "{address} is not in {seen:?}");
        }
        // An agent behind a proxy is where the proxy says.
        assert!(rmm.server.log().lines().all(|line| !line.contains("client=10.1.2.3")));
    }

    async fn who_is_no_trusted_proxy_is_known_by_its_own_address_whatever_it_says(world: World) {
        let settings = [("server.trusted_proxies", "10.0.0.0/8,::1"), ("auth.address_attempts_per_minute", "3")];
        let rmm = world.deploy(&settings).await;
        let liar = rmm.server.anonymous().from_address([127, 0, 9, 1].into());
        let mut last = 0;
        for number in 0..10 {
            last = attempt(&liar, &format!("203.0.113.{number}")).await.status;
        }
        assert_eq!(last, 429, "another address was believed");
        let seen = addresses(&rmm.admin, "session.login").await;
        assert!(seen.iter().any(|seen| seen == "127.0.9.1"), "{seen:?}");
        assert!(seen.iter().all(|seen| !seen.starts_with("203.")), "{seen:?}");
    }
}

async fn attempt(api: &Api, forwarded: &str) -> Answer {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let body = json!({"email": format!("{name}@example.com"), "password": "wrong password"});
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", forwarded),
    ];
    api.send(
        Method::POST,
        "/api/auth/login",
        &headers,
        Some(body.to_string()),
    )
    .await
    .unwrap()
}

/// How many attempts were let in before one was refused.
async fn until_limited(api: &Api, forwarded: &str) -> usize {
    for number in 0..10 {
        if attempt(api, forwarded).await.status == 429 {
            return number;
        }
    }
    panic!("guessing was never limited")
}

/// From where acts of this kind came, as the audit has them.
async fn addresses(admin: &Api, action: &str) -> Vec<String> {
    let path = format!("/api/audit?action={action}&limit=100");
    let page = admin.get(&path).await.expect(200);
    let acts = items(&page);
    acts.iter()
        .map(|act| text(act, "remote_addr").to_owned())
        .collect()
}
