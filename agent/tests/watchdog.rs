//! The watchdog, with a service manager that is a stand-in and with processes that are real; and what it has to tell
//! while there is no connection.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use chrono::{DateTime, Utc};
use harness::{Connection, Stage, soon};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sysinfo::System;
use tokio::process::{Child, Command};

/// Answers for services whose state lies in a file each, and restarts those that have a file `NAME.restarts`.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
for name; do :; done
case $1 in
show)
    [ -e "$name" ] || { echo "LoadState=not-found"; exit 0; }
    read -r active sub < "$name"
    printf 'Id=%s\nLoadState=loaded\nActiveState=%s\nSubState=%s\n' "$name" "$active" "$sub";;
restart)
    echo "$name" >> asked
    [ -e "$name.restarts" ] || { echo "$name has no program" >&2; exit 1; }
    echo active running > "$name";;
esac
"#;

/// A stage with a stand-in for systemd, whose agent watches by these lines and looks every second.
async fn stage(lines: &str) -> Stage {
    let mut stage = Stage::set(|toml, _| {
        let toml = toml.replace("[agent]", "[agent]\nheartbeat_seconds = 1");
        format!(
            "{toml}[inventory]\nenabled = false\n[watchdog]\ncheck_interval_seconds = 1\n{lines}"
        )
    })
    .await;
    let program = stage.file("systemctl");
    fs::write(&program, SYSTEMCTL).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", stage.directory.path().display());
    stage.environment.push(("PATH".to_owned(), path));
    stage
}

fn service(name: &str, max_restarts: u32, cooldown: u32) -> String {
    format!(
        "[[watchdog.services]]\nname = \"{name}\"\nmax_restarts = {max_restarts}\n\
         restart_cooldown_seconds = {cooldown}\n"
    )
}

/// The state of a service is replaced as a whole: the stand-in may be reading it.
fn set(stage: &Stage, name: &str, state: &str) {
    let path = stage.file(&format!("{name}.service"));
    let new = stage.file(&format!("{name}.new"));
    fs::write(&new, format!("{state}\n")).unwrap();
    fs::rename(new, path).unwrap();
}

async fn event(server: &mut Connection) -> Value {
    server.expect("watchdog_event").await
}

/// Waits for the next event and compares service and word.
async fn expect(server: &mut Connection, name: &str, word: &str) -> Value {
    let event = event(server).await;
    assert_eq!(
        (&event["service"], &event["event"]),
        (&json!(name), &json!(word)),
        "{event}"
    );
    event
}

/// Reads on until the agent knows that all was read.
async fn confirm(stage: &Stage, server: &mut Connection) {
    let begin = Utc::now();
    let is_new = |beat: &Value| {
        beat["time"]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
            > begin
    };
    tokio::select! {
        _ = stage.until_heartbeat(|beat| is_new(beat) && beat["waiting_events"] == 0) => {}
        _ = async { loop { server.expect("heartbeat").await; } } => {}
    }
}

#[tokio::test]
async fn a_service_that_ends_is_restarted_and_each_step_is_told_with_its_time() {
    let mut stage = stage(&service("web", 3, 60)).await;
    set(&stage, "web", "active running");
    fs::write(stage.file("web.service.restarts"), "").unwrap();
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    let running = expect(&mut server, "web", "running").await;
    assert!(running["timestamp"].is_string());
    assert_eq!(running.get("waited_seconds"), None);
    set(&stage, "web", "failed failed");
    let stopped = expect(&mut server, "web", "stopped").await;
    assert_eq!(stopped["message"], "it is failed");
    expect(&mut server, "web", "restarted").await;
    assert_eq!(
        fs::read_to_string(stage.file("asked")).unwrap(),
        "web.service\n"
    );
}

#[tokio::test]
async fn a_service_that_cannot_be_restarted_is_given_up_and_told_when_somebody_has_helped_it() {
    let mut stage = stage(&service("web", 2, 1)).await;
    set(&stage, "web", "failed failed");
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    expect(&mut server, "web", "stopped").await;
    for _ in 0..2 {
        let failed = expect(&mut server, "web", "restart_failed").await;
        assert!(
            failed["message"].as_str().unwrap().contains("no program"),
            "{failed}"
        );
    }
    expect(&mut server, "web", "gave_up").await;
    set(&stage, "web", "active running");
    expect(&mut server, "web", "running").await;
    let asked = fs::read_to_string(stage.file("asked")).unwrap();
    assert_eq!(asked.lines().count(), 2);
}

#[tokio::test]
async fn a_policy_changes_what_is_watched_while_the_agent_runs_and_a_new_connection_does_not_begin_anew()
 {
    let mut stage = stage("").await;
    set(&stage, "mail", "failed failed");
    stage.restart_agent();
    let policy = json!({"type": "config_update", "payload": {"watchdog": {"services": [
        {"name": "mail", "action": "restart", "max_restarts": 0, "restart_cooldown_seconds": 60}]}}});
    let mut server = stage.accept_and_acknowledge().await;
    server.send(policy.clone()).await;
    expect(&mut server, "mail", "stopped").await;
    expect(&mut server, "mail", "gave_up").await;
    confirm(&stage, &mut server).await;
    server.close(1001).await;
    let mut server = stage.accept_and_acknowledge().await;
    server.send(policy).await;
    set(&stage, "mail", "active running");
    expect(&mut server, "mail", "running").await;
}

#[tokio::test]
async fn a_process_is_told_when_it_ends_and_when_it_is_back() {
    let stage_name = format!("gururmm-watched-{}", std::process::id());
    let mut stage = stage(&format!(
        "[[watchdog.processes]]\nname = \"{stage_name}\"\n"
    ))
    .await;
    let program = stage.file(&stage_name);
    fs::copy("/bin/sleep", &program).unwrap();
    let start = || -> Child {
        Command::new(&program)
            .arg("600")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let mut process = start();
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    let name = format!("process:{stage_name}");
    expect(&mut server, &name, "running").await;
    soon(process.kill()).await.unwrap();
    let stopped = expect(&mut server, &name, "stopped").await;
    assert_eq!(stopped["message"], "it is not among the processes");
    let _process = start();
    expect(&mut server, &name, "running").await;
}

#[tokio::test]
async fn what_happens_without_a_connection_is_told_with_how_long_it_has_waited() {
    let mut stage = stage(&service("web", 0, 60)).await;
    set(&stage, "web", "active running");
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    expect(&mut server, "web", "running").await;
    confirm(&stage, &mut server).await;
    drop(server);
    // Nobody answers the agent's dialling: it is offline.
    set(&stage, "web", "inactive dead");
    stage
        .until_heartbeat(|beat| beat["waiting_events"] == 2 && beat["connected_since"].is_null())
        .await;
    let since = System::uptime().unwrap();
    soon(async {
        while System::uptime().unwrap() < since + 4 {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    let mut server = stage.accept_and_acknowledge().await;
    for word in ["stopped", "gave_up"] {
        let event = expect(&mut server, "web", word).await;
        assert!(event["waited_seconds"].as_u64().unwrap() >= 3, "{event}");
    }
    let sample = server.expect("metrics").await;
    assert!(sample["timestamp"].is_string(), "{sample}");
}

#[tokio::test]
async fn an_event_that_the_server_has_not_confirmed_is_told_again_and_a_confirmed_one_is_not() {
    let mut stage = stage(&service("web", 0, 60)).await;
    set(&stage, "web", "active running");
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    expect(&mut server, "web", "running").await;
    // Cut off before the ping behind it was read.
    drop(server);
    let mut server = stage.accept_and_acknowledge().await;
    expect(&mut server, "web", "running").await;
    confirm(&stage, &mut server).await;
    drop(server);
    let mut server = stage.accept_and_acknowledge().await;
    set(&stage, "web", "failed failed");
    expect(&mut server, "web", "stopped").await;
}

#[tokio::test]
async fn an_agent_that_starts_without_a_connection_goes_on_with_the_policy_that_held_last() {
    let mut stage = stage("").await;
    set(&stage, "mail", "active running");
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    let policy = json!({"type": "config_update", "payload": {"watchdog": {"services": [
        {"name": "mail", "action": "alert", "max_restarts": 0, "restart_cooldown_seconds": 60}]}}});
    server.send(policy).await;
    expect(&mut server, "mail", "running").await;
    soon(async {
        while !stage.file("policy.json").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    stage.end_agent(Signal::SIGKILL).await;
    drop(server);
    set(&stage, "mail", "failed failed");
    stage.restart_agent();
    let pid = stage.agent.id().unwrap();
    stage
        .until_heartbeat(|beat| beat["pid"] == pid && beat["waiting_events"] == 1)
        .await;
    let mut server = stage.accept_and_acknowledge().await;
    expect(&mut server, "mail", "stopped").await;
}
