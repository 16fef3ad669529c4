//! Claude tasks with a program in place of the real one.
#![cfg(unix)]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{Connection, Stage};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = r#"#!/bin/sh
echo "$# arguments, the first is $1, in $(basename "$PWD")"
printf '%s\n' "$2"
case "$2" in
  fail*) exit 9 ;;
  wait*) exec sleep 1000 ;;
esac
"#;

fn task(text: &str, timeout_seconds: u64) -> Value {
    json!({"type": "command", "payload": {
        "id": uuid::Uuid::now_v7().to_string(),
        "command_type": {"claude_task": {"task": text, "working_directory": "work"}},
        "timeout_seconds": timeout_seconds}})
}

/// The agent, and the directory of its root and its program.
async fn stage() -> (Stage, TempDir) {
    let place = tempfile::tempdir().expect("a directory");
    let (root, program) = (place.path().join("root"), place.path().join("claude"));
    fs::create_dir_all(root.join("work")).expect("a directory");
    fs::write(&program, PROGRAM).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
    let lines =
        format!("[commands]\nclaude_task_root = {root:?}\nclaude_task_program = {program:?}\n");
    (Stage::start_with(&lines).await, place)
}

async fn run(server: &mut Connection, task: Value) -> Value {
    server.send(task).await;
    server.result().await
}

#[tokio::test]
async fn a_task_is_run_without_a_shell_and_ends_with_the_codes_of_the_contract() {
    let (stage, _place) = stage().await;
    let mut server = stage.accept_and_acknowledge().await;
    let done = run(&mut server, task("tidy \"*\" `id` 'here'", 30)).await;
    assert_eq!(done["exit_code"], 0, "{done}");
    assert_eq!(
        done["stdout"],
        "2 arguments, the first is --print, in work\ntidy \"*\" `id` 'here'\n"
    );
    assert_eq!(
        run(&mut server, task("fail please", 30)).await["exit_code"],
        1
    );
    let late = run(&mut server, task("wait for it", 1)).await;
    assert_eq!(
        (&late["exit_code"], &late["reason"]),
        (&json!(124), &json!("timed_out"))
    );
    let refused = run(&mut server, task("a; b", 30)).await;
    assert_eq!(
        (&refused["exit_code"], &refused["reason"]),
        (&json!(-1), &json!("refused"))
    );
}

#[tokio::test]
async fn a_third_task_at_once_and_an_eleventh_in_an_hour_are_refused() {
    let (stage, _place) = stage().await;
    let mut server = stage.accept_and_acknowledge().await;
    let waiting = [task("wait one", 30), task("wait two", 30)];
    for one in &waiting {
        server.send(one.clone()).await;
    }
    let third = run(&mut server, task("tidy", 30)).await;
    assert_eq!(third["reason"], "refused", "{third}");
    for one in &waiting {
        let id = &one["payload"]["id"];
        let cancel = json!({"type": "command_cancel", "payload": {"id": id}});
        assert_eq!(run(&mut server, cancel).await["reason"], "cancelled");
    }
    for _ in 0..8 {
        assert_eq!(run(&mut server, task("tidy", 30)).await["exit_code"], 0);
    }
    let eleventh = run(&mut server, task("tidy", 30)).await;
    assert_eq!(eleventh["exit_code"], -1);
    let text = eleventh["stderr"].as_str().expect("a text");
    assert!(text.contains("within an hour"), "{text}");
}
