//! Sessions that outlive their connection: nothing is lost, nothing comes twice, and nothing stays that
//! nobody wants any more.
#![cfg(unix)]

mod harness;

use harness::plane::{escapers, plane, plane_with, resize};
use harness::{all_gone, pids_in};
use serde_json::json;

#[tokio::test]
async fn a_terminal_goes_on_over_a_cut_connection_with_no_line_lost_or_double() {
    let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": 60})).await;
    let line = "stty -opost; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i; done; exit 3";
    let shell = plane.shell(1, line).await;
    let idle = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    let unwanted = plane.shell(3, "echo on; exec sleep 1000").await;
    plane.until_shown(&idle, "ready").await;
    plane.until_shown(&unwanted, "on").await;
    let pid = plane.channels[&unwanted].opened.as_ref().unwrap()["pid"].as_i64();
    plane.tell(&idle, resize(100, 30)).await;
    plane.send(&idle, b"before").await;
    plane.until_shown(&idle, "before").await;
    for cut in 1..=3 {
        let wanted = cut * 50_000;
        plane
            .until(&shell, |channel| channel.output.len() > wanted)
            .await;
        // Cut in the middle of the flood: what is on its way is lost.
        plane.server.cut();
        let (server, auth) = stage.accept_again().await;
        let kept = &auth["kept_session"];
        assert_eq!(kept["session_id"], plane.session.as_str());
        assert_eq!(
            kept["terminals"].as_array().unwrap().len(),
            if cut == 1 { 3 } else { 2 }
        );
        plane.resume(server, kept, &[&shell, &idle]).await;
        plane.send(&idle, format!("<{cut}>").as_bytes()).await;
        plane.until_shown(&idle, &format!("<{cut}>")).await;
    }
    all_gone(&[i32::try_from(pid.unwrap()).unwrap()]).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 3}));
    let expected: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
    assert!(plane.channels[&shell].text() == expected);
    assert!(plane.channels[&idle].text().ends_with("before<1><2><3>"));
}

#[tokio::test]
async fn a_terminal_that_ended_while_the_connection_was_lost_says_so_when_it_is_back() {
    let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": 60})).await;
    let line = format!(
        "echo $$ > {}; while [ ! -e {} ]; do sleep 0.02; done; echo last words; exit 5",
        stage.file("pids").display(),
        stage.file("go").display()
    );
    let shell = plane.shell(1, &line).await;
    let pids = pids_in(&stage.file("pids"), 1).await;
    plane.server.cut();
    let (server, auth) = stage.accept().await;
    std::fs::write(stage.file("go"), "").unwrap();
    all_gone(&pids).await;
    let kept = &auth["kept_session"];
    assert_eq!(kept["terminals"][0]["channel_id"], shell.as_str());
    let mut server = server;
    server
        .send(json!({"type": "auth_ack", "payload": {"protocol": 2}}))
        .await;
    plane.resume(server, kept, &[&shell]).await;
    assert_eq!(plane.closed(&shell).await, json!({"exit_code": 5}));
    assert_eq!(plane.channels[&shell].text(), "last words\r\n");
    assert!(plane.channels[&shell].ended);
}

#[tokio::test]
async fn a_kept_session_ends_with_its_grace_and_when_the_server_does_not_want_it() {
    for ending in ["grace", "close", "open"] {
        let grace = if ending == "grace" { 1 } else { 600 };
        let (stage, mut plane) = plane_with(json!({"resume_grace_seconds": grace})).await;
        plane.shell(1, &escapers(&stage)).await;
        let pids = pids_in(&stage.file("pids"), 4).await;
        plane.server.cut();
        let (mut server, auth) = stage.accept_again().await;
        assert_eq!(
            auth["kept_session"]["session_id"],
            plane.session.as_str(),
            "{ending}"
        );
        match ending {
            "close" => {
                server
                    .send(json!({"type": "tunnel_close", "payload": {
                        "session_id": plane.session}}))
                    .await;
                server.expect("tunnel_closed").await;
            }
            "open" => {
                stage.open(&mut server).await;
            }
            _ => {
                server.expect("tunnel_closed").await;
            }
        }
        all_gone(&pids).await;
    }
}

#[tokio::test]
async fn without_a_grace_a_lost_connection_ends_its_terminals() {
    let (stage, mut plane) = plane().await;
    plane.shell(1, &escapers(&stage)).await;
    let pids = pids_in(&stage.file("pids"), 4).await;
    plane.server.cut();
    let (_server, auth) = stage.accept_again().await;
    assert_eq!(auth.get("kept_session"), None);
    all_gone(&pids).await;
}
