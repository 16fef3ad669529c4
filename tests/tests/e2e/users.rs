//! Users: log-in, me, register, passwords, roles, and the end of their tokens.

use chrono::{DateTime, Duration, Utc};
use gururmm_tests::api::{items, text};
use gururmm_tests::deployment::{ADMIN, TECHNICIAN};
use gururmm_tests::{Api, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_log_in_answers_a_token_its_end_and_the_user(world: World) {
        let rmm = world.deploy(&[]).await;
        let (email, password) = TECHNICIAN;
        let answer = log_in(&rmm.server.anonymous(), email, password).await.expect(200);
        let user = &answer["user"];
        assert_eq!(user["email"], email);
        assert_eq!(user["role"], "technician");
        assert_eq!(user["disabled"], false);
        assert!(user["last_login_at"].is_string() && user["created_at"].is_string(), "{user}");
        assert!(!answer.to_string().contains("argon2"), "{answer}");
        let ends: DateTime<Utc> = text(&answer, "expires_at").parse().unwrap();
        let life = ends - Utc::now();
        assert!(life > Duration::hours(23) && life <= Duration::hours(24), "{life}");
        let api = rmm.server.anonymous().with_token(text(&answer, "token"));
        let me = api.get("/api/auth/me").await.expect(200);
        assert_eq!(me["id"], user["id"]);
        assert!(!me.to_string().contains("hash"), "{me}");
    }

    async fn an_email_is_compared_without_case(world: World) {
        let rmm = world.deploy(&[]).await;
        let (email, password) = TECHNICIAN;
        let upper = email.to_uppercase();
        log_in(&rmm.server.anonymous(), &upper, password).await.check(200);
        let body = user_body(&upper, "technician");
        rmm.admin.post("/api/users", body).await.refusal(409);
    }

    async fn a_wrong_password_and_an_unknown_user_answer_alike(world: World) {
        let rmm = world.deploy(&[]).await;
        let api = rmm.server.anonymous();
        let wrong = log_in(&api, TECHNICIAN.0, "wrong password").await;
        let unknown = log_in(&api, "nobody@example.com", "wrong password").await;
        let body = user_body("off@example.com", "technician");
        let user = rmm.admin.post("/api/users", body).await.expect(201);
        let path = format!("/api/users/{}", text(&user, "id"));
        rmm.admin.patch(&path, json!({"disabled": true})).await.check(200);
        let disabled = log_in(&api, "off@example.com", "a long password 3").await;
        let mut wrong = wrong.problem(401, "invalid_credentials");
        for answer in [unknown, disabled] {
            let mut other = answer.problem(401, "invalid_credentials");
            other["request_id"] = Value::Null;
            wrong["request_id"] = Value::Null;
            assert_eq!(other, wrong);
        }
    }

    async fn a_log_out_revokes_every_token_of_the_user(world: World) {
        let rmm = world.deploy(&[]).await;
        let second = rmm.server.anonymous().log_in(TECHNICIAN.0, TECHNICIAN.1).await;
        second.post("/api/auth/logout", json!({})).await.check(204);
        second.get("/api/auth/me").await.refusal(401);
        rmm.technician.get("/api/auth/me").await.refusal(401);
        rmm.admin.get("/api/auth/me").await.check(200);
        let third = rmm.server.anonymous().log_in(TECHNICIAN.0, TECHNICIAN.1).await;
        third.get("/api/auth/me").await.check(200);
    }

    async fn a_change_of_the_password_revokes_older_tokens_and_answers_a_new_one(world: World) {
        let rmm = world.deploy(&[]).await;
        let path = "/api/auth/password";
        let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
        let new = "a wholly new password";
        let refused = rmm.technician.post(path, body("not the password", new)).await;
        refused.problem(401, "invalid_credentials");
        rmm.technician.post(path, body(TECHNICIAN.1, "short")).await.refusal(400);
        let answer = rmm.technician.post(path, body(TECHNICIAN.1, new)).await.expect(200);
        rmm.technician.get("/api/auth/me").await.refusal(401);
        let renewed = rmm.technician.with_token(text(&answer, "token"));
        renewed.get("/api/auth/me").await.check(200);
        let api = rmm.server.anonymous();
        log_in(&api, TECHNICIAN.0, TECHNICIAN.1).await.problem(401, "invalid_credentials");
        log_in(&api, TECHNICIAN.0, new).await.check(200);
    }

    async fn a_change_of_the_role_revokes_the_users_tokens(world: World) {
        let rmm = world.deploy(&[]).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        let user = rmm.admin.patch(&path, json!({"role": "read_only"})).await.expect(200);
        assert_eq!(user["role"], "read_only");
        rmm.technician.get("/api/auth/me").await.refusal(401);
        let again = rmm.server.anonymous().log_in(TECHNICIAN.0, TECHNICIAN.1).await;
        let open = json!({"agent_id": uuid::Uuid::new_v4()});
        again.post("/api/v1/tunnel/open", open).await.refusal(403);
    }

    async fn a_disabled_user_is_out_at_once_and_cannot_come_back(world: World) {
        let rmm = world.deploy(&[]).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&path, json!({"disabled": true})).await.check(200);
        rmm.technician.get("/api/auth/me").await.refusal(401);
        let api = rmm.server.anonymous();
        log_in(&api, TECHNICIAN.0, TECHNICIAN.1).await.problem(401, "invalid_credentials");
        rmm.admin.patch(&path, json!({"disabled": false})).await.check(200);
        rmm.technician.get("/api/auth/me").await.refusal(401);
        log_in(&api, TECHNICIAN.0, TECHNICIAN.1).await.check(200);
    }

    async fn the_last_administrator_stays_one(world: World) {
        let rmm = world.deploy(&[]).await;
        let me = rmm.admin.get("/api/auth/me").await.expect(200);
        let path = format!("/api/users/{}", text(&me, "id"));
        let demote = json!({"role": "technician"});
        rmm.admin.patch(&path, demote.clone()).await.problem(409, "last_administrator");
        rmm.admin.patch(&path, json!({"disabled": true})).await.problem(409, "last_administrator");
        let (_, second) = rmm.add_user("second@example.com", "administrator").await;
        second.patch(&path, demote).await.check(200);
    }

    async fn two_administrators_cannot_demote_each_other_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let me = rmm.admin.get("/api/auth/me").await.expect(200);
        let first = format!("/api/users/{}", text(&me, "id"));
        let (id, other) = rmm.add_user("second@example.com", "administrator").await;
        let second = format!("/api/users/{id}");
        let demote = json!({"role": "technician"});
        let (a, b) = tokio::join!(
            rmm.admin.patch(&second, demote.clone()),
            other.patch(&first, demote)
        );
        let done = [&a, &b].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{} {} / {} {}", a.status, a.text, b.status, b.text);
    }

    async fn only_an_administrator_sees_and_makes_users(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        for api in [&rmm.technician, &reader] {
            api.get("/api/users").await.refusal(403);
            let body = user_body("x@example.com", "administrator");
            api.post("/api/users", body).await.refusal(403);
            let path = format!("/api/users/{}", rmm.technician_id);
            api.patch(&path, json!({"role": "administrator"})).await.refusal(403);
        }
        let users = items(&rmm.admin.get("/api/users").await.expect(200));
        assert_eq!(users.len(), 3);
        let missing = format!("/api/users/{}", uuid::Uuid::new_v4());
        rmm.admin.patch(&missing, json!({"name": "x"})).await.refusal(404);
        rmm.admin.patch("/api/users/1", json!({"name": "x"})).await.refusal(400);
    }

    async fn a_user_needs_an_email_a_long_password_and_a_known_role(world: World) {
        let rmm = world.deploy(&[]).await;
        let ok = user_body("new@example.com", "technician");
        for (field, bad) in [
            ("email", json!("no address")),
            ("email", json!("")),
            ("email", json!(format!("{}@example.com", "x".repeat(300)))),
            ("email", json!("nul\u{0}@example.com")),
            ("password", json!("short")),
            ("password", json!("x".repeat(257))),
            ("role", json!("god")),
            ("name", json!("x".repeat(10_000))),
            ("name", json!("with\u{0}nul")),
        ] {
            let mut body = ok.clone();
            body[field] = bad;
            rmm.admin.post("/api/users", body.clone()).await.refusal(400);
        }
        rmm.admin.post("/api/users", ok.clone()).await.check(201);
        rmm.admin.post("/api/users", ok).await.refusal(409);
    }

    async fn registration_is_disabled_unless_configured(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let body = json!({"email": "new@example.com", "name": "New", "password": "a long password 3"});
        let api = rmm.server.anonymous();
        api.post("/api/auth/register", body.clone()).await.problem(403, "registration_disabled");
        rmm.server.stop().await;
        let server = world.server(&[("auth.registration", "true")]).await;
        let api = server.anonymous();
        let answer = api.post("/api/auth/register", body).await.expect(201);
        assert_eq!(answer["user"]["role"], "read_only", "{answer}");
        let new = api.log_in("new@example.com", "a long password 3").await;
        new.post("/api/clients", json!({"name": "x"})).await.refusal(403);
    }

    async fn a_registration_cannot_choose_its_role(world: World) {
        let server = world.server(&[("auth.registration", "true")]).await;
        let body = json!({"email": "new@example.com", "password": "a long password 3",
            "role": "administrator", "disabled": false, "id": uuid::Uuid::new_v4()});
        let answer = server.anonymous().post("/api/auth/register", body).await.expect(201);
        assert_eq!(answer["user"]["role"], "read_only", "{answer}");
    }

    async fn the_set_up_token_makes_one_administrator_once(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let body = |token: &str| json!({"token": token, "email": ADMIN.0, "name": "Ada", "password": ADMIN.1});
        api.post("/api/auth/setup", body("wrong")).await.refusal(403);
        let token = server.setup_token();
        let answer = api.post("/api/auth/setup", body(&token)).await.expect(201);
        assert_eq!(answer["user"]["role"], "administrator");
        api.with_token(text(&answer, "token")).get("/api/users").await.check(200);
        let mut again = body(&token);
        again["email"] = json!("other@example.com");
        api.post("/api/auth/setup", again).await.problem(409, "setup_done");
        assert!(!world.data_dir().join("setup-token").exists(), "a used token stays behind");
    }

    async fn of_two_set_ups_at_once_one_wins(world: World) {
        let server = world.server(&[]).await;
        let api = server.anonymous();
        let token = server.setup_token();
        let body = |email: &str| json!({"token": token, "email": email, "password": "a long password 3"});
        let (a, b) = tokio::join!(
            api.post("/api/auth/setup", body("a@example.com")),
            api.post("/api/auth/setup", body("b@example.com"))
        );
        let mut codes = [a.status, b.status];
        codes.sort_unstable();
        assert_eq!(codes, [201, 409], "{} {}", a.text, b.text);
    }

    async fn the_set_up_token_stays_the_same_over_a_restart(world: World) {
        let mut server = world.server(&[]).await;
        let token = server.setup_token();
        server.stop().await;
        server.restart().await;
        assert_eq!(server.setup_token(), token);
    }
}

async fn log_in(api: &Api, email: &str, password: &str) -> gururmm_tests::Answer {
    let body = json!({"email": email, "password": password});
    api.post("/api/auth/login", body).await
}

fn user_body(email: &str, role: &str) -> Value {
    json!({"email": email, "name": "Name", "password": "a long password 3", "role": role})
}
