//! A server of which nothing comes any more, as when its packets vanish: the session is over in time, and one that
//! merely has nothing to say keeps it.
#![cfg(unix)]

mod harness;

use std::time::Duration;

use harness::plane::{escapers, plane, plane_on};
use harness::{Stage, lives, pids_in};
use serde_json::json;

/// Until all of a session is over, on both sides.
const PROMISED: Duration = Duration::from_secs(45);

async fn gone_within(limit: Duration, pids: &[i32]) {
    let gone = tokio::time::timeout(limit, async {
        while pids.iter().any(|pid| lives(*pid)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(gone.await.is_ok(), "after {limit:?} they still run");
}

#[tokio::test]
async fn a_session_is_over_45_seconds_after_the_server_fell_silent_with_all_that_it_ran() {
    // The configuration says nothing of the time-out: it is 90 s outside of tunnels.
    let (stage, mut plane) = plane().await;
    plane.shell(1, &escapers(&stage)).await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    // From here on nobody reads the socket, answers a ping or closes anything.
    gone_within(PROMISED, &pids).await;
}

#[tokio::test]
async fn a_shorter_time_out_ends_a_session_sooner_and_one_whose_server_answers_pings_lives() {
    let stage = Stage::start_with_idle_timeout(2).await;
    let mut plane = plane_on(&stage, json!({})).await;
    let shell = plane.shell(1, "echo here; exec cat").await;
    plane.until_shown(&shell, "here").await;
    let pid = plane.channels[&shell].opened.as_ref().unwrap()["pid"].as_i64();
    let pid = i32::try_from(pid.unwrap()).unwrap();
    // It says nothing of itself, but who reads its socket answers pings.
    plane.idle_for(Duration::from_secs(6)).await;
    assert!(lives(pid));
    plane.send(&shell, b"still\n").await;
    plane.until_shown(&shell, "still").await;
    gone_within(Duration::from_secs(5), &[pid]).await;
}
