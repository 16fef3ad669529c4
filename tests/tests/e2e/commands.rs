//! Commands outside tunnels: kept before they are sent, sent in order, ended once.

use gururmm_shared::{AgentMessage, CommandId, CommandOutput, EndReason};
use gururmm_tests::api::{items, text};
use gururmm_tests::commands::success;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Heard, Obstacle, RawAgent, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn a_command_runs_and_its_result_is_kept(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let command = rmm.give(id, "echo out; echo err >&2; exit 3").await;
        let row = rmm.wait_ended(command).await;
        assert_eq!((row["status"].as_str(), row["reason"].as_str()), (Some("failed"), Some("exit_code")));
        assert_eq!((&row["exit_code"], &row["stdout"], &row["stderr"]), (&json!(3), &json!("out\n"), &json!("err\n")));
        let command = rmm.give(id, "true").await;
        assert_eq!(rmm.wait_ended(command).await["status"], "completed");
        let rows = rmm.admin.get("/api/audit/tunnel").await.expect(200);
        let audited = items(&rows).into_iter().find(|row| row["command_id"] == command.to_string()).unwrap();
        assert_eq!((&audited["action"], &audited["outcome"]), (&json!("command"), &json!("completed")));
    }

    async fn every_type_of_command_reaches_the_agent_in_its_form(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        for kind in [json!("shell"), json!("powershell"), json!("python"), json!("script"), json!({"shell": null})] {
            let body = json!({"command_type": kind, "command": "x", "timeout_seconds": 7, "elevated": true});
            let given = rmm.give_body(id, body).await;
            let command = agent.command().await;
            let plain = kind.as_str().unwrap_or("shell");
            assert_eq!(command.command_type.name(), plain);
            assert_eq!((command.id, command.timeout_seconds, command.elevated), (given, Some(7), true));
        }
        let task = json!({"claude_task": {"task": "tidy", "working_directory": "/srv", "context_files": []}});
        rmm.give_body(id, json!({"command_type": task})).await;
        assert_eq!(serde_json::to_value(agent.command().await.command_type).unwrap(), task);
    }

    async fn commands_for_an_agent_that_is_away_wait_and_come_in_their_order(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, key) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let mut given = Vec::new();
        for index in 0..40 {
            given.push(rmm.give(id, &format!("echo {index}")).await);
        }
        assert_eq!(rmm.command_row(given[0]).await["status"], "pending");
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        for (index, wanted) in given.iter().enumerate() {
            let command = agent.command().await;
            assert_eq!(command.id, *wanted, "the {index}th");
            // More are in flight than may be unless each end makes room.
            agent.result(success(command.id, "")).await;
        }
        for id in given {
            assert_eq!(rmm.wait_ended(id).await["attempts"], 1);
        }
    }

    async fn what_was_sent_and_never_arrived_is_sent_again_and_what_arrived_is_not(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = rmm.journal_agent().await;
        let arrived = rmm.give(id, "echo arrived").await;
        assert_eq!(agent.command().await.id, arrived);
        let lost = rmm.give(id, "echo lost").await;
        assert_eq!(agent.command().await.id, lost);
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        // Its journal has the one, and the other was lost on the way.
        let mut agent = rmm.journal_agent_again(&key, vec![arrived]).await;
        assert_eq!(agent.command().await.id, lost);
        agent.result(success(lost, "")).await;
        assert_eq!(agent.acknowledged().await, lost);
        agent.result(success(arrived, "late")).await;
        assert_eq!(agent.acknowledged().await, arrived);
        assert_eq!(rmm.wait_ended(arrived).await["stdout"], "late");
    }

    async fn an_agent_without_a_journal_is_never_sent_a_command_twice(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        let ack = agent.enrol(&rmm.site.code).await;
        let (id, key) = (ack.agent_id.unwrap(), ack.api_key.unwrap());
        let sent = rmm.give(id, "echo once").await;
        assert_eq!(agent.command().await.id, sent);
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let next = rmm.give(id, "echo next").await;
        let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
        agent.enrol(&key).await;
        assert_eq!(agent.command().await.id, next, "not the first one again");
        assert_eq!(rmm.command_row(sent).await["status"], "running");
        agent.result(success(sent, "it ran")).await;
        assert_eq!(rmm.wait_ended(sent).await["stdout"], "it ran");
    }

    async fn a_server_that_is_killed_loses_no_command(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = rmm.journal_agent().await;
        let sent = rmm.give(id, "echo sent").await;
        assert_eq!(agent.command().await.id, sent);
        rmm.server.kill9();
        drop(agent);
        rmm.server.restart().await;
        let waiting = rmm.give(id, "echo waiting").await;
        let mut agent = rmm.journal_agent_again(&key, vec![sent]).await;
        agent.result(success(sent, "kept")).await;
        assert_eq!(agent.command().await.id, waiting);
        assert_eq!(rmm.wait_ended(sent).await["stdout"], "kept");
        assert_eq!(rmm.command_row(sent).await["status"], "completed");
    }

    async fn a_result_that_comes_twice_is_acknowledged_twice_and_changes_nothing(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let given = rmm.give(id, "echo").await;
        agent.command().await;
        agent.result(success(given, "first")).await;
        assert_eq!(agent.acknowledged().await, given);
        let mut other = success(given, "second");
        other.exit_code = Some(9);
        agent.result(other).await;
        assert_eq!(agent.acknowledged().await, given);
        let row = rmm.command_row(given).await;
        assert_eq!((&row["stdout"], &row["status"]), (&json!("first"), &json!("completed")));
        // And one that nobody gave is acknowledged, so that it is not told for ever.
        let unknown = CommandId::generate();
        agent.result(success(unknown, "")).await;
        assert_eq!(agent.acknowledged().await, unknown);
    }

    async fn an_agent_cannot_end_the_command_of_another(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let (mut other, _, _) = rmm.journal_agent().await;
        let given = rmm.give(id, "echo").await;
        agent.command().await;
        other.result(success(given, "mine")).await;
        assert_eq!(other.acknowledged().await, given);
        other.send(&output(given, 0, "mine")).await;
        agent.result(success(given, "true")).await;
        assert_eq!(agent.acknowledged().await, given);
        assert_eq!(rmm.command_row(given).await["stdout"], "true");
    }

    async fn what_a_running_command_writes_can_be_read_while_it_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let given = rmm.give(id, "make").await;
        agent.command().await;
        agent.send(&output(given, 0, "one\0\n")).await;
        // The second piece comes twice, the third is lost.
        agent.send(&output(given, 5, "two\n")).await;
        agent.send(&output(given, 5, "two\n")).await;
        agent.send(&output(given, 15, "four\n")).await;
        let text = eventually("all pieces are kept", SOON, || async {
            let row = rmm.command_row(given).await;
            let text = row["stdout"].as_str().unwrap_or_default().to_owned();
            text.ends_with("four\n").then_some(text)
        }).await;
        assert!(text.starts_with("one\u{fffd}\n") && text.contains("two\n"), "{text:?}");
        assert_eq!(text.matches("two").count(), 1);
        assert!(text.contains("[not received]"));
        agent.result(success(given, "one\ntwo\nthree\nfour\n")).await;
        agent.acknowledged().await;
        assert_eq!(rmm.command_row(given).await["stdout"], "one\ntwo\nthree\nfour\n");
    }

    async fn a_command_that_was_not_sent_is_cancelled_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, key) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let given = rmm.give(id, "echo").await;
        let path = format!("/api/commands/{given}/cancel");
        let answer = rmm.technician.post(&path, Value::Null).await.expect(200);
        assert_eq!(answer["reason"], "cancelled");
        let row = rmm.command_row(given).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("cancelled")));
        rmm.technician.post(&path, Value::Null).await.problem(409, "command_ended");
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let next = rmm.give(id, "echo next").await;
        assert_eq!(agent.command().await.id, next, "the cancelled one never comes");
    }

    async fn a_command_that_runs_is_cancelled_by_its_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = rmm.journal_agent().await;
        let given = rmm.give(id, "sleep 1000").await;
        agent.command().await;
        let path = format!("/api/commands/{given}/cancel");
        rmm.technician.post(&path, Value::Null).await.check(202);
        assert_eq!(agent.command_cancel().await, given);
        // It goes before it can answer, and is told again when it is back.
        agent.close().await;
        let mut agent = rmm.journal_agent_again(&key, vec![given]).await;
        assert_eq!(agent.command_cancel().await, given);
        let mut result = success(given, "");
        result.exit_code = Some(143);
        result.reason = Some(EndReason::Cancelled);
        agent.result(result).await;
        agent.acknowledged().await;
        let row = rmm.command_row(given).await;
        assert_eq!((&row["status"], &row["reason"], &row["exit_code"]), (&json!("failed"), &json!("cancelled"), &json!(143)));
    }

    async fn a_command_whose_time_to_wait_is_over_fails_as_expired(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, key) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        let given = rmm.give_body(id, json!({"command": "echo", "expires_in_seconds": 1})).await;
        let row = eventually("it expires", SOON * 2, || async {
            let row = rmm.command_row(given).await;
            (row["status"] == "failed").then_some(row)
        }).await;
        assert_eq!(row["reason"], "expired");
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let next = rmm.give(id, "echo next").await;
        assert_eq!(agent.command().await.id, next, "the expired one never comes");
    }

    async fn hostile_and_malformed_commands_are_refused_with_their_field(world: World) {
        let rmm = world.deploy(&[("commands.per_minute", "1000")]).await;
        let (_agent, id, _) = rmm.journal_agent().await;
        let path = format!("/api/agents/{id}/command");
        let api = &rmm.technician;
        for (body, field) in [
            (json!({"command": " "}), "command"),
            (json!({"command": "a\u{0}b"}), "command"),
            (json!({"command": "x".repeat(40_000)}), "command"),
            (json!({"command": "x", "timeout_seconds": 0}), "timeout_seconds"),
            (json!({"command": "x", "expires_in_seconds": 99_999_999_u64}), "expires_in_seconds"),
            (json!({"command_type": {"claude_task": {"task": ""}}}), "command_type"),
        ] {
            let problem = api.post(&path, body.clone()).await.problem(400, "invalid_field");
            assert_eq!(problem["field"], field, "{body}");
        }
        api.post(&path, json!({"command": "x", "command_type": "cobol"})).await.refusal(400);
        api.post(&path, json!({"command": "x", "timeout_seconds": -1})).await.refusal(400);
        let unknown = format!("/api/agents/{}/command", uuid::Uuid::now_v7());
        api.post(&unknown, json!({"command": "x"})).await.problem(404, "not_found");
        api.post("/api/agents/1/command", json!({"command": "x"})).await.refusal(400);
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        reader.post(&path, json!({"command": "x"})).await.problem(403, "not_allowed");
        let sql = "'; DROP TABLE commands; --";
        let given = rmm.give(id, sql).await;
        assert_eq!(rmm.command_row(given).await["command"], sql);
    }

    async fn commands_over_their_limits_are_refused_and_nothing_is_kept(world: World) {
        let settings = [("commands.max_waiting", "3"), ("commands.per_minute", "10")];
        let rmm = world.deploy(&settings).await;
        let (agent, id, _) = rmm.journal_agent().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        for _ in 0..3 {
            rmm.give(id, "echo").await;
        }
        let path = format!("/api/agents/{id}/command");
        for _ in 0..7 {
            rmm.technician.post(&path, json!({"command": "x"})).await.problem(429, "too_many_waiting");
        }
        let answer = rmm.technician.post(&path, json!({"command": "x"})).await;
        answer.problem(429, "too_many_commands");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        let listed = rmm.technician.get("/api/commands?status=pending").await.expect(200);
        assert_eq!(items(&listed).len(), 3);
    }

    async fn commands_are_listed_by_page_the_newest_first(world: World) {
        let rmm = world.deploy(&[]).await;
        let (agent, id, _) = rmm.journal_agent().await;
        agent.close().await;
        let mut given = Vec::new();
        for index in 0..5 {
            given.push(rmm.give(id, &format!("echo {index}")).await.to_string());
        }
        given.reverse();
        let mut seen = Vec::new();
        let mut path = format!("/api/commands?agent_id={id}&limit=2");
        loop {
            let page = rmm.technician.get(&path).await.expect(200);
            seen.extend(items(&page).iter().map(|row| text(row, "id").to_owned()));
            assert!(items(&page).iter().all(|row| row.get("stdout").is_none()), "a list carries no output");
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/api/commands?agent_id={id}&limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, given);
        rmm.technician.get("/api/commands?status=lost").await.problem(400, "invalid_field");
        rmm.technician.get("/api/commands?colour=red").await.refusal(400);
        rmm.technician.get(&format!("/api/commands/{}", uuid::Uuid::now_v7())).await.problem(404, "not_found");
    }

    async fn a_result_that_cannot_be_kept_is_not_acknowledged(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = rmm.journal_agent().await;
        let given = rmm.give(id, "echo").await;
        agent.command().await;
        let obstacle = Obstacle::refusing(&rmm.database, "UPDATE", "commands", "NEW.status <> OLD.status").await;
        agent.result(success(given, "kept")).await;
        let heard = agent.hear_within(std::time::Duration::from_secs(1)).await;
        assert!(!matches!(heard, Some(Heard::Message(gururmm_shared::ServerMessage::Ack(_)))), "{heard:?}");
        obstacle.remove().await;
        drop(agent);
        let mut agent = rmm.journal_agent_again(&key, vec![given]).await;
        agent.result(success(given, "kept")).await;
        assert_eq!(agent.acknowledged().await, given);
        assert_eq!(rmm.command_row(given).await["stdout"], "kept");
    }
}

fn output(id: CommandId, offset: u64, text: &str) -> AgentMessage {
    AgentMessage::CommandOutput(CommandOutput {
        id,
        stdout_offset: offset,
        stdout: text.to_owned(),
        stderr_offset: 0,
        stderr: String::new(),
    })
}
