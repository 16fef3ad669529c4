//! Commands outside tunnels: none is lost and none runs twice, whatever becomes of the agent and of
//! its connection.
#![cfg(unix)]

mod harness;

use std::fs;

use harness::{Stage, about, all_gone, command, command_id, pids_in};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

#[tokio::test]
async fn a_result_is_sent_again_over_restarts_until_it_is_acknowledged() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = command_id();
    let line = format!("echo ran | tee -a {}", stage.file("ran").display());
    server.send(command(&id, &line)).await;
    let first = server.result().await;
    assert_eq!(first["stdout"], "ran\n");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        stage.end_agent(signal).await;
        stage.restart_agent();
        let auth;
        (server, auth) = stage.accept_again().await;
        assert_eq!(auth["in_flight"], json!([id]));
        assert_eq!(server.result().await, first);
    }
    server.send(about("ack", &id)).await;
    stage.until_journal_holds("acknowledged").await;
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(auth["in_flight"], Value::Null);
    server.send(command(&id, &line)).await;
    let again = server.result().await;
    assert_eq!((&again["id"], &again["exit_code"]), (&json!(id), &json!(0)));
    assert_eq!(fs::read_to_string(stage.file("ran")).unwrap(), "ran\n");
}

#[tokio::test]
async fn commands_are_started_in_their_order_and_queued_ones_only_when_they_are_sent_again() {
    let mut stage = Stage::start_with("[commands]\nmax_running = 1\nmax_queued = 2\n").await;
    let mut server = stage.accept_and_acknowledge().await;
    let ids = [command_id(), command_id(), command_id(), command_id()];
    let line = |number: usize| {
        let (ran, gate) = (stage.file("ran"), stage.file("gate"));
        format!(
            "echo {number} >> {}; while [ ! -e {} ]; do sleep 0.01; done",
            ran.display(),
            gate.display()
        )
    };
    let lines: Vec<_> = (0..4).map(line).collect();
    for (id, line) in ids.iter().zip(&lines) {
        server.send(command(id, line)).await;
    }
    let refused = server.result().await;
    assert_eq!(
        (&refused["id"], &refused["reason"]),
        (&json!(ids[3]), &json!("refused"))
    );
    assert_eq!(pids_in(&stage.file("ran"), 1).await, [0]);
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(
        auth["in_flight"],
        json!([ids[3], ids[0]]),
        "none of those never started"
    );
    for wanted in [3, 0] {
        assert_eq!(server.result().await["id"], ids[wanted].as_str());
    }
    fs::write(stage.file("gate"), "").expect("a file");
    for wanted in [1, 2] {
        server.send(command(&ids[wanted], &lines[wanted])).await;
    }
    for wanted in [1, 2] {
        assert_eq!(server.result().await["id"], ids[wanted].as_str());
    }
    assert_eq!(pids_in(&stage.file("ran"), 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_torn_journal_is_no_reason_not_to_start() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = command_id();
    server.send(command(&id, "echo whole")).await;
    assert_eq!(server.result().await["stdout"], "whole\n");
    stage.end_agent(Signal::SIGKILL).await;
    let journal = stage.file("commands.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"0badc0de {\"started\":{\"id\":\"01");
    fs::write(&journal, bytes).unwrap();
    stage.restart_agent();
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(auth["in_flight"], json!([id]));
    assert_eq!(server.result().await["stdout"], "whole\n");
}

#[tokio::test]
async fn a_cancelled_command_ends_is_answered_and_is_not_started_when_it_comes_later() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let (early, runs) = (command_id(), command_id());
    server.send(about("command_cancel", &early)).await;
    let cancelled = server.result().await;
    assert_eq!(
        (&cancelled["id"], &cancelled["exit_code"]),
        (&json!(early), &json!(-1))
    );
    assert_eq!(cancelled["reason"], "cancelled");
    let line = format!("echo ran > {}", stage.file("ran").display());
    server.send(command(&early, &line)).await;
    assert_eq!(server.result().await, cancelled);

    let line = format!(
        "trap '' TERM; echo $$ > {}; sleep 1000 & wait; sleep 1000",
        stage.file("pid").display()
    );
    server.send(command(&runs, &line)).await;
    let pids = pids_in(&stage.file("pid"), 1).await;
    server.send(about("command_cancel", &runs)).await;
    server.send(about("command_cancel", &runs)).await;
    let ended = server.result().await;
    assert_eq!(
        (&ended["id"], &ended["reason"]),
        (&json!(runs), &json!("cancelled"))
    );
    all_gone(&pids).await;
    server.send(about("command_cancel", &runs)).await;
    assert_eq!(server.result().await, ended, "answered from the journal");
    assert!(!stage.file("ran").exists());
}

#[tokio::test]
async fn output_comes_in_pieces_while_a_command_runs() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = command_id();
    let gate = stage.file("gate");
    let line = format!(
        "echo one; echo err >&2; while [ ! -e {gate} ]; do sleep 0.01; done; yes é | head -n 30000; \
         while [ -e {gate} ]; do sleep 0.01; done; echo end",
        gate = gate.display()
    );
    server.send(command(&id, &line)).await;
    let piece = server.expect("command_output").await;
    assert_eq!(
        piece,
        json!({"id": id, "stdout_offset": 0, "stdout": "one\n",
        "stderr_offset": 0, "stderr": "err\n"})
    );
    fs::write(&gate, "").unwrap();
    let mut stdout = "one\n".to_owned();
    while stdout.len() < 90_004 {
        let piece = server.expect("command_output").await;
        assert_eq!(piece["stdout_offset"], stdout.len());
        assert_eq!(piece["stderr_offset"], 4);
        let text = piece["stdout"].as_str().unwrap();
        assert!(text.len() <= 32 * 1024);
        stdout += text;
    }
    fs::remove_file(&gate).unwrap();
    let whole = server.result().await;
    assert_eq!(whole["stdout"], stdout + "end\n");
}

#[tokio::test]
async fn a_server_of_the_first_generation_hears_of_no_output_before_the_end() {
    let stage = Stage::start().await;
    let (mut server, auth) = stage.accept().await;
    for capability in ["command_journal", "command_cancel", "command_output"] {
        assert!(
            auth["capabilities"]
                .as_array()
                .unwrap()
                .contains(&json!(capability))
        );
    }
    server.send(json!({"type": "auth_ack"})).await;
    server
        .send(command(&command_id(), "echo one; sleep 1.5; echo two"))
        .await;
    assert_eq!(
        server.expect("command_result").await["stdout"],
        "one\ntwo\n"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_commands_and_loses_no_result() {
    let mut stage = Stage::start_with_small_files(40).await;
    let mut server = stage.accept_and_acknowledge().await;
    let big = command_id();
    server.send(command(&big, "yes x | head -c 60000")).await;
    let told = server.result().await;
    assert_eq!(
        told["stdout"].as_str().unwrap().len(),
        60_000,
        "it is told nevertheless"
    );
    let refused = command_id();
    let line = format!("echo ran >> {}", stage.file("ran").display());
    server.send(command(&refused, &line)).await;
    let refusal = server.result().await;
    assert_eq!(
        (&refusal["id"], &refusal["reason"]),
        (&json!(refused), &json!("refused"))
    );
    assert!(
        refusal["stderr"].as_str().unwrap().contains("make room"),
        "{refusal}"
    );
    assert!(!stage.file("ran").exists());
    server.send(about("ack", &big)).await;
    let next = command_id();
    server.send(command(&next, &line)).await;
    assert_eq!(server.result().await["exit_code"], 0, "the rest fits again");
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(auth["in_flight"].as_array().unwrap().len(), 2);
    server.send(command(&next, &line)).await;
    for _ in 0..3 {
        server.result().await;
    }
    assert_eq!(fs::read_to_string(stage.file("ran")).unwrap(), "ran\n");
}
