//! Log-ins are limited, for an account and for an address.

use gururmm_tests::deployment::TECHNICIAN;
use gururmm_tests::{Answer, Api, on_both_databases};
use serde_json::json;

on_both_databases! {
    async fn wrong_log_ins_from_elsewhere_do_not_keep_the_owner_out(world: World) {
        let rmm = world.deploy(&[("auth.account_attempts_per_minute", "5")]).await;
        let api = rmm.server.anonymous().from_address([127, 0, 1, 1].into());
        let mut refused = None;
        for number in 0..12_u8 {
            let answer = attempt(&api, TECHNICIAN.0, "wrong password").await;
            if answer.status == 429 {
                refused = Some((number, answer));
                break;
            }
            answer.problem(401, "invalid_credentials");
        }
        let (number, answer) = refused.expect("guessing was never limited");
        assert!(number >= 4, "limited after {number} attempts");
        too_many(&answer);
        // The right password is no way around it, a name in other letters neither.
        too_many(&attempt(&api, TECHNICIAN.0, TECHNICIAN.1).await);
        too_many(&attempt(&api, &TECHNICIAN.0.to_uppercase(), TECHNICIAN.1).await);
        attempt(&api, "nobody@example.com", "wrong password").await.problem(401, "invalid_credentials");
        let owner = rmm.server.anonymous().from_address([127, 0, 2, 1].into());
        attempt(&owner, TECHNICIAN.0, TECHNICIAN.1).await.check(200);
    }

    async fn attempts_at_one_account_from_many_addresses_are_limited_together(world: World) {
        let rmm = world.deploy(&[("auth.account_attempts_per_minute", "1")]).await;
        let mut limited = false;
        for number in 0..60_u8 {
            let api = rmm.server.anonymous().from_address([127, 0, 5, number + 1].into());
            let answer = attempt(&api, TECHNICIAN.0, "wrong password").await;
            if answer.status == 429 {
                assert!(number >= 18, "limited after {number} attempts");
                too_many(&answer);
                limited = true;
                break;
            }
            answer.problem(401, "invalid_credentials");
        }
        assert!(limited, "guessing was never limited");
    }

    async fn attempts_from_one_address_are_limited_whatever_account_they_try(world: World) {
        let rmm = world.deploy(&[("auth.address_attempts_per_minute", "5")]).await;
        let api = rmm.server.anonymous().from_address([127, 0, 3, 1].into());
        let mut refused = None;
        for number in 0..12 {
            let answer = attempt(&api, &format!("user{number}@example.com"), "wrong password").await;
            if answer.status == 429 {
                refused = Some((number, answer));
                break;
            }
            answer.problem(401, "invalid_credentials");
        }
        let (number, answer) = refused.expect("guessing was never limited");
        assert!(number >= 4, "limited after {number} attempts");
        too_many(&answer);
        let elsewhere = rmm.server.anonymous().from_address([127, 0, 3, 2].into());
        attempt(&elsewhere, TECHNICIAN.0, TECHNICIAN.1).await.check(200);
    }

    async fn a_forwarded_header_is_no_other_address(world: World) {
        let rmm = world.deploy(&[("auth.address_attempts_per_minute", "5")]).await;
        let api = rmm.server.anonymous().from_address([127, 0, 4, 1].into());
        let mut last = 0;
        for number in 0..12 {
            let body = json!({"email": format!("user{number}@example.com"), "password": "wrong password"});
            let address = format!("203.0.113.{number}");
            let headers = [("content-type", "application/json"), ("x-forwarded-for", &address),
                ("forwarded", &format!("for={address}"))];
            let answer = api
                .send(reqwest::Method::POST, "/api/auth/login", &headers, Some(body.to_string()))
                .await
                .unwrap();
            last = answer.status;
        }
        assert_eq!(last, 429);
    }

    async fn guesses_at_the_set_up_token_are_limited(world: World) {
        let server = world.server(&[("auth.address_attempts_per_minute", "5")]).await;
        let api = server.anonymous();
        let mut codes = Vec::new();
        for number in 0..12 {
            let body = json!({"token": format!("guess-{number}"), "email": "a@example.com",
                "password": "a long password 3"});
            codes.push(api.post("/api/auth/setup", body).await.status);
        }
        assert_eq!(codes[0], 403, "{codes:?}");
        assert_eq!(codes[11], 429, "{codes:?}");
    }
}

async fn attempt(api: &Api, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    api.post("/api/auth/login", body).await
}

#[track_caller]
fn too_many(answer: &Answer) {
    answer.refusal(429);
    let wait: u64 = answer
        .header("retry-after")
        .parse()
        .expect("Retry-After in seconds");
    assert!((1..=60).contains(&wait), "{wait}");
}
