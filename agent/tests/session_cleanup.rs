//! No process that a tunnel started stays behind, however it tried to get away and however the
//! session ended.
#![cfg(unix)]

mod harness;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Stage, all_gone, lives, pids_in, terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// Starts what is hard to get rid of and writes the processes' numbers into a file: a child, one with
/// a session of its own that ignores signals, a double fork under nohup, and one that also drops its
/// environment.
fn escapers(pids: &Path) -> String {
    let pids = pids.display();
    format!(
        "sleep 1000 & echo $! >> {pids}; \
         setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >> {pids}; while :; do sleep 1; done' \
           </dev/null >/dev/null 2>&1 & \
         (nohup setsid sh -c 'sleep 1000 & echo $! >> {pids}' </dev/null >/dev/null 2>&1 &); \
         (env -i setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' </dev/null >/dev/null 2>&1 &); \
         wait"
    )
}

#[tokio::test]
async fn a_closed_tunnel_has_no_processes_left_when_it_says_so() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let session = stage.open(&mut server).await;
    server
        .send(terminal("terminal-1", &escapers(&stage.file("pids"))))
        .await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    assert!(pids.iter().all(|pid| lives(*pid)));
    server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": session}}))
        .await;
    server.expect("tunnel_closed").await;
    let left: Vec<_> = pids.iter().filter(|pid| lives(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
}

#[tokio::test]
async fn what_a_command_left_in_the_background_ends_with_the_session_and_not_before() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let session = stage.open(&mut server).await;
    let line = format!(
        "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {}",
        stage.file("pids").display()
    );
    server.send(terminal("terminal-1", &line)).await;
    assert_eq!(server.output("terminal-1").await.1, 0);
    let pids = pids_in(&stage.file("pids"), 1).await;
    assert!(lives(pids[0]));
    server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": session}}))
        .await;
    server.expect("tunnel_closed").await;
    assert!(!lives(pids[0]));
}

#[tokio::test]
async fn kill_9_of_the_agent_leaves_nothing_behind() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    server
        .send(terminal("terminal-1", &escapers(&stage.file("pids"))))
        .await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    stage.signal(Signal::SIGKILL);
    stage.agent.wait().await.unwrap();
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_guard_that_is_killed_takes_nothing_of_the_clean_up_with_it() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let session = stage.open(&mut server).await;
    let line = format!(
        "(setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' </dev/null >/dev/null 2>&1 &); \
         echo $$ >> {pids}; echo $PPID > {guard}; exec sleep 1000",
        pids = stage.file("pids").display(),
        guard = stage.file("guard").display(),
    );
    server.send(terminal("terminal-1", &line)).await;
    let guard = pids_in(&stage.file("guard"), 1).await[0];
    let pids = pids_in(&stage.file("pids"), 2).await;
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    assert_eq!(server.output("terminal-1").await.1, 137);
    server.send(terminal("terminal-2", "echo never")).await;
    let refused = server.expect("tunnel_error").await;
    assert_eq!(
        refused["error"],
        "Failed to execute command: the session's guard is gone: close the tunnel and open another"
    );
    server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": session}}))
        .await;
    server.expect("tunnel_closed").await;
    all_gone(&pids).await;
    stage.open(&mut server).await;
    server.send(terminal("terminal-1", "echo again")).await;
    assert_eq!(server.output("terminal-1").await, ("again\n".to_owned(), 0));
}

#[tokio::test]
async fn a_program_starts_with_every_signal_as_it_is_by_default() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    // The shell's own state, of the signals that have names.
    let line = "sed -nE 's/^Sig(Blk|Ign):.*(.{7})$/\\2/p' /proc/$$/status | sort -u";
    server.send(terminal("terminal-1", line)).await;
    let (printed, code) = server.output("terminal-1").await;
    assert_eq!((printed.as_str(), code), ("0000000\n", 0));
}

#[tokio::test]
async fn a_guard_that_is_asked_to_end_goes_on() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    server
        .send(terminal(
            "terminal-1",
            "for s in TERM INT HUP QUIT USR1; do kill -$s $PPID; done; echo on",
        ))
        .await;
    assert_eq!(server.output("terminal-1").await, ("on\n".to_owned(), 0));
    server.send(terminal("terminal-2", "echo again")).await;
    assert_eq!(server.output("terminal-2").await, ("again\n".to_owned(), 0));
}

#[tokio::test]
async fn a_long_command_and_its_odd_characters_reach_the_program_unchanged() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    let text = "\u{1}é\"\\".repeat(10_000);
    let line = format!("printf %s '{text}' | wc -c");
    server.send(terminal("terminal-1", &line)).await;
    assert_eq!(
        server.output("terminal-1").await,
        (format!("{}\n", text.len()), 0)
    );
}

#[tokio::test]
async fn a_lost_connection_ends_the_session_and_the_agent_comes_back_without_it() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    server
        .send(terminal("terminal-1", &escapers(&stage.file("pids"))))
        .await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    drop(server);
    let mut server = stage.accept_and_acknowledge().await;
    all_gone(&pids).await;
    stage.open(&mut server).await;
    server.send(terminal("terminal-1", "echo again")).await;
    assert_eq!(server.output("terminal-1").await, ("again\n".to_owned(), 0));
}

#[tokio::test]
async fn sigterm_ends_the_session_says_goodbye_and_stops_within_five_seconds() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    server
        .send(terminal("terminal-1", &escapers(&stage.file("pids"))))
        .await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    let asked = Instant::now();
    stage.signal(Signal::SIGTERM);
    assert_eq!(
        server.expect("tunnel_closed").await["reason"],
        "the agent is being stopped"
    );
    assert!(!pids.iter().any(|pid| lives(*pid)));
    assert_eq!(server.closed().await, 1001);
    let status = harness::soon(stage.agent.wait()).await.unwrap();
    assert!(status.success());
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_cancelled_command_ends_with_its_reason() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    stage.open(&mut server).await;
    server
        .send(terminal("terminal-1", "echo begun; sleep 1000"))
        .await;
    let begun = server.expect("tunnel_data").await;
    assert_eq!(begun["data"]["payload"]["stdout"], "begun\n");
    server
        .send(json!({"type": "tunnel_data", "payload": {
            "channel_id": "terminal-1", "data": {"type": "close"}}}))
        .await;
    let last = server.expect("tunnel_data").await;
    assert_eq!(last["data"]["payload"]["reason"], "cancelled");
    assert_eq!(last["data"]["payload"]["exit_code"], 143);
}
