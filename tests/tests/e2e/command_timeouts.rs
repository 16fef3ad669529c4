//! Commands that take too long, write too much, or whose agents say nothing: each has its end all the same.

use std::time::Duration;

use gururmm_shared::{AgentId, AgentMessage, CommandId, CommandOutput, EndReason};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::api::text;
use gururmm_tests::commands::success;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, TestAgent, eventually, on_both_databases};
use serde_json::{Value, json};

const GRACE: (&str, &str) = ("commands.result_grace_seconds", "1");
const MARGIN: (&str, &str) = ("commands.poll_margin_seconds", "1");
/// The server looks for what waited too long every 15 s.
const SWEPT: Duration = Duration::from_secs(60);
const CUT: &str = "\n[truncated]\n";

on_both_databases! {
    async fn the_command_of_a_silent_agent_times_out_and_its_late_result_changes_no_state(world: World) {
        let rmm = world.deploy(&[GRACE]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let given = rmm.give_body(id, json!({"command": "sleep 1000", "timeout_seconds": 1})).await;
        agent.command().await;
        assert_eq!(agent.command_cancel().await, given, "it is to end there too");
        let row = ended(&rmm, given, SOON).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("timed_out")));
        agent.result(success(given, "late")).await;
        assert_eq!(agent.acknowledged().await, given);
        let late = rmm.command_row(given).await;
        assert_eq!((&late["status"], &late["reason"]), (&json!("failed"), &json!("timed_out")));
        assert_eq!((&late["stdout"], &late["finished_at"]), (&json!("late"), &row["finished_at"]));
        let audit = rmm.admin.get(&format!("/api/audit/tunnel?agent_id={id}")).await.expect(200);
        assert_eq!(audit["items"][0]["outcome"], "timed_out");
    }

    async fn the_command_of_a_poller_that_says_nothing_more_times_out(world: World) {
        let rmm = world.deploy(&[MARGIN]).await;
        let body = json!({"site_code": rmm.site.code, "device_id": "till-1", "hostname": "till-1"});
        let anonymous = rmm.server.anonymous();
        let made = anonymous.post("/api/agent/register-legacy", body).await.expect(201);
        let id: AgentId = text(&made, "agent_id").parse().unwrap();
        let given = rmm.give_body(id, json!({"command": "pause", "timeout_seconds": 1})).await;
        let poller = anonymous.with_token(text(&made, "api_key"));
        let answer = poller.post("/api/agent/heartbeat", json!({})).await.expect(200);
        assert_eq!(answer["pending_commands"][0]["id"], given.to_string());
        let row = ended(&rmm, given, SWEPT).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("timed_out")));
        let late = json!({"command_id": given, "exit_code": 0, "stdout": "late", "stderr": "", "duration_ms": 1});
        poller.post("/api/agent/command-result", late).await.check(200);
        let row = rmm.command_row(given).await;
        assert_eq!((&row["status"], &row["reason"], &row["stdout"]), (&json!("failed"), &json!("timed_out"), &json!("late")));
    }

    async fn the_command_of_an_agent_that_is_gone_for_good_expires(world: World) {
        let rmm = world.deploy(&[GRACE]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let body = json!({"command": "sleep 1", "timeout_seconds": 1, "expires_in_seconds": 2});
        let given = rmm.give_body(id, body).await;
        agent.command().await;
        agent.close().await;
        let row = ended(&rmm, given, SWEPT).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("expired")));
    }

    async fn a_real_agent_ends_a_command_outside_a_tunnel_when_its_time_is_over(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let body = json!({"command": "echo begun; sleep 1000", "timeout_seconds": 1});
        let given = rmm.give_body(id, body).await;
        let row = ended(&rmm, given, SOON).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("timed_out")));
        assert_eq!((&row["exit_code"], &row["stdout"]), (&json!(124), &json!("begun\n")));
    }

    async fn a_command_whose_agent_is_killed_meanwhile_is_interrupted(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut agent = TestAgent::start(&rmm.server.agents_url(), &rmm.site.code, AgentSettings::default());
        let id = agent.wait_online(&rmm.admin).await;
        let begun = world.file("begun");
        let given = rmm.give(id, &format!("touch {}; sleep 1000", begun.display())).await;
        eventually("it runs", SOON, || async { begun.exists().then_some(()) }).await;
        agent.kill9();
        agent.restart();
        let row = ended(&rmm, given, SOON).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("failed"), &json!("interrupted")));
    }

    async fn of_much_output_a_mebibyte_is_kept_and_marked_at_the_end(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let line = "head -c 3000000 /dev/zero | tr '\\0' x";
        let given = rmm.give(id, line).await;
        let row = ended(&rmm, given, SOON).await;
        let kept = row["stdout"].as_str().unwrap();
        assert_eq!(row["status"], "completed");
        assert!(kept.len() <= 1 << 20 && kept.len() > 700_000, "{}", kept.len());
        assert!(kept.ends_with(CUT));
    }

    async fn of_much_live_output_a_mebibyte_is_kept_and_marked_while_it_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, _) = rmm.journal_agent().await;
        let given = rmm.give(id, "make world").await;
        agent.command().await;
        let piece = "x".repeat(CommandOutput::MAX_BYTES);
        let pieces = (1 << 20) / piece.len() + 3;
        let mut offset = 0;
        for _ in 0..pieces {
            let output = CommandOutput {
                id: given,
                stdout_offset: offset,
                stdout: piece.clone(),
                stderr_offset: 0,
                stderr: String::new(),
            };
            agent.send(&AgentMessage::CommandOutput(output)).await;
            offset += piece.len() as u64;
            // No faster than an agent may speak.
            agent.hear_within(Duration::from_millis(25)).await;
        }
        let kept = eventually("the mark is seen", SOON, || async {
            let row = rmm.command_row(given).await;
            assert_eq!(row["status"], "running");
            row["stdout"].as_str().filter(|text| text.ends_with(CUT)).map(str::to_owned)
        })
        .await;
        assert!(kept.len() <= (1 << 20) + CUT.len(), "{}", kept.len());
        let mut result = success(given, "the end");
        result.exit_code = Some(124);
        result.reason = Some(EndReason::TimedOut);
        agent.result(result).await;
        agent.acknowledged().await;
        assert_eq!(rmm.command_row(given).await["stdout"], "the end");
    }
}

async fn ended(rmm: &Deployment, id: CommandId, limit: Duration) -> Value {
    eventually("the command has ended", limit, || async {
        let row = rmm.command_row(id).await;
        row["finished_at"].is_string().then_some(row)
    })
    .await
}
