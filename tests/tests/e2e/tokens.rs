//! Tokens that were made or changed by somebody else, and the command line's administrator.

use gururmm_tests::api::Api;
use gururmm_tests::server::run_server;
use gururmm_tests::{on_both_databases, token};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

const KEY: &str = "a-signing-key-of-more-than-32-bytes!";

on_both_databases! {
    async fn a_token_that_the_server_did_not_make_is_refused(world: World) {
        let rmm = world.deploy(&[("auth.signing_key", KEY)]).await;
        let good = rmm.admin.token();
        let claims = token::claims(good);
        assert_eq!(token::header(good)["alg"], "HS256");
        // What the forgery below rests on: with the key, a token is good.
        let resigned = token::signed(Algorithm::HS256, &claims, KEY.as_bytes());
        me(&rmm.admin, &resigned).await.check(200);

        let with = |field: &str, value: Value| {
            let mut other = claims.clone();
            other[field] = value;
            other
        };
        let expired = with("exp", json!(chrono::Utc::now().timestamp() - 1));
        let without = |field: &str| {
            let mut other = claims.clone();
            other.as_object_mut().unwrap().remove(field);
            token::signed(Algorithm::HS256, &other, KEY.as_bytes())
        };
        let sign = |claims: &Value| token::signed(Algorithm::HS256, claims, KEY.as_bytes());
        let technician = token::claims(rmm.technician.token())["sub"].clone();
        for (why, bad) in [
            ("no token", String::new()),
            ("rubbish", "x.y.z".to_owned()),
            ("no signature", token::unsigned(&claims)),
            ("no signature part", good.rsplit_once('.').unwrap().0.to_owned() + "."),
            ("another's claims", token::tampered(good, &with("sub", technician))),
            ("a longer life", token::tampered(good, &with("exp", json!(4_000_000_000_u64)))),
            ("another key", token::signed(Algorithm::HS256, &claims, b"another key of more than 32 bytes!!")),
            ("another algorithm", token::signed(Algorithm::HS512, &claims, KEY.as_bytes())),
            ("expired a second ago", sign(&expired)),
            ("another audience", sign(&with("aud", json!("somebody-else")))),
            ("an older version", sign(&with("ver", json!(claims["ver"].as_i64().unwrap() - 1)))),
            ("a later version", sign(&with("ver", json!(claims["ver"].as_i64().unwrap() + 1)))),
            ("an unknown user", sign(&with("sub", json!(uuid::Uuid::new_v4())))),
            ("no end", without("exp")),
            ("no audience", without("aud")),
            ("no version", without("ver")),
            ("a trailing part", format!("{good}.x")),
        ] {
            let answer = me(&rmm.admin, &bad).await;
            assert_eq!(answer.status, 401, "{why}: {}", answer.text);
            answer.refusal(401);
        }
        for value in ["Basic YTpi", good, "Bearer", "bearer\t", "Bearer  "] {
            let headers = [("authorization", value)];
            let api = rmm.server.anonymous();
            let answer = api.send(reqwest::Method::GET, "/api/auth/me", &headers, None).await.unwrap();
            answer.refusal(401);
        }
    }

    async fn every_path_but_the_open_ones_needs_a_token(world: World) {
        let rmm = world.deploy(&[]).await;
        let api = rmm.server.anonymous();
        let id = uuid::Uuid::new_v4();
        for path in ["/api/auth/me", "/api/users", "/api/clients", "/api/sites", "/api/agents",
            "/api/audit/tunnel"] {
            api.get(path).await.refusal(401);
        }
        for path in [format!("/api/agents/{id}"), format!("/api/agents/{id}/state"),
            format!("/api/v1/tunnel/status/{id}"), format!("/api/v1/tunnel/{id}/audit")] {
            api.get(&path).await.refusal(401);
        }
        for path in ["/api/auth/logout".to_owned(), "/api/auth/password".into(), "/api/users".into(),
            "/api/clients".into(), "/api/sites".into(), format!("/api/agents/{id}/move"),
            "/api/v1/tunnel/open".into(), "/api/v1/tunnel/close".into(),
            format!("/api/v1/tunnel/{id}/command"), format!("/api/v1/tunnel/{id}/ticket")] {
            api.post(&path, json!({})).await.refusal(401);
        }
        api.delete(&format!("/api/agents/{id}")).await.refusal(401);
    }

    async fn tokens_outlive_a_restart_with_the_key_the_server_made(world: World) {
        let mut rmm = world.deploy(&[]).await;
        rmm.server.stop().await;
        rmm.server.restart().await;
        rmm.admin.get("/api/auth/me").await.check(200);
    }

    async fn the_command_line_makes_an_administrator(world: World) {
        let arguments = ["admin", "create", "--email", "cli@example.com", "--password-stdin", "--name", "Cli"];
        let run = |password: &str| {
            run_server(&world.data_dir(), &world.database, &[], &arguments, password)
        };
        let short = run("short\n");
        assert!(!short.status.success());
        let output = run("a long password 4\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!run("a long password 4\n").status.success(), "the address is taken");
        let server = world.server(&[]).await;
        let api = server.anonymous().log_in("cli@example.com", "a long password 4").await;
        let me = api.get("/api/auth/me").await.expect(200);
        assert_eq!(me["role"], "administrator");
        assert_eq!(me["name"], "Cli");
        let setup = json!({"token": "x", "email": "b@example.com", "password": "a long password 3"});
        api.post("/api/auth/setup", setup).await.problem(409, "setup_done");
    }

    async fn the_command_line_makes_users_of_other_roles_beside_a_running_server(world: World) {
        let rmm = world.deploy(&[]).await;
        let arguments = ["admin", "create", "--email", "second@example.com", "--password-stdin",
            "--role", "technician"];
        let output = run_server(&world.data_dir(), &world.database, &[], &arguments, "a long password 4\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let api = rmm.server.anonymous().log_in("second@example.com", "a long password 4").await;
        assert_eq!(api.get("/api/auth/me").await.expect(200)["role"], "technician");
    }
}

async fn me(api: &Api, token: &str) -> gururmm_tests::Answer {
    api.with_token(token).get("/api/auth/me").await
}
