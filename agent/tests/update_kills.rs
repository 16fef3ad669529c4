//! `kill -9` at each step of an update, and at any moment: what is left is an agent that runs, of the old version or the new
//! one, and a record that is at its end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod harness;

use std::time::Duration;

use harness::Connection;
use harness::release::{Release, Serving, program};
use harness::updating::{NEW, OLD, Updating, acknowledgement};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// How many rounds of kills at random moments there are.
const ROUNDS: u32 = 40;

/// What the disk has to look like when all is over.
fn assert_settled(updating: &Updating, version: &str) {
    assert_eq!(updating.version_on_disk(), version);
    let record = updating.record();
    let open = record.get("under_way").or(record.get("on_trial"));
    assert_eq!(open, None, "{record}");
}

/// Waits for what the agent says of the update.
async fn result(server: &mut Connection) -> Value {
    server.expect("update_result").await
}

#[tokio::test]
async fn an_agent_killed_before_the_new_program_is_in_place_runs_on_as_the_old_one() {
    for step in ["begun", "downloaded", "tested", "kept", "recorded"] {
        let updating = Updating::start("").await;
        let (mut server, _) = updating.acknowledge().await;
        updating.kill_at(step);
        let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
        server.send(order.clone()).await;
        updating.until_killed().await;
        drop(server);
        let (mut server, auth) = updating.acknowledge().await;
        assert_eq!(auth["version"], OLD, "{step}");
        let told = result(&mut server).await;
        assert_eq!(told["code"], "install_failed", "{step}: {told}");
        assert_eq!(told["version"], NEW);
        updating
            .until(|this| this.beside_the_program().is_empty())
            .await;
        assert_settled(&updating, OLD);
        let (mut server, auth) = updating.updated(&mut server, order).await;
        assert_eq!(auth["version"], NEW, "{step}: the next attempt is good");
        assert_eq!(result(&mut server).await["success"], true);
    }
}

#[tokio::test]
async fn an_agent_killed_from_then_on_runs_on_as_the_new_one() {
    for step in ["put", "started", "acknowledged", "confirmed"] {
        let updating = Updating::start("").await;
        let (mut server, _) = updating.acknowledge().await;
        let order = updating.depot.offer(&Release::good(NEW), Serving::Whole);
        updating.kill_at(step);
        server.send(order).await;
        drop_when_closed(server).await;
        if matches!(step, "acknowledged" | "confirmed") {
            let _killed = updating.acknowledge().await;
            updating.until_killed().await;
        }
        updating.until_killed().await;
        let (mut server, auth) = updating.acknowledge().await;
        assert_eq!(auth["version"], NEW, "{step}");
        let told = result(&mut server).await;
        assert_eq!(told, json!({"version": NEW, "success": true}), "{step}");
        updating
            .until(|this| this.beside_the_program().is_empty())
            .await;
        assert_settled(&updating, NEW);
    }
}

#[tokio::test]
async fn an_agent_killed_while_it_gives_way_ends_as_the_old_one() {
    for (step, fault) in [
        ("giving_way", "crash"),
        ("put_back", "crash"),
        ("giving_way", "hang"),
        ("put_back", "hang"),
    ] {
        let updating = Updating::start("[update]\nconfirm_seconds = 1\n").await;
        let (mut server, _) = updating.acknowledge().await;
        let bad = Release::of(NEW, program(NEW, Some(fault)));
        updating.kill_at(step);
        server
            .send(updating.depot.offer(&bad, Serving::Whole))
            .await;
        drop_when_closed(server).await;
        updating.until_killed().await;
        let (mut server, auth) = updating.acknowledge().await;
        assert_eq!(auth["version"], OLD, "{step} {fault}");
        let told = result(&mut server).await;
        assert_eq!(told["code"], "rolled_back", "{step} {fault}: {told}");
        updating
            .until(|this| this.beside_the_program().is_empty())
            .await;
        assert_settled(&updating, OLD);
    }
}

async fn drop_when_closed(mut server: Connection) {
    while server.receive_or_end().await.is_some() {}
}

/// One agent is sent from version to version, and killed once or twice at any moment of each update.
#[tokio::test]
async fn an_agent_killed_at_any_moment_is_there_again_as_the_old_version_or_the_new_one() {
    let seed = std::env::var("GURURMM_TEST_SEED").ok();
    let seed = seed.map_or_else(|| rand::rng().random(), |seed| seed.parse().unwrap());
    println!("GURURMM_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut updating = Updating::start("").await;
    let (mut server, _) = updating.acknowledge().await;
    let mut version = OLD.to_owned();
    let mut updated = 0;
    for round in 1..=ROUNDS {
        let next = format!("0.{}.0", round + 1);
        let order = updating.depot.offer(&Release::good(&next), Serving::Whole);
        server.send(order).await;
        for _ in 0..random.random_range(1..=2) {
            let moment = Duration::from_millis(random.random_range(0..700));
            serve_for(&updating, &mut server, moment).await;
            updating.kill().await;
        }
        // A connection of before the last kill may still wait to be accepted.
        let auth;
        (server, auth) = settled(&updating).await;
        let running = auth["version"].as_str().unwrap().to_owned();
        assert!(
            running == version || running == next,
            "round {round}: {running}"
        );
        assert_settled(&updating, &running);
        updated += u32::from(running == next);
        version = running;
    }
    println!("{updated} of {ROUNDS} updates were made all the same");
}

/// Is the server of the agent for so long, however often it comes back.
async fn serve_for(updating: &Updating, server: &mut Connection, time: Duration) {
    let serving = async {
        loop {
            while server.receive_or_end().await.is_some() {}
            let (connection, _) = updating.accept().await;
            *server = connection;
            server.try_send(acknowledgement()).await;
        }
    };
    let _ = tokio::time::timeout(time, serving).await;
}

/// The connection of an agent that has come to the end of what it had to do.
async fn settled(updating: &Updating) -> (Connection, Value) {
    harness::soon(async {
        loop {
            let (mut server, auth) = updating.acknowledge().await;
            let settling = updating.until(|this| {
                let record = this.record();
                record.get("under_way").or(record.get("on_trial")).is_none()
                    && this.beside_the_program().is_empty()
            });
            tokio::select! {
                () = settling => {}
                () = async { while server.receive_or_end().await.is_some() {} } => continue,
            }
            // One that was killed meanwhile has left its connection behind.
            server.try_send(json!({"type": "ping"})).await;
            loop {
                match server.receive_or_end().await {
                    Some((kind, _)) if kind == "heartbeat" => return (server, auth),
                    Some(_) => {}
                    None => break,
                }
            }
        }
    })
    .await
}
