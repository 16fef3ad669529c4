//! Commands through a tunnel, on a real machine.

use std::time::Duration;

use gururmm_shared::{CommandType, EndReason, TunnelPayload};
use gururmm_tests::api::text;
use gururmm_tests::on_both_databases;
use gururmm_tests::processes::Marker;
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

on_both_databases! {
    async fn output_streams_while_the_command_runs(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let (command, channel) = rmm.command(session, "echo one; sleep 1; echo two").await;
        let first = viewer.piece(&channel).await;
        assert_eq!(first.stdout, "one\n");
        assert_eq!(first.offset, Some(0));
        assert!(!first.is_last(), "it still runs");
        let status = rmm.session(session).await;
        let channels = status["channels"].to_string();
        assert!(channels.contains(&command) && channels.contains("running"), "{status}");
        let rest = viewer.output(&channel).await;
        assert_eq!(rest.stdout, "two\n");
        assert_eq!(rest.exit_code, Some(0));
        assert_eq!(rest.reason, None);
    }

    async fn a_command_ends_with_its_exit_code_and_both_streams(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "echo out; echo err >&2; exit 7").await;
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(output.exit_code, Some(7));
        let output = rmm.run(session, "true").await;
        assert_eq!((output.exit_code, output.pieces), (Some(0), 0));
        let output = rmm.run(session, "no-such-program-anywhere").await;
        assert_eq!(output.exit_code, Some(127));
        assert!(output.stderr.contains("not found"), "{output:?}");
        let output = rmm.run(session, "kill -SEGV $$").await;
        assert_eq!(output.exit_code, Some(128 + 11));
        assert_eq!(output.reason, Some(EndReason::Signalled));
    }

    async fn a_command_reads_nothing_from_the_agents_input(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "cat; echo end").await;
        assert_eq!(output.stdout, "end\n");
    }

    async fn a_character_that_is_cut_by_a_write_arrives_whole(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let crab = r"printf '\360\237'; sleep 0.5; printf '\246\200\n'";
        assert_eq!(rmm.run(session, crab).await.stdout, "🦀\n");
        let rubbish = r"printf 'a\377b\n'";
        assert_eq!(rmm.run(session, rubbish).await.stdout, "a\u{fffd}b\n");
        let nul = r"printf 'a\0b\n'";
        assert_eq!(rmm.run(session, nul).await.stdout, "a\0b\n");
    }

    async fn many_bytes_arrive_whole_and_in_order(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "seq 1 300000").await;
        assert_eq!(output.exit_code, Some(0));
        assert_eq!(output.gap, None);
        let mut lines = output.stdout.lines();
        for number in 1..=300_000_u32 {
            assert_eq!(lines.next().map(str::parse), Some(Ok(number)));
        }
        assert_eq!(lines.next(), None);
    }

    async fn commands_run_beside_each_other_in_channels_of_their_own(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let marker = Marker::new();
        let (_, long) = rmm.command(session, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        let (_, short) = rmm.command(session, "echo quick").await;
        assert_ne!(long, short);
        assert_eq!(viewer.output(&short).await.stdout, "quick\n");
        viewer.send_data(&long, TunnelPayload::Close).await;
        let ended = viewer.output(&long).await;
        assert_eq!(ended.reason, Some(EndReason::Cancelled));
        marker.wait_gone(SOON).await;
    }

    async fn a_command_over_its_time_is_killed_with_its_whole_group(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let (one, two) = (Marker::new(), Marker::new());
        let command = format!("echo start; {} & (trap '' TERM; {}; :)", one.sleep(), two.sleep());
        let body = json!({"command": command, "timeout_seconds": 2});
        let path = format!("/api/v1/tunnel/{session}/command");
        let answer = rmm.technician.post(&path, body).await.expect(202);
        let output = viewer.output(text(&answer, "channel_id")).await;
        assert_eq!(output.stdout, "start\n");
        assert_eq!(output.exit_code, Some(124));
        assert_eq!(output.reason, Some(EndReason::TimedOut));
        one.wait_gone(SOON).await;
        two.wait_gone(SOON).await;
        assert_eq!(rmm.run(session, "echo next").await.stdout, "next\n");
    }

    async fn the_time_of_a_command_has_a_configured_default_and_limits(world: World) {
        let settings = [("tunnel.command_timeout_seconds", "2"), ("tunnel.max_command_timeout_seconds", "5")];
        let rmm = world.deploy(&settings).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "sleep 60").await;
        assert_eq!(output.reason, Some(EndReason::TimedOut));
        let path = format!("/api/v1/tunnel/{session}/command");
        for bad in [json!(0), json!(6), json!(-1), json!("x"), json!(1e30)] {
            let body = json!({"command": "true", "timeout_seconds": bad});
            rmm.technician.post(&path, body).await.refusal(400);
        }
    }

    async fn command_type_is_understood_in_both_forms(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let task = json!({"claude_task": {"task": "tidy", "working_directory": "/srv", "context_files": ["a"]}});
        for (form, name) in [
            (json!("shell"), "shell"),
            (json!("powershell"), "powershell"),
            (json!("python"), "python"),
            (json!("script"), "script"),
            (json!({"shell": null}), "shell"),
            (task, "claude_task"),
        ] {
            let body = json!({"command": "x", "command_type": form});
            rmm.technician.post(&path, body).await.check(202);
            let (_, terminal) = agent.terminal().await;
            let kind = terminal.command_type.unwrap_or(CommandType::Shell);
            assert_eq!(kind.name(), name);
            if let CommandType::ClaudeTask { task, context_files, .. } = kind {
                assert_eq!((task.as_str(), context_files.len()), ("tidy", 1));
            }
        }
        for bad in [json!("fortran"), json!(7), json!({"claude_task": {}}), json!({}), json!([])] {
            let body = json!({"command": "x", "command_type": bad});
            rmm.technician.post(&path, body).await.refusal(400);
        }
    }

    async fn a_script_and_python_run_by_their_interpreters(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = rmm.view(session).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let body = json!({"command": "echo $((6 * 7))", "command_type": "script"});
        let answer = rmm.technician.post(&path, body).await.expect(202);
        assert_eq!(viewer.output(text(&answer, "channel_id")).await.stdout, "42\n");
        // An interpreter that is not there fails its channel, not the session.
        let body = json!({"command": "Get-Date", "command_type": "powershell"});
        let answer = rmm.technician.post(&path, body).await.expect(202);
        let channel = text(&answer, "channel_id").to_owned();
        viewer
            .expect("the end of the channel", |message| match message {
                gururmm_shared::StreamMessage::TunnelError(error) if error.channel_id.as_str() == channel => Some(()),
                gururmm_shared::StreamMessage::TunnelData(data) if data.channel_id.as_str() == channel => Some(()),
                _ => None,
            })
            .await;
        assert_eq!(rmm.run(session, "echo on").await.stdout, "on\n");
    }

    async fn a_command_must_be_a_text_within_its_limit(world: World) {
        let rmm = world.deploy(&[("limits.command_bytes", "1000")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        for bad in [json!(""), json!("x".repeat(1001)), json!("a\u{0}b"), json!(7), json!(null)] {
            rmm.technician.post(&path, json!({"command": bad})).await.refusal(400);
        }
        let longest = "x".repeat(1000);
        rmm.technician.post(&path, json!({"command": longest})).await.check(202);
        assert_eq!(agent.terminal().await.1.command, longest);
        let lines = "echo '; DROP TABLE tunnel_audit; --'\n\techo \"two\" \\ ☂";
        rmm.technician.post(&path, json!({"command": lines})).await.check(202);
        assert_eq!(agent.terminal().await.1.command, lines);
    }

    async fn the_number_of_running_commands_is_limited(world: World) {
        let rmm = world.deploy(&[("tunnel.max_running_commands", "2")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let mut viewer = rmm.view(session).await;
        let (_, first) = rmm.command(session, "a").await;
        let (channel, _) = agent.terminal().await;
        assert_eq!(channel.as_str(), first);
        rmm.command(session, "b").await;
        let path = format!("/api/v1/tunnel/{session}/command");
        rmm.technician.post(&path, json!({"command": "c"})).await.problem(429, "too_many_commands");
        let end = gururmm_shared::TerminalOutput { exit_code: Some(0), offset: Some(0), ..Default::default() };
        agent.output(&channel, end).await;
        viewer.output(&first).await;
        rmm.command(session, "c").await;
    }

    async fn the_rate_of_commands_is_limited(world: World) {
        let rmm = world.deploy(&[("tunnel.commands_per_minute", "5")]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let path = format!("/api/v1/tunnel/{session}/command");
        let mut codes = Vec::new();
        for _ in 0..10 {
            let answer = rmm.technician.post(&path, json!({"command": "true"})).await;
            if answer.status == 429 {
                let wait: u64 = answer.header("retry-after").parse().expect("Retry-After");
                assert!((1..=60).contains(&wait));
            }
            codes.push(answer.status);
        }
        assert_eq!(codes[..5], [202; 5], "{codes:?}");
        assert_eq!(codes[9], 429, "{codes:?}");
    }

    async fn a_command_knows_no_secret_of_the_agent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let output = rmm.run(session, "env; ls -l /proc/self/fd").await;
        assert!(!output.stdout.contains("grmm_"), "{}", output.stdout);
        assert!(!output.stdout.contains(&rmm.site.code), "{}", output.stdout);
        assert!(!output.stdout.contains("socket:"), "{}", output.stdout);
    }
}
