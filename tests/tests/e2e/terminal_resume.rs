//! Terminals that outlive a lost connection of their agent and a restart of the server, within
//! `tunnel.resume_grace_seconds`; and everything's end after it, and without it.

use std::time::Duration;

use gururmm_shared::{AgentId, ErrorCode, ResetCode, StreamMessage};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::api::text;
use gururmm_tests::processes::Marker;
use gururmm_tests::terminal_viewer::{TerminalViewer, ask_for_terminal, line};
use gururmm_tests::wait::{CLEAN_UP, SOON, eventually_trying};
use gururmm_tests::{Deployment, Proxy, TestAgent, eventually, hold, on_both_databases};
use serde_json::json;
use uuid::Uuid;

const GRACE: [(&str, &str); 1] = [("tunnel.resume_grace_seconds", "20")];
const RAW_CAT: &str = "stty raw -echo; echo ready; exec cat";
/// Numbered lines, not as fast as they can be: there is always something on its way.
const NUMBERED: &str = "stty -opost; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i; \
    case $i in *00) sleep 0.01;; esac; done; exit 3";

on_both_databases! {
    async fn a_lost_connection_loses_and_doubles_no_line(world: World) {
        let rmm = world.deploy(&GRACE).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let cat = viewer.run(&rmm.technician, RAW_CAT).await;
        viewer.reads(&cat, "ready\n").await;
        let begins = viewer.of(&cat).bytes.len();
        let counter = viewer.run(&rmm.technician, NUMBERED).await;
        let mut typed = String::new();
        for cut in 1..=3 {
            viewer.has(&counter, cut * 40_000).await;
            proxy.cut();
            // What is typed while the line is lost comes once it is back.
            viewer.expect("suspended", suspended).await;
            let words: String = (0..500).map(|word| format!("<{cut}.{word}>")).collect();
            viewer.types(&cat, words.as_bytes()).await;
            typed += &words;
            viewer.expect("resumed", resumed).await;
            viewer.has(&cat, begins + typed.len()).await;
        }
        assert_eq!(viewer.ended(&counter).await.exit_code, Some(3));
        let numbers: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
        assert!(viewer.of(&counter).text() == numbers, "lines are missing or come twice");
        assert!(viewer.of(&cat).bytes[begins..] == *typed.as_bytes(), "what was typed came otherwise");
        assert_eq!(rmm.session(session).await["status"], "ready");
        rmm.wait_outcome(session, &counter.command_id, "failed").await;
        // And it is as good as before.
        let shell = viewer.run(&rmm.technician, "echo new").await;
        viewer.reads(&shell, "new\r\n").await;
    }

    async fn it_is_the_same_shell_after_a_lost_connection(world: World) {
        let rmm = world.deploy(&GRACE).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let shell = viewer.run(&rmm.technician, "stty -echo; trap 'stty size' WINCH; echo ready; while :; do read word && eval \"$word\"; done").await;
        viewer.reads(&shell, "ready\r\n").await;
        viewer.types(&shell, b"kept=treasure; echo \"pid $$.\"\n").await;
        let before = viewer.reads(&shell, ".\r\n").await;
        proxy.pull();
        proxy.cut();
        let grace = viewer.expect("suspended", suspended).await;
        assert!(grace <= 20, "{grace}");
        // Nothing new begins meanwhile, and who comes now is told how it is.
        let refused = ask_for_terminal(&rmm.technician, session, line("true")).await;
        refused.problem(409, "agent_offline");
        let mut late = TerminalViewer::open(&rmm.technician, session).await;
        late.expect("suspended", suspended).await;
        viewer.resizes(&shell, 99, 33).await;
        viewer.types(&shell, b"echo \"pid $$.\"; echo $kept\n").await;
        proxy.plug();
        viewer.expect("resumed", resumed).await;
        late.expect("resumed", resumed).await;
        let after = viewer.reads(&shell, "treasure\r\n").await;
        assert!(after.contains(before.trim()), "{after:?} is not of {before:?}");
        eventually_trying("the size that was wished for meanwhile", SOON, async || {
            viewer.types(&shell, b"stty size\n").await;
            let read = viewer.reads(&shell, "\r\n").await;
            read.contains("33 99").then_some(())
        })
        .await;
    }

    async fn a_program_that_ended_meanwhile_tells_its_last_words_and_its_code(world: World) {
        let rmm = world.deploy(&GRACE).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let (go, gone) = (world.file("go"), world.file("gone"));
        let script = format!("echo ready; while [ ! -e {} ]; do sleep 0.05; done; echo last words; touch {}; exit 5", go.display(), gone.display());
        let shell = viewer.run(&rmm.technician, &script).await;
        viewer.reads(&shell, "ready\r\n").await;
        proxy.pull();
        proxy.cut();
        viewer.expect("suspended", suspended).await;
        std::fs::write(&go, "").unwrap();
        eventually("the program ends", SOON, || async { gone.exists().then_some(()) }).await;
        proxy.plug();
        assert_eq!(viewer.ended(&shell).await.exit_code, Some(5));
        assert!(viewer.of(&shell).text().ends_with("last words\r\n"));
        let row = rmm.wait_outcome(session, &shell.command_id, "failed").await;
        assert_eq!(row["exit_code"], 5);
    }

    async fn after_the_grace_everything_is_ended_on_both_sides(world: World) {
        let rmm = world.deploy(&[("tunnel.resume_grace_seconds", "3")]).await;
        let (agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let script = format!("setsid {} & {}", marker.sleep(), marker.sleep());
        let shell = viewer.run(&rmm.technician, &script).await;
        marker.wait_running(2, SOON).await;
        proxy.pull();
        proxy.cut();
        viewer.expect("suspended", suspended).await;
        hold("the grace has begun", Duration::from_secs(1), || async { marker.running().len() == 2 }).await;
        assert_eq!(viewer.reset(shell.stream).await, ResetCode::Gone);
        assert_eq!(viewer.close_code().await, Some(1000));
        rmm.wait_session(session, "closed", "agent_disconnected", SOON).await;
        rmm.wait_outcome(session, &shell.command_id, "lost").await;
        // The agent has no line to be told by.
        marker.wait_gone(CLEAN_UP).await;
        proxy.plug();
        rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
        drop(agent);
    }

    async fn without_a_grace_a_lost_connection_ends_everything_at_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let shell = viewer.run(&rmm.technician, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        proxy.cut();
        loop {
            match viewer.next().await {
                Ok(gururmm_tests::terminal_viewer::Seen::Message(message)) => {
                    assert!(suspended(&message).is_none(), "{message:?}");
                }
                Ok(gururmm_tests::terminal_viewer::Seen::Frame(_)) => {}
                Err(code) => {
                    assert_eq!(code, Some(1000));
                    break;
                }
            }
        }
        assert_eq!(viewer.of(&shell).reset.as_ref().map(|reset| reset.0), Some(ResetCode::Gone));
        marker.wait_gone(CLEAN_UP).await;
        rmm.wait_session(session, "closed", "agent_disconnected", SOON).await;
        rmm.wait_outcome(session, &shell.command_id, "lost").await;
        rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
    }

    async fn a_session_that_is_closed_meanwhile_is_not_kept(world: World) {
        let rmm = world.deploy(&GRACE).await;
        let (_agent, id, proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let shell = viewer.run(&rmm.technician, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        proxy.pull();
        proxy.cut();
        viewer.expect("suspended", suspended).await;
        let close = json!({"session_id": session});
        rmm.technician.post("/api/v1/tunnel/close", close).await.check(200);
        assert_eq!(viewer.close_code().await, Some(1000));
        rmm.wait_session(session, "closed", "closed_by_technician", SOON).await;
        rmm.wait_outcome(session, &shell.command_id, "cancelled").await;
        assert_eq!(marker.running().len(), 1, "the agent does not know yet");
        proxy.plug();
        marker.wait_gone(SOON).await;
        rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
    }

    async fn an_agent_that_was_killed_comes_back_with_nothing_and_the_terminals_are_lost(world: World) {
        let rmm = world.deploy(&GRACE).await;
        let (mut agent, id, _proxy) = behind_proxy(&rmm).await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let shell = viewer.run(&rmm.technician, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        agent.kill9();
        marker.wait_gone(CLEAN_UP).await;
        agent.restart();
        let ended = viewer.ended(&shell).await;
        assert_eq!(ended.error.map(|error| error.code), Some(ErrorCode::Gone));
        rmm.wait_outcome(session, &shell.command_id, "lost").await;
        eventually("a terminal opens, in this session or in a new one", CLEAN_UP, || async {
            let answer = rmm.technician.post("/api/v1/tunnel/open", json!({"agent_id": id})).await;
            let session = if answer.status == 201 { gururmm_tests::deployment::session_id(&answer.json()) } else { session };
            let answer = ask_for_terminal(&rmm.technician, session, line("true")).await;
            (answer.status == 201).then_some(())
        })
        .await;
    }

    async fn a_server_that_is_stopped_goes_on_with_its_sessions(world: World) {
        over_a_restart(&world, false).await;
    }

    async fn a_server_that_is_killed_goes_on_with_its_sessions(world: World) {
        over_a_restart(&world, true).await;
    }

    async fn without_a_grace_a_restart_of_the_server_ends_sessions(world: World) {
        let mut rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let shell = viewer.run(&rmm.technician, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        rmm.server.kill9();
        marker.wait_gone(CLEAN_UP).await;
        rmm.server.restart().await;
        rmm.wait_session(session, "closed", "server_crashed", SOON).await;
        rmm.wait_outcome(session, &shell.command_id, "interrupted").await;
    }

    async fn a_server_that_stays_away_longer_than_the_grace_finds_everything_ended(world: World) {
        let mut rmm = world.deploy(&[("tunnel.resume_grace_seconds", "2")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let marker = Marker::new();
        let shell = viewer.run(&rmm.technician, &marker.sleep()).await;
        marker.wait_running(1, SOON).await;
        rmm.server.kill9();
        // The agent's grace has its end without a server.
        marker.wait_gone(CLEAN_UP).await;
        rmm.server.restart().await;
        eventually("the session has ended", SOON, || async {
            (rmm.session_row(session).await["closed_at"].is_string()).then_some(())
        })
        .await;
        rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
        let row = eventually("the terminal's end is on record", SOON, || async {
            let rows = rmm.audit(session).await;
            rows.into_iter().find(|row| row["command_id"] == shell.command_id.as_str() && row["outcome"].is_string())
        })
        .await;
        assert!(["lost", "interrupted"].contains(&text(&row, "outcome")), "{row}");
    }
}

/// Numbered lines and a shell go on over a restart of the server.
async fn over_a_restart(world: &gururmm_tests::World, kill: bool) {
    let mut rmm = world.deploy(&GRACE).await;
    let (_agent, id) = rmm.agent().await;
    let session = rmm.open(id).await;
    let key = Uuid::new_v4();
    let more = format!("&viewer={key}");
    let mut viewer = TerminalViewer::open_with(&rmm.technician, session, &more).await;
    let shell = viewer
        .run(
            &rmm.technician,
            "stty -echo; echo ready; while read word; do echo \"$$ read $word\"; done",
        )
        .await;
    viewer.reads(&shell, "ready\r\n").await;
    viewer.types(&shell, b"before\n").await;
    let before = viewer.reads(&shell, " read before\r\n").await;
    let pid = before.trim().split(' ').next().unwrap().to_owned();
    let counter = viewer.run(&rmm.technician, NUMBERED).await;
    let mut came = Vec::new();
    for wanted in [50_000, 60_000] {
        viewer.has(&counter, wanted).await;
        if kill {
            rmm.server.kill9();
        } else {
            rmm.server.stop().await;
            let code = viewer.close_code().await;
            assert!(code.is_none_or(|code| code == 1001), "{code:?}");
        }
        came.extend_from_slice(&viewer.of(&counter).bytes);
        drop(viewer);
        rmm.server.restart().await;
        let (shell_at, counter_at) = (&shell.channel, &counter.channel);
        let more = format!("{more}&from.{counter_at}={}&from.{shell_at}=0", came.len());
        eventually("the session is there again", SOON, || async {
            let path = format!("/api/v1/tunnel/{session}/ticket");
            let answer = rmm.technician.post(&path, json!({})).await;
            (answer.status == 201).then_some(())
        })
        .await;
        viewer = TerminalViewer::open_with(&rmm.technician, session, &more).await;
        viewer.shown(&counter).await;
        viewer.shown(&shell).await;
        let at = viewer.of(&counter).offset;
        assert_eq!(at, came.len() as u64, "it goes on where the viewer was");
        // What the viewer had typed is not known any more: it counts from the start.
        viewer.types(&shell, b"after\n").await;
        let read = viewer.reads(&shell, " read after\r\n").await;
        assert!(
            read.contains(&pid),
            "{read:?} is of another shell than {pid}"
        );
    }
    let ended = viewer.ended(&counter).await;
    came.extend_from_slice(&viewer.of(&counter).bytes);
    assert_eq!(ended.exit_code, Some(3));
    let numbers: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
    assert!(
        came == numbers.as_bytes(),
        "lines are missing or come twice: {} bytes",
        came.len()
    );
    rmm.wait_outcome(session, &counter.command_id, "failed")
        .await;
    assert_eq!(rmm.session(session).await["status"], "ready");
    let close = json!({"session_id": session});
    rmm.technician
        .post("/api/v1/tunnel/close", close)
        .await
        .check(200);
    rmm.wait_opens(&rmm.technician, id, CLEAN_UP).await;
}

/// A real agent whose line can be cut.
async fn behind_proxy(rmm: &Deployment) -> (TestAgent, AgentId, Proxy) {
    let proxy = Proxy::start(rmm.server.address()).await;
    let settings = AgentSettings::default();
    let agent = TestAgent::start(&proxy.agents_url(), &rmm.site.code, settings);
    let id = agent.wait_online(&rmm.admin).await;
    (agent, id, proxy)
}

fn suspended(message: &StreamMessage) -> Option<u32> {
    match message {
        StreamMessage::Suspended(suspended) => Some(suspended.grace_seconds),
        _ => None,
    }
}

fn resumed(message: &StreamMessage) -> Option<()> {
    matches!(message, StreamMessage::Resumed).then_some(())
}
