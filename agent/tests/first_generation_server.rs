//! The agent against a server of the first generation, message by message as the reference has them.
#![cfg(unix)]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{SITE_CODE, Stage, run_agent, terminal};
use serde_json::{Value, json};

const SESSION: &str = "550e8400-e29b-41d4-a716-446655440000";

fn command(id: &str, command_type: Value, line: &str) -> Value {
    json!({"type": "command", "payload": {
        "id": id, "command_type": command_type, "command": line,
        "timeout_seconds": 30, "elevated": false}})
}

#[tokio::test]
async fn commands_run_in_both_forms_of_their_type() {
    let stage = Stage::start().await;
    let (mut server, auth) = stage.accept().await;
    assert_eq!(auth["api_key"], SITE_CODE);
    assert_eq!(auth["device_id"], "test-device");
    assert_eq!(auth["os_info"]["family"], "linux");
    server.send(json!({"type": "auth_ack"})).await;
    server
        .send(json!({"type": "from_the_future", "payload": {"x": 1}}))
        .await;

    let id = "0190a0a0-0000-7000-8000-000000000001";
    server.send(command(id, json!("shell"), "echo plain")).await;
    let result = server.expect("command_result").await;
    assert_eq!(
        (&result["id"], &result["stdout"]),
        (&json!(id), &json!("plain\n"))
    );
    assert_eq!(result["exit_code"], 0);

    let id = "0190a0a0-0000-7000-8000-000000000002";
    server
        .send(command(
            id,
            json!({"shell": null}),
            "echo object >&2; exit 5",
        ))
        .await;
    let result = server.expect("command_result").await;
    assert_eq!(
        (&result["stderr"], &result["exit_code"]),
        (&json!("object\n"), &json!(5))
    );

    let id = "0190a0a0-0000-7000-8000-000000000003";
    let task = json!({"claude_task": {"task": "tidy", "working_directory": "/srv", "context_files": ["a"]}});
    server.send(command(id, task, "")).await;
    let result = server.expect("command_result").await;
    assert_eq!(result["exit_code"], -1);
    assert_eq!(result["stderr"], "claude_task is not enabled on this agent");
}

#[tokio::test]
async fn a_tunnel_works_as_the_reference_shows_it() {
    let stage = Stage::start().await;
    let (mut server, _) = stage.accept().await;
    server
        .send(json!({"type": "auth_ack", "payload": {}}))
        .await;
    server.send(harness::tunnel_open(SESSION)).await;
    assert_eq!(
        server.expect("tunnel_ready").await,
        json!({"session_id": SESSION})
    );

    server
        .send(terminal("terminal-1", "echo 'Hello, World!'"))
        .await;
    assert_eq!(
        server.output("terminal-1").await,
        ("Hello, World!\n".to_owned(), 0)
    );
    server.send(terminal("terminal-1", "echo again")).await;
    server.send(terminal("terminal-2", "exit 7")).await;
    assert_eq!(
        server.output("terminal-2").await,
        (String::new(), 7),
        "a repeated channel is ignored"
    );

    server
        .send(harness::tunnel_open("550e8400-e29b-41d4-a716-446655440001"))
        .await;
    let refusal = server.expect("tunnel_closed").await;
    assert!(
        refusal["reason"].as_str().unwrap().starts_with("busy"),
        "{refusal}"
    );

    server
        .send(json!({"type": "tunnel_close", "payload": {"session_id": SESSION}}))
        .await;
    assert_eq!(
        server.expect("tunnel_closed").await,
        json!({"session_id": SESSION, "reason": "closed"})
    );
    server.send(terminal("terminal-3", "true")).await;
    assert_eq!(
        server.expect("tunnel_error").await["error"],
        "no tunnel is open"
    );
}

#[tokio::test]
async fn the_first_reports_come_at_once_and_a_ping_is_answered() {
    let stage = Stage::start().await;
    let (mut server, _) = stage.accept().await;
    server
        .send(json!({"type": "auth_ack", "payload": {}}))
        .await;
    let mut seen = std::collections::HashMap::new();
    while seen.len() < 3 {
        let (kind, payload) = server.receive().await;
        seen.insert(kind, payload);
    }
    assert!(seen["metrics"]["memory_total_bytes"].as_u64().unwrap() > 0);
    assert_eq!(seen["network_state"]["hash"].as_str().unwrap().len(), 64);
    server.send(json!({"type": "ping"})).await;
    assert_eq!(server.receive().await.0, "heartbeat");
}

#[tokio::test]
async fn once_the_agent_has_its_own_key_the_site_code_is_never_sent_again() {
    let mut stage = Stage::start().await;
    let (mut server, first) = stage.accept().await;
    let agent_id = uuid::Uuid::new_v4().to_string();
    server
        .send(json!({"type": "auth_ack", "payload": {
            "protocol": 2, "agent_id": agent_id, "api_key": "grmm_own"}}))
        .await;
    // The first message after auth comes only when the key is kept.
    server.receive().await;
    let identity = stage.file("identity.json");
    assert_eq!(
        fs::metadata(&identity).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(fs::read_to_string(&identity).unwrap().contains("grmm_own"));

    server.close(1001).await;
    let (server, again) = stage.accept().await;
    assert_eq!(again["api_key"], "grmm_own");
    assert_eq!(again["enrollment_nonce"], first["enrollment_nonce"]);
    drop(server);

    stage.agent.kill().await.unwrap();
    stage.restart_agent();
    loop {
        // Connections that the killed agent made in the meantime come first.
        let (_server, auth) = stage.accept().await;
        assert_eq!(auth["api_key"], "grmm_own");
        if auth["boot_id"] == first["boot_id"] {
            break;
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_enrolment_is_asked_for_again_with_the_same_nonce() {
    let stage = Stage::start().await;
    let (server, first) = stage.accept().await;
    drop(server);
    let (_server, second) = stage.accept().await;
    assert_eq!(second["api_key"], SITE_CODE);
    assert_eq!(second["enrollment_nonce"], first["enrollment_nonce"]);
    assert_eq!(first["enrollment_nonce"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_broken_configuration_is_one_line_and_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.toml");
    let path_text = path.to_str().unwrap();
    fs::write(
        &path,
        "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"x\"\nurll = 1\n",
    )
    .unwrap();
    for arguments in [
        ["run", "--config", path_text].as_slice(),
        &["config", "check", "--config", path_text],
    ] {
        let (status, stderr) = run_agent(arguments).await;
        assert_eq!(status.code(), Some(1));
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("`urll`"), "{stderr}");
    }
    fs::write(
        &path,
        "[server]\nurl = \"ws://127.0.0.1:1/ws\"\napi_key = \"x\"\n",
    )
    .unwrap();
    assert!(
        run_agent(&["config", "check", "--config", path_text])
            .await
            .0
            .success()
    );
    let identity = directory.path().join("identity.json");
    fs::write(&identity, "{}").unwrap();
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).unwrap();
    let (status, stderr) = run_agent(&["run", "--config", path_text]).await;
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("chmod 600"), "{stderr}");
}
