//! Schedules: what runs by the clock, once, with its owner's rights.

use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};
use gururmm_shared::AgentId;
use gururmm_tests::api::{items, text};
use gururmm_tests::commands::success;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Answer, Api, Deployment, RawAgent, eventually, hold, on_both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Never due while a test runs.
const SELDOM: &str = "0 0 29 2 *";

on_both_databases! {
    async fn a_schedule_runs_at_the_full_minute_and_once_though_the_server_is_killed(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (agent, id) = rmm.agent().await;
        let file = agent.state_dir().join("runs");
        let body = json!({"name": "Every minute", "cron": "* * * * *", "time_zone": "Asia/Kathmandu", "when_offline": "wait",
            "filter": {"agent_ids": [id]}, "command": format!("date +%s%N >> '{}'", file.display())});
        let made = rmm.technician.post("/api/schedules", body).await.expect(201);
        let path = format!("/api/schedules/{}", text(&made, "id"));
        let due: DateTime<Utc> = made["next_runs"][0].as_str().unwrap().parse().unwrap();
        let run = eventually("the minute is full", Duration::from_secs(75), || async {
            runs(&rmm.technician, &path).await.pop()
        }).await;
        rmm.server.kill9();
        assert_eq!((&run["outcome"], &run["requested_by"]), (&json!("started"), &Value::Null));
        let due_at: DateTime<Utc> = text(&run, "due_at").parse().unwrap();
        let started_at: DateTime<Utc> = text(&run, "started_at").parse().unwrap();
        // The minute may have been full between the save and its answer.
        assert!((0..=60).contains(&(due - due_at).num_seconds()), "{due_at} instead of {due}");
        assert_eq!((due_at.second(), due_at.nanosecond()), (0, 0));
        assert!((started_at - due_at).num_seconds() < 30, "{run}");
        rmm.server.restart().await;
        let command = the_command(&rmm, &run).await;
        let row = rmm.wait_ended(command.parse().unwrap()).await;
        assert_eq!(row["status"], "completed", "{row}");
        let disabled = off(&rmm.technician, &path).await;
        assert_eq!(disabled["next_runs"], json!([]));
        let all = runs(&rmm.technician, &path).await;
        let same: Vec<_> = all.iter().filter(|run| text(run, "due_at") == text(&all[all.len() - 1], "due_at")).collect();
        assert_eq!(same.len(), 1, "{all:?}");
        for run in &all {
            assert_eq!(run["counts"]["commands"], json!(i32::from(run["outcome"] == "started")), "{run}");
        }
        let times = std::fs::read_to_string(&file).unwrap().lines().count();
        let started = all.iter().filter(|run| run["outcome"] == "started").count();
        assert!(times <= started, "{times} times for {started} runs");
    }

    async fn a_server_that_was_down_makes_up_for_one_run_at_most(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (agent, id, key) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let mut paths = Vec::new();
        for (cron, name) in [("* * * * *", "Often"), ("0 0 1 1 *", "Once a year")] {
            let body = json!({"name": name, "cron": cron, "time_zone": "UTC", "when_offline": "wait",
                "filter": {"agent_ids": [id]}, "command": format!("echo {name}")});
            let made = rmm.technician.post("/api/schedules", body).await.expect(201);
            paths.push(format!("/api/schedules/{}", text(&made, "id")));
        }
        rmm.server.kill9();
        // As if it had been down for two years.
        let past = Utc::now() - chrono::Duration::days(800);
        set_decided_until(&rmm, past).await;
        rmm.server.restart().await;
        let often = eventually("it is made up for", SOON, || async {
            let runs = runs(&rmm.technician, &paths[0]).await;
            (runs.len() >= 2).then_some(runs)
        }).await;
        let outcomes: Vec<_> = often.iter().map(|run| text(run, "outcome")).collect();
        let started = outcomes.iter().filter(|outcome| **outcome == "started").count();
        assert_eq!((started, outcomes.iter().filter(|outcome| **outcome == "missed").count()), (1, 1), "{often:?}");
        let missed = often.iter().find(|run| run["outcome"] == "missed").unwrap();
        assert!(text(missed, "detail").contains("more than 1"), "{missed}");
        assert_eq!((&missed["job_id"], &missed["counts"]["commands"]), (&Value::Null, &json!(0)));
        let seldom = eventually("the other is decided too", SOON, || async {
            let runs = runs(&rmm.technician, &paths[1]).await;
            (!runs.is_empty()).then_some(runs)
        }).await;
        assert_eq!((seldom.len(), text(&seldom[0], "outcome")), (1, "missed"), "beyond the grace: {seldom:?}");
        off(&rmm.technician, &paths[0]).await;
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let first = agent.command().await;
        assert_eq!(first.command, "echo Often");
        agent.result(success(first.id, "")).await;
        agent.acknowledged().await;
    }

    async fn a_clock_that_was_set_back_repeats_nothing_and_silences_nothing(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = capable(&rmm).await;
        let body = json!({"name": "S", "cron": "* * * * *", "time_zone": "UTC", "when_offline": "wait",
            "filter": {"agent_ids": [id]}, "command": "true"});
        let made = rmm.technician.post("/api/schedules", body).await.expect(201);
        let path = format!("/api/schedules/{}", text(&made, "id"));
        rmm.server.kill9();
        set_decided_until(&rmm, Utc::now() - chrono::Duration::minutes(5)).await;
        rmm.server.restart().await;
        let first = eventually("it runs", SOON, || async {
            let runs = runs(&rmm.technician, &path).await;
            runs.into_iter().find(|run| run["job_id"].is_string() || text(run, "outcome") != "missed")
        }).await;
        rmm.server.kill9();
        // It was decided in a time to come, as a clock that ran ahead has it; the same minute is due again.
        set_decided_until(&rmm, Utc::now() + chrono::Duration::days(1)).await;
        rmm.server.restart().await;
        let query = "SELECT CAST(count(*) AS TEXT) AS value FROM schedules WHERE decided_until > created_at";
        eventually("it is decided again from now on", SOON, || async {
            let ahead = format!("{query} AND decided_until > {}", sql_time(&rmm, Utc::now() + chrono::Duration::hours(1)));
            (rmm.database.count(&ahead).await == 0).then_some(())
        }).await;
        rmm.server.kill9();
        let due_at: DateTime<Utc> = text(&first, "due_at").parse().unwrap();
        set_decided_until(&rmm, due_at - chrono::Duration::seconds(1)).await;
        rmm.server.restart().await;
        rmm.technician.get(&path).await.check(200);
        hold("the same time has one row", Duration::from_secs(2), || async {
            let runs = runs(&rmm.technician, &path).await;
            runs.iter().filter(|run| run["due_at"] == first["due_at"]).count() == 1
        }).await;
    }

    async fn a_run_at_once_gives_a_job_with_the_script_and_names_schedule_and_owner(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let script = json!({"name": "Greet", "body": "echo \"$GURURMM_NAME\"", "parameters": [{"name": "name", "required": true}]});
        let script = rmm.technician.post("/api/scripts", script).await.expect(201);
        let body = json!({"name": "Nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "when_offline": "skip",
            "filter": {"site_id": rmm.site.id}, "script_id": script["id"], "parameters": {"name": "a; b"}});
        let made = rmm.technician.post("/api/schedules", body).await.expect(201);
        assert_eq!(made["owner"], json!({"id": rmm.technician_id, "email": "tech@example.com"}));
        assert_eq!(made["next_runs"].as_array().unwrap().len(), 5);
        let path = format!("/api/schedules/{}", text(&made, "id"));
        let run = rmm.technician.post(&format!("{path}/run"), Value::Null).await.expect(201);
        assert_eq!((&run["outcome"], &run["requested_by"]), (&json!("started"), &json!(rmm.technician_id)));
        assert_eq!(run["counts"], json!({"targets": 1, "commands": 1, "offline": 0, "busy": 0}));
        let command = the_command(&rmm, &run).await;
        let row = rmm.wait_ended(command.parse().unwrap()).await;
        assert_eq!((&row["stdout"], &row["agent_id"]), (&json!("a; b\n"), &json!(id)));
        let job = rmm.technician.get(&format!("/api/jobs/{}", text(&run, "job_id"))).await.expect(200);
        assert_eq!((&job["name"], &job["script"]["name"]), (&json!("Nightly"), &json!("Greet")));
        let rows = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
        let audited = rows.iter().find(|row| row["command_id"] == command).unwrap();
        assert!(text(audited, "detail").starts_with("[schedule \"Nightly\" of tech@example.com] "), "{audited}");
        assert_eq!(rmm.technician.get(&path).await.expect(200)["last_run"], run);
        let in_use = rmm.technician.delete(&format!("/api/scripts/{}", text(&script, "id"))).await;
        assert!(text(&in_use.problem(409, "script_in_use"), "detail").contains("(1)"));
        let cascade = format!("/api/scripts/{}?cascade=true", text(&script, "id"));
        rmm.technician.delete(&cascade).await.check(204);
        rmm.technician.get(&path).await.problem(404, "not_found");
    }

    async fn agents_that_are_away_are_left_out_or_waited_for_as_the_schedule_says(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut here, here_id) = capable(&rmm).await;
        let (away, away_id, key) = rmm.journal_agent().await;
        away.close().await;
        rmm.wait_status(away_id, "offline", SOON).await;
        let both = json!({"agent_ids": [here_id, away_id]});
        let skip = saved(&rmm, &json!({"when_offline": "skip", "filter": both, "command": "echo skip"})).await;
        let run = rmm.technician.post(&format!("{skip}/run"), Value::Null).await.expect(201);
        assert_eq!((&run["outcome"], &run["counts"]), (&json!("started"),
            &json!({"targets": 2, "commands": 1, "offline": 1, "busy": 0})));
        let command = here.command().await;
        assert_eq!(command.command, "echo skip");
        let row = rmm.command_row(command.id).await;
        let (made, end) = (text(&row, "created_at"), text(&row, "expires_at"));
        let wait = end.parse::<DateTime<Utc>>().unwrap() - made.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(wait.num_seconds(), 300 + 300, "it is for now");
        here.result(success(command.id, "")).await;
        here.acknowledged().await;

        let nobody = json!({"when_offline": "skip", "filter": {"agent_ids": [away_id]}, "command": "x"});
        let nobody = saved(&rmm, &nobody).await;
        let run = rmm.technician.post(&format!("{nobody}/run"), Value::Null).await.expect(201);
        assert_eq!((&run["outcome"], &run["job_id"]), (&json!("skipped_offline"), &Value::Null));
        assert_eq!(run["counts"], json!({"targets": 1, "commands": 0, "offline": 1, "busy": 0}));

        let wait = json!({"when_offline": "wait", "filter": both, "command": "echo wait", "expires_in_seconds": 3600});
        let wait = saved(&rmm, &wait).await;
        let run = rmm.technician.post(&format!("{wait}/run"), Value::Null).await.expect(201);
        assert_eq!(run["counts"], json!({"targets": 2, "commands": 2, "offline": 0, "busy": 0}));
        let command = here.command().await;
        here.result(success(command.id, "")).await;
        here.acknowledged().await;
        // What waits for the one that is away holds up nobody else, and does not pile up.
        let run = rmm.technician.post(&format!("{wait}/run"), Value::Null).await.expect(201);
        assert_eq!((&run["outcome"], &run["counts"]), (&json!("started"),
            &json!({"targets": 2, "commands": 1, "offline": 0, "busy": 1})));
        let mut back = rmm.journal_agent_again(&key, Vec::new()).await;
        let command = back.command().await;
        assert_eq!(command.command, "echo wait");
        back.result(success(command.id, "")).await;
        back.acknowledged().await;

        let empty = json!({"when_offline": "wait", "filter": {"os_family": "beos"}, "command": "x"});
        let empty = saved(&rmm, &empty).await;
        let run = rmm.technician.post(&format!("{empty}/run"), Value::Null).await.expect(201);
        assert_eq!(run["outcome"], "empty");
    }

    async fn a_run_whose_predecessor_goes_on_is_skipped(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = capable(&rmm).await;
        let body = json!({"when_offline": "wait", "filter": {"agent_ids": [id]}, "command": "sleep 1000"});
        let path = saved(&rmm, &body).await;
        let run = format!("{path}/run");
        assert_eq!(rmm.technician.post(&run, Value::Null).await.expect(201)["outcome"], "started");
        let command = agent.command().await;
        let skipped = rmm.technician.post(&run, Value::Null).await.expect(201);
        assert_eq!((&skipped["outcome"], &skipped["counts"]["busy"]), (&json!("skipped_overlap"), &json!(1)));
        assert!(text(&skipped, "detail").contains("1 of its commands run"), "{skipped}");
        agent.result(success(command.id, "")).await;
        agent.acknowledged().await;
        assert_eq!(rmm.technician.post(&run, Value::Null).await.expect(201)["outcome"], "started");
        let outcomes: Vec<_> = runs(&rmm.technician, &path).await.iter().map(|run| text(run, "outcome").to_owned()).collect();
        assert_eq!(outcomes, ["started", "skipped_overlap", "started"]);
        let page = rmm.technician.get(&format!("{path}/runs?limit=2")).await.expect(200);
        let next = format!("{path}/runs?limit=2&cursor={}", text(&page, "next_cursor"));
        assert_eq!(items(&rmm.technician.get(&next).await.expect(200)).len(), 1);
    }

    async fn of_runs_that_are_asked_for_at_once_one_starts(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = capable(&rmm).await;
        let body = json!({"when_offline": "wait", "filter": {"agent_ids": [id]}, "command": "sleep 1000"});
        let path = format!("{}/run", saved(&rmm, &body).await);
        let ask = || async { rmm.technician.post(&path, Value::Null).await };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        let outcomes: Vec<_> = [a, b, c].iter().filter(|answer| answer.status == 201).map(|answer| answer.json()["outcome"].clone()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == "started").count(), 1, "{outcomes:?}");
        let listed = rmm.technician.get("/api/commands").await.expect(200);
        assert_eq!(items(&listed).len(), 1);
    }

    async fn a_schedule_has_the_rights_that_its_owner_has_when_it_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_own, _) = capable(&rmm).await;
        let scope = json!({"site_ids": [rmm.site.id]});
        let body = json!({"email": "own@example.com", "password": "a long password 3", "role": "technician", "scope": scope});
        let owner = rmm.admin.post("/api/users", body).await.expect(201);
        let log_in = || rmm.server.anonymous();
        let api = log_in().log_in("own@example.com", "a long password 3").await;
        let body = json!({"name": "Mine", "cron": SELDOM, "time_zone": "UTC", "when_offline": "wait", "filter": {}, "command": "true"});
        let made = api.post("/api/schedules", body.clone()).await.expect(201);
        let path = format!("/api/schedules/{}", text(&made, "id"));
        let run = format!("{path}/run");
        // An agent elsewhere is none of its business, whoever asks.
        let client = rmm.admin.post("/api/clients", json!({"name": "Other"})).await.expect(201);
        let site = gururmm_tests::deployment::add_site(&rmm.admin, text(&client, "id"), "There").await;
        let mut other = RawAgent::connect(&rmm.server.agents_url()).await;
        other.enrol(&site.code).await;
        let ran = rmm.admin.post(&run, Value::Null).await.expect(201);
        assert_eq!((&ran["outcome"], &ran["counts"]["targets"]), (&json!("started"), &json!(1)));

        let user = format!("/api/users/{}", text(&owner, "id"));
        rmm.admin.patch(&user, json!({"role": "read_only"})).await.check(200);
        let ran = rmm.admin.post(&run, Value::Null).await.expect(201);
        assert_eq!((&ran["outcome"], &ran["job_id"]), (&json!("refused"), &Value::Null));
        assert!(text(&ran, "detail").contains("read_only"), "{ran}");
        rmm.admin.patch(&user, json!({"role": "technician", "disabled": true})).await.check(200);
        let ran = rmm.admin.post(&run, Value::Null).await.expect(201);
        assert!(text(&ran, "detail").contains("disabled"), "{ran}");
        rmm.admin.patch(&user, json!({"disabled": false, "scope": {}})).await.check(200);
        assert_eq!(rmm.admin.post(&run, Value::Null).await.expect(201)["outcome"], "empty");
        rmm.admin.delete(&user).await.check(204);
        let ran = rmm.admin.post(&run, Value::Null).await.expect(201);
        assert!(text(&ran, "detail").contains("deleted"), "{ran}");
        let shown = rmm.admin.get(&path).await.expect(200);
        assert_eq!((&shown["owner"], &shown["last_run"]["outcome"]), (&Value::Null, &json!("refused")));
        let rows = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
        assert!(rows.iter().any(|row| row["action"] == "refused" && text(row, "detail").contains("\"Mine\"")));

        // Who saves it owns it.
        let taken = rmm.admin.put(&path, body).await.expect(200);
        assert_eq!(taken["owner"]["email"], "admin@example.com");
        let ran = rmm.admin.post(&run, Value::Null).await.expect(201);
        assert_eq!(ran["counts"]["targets"], 2);
    }

    async fn a_policy_that_denies_a_schedules_command_refuses_its_run(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = capable(&rmm).await;
        let path = saved(&rmm, &json!({"when_offline": "wait", "filter": {"agent_ids": [id]}, "command": "reboot"})).await;
        let deny = json!({"name": "Stay", "settings": {"commands": {"deny": [{"glob": "reboot*"}]}}});
        rmm.admin.post("/api/policies", deny).await.check(201);
        let run = rmm.technician.post(&format!("{path}/run"), Value::Null).await.expect(201);
        assert_eq!((&run["outcome"], &run["job_id"]), (&json!("refused"), &Value::Null));
        assert!(text(&run, "detail").contains("denies this command"), "{run}");
        let rows = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
        assert!(rows.iter().any(|row| row["action"] == "refused" && row["outcome"] == "command_not_allowed"));
        let listed = rmm.technician.get("/api/commands").await.expect(200);
        assert!(items(&listed).is_empty());
    }

    async fn a_script_that_has_changed_refuses_runs_whose_parameters_do_not_fit_any_more(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = capable(&rmm).await;
        let script = json!({"name": "S", "body": "true"});
        let script = rmm.technician.post("/api/scripts", script).await.expect(201);
        let path = saved(&rmm, &json!({"when_offline": "wait", "filter": {"agent_ids": [id]}, "script_id": script["id"]})).await;
        let changed = json!({"name": "S", "body": "true", "parameters": [{"name": "what", "required": true}]});
        rmm.technician.put(&format!("/api/scripts/{}", text(&script, "id")), changed).await.check(200);
        let run = rmm.technician.post(&format!("{path}/run"), Value::Null).await.expect(201);
        assert_eq!(run["outcome"], "refused");
        assert!(text(&run, "detail").contains("parameters.what is required"), "{run}");
    }

    async fn schedules_that_cannot_be_are_refused_with_their_field(world: World) {
        let rmm = world.deploy(&[("schedules.max", "1")]).await;
        let good = json!({"name": "S", "cron": "@daily", "time_zone": "UTC", "when_offline": "skip", "filter": {}, "command": "true"});
        for (key, value, field) in [
            ("name", json!(""), "name"),
            ("cron", json!("* * * *"), "cron"),
            ("cron", json!("0 0 * * * *"), "cron"),
            ("cron", json!("61 * * * *"), "cron"),
            ("cron", json!("0 0 31 2 *"), "cron"),
            ("cron", json!("@reboot"), "cron"),
            ("time_zone", json!("Mars/Olympus"), "time_zone"),
            ("time_zone", json!("CEST+2"), "time_zone"),
            ("command", json!(" "), "command"),
            ("timeout_seconds", json!(0), "timeout_seconds"),
            ("expires_in_seconds", json!(99_999_999), "expires_in_seconds"),
            ("parameters", json!({}), "parameters"),
            ("script_id", json!(Uuid::now_v7()), "command"),
        ] {
            let mut body = good.clone();
            body[key] = value;
            let problem = rmm.technician.post("/api/schedules", body.clone()).await.problem(400, "invalid_field");
            assert_eq!(problem["field"], field, "{body}");
            assert!(text(&problem, "detail").len() > 20, "{problem}");
        }
        let mut unknown = good.clone();
        unknown["command"] = Value::Null;
        unknown["script_id"] = json!(Uuid::now_v7());
        assert_eq!(rmm.technician.post("/api/schedules", unknown).await.refusal(400)["field"], "script_id");
        let mut nowhere = good.clone();
        nowhere["filter"] = json!({"site_id": Uuid::now_v7()});
        rmm.technician.post("/api/schedules", nowhere).await.problem(404, "not_found");
        rmm.technician.post("/api/schedules", good.clone()).await.check(201);
        rmm.technician.post("/api/schedules", good).await.problem(409, "too_many_schedules");
    }

    async fn a_schedule_is_changed_by_its_owner_and_by_administrators_and_by_no_key(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"name": "S", "cron": SELDOM, "time_zone": "UTC", "when_offline": "skip", "filter": {}, "command": "true"});
        let made = rmm.technician.post("/api/schedules", body.clone()).await;
        let path = format!("/api/schedules/{}", text(&made.expect(201), "id"));
        let (_, colleague) = rmm.add_user("colleague@example.com", "technician").await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        let scoped = json!({"email": "scoped@example.com", "password": "a long password 3", "role": "technician",
            "scope": {"site_ids": [rmm.site.id]}});
        rmm.admin.post("/api/users", scoped).await.check(201);
        let scoped = rmm.server.anonymous().log_in("scoped@example.com", "a long password 3").await;
        for api in [&colleague, &reader] {
            api.get(&path).await.check(200);
            assert_eq!(items(&api.get("/api/schedules").await.expect(200)).len(), 1);
        }
        scoped.get(&path).await.problem(403, "not_your_schedule");
        assert!(items(&scoped.get("/api/schedules").await.expect(200)).is_empty());
        for (api, code) in [(&colleague, "not_your_schedule"), (&scoped, "not_your_schedule"), (&reader, "not_allowed")] {
            api.put(&path, body.clone()).await.problem(403, code);
            api.post(&format!("{path}/run"), Value::Null).await.problem(403, code);
            api.delete(&path).await.problem(403, code);
        }
        let key = json!({"name": "k", "role": "technician"});
        let key = rmm.technician.post("/api/keys", key).await.expect(201);
        let key = rmm.server.anonymous().with_token(text(&key, "key"));
        key.get(&path).await.check(200);
        key.post("/api/schedules", body.clone()).await.problem(403, "not_with_a_key");
        key.post(&format!("{path}/run"), Value::Null).await.problem(403, "not_with_a_key");
        let elsewhere = json!({"name": "S", "cron": SELDOM, "time_zone": "UTC", "when_offline": "skip", "command": "true",
            "filter": {"client_id": rmm.site.client_id}});
        scoped.post("/api/schedules", elsewhere).await.problem(403, "out_of_scope");

        let stale = made.header("etag").to_owned();
        let mut other = body;
        other["name"] = json!("T");
        let changed = with(&rmm.technician, Method::PUT, &path, &stale, Some(other.clone())).await;
        assert_eq!(changed.expect(200)["name"], "T");
        with(&rmm.technician, Method::PUT, &path, &stale, Some(other)).await.problem(412, "precondition_failed");
        with(&rmm.admin, Method::DELETE, &path, &stale, None).await.problem(412, "precondition_failed");
        with(&rmm.admin, Method::DELETE, &path, changed.header("etag"), None).await.check(204);
        rmm.technician.get(&path).await.problem(404, "not_found");
    }

    async fn the_next_times_follow_the_wall_clock_of_the_zone(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"name": "S", "cron": "30 6 * * *", "time_zone": "Asia/Kolkata", "when_offline": "skip",
            "filter": {}, "command": "true"});
        let made = rmm.technician.post("/api/schedules", body).await.expect(201);
        let next = made["next_runs"].as_array().unwrap();
        assert!(next.iter().all(|at| at.as_str().unwrap().ends_with("T01:00:00Z")), "{next:?}");
        assert_eq!((made["when_offline"].as_str(), made["enabled"].as_bool()), (Some("skip"), Some(true)));
        assert_eq!((&made["command"], &made["command_type"], &made["script_id"]), (&json!("true"), &json!("shell"), &Value::Null));
    }
}

/// The runs of a schedule, the newest first.
async fn runs(api: &Api, path: &str) -> Vec<Value> {
    items(&api.get(&format!("{path}/runs")).await.expect(200))
}

/// The only command of a run.
async fn the_command(rmm: &Deployment, run: &Value) -> String {
    let path = format!("/api/commands?job_id={}", text(run, "job_id"));
    let commands = items(&rmm.technician.get(&path).await.expect(200));
    assert_eq!(commands.len(), 1, "{commands:?}");
    text(&commands[0], "id").to_owned()
}

/// Saves a schedule that is not due in a test; answers its path.
async fn saved(rmm: &Deployment, body: &Value) -> String {
    let mut whole = json!({"name": "S", "cron": SELDOM, "time_zone": "UTC"});
    for (key, value) in body.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let made = rmm
        .technician
        .post("/api/schedules", whole)
        .await
        .expect(201);
    format!("/api/schedules/{}", text(&made, "id"))
}

/// Saves a schedule again as one that does not run.
async fn off(api: &Api, path: &str) -> Value {
    let mut body = api.get(path).await.expect(200);
    body["enabled"] = json!(false);
    body.as_object_mut().unwrap().remove("parameters");
    api.put(path, body).await.expect(200)
}

async fn capable(rmm: &Deployment) -> (RawAgent, AgentId) {
    let (agent, id, _) = rmm.journal_agent().await;
    rmm.wait_status(id, "online", SOON).await;
    (agent, id)
}

fn sql_time(rmm: &Deployment, at: DateTime<Utc>) -> String {
    match rmm.database.engine_name() {
        "sqlite" => at.timestamp_micros().to_string(),
        _ => format!("timestamptz '{}'", at.to_rfc3339()),
    }
}

async fn set_decided_until(rmm: &Deployment, at: DateTime<Utc>) {
    let at = sql_time(rmm, at);
    let statement = format!("UPDATE schedules SET decided_until = {at}");
    rmm.database.execute(&statement).await.unwrap();
}

async fn with(api: &Api, method: Method, path: &str, tag: &str, body: Option<Value>) -> Answer {
    let headers = [("content-type", "application/json"), ("if-match", tag)];
    let body = body.map(|body| body.to_string());
    let sent = api.send(method, path, &headers, body).await;
    sent.expect("the server answers")
}
