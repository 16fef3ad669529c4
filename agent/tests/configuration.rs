//! The configuration in the life of the agent: what a broken one does, and what `status` tells.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod harness;

use std::fs;

use harness::{Stage, ask_agent, soon};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

async fn status(stage: &Stage) -> (Option<i32>, Value) {
    let path = stage.file("agent.toml");
    let (code, text) = ask_agent(&["status", "--json", "--config", path.to_str().unwrap()]).await;
    (
        code,
        serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
    )
}

async fn words(stage: &Stage) -> String {
    let path = stage.file("agent.toml");
    ask_agent(&["status", "--config", path.to_str().unwrap()])
        .await
        .1
}

fn is_connected(beat: &Value) -> bool {
    beat["connected_since"].is_string()
}

#[tokio::test]
async fn an_agent_with_a_broken_configuration_runs_with_the_last_good_one_and_says_so() {
    let mut stage = Stage::start().await;
    let _server = stage.accept_and_acknowledge().await;
    let kept = stage.file("agent.toml.last-good");
    soon(async {
        while !kept.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    stage.end_agent(Signal::SIGTERM).await;

    let path = stage.file("agent.toml");
    let broken = fs::read_to_string(&path).unwrap() + "[metrics2]\n";
    fs::write(&path, &broken).unwrap();
    let line = format!("line {}: unknown key `metrics2`", broken.lines().count());
    stage.restart_agent();
    let _server = stage.accept_and_acknowledge().await;
    let beat = stage.until_heartbeat(is_connected).await;
    let problem = beat["config_problem"].as_str().unwrap();
    assert!(problem.contains(&line), "{problem}");
    let (code, told) = status(&stage).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(words(&stage).await.contains("CONFIG    cannot be used"));
    let (code, text) = ask_agent(&["config", "check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains(&line), "a check stays strict: {text}");
}

#[tokio::test]
async fn status_tells_connected_lost_killed_and_stopped_apart() {
    let mut stage = Stage::set(|toml, _| toml).await;
    let (code, told) = status(&stage).await;
    assert_eq!((code, &told["life"]), (Some(1), &Value::Null), "{told}");

    stage.restart_agent();
    let server = stage.accept_and_acknowledge().await;
    stage.until_heartbeat(is_connected).await;
    let (code, told) = status(&stage).await;
    assert_eq!(
        (code, &told["life"]),
        (Some(0), &json!("running")),
        "{told}"
    );
    assert_eq!(told["heartbeat"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(words(&stage).await.contains("connected since"));

    server.close(1011).await;
    stage.until_heartbeat(|beat| !is_connected(beat)).await;
    let (code, told) = status(&stage).await;
    assert_eq!(
        (code, &told["life"]),
        (Some(1), &json!("running")),
        "{told}"
    );
    let error = told["heartbeat"]["last_error"].as_str().unwrap();
    assert!(error.contains("1011"), "{error}");

    stage.end_agent(Signal::SIGKILL).await;
    let (code, told) = status(&stage).await;
    assert_eq!((code, &told["life"]), (Some(1), &json!("dead")), "{told}");

    stage.restart_agent();
    let pid = stage.agent.id().unwrap();
    stage.until_heartbeat(|beat| beat["pid"] == pid).await;
    stage.end_agent(Signal::SIGTERM).await;
    let (code, told) = status(&stage).await;
    assert_eq!(
        (code, &told["life"]),
        (Some(1), &json!("stopped")),
        "{told}"
    );
}

#[tokio::test]
async fn the_log_goes_into_its_file_and_one_that_cannot_be_written_is_told_and_ends_nothing() {
    let mut stage = Stage::set(|toml, folder| {
        let line = format!("[log]\nfile = \"{}/logs/agent.log\"", folder.display());
        toml.replace("[log]", &line).replace("\"warn\"", "\"info\"")
    })
    .await;
    // A file is where the folder should be.
    fs::write(stage.file("logs"), "").unwrap();
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    server.expect("heartbeat").await;
    fs::remove_file(stage.file("logs")).unwrap();
    server.close(1011).await;
    soon(async {
        // Each connection is a line; a while after the failure they are written.
        loop {
            let server = stage.accept_and_acknowledge().await;
            let text = fs::read_to_string(stage.file("logs/agent.log")).unwrap_or_default();
            if text.contains("connected") {
                assert!(text.starts_with("… "), "{text}");
                return;
            }
            server.close(1011).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_state_folder_is_made_and_one_that_goes_ends_nothing() {
    let mut stage = Stage::set(|toml, folder| {
        let line = format!("[agent]\nstate_dir = \"{}/a/b\"", folder.display());
        toml.replace("[agent]", &line)
    })
    .await;
    stage.restart_agent();
    let mut server = stage.accept_and_acknowledge().await;
    server.expect("heartbeat").await;
    assert!(stage.file("a/b/identity.json").exists());
    // The folder goes while the agent runs: it goes on.
    fs::rename(stage.file("a"), stage.file("gone")).unwrap();
    server.close(1011).await;
    let mut server = stage.accept_and_acknowledge().await;
    server.expect("heartbeat").await;
    assert!(stage.agent.try_wait().unwrap().is_none());
}
