//! Frames, requests and TCP connections, seen from the server's end of a WebSocket.
#![cfg(unix)]

mod harness;

use bytes::Bytes;
use gururmm_shared::{Frame, ResetCode, StreamId};
use harness::plane::{close, plane, plane_with};
use harness::{Stage, soon};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn the_agent_says_what_it_can() {
    let stage = Stage::start().await;
    let (_server, auth) = stage.accept().await;
    let capabilities = auth["capabilities"].as_array().unwrap();
    for capability in [
        "data_plane",
        "terminal",
        "files",
        "tcp_forward",
        "services",
        "processes",
        "resume",
        "bulk_lane",
        "service_watch",
        "consent",
    ] {
        assert!(capabilities.contains(&json!(capability)), "{capability}");
    }
    assert_eq!(auth.get("kept_session"), None);
}

#[tokio::test]
async fn a_broken_stream_is_reset_and_the_others_go_on() {
    let (_stage, mut plane) = plane().await;
    let broken = plane.shell(1, "cat").await;
    let other = plane.shell(2, "stty raw -echo; echo ready; exec cat").await;
    plane.until_shown(&other, "ready").await;
    let data = |stream, offset| Frame::Data {
        stream: StreamId(stream),
        offset,
        bytes: Bytes::from_static(b"x"),
    };
    plane.server.send_frame(data(9, 0).encode()).await;
    assert_eq!(plane.server.reset_of(9).await, ResetCode::UnknownStream);
    plane.server.send_frame(Bytes::from_static(b"\xff")).await;
    plane.server.send_frame(data(1, 5).encode()).await;
    assert_eq!(plane.server.reset_of(1).await, ResetCode::Gap);
    assert_eq!(plane.closed(&broken).await["error"]["code"], "failed");
    plane.send(&other, b"goes on").await;
    plane.until_shown(&other, "goes on").await;
    let long = vec![0; gururmm_shared::frame::MAX_FRAME_BYTES + 1];
    plane.server.send_frame(long.into()).await;
    assert_eq!(plane.server.closed().await, 1009);
}

#[tokio::test]
async fn a_request_is_answered_and_one_that_is_not_allowed_is_not_done() {
    let rules = json!({"rules": {"features": ["files"], "file_writes": false}});
    let (_stage, mut plane) = plane_with(rules).await;
    for (name, operation) in [
        ("a", json!({"op": "process_list"})),
        ("b", json!({"op": "file_delete", "path": "/nowhere/at/all"})),
        ("c", json!({"op": "file_stat", "path": "/nowhere/at/all"})),
    ] {
        let mut request = operation;
        request["session_id"] = json!(plane.session);
        plane
            .tell(name, json!({"type": "request", "payload": request}))
            .await;
    }
    while plane.replies.len() < 3 {
        plane.step().await;
    }
    for name in ["a", "b"] {
        let reply = &plane.replies[name];
        assert_eq!(reply["result"], "failed");
        assert_eq!(reply["error"]["code"], "not_allowed", "{reply}");
    }
    assert_ne!(plane.replies["c"]["error"]["code"], "not_allowed");
}

fn tcp(host: &str, port: u16) -> Value {
    json!({"kind": "tcp", "host": host, "port": port})
}

#[tokio::test]
async fn a_tcp_connection_carries_bytes_both_ways_and_each_sides_end() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        // It has heard the end, and still answers.
        socket.write_all(&all).await.unwrap();
    });
    let name = plane.open(1, 100_000, tcp("localhost", port)).await;
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    plane.send(&name, &sent).await;
    plane.finish(&name).await;
    assert_eq!(plane.closed(&name).await, json!({}));
    assert!(plane.channels[&name].output == sent);
    assert!(plane.channels[&name].ended);
    target.await.unwrap();
}

#[tokio::test]
async fn a_tcp_connection_that_is_not_allowed_or_not_possible_is_refused() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (number, kind, code) in [
        (1, tcp("10.0.0.1", 80), "not_allowed"),
        (2, tcp("example.com", 80), "not_allowed"),
        (3, tcp("127.0.0.1", port), "unreachable"),
    ] {
        let name = plane.ask(number, 65536, kind).await;
        let closed = plane.closed(&name).await;
        assert_eq!(closed["error"]["code"], code, "{closed}");
    }
}

#[tokio::test]
async fn a_closed_tcp_channel_closes_its_connection() {
    let (_stage, mut plane) = plane().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = plane.ask(1, 65536, tcp("127.0.0.1", port)).await;
    let (mut socket, _) = soon(listener.accept()).await.unwrap();
    plane.until(&name, |channel| channel.opened.is_some()).await;
    plane.tell(&name, close()).await;
    let mut rest = Vec::new();
    // Closed or reset: either is an end.
    let _ = soon(socket.read_to_end(&mut rest)).await;
    assert_eq!(plane.server.reset_of(1).await, ResetCode::Cancelled);
    let closed = plane.closed(&name).await;
    assert_eq!(closed["reason"], "cancelled");
}
