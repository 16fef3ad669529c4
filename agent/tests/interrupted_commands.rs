//! Commands outside tunnels that the end of the agent or of their guard cuts off: what is reported as
//! interrupted does not run any more, and what was left running on purpose does.
#![cfg(unix)]

mod harness;

use harness::{Stage, about, all_gone, command, command_id, lives, pids_in, soon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

#[tokio::test]
async fn a_command_cut_off_by_kill_9_is_gone_and_becomes_one_interrupted_result() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = command_id();
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
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(auth["in_flight"], json!([id]));
    let interrupted = server.result().await;
    assert_eq!(interrupted["id"], id.as_str());
    assert_eq!(interrupted["exit_code"], -1);
    assert_eq!(interrupted["reason"], "interrupted");
    assert_eq!(
        interrupted["stderr"],
        "the agent ended while this command ran"
    );
    all_gone(&pids).await;

    server.send(command(&id, &line)).await;
    assert_eq!(server.result().await, interrupted, "not run again");
    server.send(about("ack", &id)).await;
    server.send(command(&id, &line)).await;
    assert_eq!(server.result().await["reason"], "interrupted");
    assert_eq!(pids_in(&stage.file("pids"), 3).await, pids);
}

#[tokio::test]
async fn a_killed_guard_leaves_nothing_of_an_interrupted_command_either() {
    let mut stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    let id = command_id();
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
    let (mut server, _) = stage.accept_again().await;
    assert_eq!(server.result().await["reason"], "interrupted");
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
    server.send(command(&command_id(), &line)).await;
    let pids = pids_in(&stage.file("pids"), 2).await;
    kill(Pid::from_raw(pids[0]), Signal::SIGKILL).unwrap();
    assert_eq!(server.result().await["reason"], "signalled");
    all_gone(&pids).await;
    server.send(command(&command_id(), "echo again")).await;
    assert_eq!(server.result().await["stdout"], "again\n");
}

#[tokio::test]
async fn a_command_whose_guard_dies_before_it_says_so_is_not_started_a_second_time() {
    let stage = Stage::start().await;
    let mut server = stage.accept_and_acknowledge().await;
    server.send(command(&command_id(), "echo $PPID")).await;
    let first = server.result().await;
    let guard: i32 = first["stdout"]
        .as_str()
        .and_then(|text| text.trim().parse().ok())
        .expect("a number");
    let guard = Pid::from_raw(guard);
    kill(guard, Signal::SIGSTOP).expect("a guard");
    let id = command_id();
    server.send(command(&id, "echo never")).await;
    stage.until_journal_holds(&id).await;
    kill(guard, Signal::SIGKILL).expect("a guard");
    assert_eq!(server.result().await["reason"], "interrupted");
    server.send(command(&id, "echo never")).await;
    assert_eq!(server.result().await["stdout"], "");
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
        server.send(command(&command_id(), &line)).await;
        assert_eq!(server.result().await["exit_code"], 0);
        let left = pids_in(&stage.file("left"), 1).await;
        let line = format!(
            "echo $$ >> {runs}; (exec setsid sh -c 'echo $$ >> {runs}; exec sleep 1000') & wait",
            runs = stage.file("runs").display()
        );
        server.send(command(&command_id(), &line)).await;
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
    let (polite, stubborn) = (command_id(), command_id());
    let pids = stage.file("pids");
    let line = format!("echo $$ >> {}; echo begun; sleep 1000", pids.display());
    server.send(command(&polite, &line)).await;
    let line = format!("trap '' TERM; {line} & while :; do sleep 1; done");
    server.send(command(&stubborn, &line)).await;
    let pids = pids_in(&pids, 2).await;
    stage.signal(Signal::SIGTERM);
    for _ in 0..2 {
        let interrupted = server.result().await;
        assert_eq!(interrupted["reason"], "interrupted");
        assert_eq!(interrupted["exit_code"], -1);
        assert_eq!(interrupted["stdout"], "begun\n");
    }
    assert_eq!(server.closed().await, 1001);
    let status = soon(stage.agent.wait()).await.unwrap();
    assert!(status.success());
    all_gone(&pids).await;
    stage.restart_agent();
    let (mut server, auth) = stage.accept_again().await;
    assert_eq!(auth["in_flight"].as_array().unwrap().len(), 2);
    for _ in 0..2 {
        assert_eq!(server.result().await["stdout"], "begun\n");
    }
}
