//! Terminals and TCP over the data plane: real shells on real pseudo-terminals, seen from the server's
//! end of a WebSocket.

mod harness;

use std::time::{Duration, Instant};

use bytes::Bytes;
use gururmm_shared::{Frame, ResetCode, StreamId};
use harness::plane::{Plane, resize, signal, terminal};
use harness::{Stage, all_gone, lives, pids_in, soon};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CLOSE: fn() -> Value = || json!({"type": "close"});

/// An agent with an open session.
async fn plane() -> (Stage, Plane) {
    plane_with(json!({})).await
}

/// The same, with more fields of `tunnel_open`.
async fn plane_with(fields: Value) -> (Stage, Plane) {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let session = uuid::Uuid::new_v4().to_string();
    let mut open = harness::tunnel_open(&session);
    let payload = open["payload"].as_object_mut().unwrap();
    payload.extend(fields.as_object().unwrap().clone());
    server.send(open).await;
    server.expect("tunnel_ready").await;
    (stage, Plane::new(server, session))
}

#[tokio::test]
async fn the_agent_says_what_it_can() {
    let stage = Stage::start().await;
    let (_server, auth) = stage.accept().await;
    let capabilities = auth["capabilities"].as_array().unwrap();
    for capability in [
        "data_plane",
        "terminal",
        "files",
        "tcp_forward",
        "services",
        "processes",
        "resume",
    ] {
        assert!(capabilities.contains(&json!(capability)), "{capability}");
    }
    assert_eq!(auth.get("kept_session"), None);
}

#[tokio::test]
async fn every_byte_comes_back_as_it_was_sent() {
    let (_stage, mut plane) = plane().await;
    let shell = plane.shell(1, "stty raw -echo; echo ready; exec cat").await;
    plane.until_shown(&shell, "ready").await;
    let before = plane.channels[&shell].output.len();
    let all: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
    for piece in all.chunks(10_000) {
        plane.send(&shell, piece).await;
    }
    let whole = before + 1 + all.len();
    plane
        .until(&shell, |channel| channel.output.len() >= whole - 1)
        .await;
    let output = &plane.channels[&shell].output;
    assert!(output.ends_with(&all));
}

#[tokio::test]
async fn the_default_is_a_log_in_shell_at_home_and_its_end_has_a_code() {
    let (_stage, mut plane) = plane().await;
    let shell = plane
        .open(
            1,
            65536,
            json!({"kind": "terminal", "size": {"cols": 80, "rows": 24},
                   "environment": {"GURURMM_TEST": "given"}, "term": "xterm"}),
        )
        .await;
    let opened = plane.channels[&shell].opened.clone().unwrap();
    assert!(opened["program"].as_str().unwrap().starts_with('/'));
    assert!(lives(
        i32::try_from(opened["pid"].as_i64().unwrap()).unwrap()
    ));
    plane
        .send(
            &shell,
            b"echo \"<$0|$TERM|$GURURMM_TEST|$GURURMM_SESSION_ID|$(tty)>\"; exit 7\n",
        )
        .await;
    let closed = plane.closed(&shell).await;
    assert_eq!(closed, json!({"exit_code": 7}));
    let text = plane.channels[&shell].text();
    assert!(text.contains("<-"), "{text}");
    let shown = format!("|xterm|given|{}|/dev/pts/", plane.session);
    assert!(text.contains(&shown), "{text}");
    assert!(plane.channels[&shell].ended);
}

#[tokio::test]
async fn the_program_sees_its_size_and_every_change_of_it() {
    let (_stage, mut plane) = plane().await;
    let line = "stty size; trap 'stty size' WINCH; while :; do sleep 0.02; done";
    let shell = plane.shell(1, line).await;
    plane.until_shown(&shell, "24 80\r\n").await;
    plane.tell(&shell, resize(132, 43)).await;
    plane.until_shown(&shell, "43 132\r\n").await;
    plane.tell(&shell, resize(0, 9999)).await;
    plane.until_shown(&shell, "1000 1\r\n").await;
}

#[tokio::test]
async fn signals_go_to_the_foreground() {
    let (_stage, mut plane) = plane().await;
    for (number, name, code) in [(1, "terminate", 143), (2, "kill", 137), (3, "hangup", 129)] {
        let shell = plane.shell(number, "echo on; exec sleep 1000").await;
        plane.until_shown(&shell, "on").await;
        plane.tell(&shell, signal(name)).await;
        let closed = plane.closed(&shell).await;
        assert_eq!(closed, json!({"exit_code": code, "reason": "signalled"}));
    }
    // An interactive shell gives its jobs the foreground, and goes on itself.
    let shell = plane
        .open(
            4,
            65536,
            json!({"kind": "terminal", "shell": "bash", "arguments": ["--norc", "-i"],
                   "size": {"cols": 80, "rows": 24}}),
        )
        .await;
    // What it prints it prints in the foreground.
    plane
        .send(&shell, b"sh -c \"echo o''n; exec sleep 1000\"\n")
        .await;
    plane.until_shown(&shell, "on\r\n").await;
    plane.tell(&shell, signal("interrupt")).await;
    plane.send(&shell, b"echo code $?\n").await;
    plane.until_shown(&shell, "code 130\r\n").await;
}

#[tokio::test]
async fn ctrl_c_gets_through_a_flood_whose_window_is_stopped() {
    let (_stage, mut plane) = plane().await;
    let name = plane
        .ask(1, 64 * 1024, terminal("yes; echo gone; sleep 1000"))
        .await;
    plane.consume(&name, false).await;
    // Whatever the window allows has come, and the program is blocked.
    let mut received = 0;
    while received < 64 * 1024 {
        plane.step().await;
        received = plane.channels[&name].bytes.position().received;
    }
    let pid = plane.channels[&name].opened.as_ref().unwrap()["pid"]
        .as_i64()
        .unwrap();
    plane.send(&name, b"\x03").await;
    let pressed = Instant::now();
    // The shell dies of it with its child: its end is waited for outside.
    all_gone(&[i32::try_from(pid).unwrap()]).await;
    assert!(pressed.elapsed() < Duration::from_secs(2));
    plane.consume(&name, true).await;
    let closed = plane.closed(&name).await;
    assert_eq!(closed, json!({"exit_code": 130, "reason": "signalled"}));
}

#[tokio::test]
async fn a_program_is_blocked_by_a_window_that_is_used_up_and_nothing_is_lost() {
    let (_stage, mut plane) = plane().await;
    let shell = plane
        .ask(1, 1000, terminal("stty -opost; seq 1 100000"))
        .await;
    plane.consume(&shell, false).await;
    let mut received = 0;
    while received < 1000 {
        plane.step().await;
        received = plane.channels[&shell].bytes.position().received;
    }
    assert_eq!(plane.channels[&shell].closed, None);
    plane.consume(&shell, true).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 0}));
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(plane.channels[&shell].text() == expected);
}

#[tokio::test]
async fn two_terminals_and_a_command_go_on_side_by_side() {
    let (_stage, mut plane) = plane().await;
    let flood = plane.shell(1, "yes").await;
    let quiet = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    plane.until_shown(&quiet, "ready").await;
    for number in 0..50 {
        let text = format!("<{number}>");
        plane.send(&quiet, text.as_bytes()).await;
        plane.until_shown(&quiet, &text).await;
    }
    assert!(plane.channels[&flood].output.len() > 100_000);
    plane.tell(&flood, CLOSE()).await;
    assert_eq!(plane.closed(&flood).await["reason"], "cancelled");
    plane.send(&quiet, b"still here").await;
    plane.until_shown(&quiet, "still here").await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused_with_a_reason() {
    let rules = json!({"rules": {"shells": ["/bin/false"]}});
    let (_stage, mut plane) = plane_with(rules).await;
    let size = json!({"cols": 80, "rows": 24});
    for (number, options, code) in [
        (1, json!({"shell": "/bin/bash"}), "not_allowed"),
        (2, json!({"shell": "../../bin/sh"}), "not_allowed"),
        (3, json!({"shell": "cmd"}), "unsupported"),
        (4, json!({"working_directory": "/nowhere"}), "bad_name"),
        (5, json!({"environment": {"LD_PRELOAD": "x"}}), "bad_name"),
        (6, json!({"term": "a b"}), "bad_name"),
    ] {
        let mut kind = options;
        kind["kind"] = json!("terminal");
        kind["size"] = size.clone();
        let name = plane.ask(number, 65536, kind).await;
        let closed = plane.closed(&name).await;
        assert_eq!(closed["error"]["code"], code, "{closed}");
    }
    let listed = json!({"kind": "terminal", "shell": "/bin/false", "size": size});
    let name = plane.open(7, 65536, listed).await;
    assert_eq!(plane.closed(&name).await["exit_code"], 1);
    let ours = std::mem::replace(&mut plane.session, uuid::Uuid::new_v4().to_string());
    let name = plane.ask(8, 65536, terminal("true")).await;
    assert_eq!(plane.closed(&name).await["error"]["code"], "not_allowed");
    plane.session = ours;
}

#[tokio::test]
async fn a_closed_terminal_takes_all_of_its_session_with_it() {
    let (stage, mut plane) = plane().await;
    let line = format!(
        "trap '' HUP TERM; set -m; sh -c 'trap \"\" HUP; echo $$ >> {pids}; while :; do sleep 1; done' & \
         echo $$ >> {pids}; wait",
        pids = stage.file("pids").display()
    );
    let shell = plane.shell(1, &line).await;
    let pids = pids_in(&stage.file("pids"), 2).await;
    plane.tell(&shell, CLOSE()).await;
    let closed = plane.closed(&shell).await;
    assert_eq!(closed, json!({"exit_code": 137, "reason": "cancelled"}));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_child_in_the_background_does_not_keep_a_terminal_open() {
    let (stage, mut plane) = plane().await;
    let line = format!(
        "sh -c 'trap \"\" HUP; echo $$ > {pids}; exec sleep 1000' & \
         while [ ! -s {pids} ]; do sleep 0.01; done; echo bye",
        pids = stage.file("pids").display()
    );
    let shell = plane.shell(1, &line).await;
    let pids = pids_in(&stage.file("pids"), 1).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 0}));
    assert_eq!(plane.channels[&shell].text(), "bye\r\n");
    assert!(lives(pids[0]), "it ends with the session");
    plane
        .server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": plane.session}}))
        .await;
    plane.server.expect("tunnel_closed").await;
    assert!(!lives(pids[0]));
}

/// Starts what is hard to get rid of, from a terminal.
fn escapers(stage: &Stage) -> String {
    format!(
        "set -m; sleep 1000 & echo $! >> {pids}; \
         setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >> {pids}; while :; do sleep 1; done' & \
         (env -i setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' </dev/null >/dev/null 2>&1 &); \
         echo $$ >> {pids}; wait",
        pids = stage.file("pids").display()
    )
}

#[tokio::test]
async fn nothing_of_a_terminal_is_left_when_the_session_ends() {
    let (stage, mut plane) = plane().await;
    plane.shell(1, &escapers(&stage)).await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    plane
        .server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": plane.session}}))
        .await;
    plane.server.expect("tunnel_closed").await;
    assert!(!pids.iter().any(|pid| lives(*pid)));
}

#[tokio::test]
async fn nothing_of_a_terminal_is_left_after_kill_9_of_the_agent() {
    let (mut stage, mut plane) = plane_with(json!({"resume_grace_seconds": 600})).await;
    plane.shell(1, &escapers(&stage)).await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    stage.signal(Signal::SIGKILL);
    soon(stage.agent.wait()).await.unwrap();
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_broken_stream_is_reset_and_the_others_go_on() {
    let (_stage, mut plane) = plane().await;
    let broken = plane.shell(1, "cat").await;
    let other = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    plane.until_shown(&other, "ready").await;
    let data = |stream, offset| Frame::Data {
        stream: StreamId(stream),
        offset,
        bytes: Bytes::from_static(b"x"),
    };
    plane.server.send_frame(data(9, 0).encode()).await;
    assert_eq!(plane.server.reset_of(9).await, ResetCode::UnknownStream);
    plane.server.send_frame(Bytes::from_static(b"\xff")).await;
    plane.server.send_frame(data(1, 5).encode()).await;
    assert_eq!(plane.server.reset_of(1).await, ResetCode::Gap);
    assert_eq!(plane.closed(&broken).await["error"]["code"], "failed");
    plane.send(&other, b"goes on").await;
    plane.until_shown(&other, "goes on").await;
    let long = vec![0; gururmm_shared::frame::MAX_FRAME_BYTES + 1];
    plane.server.send_frame(long.into()).await;
    assert_eq!(plane.server.closed().await, 1009);
}

#[tokio::test]
async fn a_request_is_answered_and_one_that_is_not_allowed_is_not_done() {
    let rules = json!({"rules": {"features": ["files"], "file_writes": false}});
    let (_stage, mut plane) = plane_with(rules).await;
    for (name, operation) in [
        ("a", json!({"op": "process_list"})),
        ("b", json!({"op": "file_delete", "path": "/nowhere/at/all"})),
        ("c", json!({"op": "file_stat", "path": "/nowhere/at/all"})),
    ] {
        let mut request = operation;
        request["session_id"] = json!(plane.session);
        plane
            .tell(name, json!({"type": "request", "payload": request}))
            .await;
    }
    while plane.replies.len() < 3 {
        plane.step().await;
    }
    for name in ["a", "b"] {
        let reply = &plane.replies[name];
        assert_eq!(reply["result"], "failed");
        assert_eq!(reply["error"]["code"], "not_allowed", "{reply}");
    }
    assert_ne!(plane.replies["c"]["error"]["code"], "not_allowed");
}

fn tcp(host: &str, port: u16) -> Value {
    json!({"kind": "tcp", "host": host, "port": port})
}

#[tokio::test]
async fn a_tcp_connection_carries_bytes_both_ways_and_each_sides_end() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        // It has heard the end, and still answers.
        socket.write_all(&all).await.unwrap();
    });
    let name = plane.open(1, 100_000, tcp("localhost", port)).await;
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    plane.send(&name, &sent).await;
    plane.finish(&name).await;
    assert_eq!(plane.closed(&name).await, json!({}));
    assert!(plane.channels[&name].output == sent);
    assert!(plane.channels[&name].ended);
    target.await.unwrap();
}

#[tokio::test]
async fn a_tcp_connection_that_is_not_allowed_or_not_possible_is_refused() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (number, kind, code) in [
        (1, tcp("10.0.0.1", 80), "not_allowed"),
        (2, tcp("example.com", 80), "not_allowed"),
        (3, tcp("127.0.0.1", port), "unreachable"),
    ] {
        let name = plane.ask(number, 65536, kind).await;
        let closed = plane.closed(&name).await;
        assert_eq!(closed["error"]["code"], code, "{closed}");
    }
}

#[tokio::test]
async fn a_closed_tcp_channel_closes_its_connection() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = plane.ask(1, 65536, tcp("127.0.0.1", port)).await;
    let (mut socket, _) = soon(listener.accept()).await.unwrap();
    plane.until(&name, |channel| channel.opened.is_some()).await;
    plane.tell(&name, CLOSE()).await;
    let mut rest = Vec::new();
    // Closed or reset: either is an end.
    let _ = soon(socket.read_to_end(&mut rest)).await;
    assert_eq!(plane.server.reset_of(1).await, ResetCode::Cancelled);
    let closed = plane.closed(&name).await;
    assert_eq!(closed["reason"], "cancelled");
}

#[tokio::test]
async fn a_terminal_goes_on_over_a_cut_connection_with_no_line_lost_or_double() {
    let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": 60})).await;
    let line = "stty -opost; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i; done; exit 3";
    let shell = plane.shell(1, line).await;
    let idle = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    let unwanted = plane.shell(3, "echo on; exec sleep 1000").await;
    plane.until_shown(&idle, "ready").await;
    plane.until_shown(&unwanted, "on").await;
    let pid = plane.channels[&unwanted].opened.as_ref().unwrap()["pid"].as_i64();
    plane.tell(&idle, resize(100, 30)).await;
    plane.send(&idle, b"before").await;
    plane.until_shown(&idle, "before").await;
    for cut in 1..=3 {
        let wanted = cut * 50_000;
        plane
            .until(&shell, |channel| channel.output.len() > wanted)
            .await;
        // Cut in the middle of the flood: what is on its way is lost.
        plane.server.cut();
        let (server, auth) = stage.accept_again().await;
        let kept = &auth["kept_session"];
        assert_eq!(kept["session_id"], plane.session.as_str());
        assert_eq!(
            kept["terminals"].as_array().unwrap().len(),
            if cut == 1 { 3 } else { 2 }
        );
        plane.resume(server, kept, &[&shell, &idle]).await;
        plane.send(&idle, format!("<{cut}>").as_bytes()).await;
        plane.until_shown(&idle, &format!("<{cut}>")).await;
    }
    all_gone(&[i32::try_from(pid.unwrap()).unwrap()]).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 3}));
    let expected: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
    assert!(plane.channels[&shell].text() == expected);
    assert!(plane.channels[&idle].text().ends_with("before<1><2><3>"));
}

#[tokio::test]
async fn a_terminal_that_ended_while_the_connection_was_lost_says_so_when_it_is_back() {
    let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": 60})).await;
    let line = format!(
        "echo $$ > {}; while [ ! -e {} ]; do sleep 0.02; done; echo last words; exit 5",
        stage.file("pids").display(),
        stage.file("go").display()
    );
    let shell = plane.shell(1, &line).await;
    let pids = pids_in(&stage.file("pids"), 1).await;
    plane.server.cut();
    let (server, auth) = stage.accept().await;
    std::fs::write(stage.file("go"), "").unwrap();
    all_gone(&pids).await;
    let kept = &auth["kept_session"];
    assert_eq!(kept["terminals"][0]["channel_id"], shell.as_str());
    let mut server = server;
    server
        .send(json!({"type": "auth_ack", "payload": {"protocol": 2}}))
        .await;
    plane.resume(server, kept, &[&shell]).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 5}));
    assert_eq!(plane.channels[&shell].text(), "last words\r\n");
    assert!(plane.channels[&shell].ended);
}

#[tokio::test]
async fn a_kept_session_ends_with_its_grace_and_when_the_server_does_not_want_it() {
    for ending in ["grace", "close", "open"] {
        let grace = if ending == "grace" { 1 } else { 600 };
        let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": grace})).await;
        plane.shell(1, &escapers(&stage)).await;
        let pids = pids_in(&stage.file("pids"), 4).await;
        plane.server.cut();
        let (mut server, auth) = stage.accept_again().await;
        assert_eq!(
            auth["kept_session"]["session_id"],
            plane.session.as_str(),
            "{ending}"
        );
        match ending {
            "close" => {
                server
                    .send(json!({"type": "tunnel_close", "payload": {
                        "session_id": plane.session}}))
                    .await;
                server.expect("tunnel_closed").await;
            }
            "open" => {
                stage.open(&mut server).await;
            }
            _ => {
                server.expect("tunnel_closed").await;
            }
        }
        all_gone(&pids).await;
    }
}

#[tokio::test]
async fn without_a_grace_a_lost_connection_ends_its_terminals() {
    let (stage, mut plane) = plane().await;
    plane.shell(1, &escapers(&stage)).await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    plane.server.cut();
    let (_server, auth) = stage.accept_again().await;
    assert_eq!(auth.get("kept_session"), None);
    all_gone(&pids).await;
}
