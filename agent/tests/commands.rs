//! Commands outside tunnels: none is lost and none runs twice, whatever becomes of the agent and of
//! its connection.

mod harness;

use std::fs;

use harness::{Connection, Stage, all_gone, lives, pids_in, soon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

fn id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn command(id: &str, line: &str) -> Value {
    json!({"type": "command", "payload": {
        "id": id, "command_type": "shell", "command": line, "timeout_seconds": 600}})
}

fn about(kind: &str, id: &str) -> Value {
    json!({"type": kind, "payload": {"id": id}})
}

/// Receives the next result; live output may come before it.
async fn result(server: &mut Connection) -> Value {
    server.expect_past("command_result", "command_output").await
}

/// Takes the connection of an agent that was started again.
async fn reconnected(stage: &Stage) -> (Connection, Value) {
    let (mut server, auth) = stage.accept().await;
    server
        .send(json!({"type": "auth_ack", "payload": {"protocol": 2}}))
        .await;
    (server, auth)
}

#[tokio::test]
async fn a_command_cut_off_by_kill_9_is_gone_and_becomes_one_interrupted_result() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = id();
    let line = format!(
        "echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; \
         (exec setsid sh -c 'echo $$ >> {pids}; exec sleep 1000') & wait",
        pids = stage.file("pids").display()
    );
    server.send(command(&id, &line)).await;
    let pids = pids_in(&stage.file("pids"), 3).await;
    stage.end_agent(Signal::SIGKILL).await;
    drop(server);
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(auth["in_flight"], json!([id]));
    let interrupted = result(&mut server).await;
    assert_eq!(interrupted["id"], id.as_str());
    assert_eq!(interrupted["exit_code"], -1);
    assert_eq!(interrupted["reason"], "interrupted");
    assert_eq!(
        interrupted["stderr"],
        "the agent ended while this command ran"
    );
    all_gone(&pids).await;

    server.send(command(&id, &line)).await;
    assert_eq!(result(&mut server).await, interrupted, "not run again");
    server.send(about("ack", &id)).await;
    server.send(command(&id, &line)).await;
    assert_eq!(result(&mut server).await["reason"], "interrupted");
    assert_eq!(pids_in(&stage.file("pids"), 3).await, pids);
}

#[tokio::test]
async fn a_killed_guard_leaves_nothing_of_an_interrupted_command_either() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = id();
    let line = format!(
        "echo $PPID >> {pids}; echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; wait",
        pids = stage.file("pids").display()
    );
    server.send(command(&id, &line)).await;
    let mut pids = pids_in(&stage.file("pids"), 3).await;
    let guard = pids.remove(0);
    // The dispatcher's note of the first process comes right behind its start.
    stage.until_journal_holds("running").await;
    stage.signal(Signal::SIGSTOP);
    kill(Pid::from_raw(guard), Signal::SIGKILL).unwrap();
    stage.end_agent(Signal::SIGKILL).await;
    all_gone(&[guard]).await;
    assert!(pids.iter().all(|pid| lives(*pid)));
    drop(server);
    stage.restart_agent();
    let (mut server, _) = reconnected(&stage).await;
    assert_eq!(result(&mut server).await["reason"], "interrupted");
    assert!(
        !pids.iter().any(|pid| lives(*pid)),
        "gone before it is told"
    );
}

#[tokio::test]
async fn a_guard_killed_alone_ends_its_commands_and_another_one_takes_its_place() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let line = format!(
        "echo $PPID >> {pids}; echo $$ >> {pids}; while :; do echo x; sleep 0.05; done",
        pids = stage.file("pids").display()
    );
    server.send(command(&id(), &line)).await;
    let pids = pids_in(&stage.file("pids"), 2).await;
    kill(Pid::from_raw(pids[0]), Signal::SIGKILL).unwrap();
    assert_eq!(result(&mut server).await["reason"], "signalled");
    all_gone(&pids).await;
    server.send(command(&id(), "echo again")).await;
    assert_eq!(result(&mut server).await["stdout"], "again\n");
}

#[tokio::test]
async fn a_command_whose_guard_dies_before_it_says_so_is_not_started_a_second_time() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    server.send(command(&id(), "echo $PPID")).await;
    let first = result(&mut server).await;
    let guard: i32 = first["stdout"]
        .as_str()
        .and_then(|text| text.trim().parse().ok())
        .expect("a number");
    let guard = Pid::from_raw(guard);
    kill(guard, Signal::SIGSTOP).expect("a guard");
    let id = id();
    server.send(command(&id, "echo never")).await;
    stage.until_journal_holds(&id).await;
    kill(guard, Signal::SIGKILL).expect("a guard");
    assert_eq!(result(&mut server).await["reason"], "interrupted");
    server.send(command(&id, "echo never")).await;
    assert_eq!(result(&mut server).await["stdout"], "");
}

#[tokio::test]
async fn what_a_finished_command_left_running_stays_when_the_agent_dies_or_stops() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut stage = Stage::start().await;
        let mut server = stage.accept_and_acknowledge().await;
        let line = format!(
            "sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {}",
            stage.file("left").display()
        );
        server.send(command(&id(), &line)).await;
        assert_eq!(result(&mut server).await["exit_code"], 0);
        let left = pids_in(&stage.file("left"), 1).await;
        let line = format!(
            "echo $$ >> {runs}; (exec setsid sh -c 'echo $$ >> {runs}; exec sleep 1000') & wait",
            runs = stage.file("runs").display()
        );
        server.send(command(&id(), &line)).await;
        let runs = pids_in(&stage.file("runs"), 2).await;
        stage.end_agent(signal).await;
        if signal == Signal::SIGKILL {
            all_gone(&runs).await;
        } else {
            // Its program was asked to end, and what it has left then stays.
            all_gone(&runs[..1]).await;
            kill(Pid::from_raw(runs[1]), Signal::SIGKILL).unwrap();
        }
        assert!(lives(left[0]), "{signal}");
        kill(Pid::from_raw(left[0]), Signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn an_ordered_stop_ends_commands_and_tells_that_they_were_interrupted() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let (polite, stubborn) = (id(), id());
    let pids = stage.file("pids");
    let line = format!("echo $$ >> {}; echo begun; sleep 1000", pids.display());
    server.send(command(&polite, &line)).await;
    let line = format!("trap '' TERM; {line} & while :; do sleep 1; done");
    server.send(command(&stubborn, &line)).await;
    let pids = pids_in(&pids, 2).await;
    stage.signal(Signal::SIGTERM);
    for _ in 0..2 {
        let interrupted = result(&mut server).await;
        assert_eq!(interrupted["reason"], "interrupted");
        assert_eq!(interrupted["exit_code"], -1);
        assert_eq!(interrupted["stdout"], "begun\n");
    }
    assert_eq!(server.closed().await, 1001);
    let status = soon(stage.agent.wait()).await.unwrap();
    assert!(status.success());
    all_gone(&pids).await;
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(auth["in_flight"].as_array().unwrap().len(), 2);
    for _ in 0..2 {
        assert_eq!(result(&mut server).await["stdout"], "begun\n");
    }
}

#[tokio::test]
async fn a_result_is_sent_again_over_restarts_until_it_is_acknowledged() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = id();
    let line = format!("echo ran | tee -a {}", stage.file("ran").display());
    server.send(command(&id, &line)).await;
    let first = result(&mut server).await;
    assert_eq!(first["stdout"], "ran\n");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        stage.end_agent(signal).await;
        stage.restart_agent();
        let auth;
        (server, auth) = reconnected(&stage).await;
        assert_eq!(auth["in_flight"], json!([id]));
        assert_eq!(result(&mut server).await, first);
    }
    server.send(about("ack", &id)).await;
    stage.until_journal_holds("acknowledged").await;
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(auth["in_flight"], Value::Null);
    server.send(command(&id, &line)).await;
    let again = result(&mut server).await;
    assert_eq!((&again["id"], &again["exit_code"]), (&json!(id), &json!(0)));
    assert_eq!(fs::read_to_string(stage.file("ran")).unwrap(), "ran\n");
}

#[tokio::test]
async fn commands_are_started_in_their_order_and_queued_ones_only_when_they_are_sent_again() {
    let mut stage = Stage::start_with("[commands]\nmax_running = 1\nmax_queued = 2\n").await;
    let mut server = stage.accept_and_acknowledge().await;
    let ids = [id(), id(), id(), id()];
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
    let refused = result(&mut server).await;
    assert_eq!(
        (&refused["id"], &refused["reason"]),
        (&json!(ids[3]), &json!("refused"))
    );
    assert_eq!(pids_in(&stage.file("ran"), 1).await, [0]);
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(
        auth["in_flight"],
        json!([ids[3], ids[0]]),
        "none of those never started"
    );
    for wanted in [3, 0] {
        assert_eq!(result(&mut server).await["id"], ids[wanted].as_str());
    }
    fs::write(stage.file("gate"), "").expect("a file");
    for wanted in [1, 2] {
        server.send(command(&ids[wanted], &lines[wanted])).await;
    }
    for wanted in [1, 2] {
        assert_eq!(result(&mut server).await["id"], ids[wanted].as_str());
    }
    assert_eq!(pids_in(&stage.file("ran"), 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_torn_journal_is_no_reason_not_to_start() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = id();
    server.send(command(&id, "echo whole")).await;
    assert_eq!(result(&mut server).await["stdout"], "whole\n");
    stage.end_agent(Signal::SIGKILL).await;
    let journal = stage.file("commands.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"0badc0de {\"started\":{\"id\":\"01");
    fs::write(&journal, bytes).unwrap();
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(auth["in_flight"], json!([id]));
    assert_eq!(result(&mut server).await["stdout"], "whole\n");
}

#[tokio::test]
async fn a_cancelled_command_ends_is_answered_and_is_not_started_when_it_comes_later() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let (early, runs) = (id(), id());
    server.send(about("command_cancel", &early)).await;
    let cancelled = result(&mut server).await;
    assert_eq!(
        (&cancelled["id"], &cancelled["exit_code"]),
        (&json!(early), &json!(-1))
    );
    assert_eq!(cancelled["reason"], "cancelled");
    let line = format!("echo ran > {}", stage.file("ran").display());
    server.send(command(&early, &line)).await;
    assert_eq!(result(&mut server).await, cancelled);

    let line = format!(
        "trap '' TERM; echo $$ > {}; sleep 1000 & wait; sleep 1000",
        stage.file("pid").display()
    );
    server.send(command(&runs, &line)).await;
    let pids = pids_in(&stage.file("pid"), 1).await;
    server.send(about("command_cancel", &runs)).await;
    server.send(about("command_cancel", &runs)).await;
    let ended = result(&mut server).await;
    assert_eq!(
        (&ended["id"], &ended["reason"]),
        (&json!(runs), &json!("cancelled"))
    );
    all_gone(&pids).await;
    server.send(about("command_cancel", &runs)).await;
    assert_eq!(
        result(&mut server).await,
        ended,
        "answered from the journal"
    );
    assert!(!stage.file("ran").exists());
}

#[tokio::test]
async fn output_comes_in_pieces_while_a_command_runs() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = id();
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
    let whole = result(&mut server).await;
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
        .send(command(&id(), "echo one; sleep 1.5; echo two"))
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
    let big = id();
    server.send(command(&big, "yes x | head -c 60000")).await;
    let told = result(&mut server).await;
    assert_eq!(
        told["stdout"].as_str().unwrap().len(),
        60_000,
        "it is told nevertheless"
    );
    let refused = id();
    let line = format!("echo ran >> {}", stage.file("ran").display());
    server.send(command(&refused, &line)).await;
    let refusal = result(&mut server).await;
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
    let next = id();
    server.send(command(&next, &line)).await;
    assert_eq!(
        result(&mut server).await["exit_code"],
        0,
        "the rest fits again"
    );
    stage.end_agent(Signal::SIGKILL).await;
    stage.restart_agent();
    let (mut server, auth) = reconnected(&stage).await;
    assert_eq!(auth["in_flight"].as_array().unwrap().len(), 2);
    server.send(command(&next, &line)).await;
    for _ in 0..3 {
        result(&mut server).await;
    }
    assert_eq!(fs::read_to_string(stage.file("ran")).unwrap(), "ran\n");
}
