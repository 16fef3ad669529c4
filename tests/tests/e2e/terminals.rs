//! Terminals of a session: what they run, every byte both ways, their size, signals and end, what the audit says of
//! them, and what is refused.

use std::time::Duration;

use futures_util::future::join_all;
use gururmm_shared::{
    AgentMessage, CAPABILITY_DATA_PLANE, CAPABILITY_TERMINAL, ChannelId, ChannelKind, Closed,
    EndReason, ErrorCode, OpenChannel, Opened, OperationError, ResetCode, ServerMessage, SessionId,
    SignalName, TunnelData, TunnelPayload,
};
use gururmm_tests::api::text;
use gururmm_tests::processes::Marker;
use gururmm_tests::terminal_viewer::{TerminalViewer, ask_for_terminal, line, open_terminal};
use gururmm_tests::wait::{CLEAN_UP, SOON};
use gururmm_tests::{Deployment, Heard, Obstacle, RawAgent, eventually, on_both_databases};
use serde_json::{Value, json};

/// Echoes every byte as it is, once it has said so.
const RAW_CAT: &str = "stty raw -echo; echo ready; exec cat";

on_both_databases! {
    async fn a_program_starts_with_the_arguments_the_variables_and_in_the_folder_that_were_asked_for(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let folder = world.file("a folder");
        std::fs::create_dir(&folder).unwrap();
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let script = "echo \"$BASH_VERSION\" | grep -q . && echo is bash; echo \"<$GURURMM_COLOUR|$TERM|$PWD|$1>\"; stty size; tty; exit 0";
        let body = json!({"shell": "bash", "arguments": ["--norc", "-c", script, "zero", "one ☂"],
            "environment": {"GURURMM_COLOUR": "blue ☂"}, "working_directory": folder,
            "cols": 132, "rows": 43, "term": "vt220"});
        let terminal = open_terminal(&rmm.technician, session, body).await;
        assert!(terminal.program.ends_with("/bash"), "{}", terminal.program);
        viewer.shown(&terminal).await;
        assert_eq!(viewer.ended(&terminal).await.exit_code, Some(0));
        let wrote = viewer.of(&terminal).text();
        let expected = format!("is bash\r\n<blue ☂|vt220|{}|one ☂>\r\n43 132\r\n/dev/pts/", folder.display());
        assert!(wrote.starts_with(&expected), "{wrote:?} is not {expected:?}");
    }

    async fn without_a_choice_it_is_a_log_in_shell_at_home(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = open_terminal(&rmm.technician, session, json!({"cols": 80, "rows": 24})).await;
        viewer.shown(&terminal).await;
        viewer.types(&terminal, b"cd; echo \"<$0|$HOME|$PWD|$TERM>\"; exit 4\n").await;
        viewer.reads(&terminal, "<-").await;
        let rest = viewer.reads(&terminal, ">").await;
        let parts: Vec<_> = rest.trim_end_matches('>').split('|').collect();
        assert!(terminal.program.ends_with(parts[0]), "{parts:?} {}", terminal.program);
        assert_eq!(parts[1], parts[2]);
        assert_eq!(parts[3], "xterm-256color");
        assert_eq!(viewer.ended(&terminal).await.exit_code, Some(4));
    }

    async fn a_path_is_a_shell_only_where_the_policy_lists_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let settings = json!({"tunnel": {"shells": ["/bin/cat", "/nowhere/sh"]}});
        rmm.admin.post("/api/policies", json!({"name": "p", "agent_id": id, "settings": settings})).await.check(201);
        let session = rmm.open(id).await;
        let ask = |shell: &str| {
            let body = json!({"shell": shell, "arguments": [], "cols": 80, "rows": 24});
            let (rmm, session) = (&rmm, session);
            async move { ask_for_terminal(&rmm.technician, session, body).await }
        };
        ask("/bin/cat").await.check(201);
        ask("sh").await.check(201);
        for forbidden in ["/bin/ls", "cat", "../bin/cat", "/bin/cat/", "zsh"] {
            let refusal = ask(forbidden).await.refusal(403);
            assert!(["feature_not_allowed", "not_allowed"].contains(&text(&refusal, "code")), "{refusal}");
        }
        // What no such machine has is refused by the agent.
        for missing in ["cmd", "/nowhere/sh"] {
            let status = ask(missing).await.status;
            assert!(status == 404 || status == 409, "{missing}: {status}");
        }
        let refused: Vec<_> = rmm.audit(session).await.into_iter().filter(|row| row["action"] == "refused").collect();
        assert!(refused.len() >= 5, "{refused:?}");
        assert!(text(&refused[0], "detail").contains("/bin/ls"), "{}", refused[0]);
        assert_eq!(refused[0]["user_email"], "tech@example.com");
    }

    async fn who_may_use_no_terminals_gets_none_and_it_is_on_record(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let settings = json!({"tunnel": {"features": {"terminal": ["administrator"]}}});
        rmm.admin.post("/api/policies", json!({"name": "p", "settings": settings})).await.check(201);
        let session = rmm.open_raw(&mut agent, id).await;
        let answer = ask_for_terminal(&rmm.technician, session, line("true")).await;
        answer.problem(403, "feature_not_allowed");
        hears_of_no_terminal(&mut agent).await;
        let rows = rmm.audit(session).await;
        assert!(rows.iter().any(|row| row["action"] == "refused" && row["outcome"] == "feature_not_allowed"), "{rows:?}");
    }

    async fn every_value_of_a_byte_goes_both_ways_as_it_is(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&terminal, "ready\n").await;
        let before = viewer.of(&terminal).bytes.len();
        // More than any window; each value beside each other one.
        let mut all = Vec::new();
        for one in 0..=255_u8 {
            for other in 0..=255_u8 {
                all.extend([one, other]);
            }
        }
        let all = all.repeat(5);
        for piece in all.chunks(20_011) {
            viewer.types(&terminal, piece).await;
        }
        viewer.has(&terminal, before + all.len()).await;
        let came = &viewer.of(&terminal).bytes[before..];
        let wrong = came.iter().zip(&all).position(|(one, other)| one != other);
        assert_eq!((came.len(), wrong), (all.len(), None));
    }

    async fn the_program_sees_its_size_and_every_change_of_it(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        let terminal = viewer.run(&rmm.technician, script).await;
        assert_eq!(viewer.of(&terminal).size.1, Some(viewer.number()), "the first viewer holds it");
        let first = viewer.reads(&terminal, "ready").await;
        assert!(first.starts_with("24 80\r\n"), "{first:?}");
        for (cols, rows) in [(120, 40), (1, 1), (1000, 200), (80, 24)] {
            viewer.resizes(&terminal, cols, rows).await;
            viewer.reads(&terminal, &format!("{rows} {cols}\r\n")).await;
        }
        let size = viewer.of(&terminal).size.0;
        assert_eq!((size.cols, size.rows), (80, 24));
        // No size at all, and too many characters.
        for (cols, rows) in [(0, 24), (80, 0), (1001, 24), (1000, 1000)] {
            viewer.resizes(&terminal, cols, rows).await;
            let code = viewer.expect("error", |message| match message {
                gururmm_shared::StreamMessage::Error(error) => Some(error.code.clone()),
                _ => None,
            }).await;
            assert_eq!(code, "bad_size");
        }
    }

    async fn signals_reach_the_program_in_the_foreground(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let script = "for one in INT HUP QUIT TERM; do trap \"echo got-$one\" $one; done; echo ready; \
            while :; do sleep 0.05; done";
        let terminal = viewer.run(&rmm.technician, script).await;
        viewer.reads(&terminal, "ready").await;
        for (signal, name) in [(SignalName::Interrupt, "INT"), (SignalName::Hangup, "HUP"),
            (SignalName::Quit, "QUIT"), (SignalName::Terminate, "TERM")] {
            viewer.signals(&terminal, signal).await;
            viewer.reads(&terminal, &format!("got-{name}\r\n")).await;
        }
        // What is typed is a signal, too.
        viewer.types(&terminal, b"\x03").await;
        viewer.reads(&terminal, "got-INT\r\n").await;
        viewer.signals(&terminal, SignalName::Kill).await;
        let ended = viewer.ended(&terminal).await;
        assert_eq!((ended.exit_code, ended.reason), (Some(137), Some(EndReason::Signalled)));
    }

    async fn how_a_program_ended_is_told_to_viewers_and_the_audit(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        for (script, code, reason, outcome) in [
            ("exit 0", 0, None, "completed"),
            ("exit 7", 7, None, "failed"),
            ("exit 255", 255, None, "failed"),
            ("kill -TERM $$", 143, Some(EndReason::Signalled), "failed"),
        ] {
            let terminal = viewer.run(&rmm.technician, script).await;
            let ended = viewer.ended(&terminal).await;
            assert_eq!((ended.exit_code, ended.reason, ended.error), (Some(code), reason, None), "{script}");
            assert!(viewer.of(&terminal).eof);
            let row = rmm.wait_outcome(session, &terminal.command_id, outcome).await;
            assert_eq!((&row["action"], &row["exit_code"]), (&json!("terminal"), &json!(code)), "{row}");
            assert_eq!(row["channel_id"], terminal.channel.as_str());
            assert!(text(&row, "detail").contains(script), "{row}");
        }
        let channels = rmm.session(session).await["channels"].clone();
        assert_eq!(channels.as_array().map(Vec::len), Some(4), "{channels}");
    }

    async fn terminals_of_a_session_go_on_side_by_side(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let mut shells = Vec::new();
        for number in 0..4 {
            let script = format!("stty -echo; me={number}; echo ready; while read word; do echo \"$me:$word\"; done");
            let shell = viewer.run(&rmm.technician, &script).await;
            viewer.reads(&shell, "ready\r\n").await;
            shells.push(shell);
        }
        let done = viewer.run(&rmm.technician, "exit 3").await;
        for round in 0..5 {
            for shell in &shells {
                viewer.types(shell, format!("word{round}\n").as_bytes()).await;
            }
        }
        for (number, shell) in shells.iter().enumerate() {
            let lines: String = (0..5).map(|round| format!("{number}:word{round}\r\n")).collect();
            assert_eq!(viewer.reads(shell, &format!("{number}:word4\r\n")).await, lines);
        }
        assert_eq!(viewer.ended(&done).await.exit_code, Some(3));
        viewer.say_of(&shells[1], TunnelPayload::Close).await;
        let ended = viewer.ended(&shells[1]).await;
        assert_eq!(ended.reason, Some(EndReason::Cancelled));
        rmm.wait_outcome(session, &shells[1].command_id, "cancelled").await;
        viewer.types(&shells[0], b"still\n").await;
        viewer.reads(&shells[0], "0:still\r\n").await;
    }

    async fn a_closed_terminal_takes_along_what_it_started_and_no_other(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let (marker, other) = (Marker::new(), Marker::new());
        let closed = viewer.run(&rmm.technician, &stubborn(&marker)).await;
        let stays = viewer.run(&rmm.technician, &stubborn(&other)).await;
        marker.wait_running(STUBBORN, SOON).await;
        other.wait_running(STUBBORN, SOON).await;
        viewer.say_of(&closed, TunnelPayload::Close).await;
        let ended = viewer.ended(&closed).await;
        assert_eq!(ended.reason, Some(EndReason::Cancelled));
        marker.wait_gone(CLEAN_UP).await;
        assert_eq!(other.running().len(), STUBBORN);
        assert!(viewer.of(&stays).ended.is_none());
    }

    async fn what_left_a_terminals_session_ends_with_that_terminal_and_not_with_another(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let (marker, other) = (Marker::new(), Marker::new());
        let escaped = |marker: &Marker| {
            let sleep = marker.sleep();
            format!("setsid {sleep} & setsid setsid {sleep} & (setsid {sleep} &) ; setsid sh -c '{sleep} & {sleep}' & exec {sleep}")
        };
        let closed = viewer.run(&rmm.technician, &escaped(&marker)).await;
        let stays = viewer.run(&rmm.technician, &escaped(&other)).await;
        marker.wait_running(6, SOON).await;
        other.wait_running(6, SOON).await;
        viewer.say_of(&closed, TunnelPayload::Close).await;
        viewer.ended(&closed).await;
        marker.wait_gone(CLEAN_UP).await;
        assert_eq!(other.running().len(), 6);
        assert!(viewer.of(&stays).ended.is_none());
        assert_eq!(rmm.session(session).await["status"], "ready");
    }

    async fn a_closed_session_takes_along_what_its_terminals_started(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let terminal = viewer.run(&rmm.technician, &escapers(&marker)).await;
        marker.wait_running(ESCAPERS, SOON).await;
        let close = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        marker.wait_gone(CLEAN_UP).await;
        assert_eq!(viewer.reset(terminal.stream).await, ResetCode::Gone);
        viewer.ended(&terminal).await;
        assert_eq!(viewer.close_code().await, Some(1000));
        rmm.wait_outcome(session, &terminal.command_id, "cancelled").await;
        rmm.wait_opens(&rmm.technician, id, SOON).await;
    }

    async fn an_agent_that_is_killed_leaves_nothing_of_its_terminals(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let terminal = viewer.run(&rmm.technician, &escapers(&marker)).await;
        marker.wait_running(ESCAPERS, SOON).await;
        agent.kill9();
        marker.wait_gone(CLEAN_UP).await;
        assert_eq!(viewer.reset(terminal.stream).await, ResetCode::Gone);
        assert_eq!(viewer.close_code().await, Some(1000));
        rmm.wait_session(session, "closed", "agent_disconnected", CLEAN_UP).await;
        rmm.wait_outcome(session, &terminal.command_id, "lost").await;
        agent.restart();
        let again = rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, again).await;
        let terminal = viewer.run(&rmm.technician, "echo back").await;
        viewer.reads(&terminal, "back\r\n").await;
    }

    async fn a_hundred_terminals_of_a_session_answer_each_by_its_own(world: World) {
        let rmm = world.deploy(&[("tunnel.commands_per_minute", "1000")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let mut terminals = Vec::new();
        for ten in 0..10 {
            let opening = (0..10).map(|one| {
                let script = format!("stty raw -echo; echo ready-{ten}{one}; exec cat");
                open_terminal(&rmm.technician, session, line(&script))
            });
            terminals.extend(join_all(opening).await);
        }
        for (number, terminal) in terminals.iter().enumerate() {
            viewer.shown(terminal).await;
            viewer.reads(terminal, &format!("ready-{number:02}\n")).await;
        }
        for (number, terminal) in terminals.iter().enumerate() {
            viewer.types(terminal, format!("typed {number};").as_bytes()).await;
        }
        for (number, terminal) in terminals.iter().enumerate() {
            assert_eq!(viewer.reads(terminal, ";").await, format!("typed {number};"));
        }
        let mut streams: Vec<_> = terminals.iter().map(|terminal| terminal.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        assert_eq!(streams.len(), 100);
        for terminal in &terminals {
            viewer.types(terminal, b"x").await;
            viewer.signals(terminal, SignalName::Kill).await;
        }
        for terminal in &terminals {
            assert_eq!(viewer.ended(terminal).await.exit_code, Some(137));
        }
    }

    async fn more_terminals_than_allowed_are_refused_until_there_is_room(world: World) {
        let rmm = world.deploy(&[("tunnel.max_channels", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let first = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.run(&rmm.technician, RAW_CAT).await;
        for _ in 0..3 {
            let third = ask_for_terminal(&rmm.technician, session, line(RAW_CAT)).await;
            third.problem(429, "too_many_channels");
        }
        viewer.say_of(&first, TunnelPayload::Close).await;
        viewer.ended(&first).await;
        viewer.run(&rmm.technician, RAW_CAT).await;
    }

    async fn terminals_that_are_opened_too_fast_are_refused(world: World) {
        let rmm = world.deploy(&[("tunnel.commands_per_minute", "3")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut refused = None;
        for _ in 0..5 {
            let answer = ask_for_terminal(&rmm.technician, session, line("true")).await;
            if answer.status == 429 {
                refused = Some(answer);
                break;
            }
            answer.check(201);
        }
        let refused = refused.expect("the budget has an end");
        refused.problem(429, "too_many_commands");
        assert!(!refused.header("retry-after").is_empty());
    }

    async fn a_wish_that_makes_no_sense_is_refused_with_its_field(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let session = rmm.open_raw(&mut agent, id).await;
        for (field, value) in [
            ("cols", json!(0)), ("cols", json!(1001)), ("rows", json!(0)), ("rows", json!(65535)),
            ("shell", json!("")), ("shell", json!("s\u{0}h")), ("shell", json!("x".repeat(4097))),
            ("working_directory", json!("")), ("working_directory", json!("a\u{0}b")),
            ("arguments", json!(vec!["x"; 65])), ("arguments", json!(["a\u{0}b"])),
            ("arguments", json!(["x".repeat(16 * 1024 + 1)])),
            ("environment", json!({"LD_PRELOAD": "/tmp/evil.so"})), ("environment", json!({"PATH": "/tmp"})),
            ("environment", json!({"GURURMM_SESSION_ID": "x"})),
            ("environment", json!({"GURURMM_X": "x".repeat(4097)})),
            ("term", json!("")), ("term", json!("xterm; reboot")), ("term", json!("x".repeat(65))),
        ] {
            let mut body = line("true");
            body[field] = value.clone();
            let answer = ask_for_terminal(&rmm.technician, session, body).await;
            assert_eq!(answer.problem(400, "invalid_field")["field"], field, "{value}");
        }
        for body in [json!({}), json!({"cols": "80", "rows": 24}), json!({"cols": -1, "rows": 24}), json!([])] {
            ask_for_terminal(&rmm.technician, session, body).await.refusal(400);
        }
        hears_of_no_terminal(&mut agent).await;
    }

    async fn terminals_are_for_whose_session_it_is_and_for_one_that_is_open(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let session = rmm.open_raw(&mut agent, id).await;
        let (_, other) = rmm.add_user("other@example.com", "technician").await;
        let (_, reader) = rmm.add_user("reader@example.com", "read_only").await;
        for (api, code) in [(&other, "not_your_session"), (&rmm.admin, "not_your_session"), (&reader, "not_allowed")] {
            ask_for_terminal(api, session, line("true")).await.problem(403, code);
        }
        let nothing = SessionId::generate();
        ask_for_terminal(&rmm.technician, nothing, line("true")).await.problem(404, "not_found");
        hears_of_no_terminal(&mut agent).await;
        let close = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        ask_for_terminal(&rmm.technician, session, line("true")).await.problem(409, "session_closed");
    }

    async fn an_agent_that_has_no_terminals_is_not_asked_for_one(world: World) {
        let rmm = world.deploy(&[]).await;
        for capabilities in [vec![], vec![CAPABILITY_TERMINAL], vec![CAPABILITY_DATA_PLANE]] {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let mut auth = agent.auth(&rmm.site.code);
            auth.capabilities = capabilities.iter().map(|one| (*one).to_owned()).collect();
            let id = agent.authenticate(auth).await.agent_id.unwrap();
            let session = rmm.open_raw(&mut agent, id).await;
            let answer = ask_for_terminal(&rmm.technician, session, line("true")).await;
            answer.problem(409, "agent_cannot");
            // What it can still works.
            rmm.command(session, "echo fine").await;
            assert_eq!(agent.terminal().await.1.command, "echo fine", "and nothing came before it");
            let rows = rmm.audit(session).await;
            assert!(rows.iter().any(|row| row["action"] == "refused" && row["outcome"] == "agent_cannot"), "{rows:?}");
        }
    }

    async fn a_terminal_is_on_record_before_its_agent_hears_of_it_and_its_end_after(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let session = rmm.open_raw(&mut agent, id).await;
        let api = rmm.technician.from_address([127, 0, 0, 77].into());
        let body = json!({"shell": "bash", "arguments": ["-c", "secret of the arguments"],
            "environment": {"GURURMM_TOKEN": "hunter2"}, "cols": 80, "rows": 24});
        let (terminal, (channel, open)) = tokio::join!(open_terminal(&api, session, body), async {
            let (channel, open) = hears_open(&mut agent).await;
            let rows = rmm.audit(session).await;
            let row = rows.iter().find(|row| row["action"] == "terminal").expect("it is there first");
            assert_eq!((&row["outcome"], &row["ended_at"]), (&Value::Null, &Value::Null), "{row}");
            assert_eq!((&row["channel_id"], &row["remote_addr"]), (&json!(channel.as_str()), &json!("127.0.0.77")));
            assert!(text(row, "detail").contains("GURURMM_TOKEN"), "{row}");
            assert!(!text(row, "detail").contains("hunter2"), "values are not written down: {row}");
            let ChannelKind::Terminal(options) = &open.kind else { panic!("{open:?}") };
            assert_eq!(options.environment["GURURMM_TOKEN"], "hunter2");
            says(&mut agent, &channel, TunnelPayload::Opened(Opened { window: 1000,
                program: Some("/bin/bash\u{1b}[2J".to_owned()), ..Opened::default() })).await;
            (channel, open)
        });
        assert_eq!((&terminal.channel, terminal.stream), (&channel, open.stream));
        assert!(!terminal.program.contains('\u{1b}'), "{:?}", terminal.program);
        assert_eq!(open.session_id, session);
        says(&mut agent, &channel, TunnelPayload::Closed(Closed { exit_code: Some(5), ..Closed::default() })).await;
        let row = rmm.wait_outcome(session, &terminal.command_id, "failed").await;
        assert_eq!(row["exit_code"], 5);
    }

    async fn a_terminal_that_cannot_be_audited_is_not_opened(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let session = rmm.open_raw(&mut agent, id).await;
        let when = "NEW.action = 'terminal'";
        let obstacle = Obstacle::refusing(&rmm.database, "INSERT", "tunnel_audit", when).await;
        ask_for_terminal(&rmm.technician, session, line("true")).await.refusal(503);
        hears_of_no_terminal(&mut agent).await;
        obstacle.remove().await;
        let (_, ()) = tokio::join!(open_terminal(&rmm.technician, session, line("true")), async {
            let (channel, _) = hears_open(&mut agent).await;
            says(&mut agent, &channel, TunnelPayload::Opened(Opened::default())).await;
        });
    }

    async fn what_the_agent_refuses_or_does_not_answer_is_told_and_on_record(world: World) {
        let rmm = world.deploy(&[("tunnel.open_timeout_seconds", "2")]).await;
        let (mut agent, id) = terminal_agent(&rmm).await;
        let session = rmm.open_raw(&mut agent, id).await;
        for (error, status, outcome) in [
            (ErrorCode::NotAllowed, 403, "refused"),
            (ErrorCode::Unsupported, 409, "failed"),
            (ErrorCode::TooMany, 429, "failed"),
            (ErrorCode::Failed, 409, "failed"),
        ] {
            let (answer, channel) = tokio::join!(ask_for_terminal(&rmm.technician, session, line("true")), async {
                let (channel, _) = hears_open(&mut agent).await;
                let closed = Closed::failed(OperationError::new(error, "not \u{1b}[31mtoday"));
                says(&mut agent, &channel, TunnelPayload::Closed(closed)).await;
                channel
            });
            let problem = answer.refusal(status);
            assert!(text(&problem, "detail").contains("today"), "{problem}");
            assert!(!text(&problem, "detail").contains('\u{1b}'), "{problem}");
            ends_as(&rmm, session, &channel, outcome).await;
        }
        let (answer, channel) = tokio::join!(ask_for_terminal(&rmm.technician, session, line("true")), async {
            let (channel, _) = hears_open(&mut agent).await;
            // It is told to end what may come late.
            agent.expect("close", |message| match message {
                ServerMessage::TunnelData(TunnelData { channel_id, data: TunnelPayload::Close })
                    if *channel_id == channel => Some(()),
                _ => None,
            }).await;
            channel
        });
        answer.problem(504, "not_answered");
        ends_as(&rmm, session, &channel, "timed_out").await;
        // What comes late does no harm.
        says(&mut agent, &channel, TunnelPayload::Opened(Opened::default())).await;
        assert_eq!(rmm.session(session).await["status"], "ready");
    }
}

/// Processes that [`stubborn`] starts.
const STUBBORN: usize = 3;
/// Processes that [`escapers`] starts.
const ESCAPERS: usize = 4;

/// A script whose children do not go when they are asked; it stays.
fn stubborn(marker: &Marker) -> String {
    let sleep = marker.sleep();
    format!(
        "trap '' HUP; nohup {sleep} >/dev/null 2>&1 & \
         (trap '' HUP INT TERM QUIT; {sleep} & exec {sleep}) & wait; exec sleep 1000"
    )
}

/// A script whose children leave it in every way they know; it stays.
fn escapers(marker: &Marker) -> String {
    let sleep = marker.sleep();
    let stubborn = stubborn(marker);
    format!("setsid {sleep} >/dev/null 2>&1 </dev/null & {stubborn}")
}

/// An agent of the tests' own that says that it has terminals.
async fn terminal_agent(rmm: &Deployment) -> (RawAgent, gururmm_shared::AgentId) {
    let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
    let mut auth = agent.auth(&rmm.site.code);
    for capability in [CAPABILITY_DATA_PLANE, CAPABILITY_TERMINAL] {
        auth.capabilities.push(capability.to_owned());
    }
    let ack = agent.authenticate(auth).await;
    (agent, ack.agent_id.expect("auth_ack tells the agent's id"))
}

async fn hears_open(agent: &mut RawAgent) -> (ChannelId, OpenChannel) {
    agent
        .expect("open", |message| match message {
            ServerMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Open(open),
            }) => Some((channel_id.clone(), (**open).clone())),
            _ => None,
        })
        .await
}

/// Nothing of a terminal comes for a while: long enough for what was on its way.
async fn hears_of_no_terminal(agent: &mut RawAgent) {
    while let Some(heard) = agent.hear_within(Duration::from_millis(500)).await {
        if let Heard::Message(ServerMessage::TunnelData(data)) = &heard {
            panic!("it heard {data:?}");
        }
    }
}

async fn says(agent: &mut RawAgent, channel: &ChannelId, data: TunnelPayload) {
    let channel_id = channel.clone();
    agent
        .send(&AgentMessage::TunnelData(TunnelData { channel_id, data }))
        .await;
}

async fn ends_as(rmm: &Deployment, session: SessionId, channel: &ChannelId, outcome: &str) {
    let what = format!("{channel} has ended as {outcome}");
    eventually(&what, SOON, || async {
        let rows = rmm.audit(session).await;
        let row = rows
            .into_iter()
            .find(|row| row["channel_id"] == channel.as_str())?;
        row["outcome"].is_string().then(|| {
            assert_eq!(row["outcome"], outcome, "{row}");
        })
    })
    .await;
}
