//! The policy's lists of commands, as far as the agent was told: inside of tunnels and outside.
#![cfg(unix)]

mod harness;

use std::fs;

use harness::{Stage, command, command_id, terminal};
use serde_json::{Value, json};

fn lists(commands: Value) -> Value {
    json!({"type": "config_update", "payload": {"commands": commands}})
}

#[tokio::test]
async fn a_denied_command_is_refused_with_a_reason_and_another_one_runs() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let denied = stage.file("denied");
    server
        .send(lists(json!({"deny": [{"glob": "touch *"}]})))
        .await;
    let touch = format!("touch {}", denied.display());
    server.send(command(&command_id(), &touch)).await;
    let refused = server.result().await;
    assert_eq!(refused["reason"], "refused");
    let why = refused["stderr"].as_str().unwrap();
    assert!(why.contains("denies") && why.contains("touch *"), "{why}");
    assert!(!fs::exists(&denied).unwrap());
    server.send(command(&command_id(), "echo allowed")).await;
    assert_eq!(server.result().await["stdout"], "allowed\n");
}

#[tokio::test]
async fn in_a_tunnel_only_what_is_listed_runs_where_there_is_a_list() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    server
        .send(lists(json!({"allow": [{"glob": "echo *"}]})))
        .await;
    stage.open(&mut server).await;
    server.send(terminal("terminal-1", "true")).await;
    let refused = server.expect("tunnel_error").await;
    assert_eq!(refused["channel_id"], "terminal-1");
    let why = refused["error"].as_str().unwrap();
    assert!(why.contains("allows only listed commands"), "{why}");
    server.send(terminal("terminal-2", "echo yes")).await;
    assert_eq!(server.output("terminal-2").await, ("yes\n".to_owned(), 0));
    // The next word of the policy is the whole of it.
    server.send(lists(json!(null))).await;
    server.send(terminal("terminal-3", "true")).await;
    assert_eq!(server.output("terminal-3").await.1, 0);
}
