//! Terminals over the data plane: real shells on real pseudo-terminals, seen from the server's
//! end of a WebSocket.
#![cfg(unix)]

mod harness;

use std::time::{Duration, Instant};

use harness::plane::{close, escapers, plane, plane_with, resize, signal, terminal};
use harness::{all_gone, lives, pids_in, soon};
use nix::sys::signal::Signal;
use serde_json::json;

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
    let line = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done";
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
async fn two_terminals_go_on_side_by_side() {
    let (_stage, mut plane) = plane().await;
    let flood = plane.shell(1, "yes").await;
    let quiet = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    plane.until_shown(&quiet, "ready").await;
    for number in 0..50 {
        let text = format!("<{number}>");
        plane.send(&quiet, text.as_bytes()).await;
        plane.until_shown(&quiet, &text).await;
    }
    plane
        .until(&flood, |channel| channel.output.len() > 100_000)
        .await;
    plane.tell(&flood, close()).await;
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
    plane.tell(&shell, close()).await;
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
