//! Peers that are broken or mean to harm: each loses its own connection and nothing else happens.

use std::time::Duration;

use gururmm_shared::{AgentMessage, Frame, ResetCode, StreamId};
use gururmm_tests::processes::resident_kib;
use gururmm_tests::raw_socket::{CONTINUATION, PING, PONG, RawSocket, TEXT, header};
use gururmm_tests::terminal_viewer::TerminalViewer;
use gururmm_tests::{Deployment, Heard, RawAgent, on_both_databases};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// What the server may grow by while it refuses something large.
const GROWTH_KIB: u64 = 12 * 1024;

/// Frames of a flood between two looks at what the server says.
const PIECE_FRAMES: usize = 64;

on_both_databases! {
    async fn binary_rubbish_is_closed_with_1003(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut early = RawAgent::connect(&rmm.server.agents_url()).await;
        early.try_send(Message::binary(rubbish(512))).await.unwrap();
        assert_eq!(early.expect_close().await.0, 1003);
        let (mut agent, id) = rmm.raw_agent().await;
        agent.try_send(Message::binary(rubbish(512))).await.unwrap();
        assert_eq!(agent.expect_close().await.0, 1003);
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
        still_serves(&rmm).await;
    }

    async fn text_that_is_no_utf_8_is_closed_with_1007(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut socket = RawSocket::connect(rmm.server.address()).await;
        socket.frame(true, TEXT, b"{\"type\":\"\xff\xfe\"}").await.unwrap();
        let code = socket.close_code().await;
        assert_eq!(code, Some(1007));
        still_serves(&rmm).await;
    }

    async fn a_frame_of_10_mib_is_closed_with_1009(world: World) {
        let rmm = world.deploy(&[]).await;
        let before = resident_kib(rmm.server.pid());
        let mut socket = let_in(&rmm).await;
        let piece = vec![b'x'; 64 * 1024];
        socket.write(&header(true, TEXT, 10 << 20)).await.unwrap();
        socket.write(&piece).await.unwrap();
        assert_eq!(socket.close_code().await, Some(1009));
        // The rest of it is not kept.
        for _ in 1..160 {
            if socket.write(&piece).await.is_err() {
                break;
            }
        }
        let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
        still_serves(&rmm).await;
    }

    async fn a_header_that_claims_8_gib_is_closed_with_1009_at_once_and_costs_no_memory(world: World) {
        let rmm = world.deploy(&[]).await;
        still_serves(&rmm).await;
        let before = resident_kib(rmm.server.pid());
        for opcode in [TEXT, 2, CONTINUATION, PING] {
            let mut socket = RawSocket::connect(rmm.server.address()).await;
            socket.write(&header(true, opcode, 8 << 30)).await.unwrap();
            let code = socket.close_code_within(Duration::from_secs(5)).await;
            // A ping so large is against the protocol.
            let expected = if opcode == PING { 1002 } else { 1009 };
            assert_eq!(code, Some(expected), "opcode {opcode}");
            // What it goes on to send is not kept.
            let body = vec![b'x'; 64 * 1024];
            for _ in 0..512 {
                if socket.write(&body).await.is_err() {
                    break;
                }
            }
        }
        let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
        still_serves(&rmm).await;
    }

    async fn a_message_in_many_fragments_over_the_limit_is_closed_with_1009(world: World) {
        let rmm = world.deploy(&[]).await;
        let before = resident_kib(rmm.server.pid());
        let mut socket = RawSocket::connect(rmm.server.address()).await;
        let auth = auth(&rmm);
        // A whole message may come in fragments.
        let (start, end) = auth.split_at(20);
        socket.frame(false, TEXT, start.as_bytes()).await.unwrap();
        socket.frame(true, CONTINUATION, end.as_bytes()).await.unwrap();
        gururmm_tests::deployment::wait_device_online(&rmm.admin, "f").await;
        let piece = vec![b'x'; 32 * 1024];
        socket.frame(false, TEXT, &piece).await.unwrap();
        // The limit is 2 MiB.
        for _ in 0..64 {
            socket.frame(false, CONTINUATION, &piece).await.unwrap();
        }
        assert_eq!(socket.close_code().await, Some(1009));
        // What it goes on to send is not kept.
        for _ in 0..400 {
            if socket.frame(false, CONTINUATION, &piece).await.is_err() {
                break;
            }
        }
        let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
        still_serves(&rmm).await;
    }

    async fn before_auth_16_kib_are_the_limit(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut socket = RawSocket::connect(rmm.server.address()).await;
        socket.write(&header(true, TEXT, 16 * 1024 + 1)).await.unwrap();
        assert_eq!(socket.close_code_within(Duration::from_secs(5)).await, Some(1009));
        let mut fragments = RawSocket::connect(rmm.server.address()).await;
        fragments.frame(false, TEXT, &[b'x'; 10_000]).await.unwrap();
        fragments.frame(true, CONTINUATION, &[b'x'; 10_000]).await.unwrap();
        assert_eq!(fragments.close_code_within(Duration::from_secs(5)).await, Some(1009));
    }

    async fn a_flood_of_small_frames_before_auth_costs_no_memory_and_is_closed(world: World) {
        // Not the time for auth is to close it.
        let rmm = world.deploy(&[("agents.auth_timeout_seconds", "120")]).await;
        still_serves(&rmm).await;
        let before = resident_kib(rmm.server.pid());
        let floods = [("pongs", true, PONG, 1008), ("pings", true, PING, 1008), ("texts", true, TEXT, 1008),
            ("stray fragments", true, CONTINUATION, 1002), ("fragments without end", false, CONTINUATION, 1008)];
        for (what, last, opcode, code) in floods {
            let mut socket = RawSocket::connect(rmm.server.address()).await;
            if !last {
                socket.frame(false, TEXT, b"").await.unwrap();
            }
            let frame = header(last, opcode, 0);
            let many = frame.repeat(64 * 1024 / frame.len());
            let flood = async {
                while socket.write(&many).await.is_ok() {
                    let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
                    assert!(grown < GROWTH_KIB, "{what}: the server grew by {grown} KiB");
                }
            };
            let closed = tokio::time::timeout(Duration::from_secs(20), flood).await;
            assert!(closed.is_ok(), "{what} are taken without end");
            assert_eq!(socket.close_code().await, Some(code), "{what}");
        }
        still_serves(&rmm).await;
    }

    async fn an_agent_that_is_let_in_cannot_send_fragments_without_end_either(world: World) {
        let rmm = world.deploy(&[]).await;
        let mut socket = let_in(&rmm).await;
        socket.frame(false, TEXT, b"").await.unwrap();
        socket.write(&header(false, CONTINUATION, 0).repeat(5000)).await.unwrap();
        assert_eq!(socket.close_code().await, Some(1008));
    }

    async fn too_many_messages_a_second_are_closed_with_1008(world: World) {
        let settings = [("agents.messages_per_second", "10"), ("agents.message_burst", "20")];
        let rmm = world.deploy(&settings).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let heartbeat = AgentMessage::Heartbeat.encode();
        for _ in 0..40 {
            agent.try_send(Message::text(heartbeat.clone())).await.unwrap();
        }
        assert_eq!(agent.expect_close().await.0, 1008);
        rmm.wait_status(id, "offline", Duration::from_secs(5)).await;
    }

    async fn pings_without_end_are_too_fast_too(world: World) {
        let settings = [("agents.messages_per_second", "10"), ("agents.message_burst", "20")];
        let rmm = world.deploy(&settings).await;
        let (mut agent, _) = rmm.raw_agent().await;
        for _ in 0..40 {
            agent.try_send(Message::Ping(vec![b'p'; 100].into())).await.unwrap();
        }
        assert_eq!(agent.expect_close().await.0, 1008);
    }

    async fn frames_that_move_nothing_are_closed_with_1008_and_cost_no_memory(world: World) {
        let rmm = world.deploy(&[]).await;
        still_serves(&rmm).await;
        let before = resident_kib(rmm.server.pid());
        let stream = StreamId(7);
        let bytes = bytes::Bytes::from(vec![0; 2 * 1024]);
        let floods = [
            Frame::Data { stream, offset: 0, bytes },
            Frame::Window { stream, limit: 10 },
            Frame::Eof { stream, offset: 0 },
            Frame::reset(stream, ResetCode::Failed, "again"),
        ];
        for frame in floods {
            let mut agent = RawAgent::connect(&rmm.server.agents_url()).await;
            let mut auth = agent.auth(&rmm.site.code);
            auth.capabilities = vec![gururmm_shared::CAPABILITY_DATA_PLANE.to_owned()];
            agent.authenticate(auth).await;
            let message = Message::binary(frame.encode());
            // It listens between the pieces of its flood: who only writes may never read why it is cut off.
            let flood = async {
                loop {
                    for _ in 0..PIECE_FRAMES {
                        agent.try_send(message.clone()).await.expect("it is read until it is closed");
                    }
                    if let Some(Heard::Closed(said)) = agent.hear_within(Duration::from_millis(1)).await {
                        break said;
                    }
                }
            };
            let said = tokio::time::timeout(Duration::from_secs(60), flood).await;
            let said = said.unwrap_or_else(|_| panic!("{frame:?} are taken without end"));
            assert_eq!(said.map(|(code, _)| code), Some(1008), "{frame:?}");
            let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
            assert!(grown < GROWTH_KIB, "{frame:?}: the server grew by {grown} KiB");
        }
        still_serves(&rmm).await;
    }

    async fn frames_of_a_viewer_that_move_nothing_are_closed_with_1008(world: World) {
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        let mut viewer = TerminalViewer::open(&rmm.technician, session).await;
        let terminal = viewer.run(&rmm.technician, "echo ready; exec cat").await;
        viewer.reads(&terminal, "ready").await;
        let before = resident_kib(rmm.server.pid());
        let frame = Frame::Window { stream: terminal.stream, limit: 1 }.encode();
        let flood = async {
            loop {
                for _ in 0..PIECE_FRAMES {
                    assert!(viewer.try_send_binary(frame.clone()).await, "it is read until it is closed");
                }
                if let Some(Err(code)) = viewer.next_within(Duration::from_millis(1)).await {
                    break code;
                }
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(60), flood).await;
        assert_eq!(code.expect("they are not taken without end"), Some(1008));
        let grown = resident_kib(rmm.server.pid()).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "the server grew by {grown} KiB");
        assert_eq!(rmm.session(session).await["status"], "ready");
        still_serves(&rmm).await;
    }

    async fn a_burst_within_the_limits_is_no_reason_to_close(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        for _ in 0..150 {
            agent.send(&AgentMessage::Heartbeat).await;
        }
        rmm.open_raw(&mut agent, id).await;
    }

    async fn frames_against_the_protocol_close_the_connection(world: World) {
        let rmm = world.deploy(&[]).await;
        let unmasked = [0x81, 0x02, b'{', b'}'].to_vec();
        let reserved_bits = [0xf1, 0x82, 0, 0, 0, 0, b'{', b'}'].to_vec();
        let reserved_opcode = [0x83, 0x80, 0, 0, 0, 0].to_vec();
        let lone_continuation = [0x80, 0x82, 0, 0, 0, 0, b'{', b'}'].to_vec();
        for bytes in [unmasked, reserved_bits, reserved_opcode, lone_continuation] {
            let mut socket = RawSocket::connect(rmm.server.address()).await;
            socket.write(&bytes).await.unwrap();
            let code = socket.close_code_within(Duration::from_secs(5)).await;
            assert_eq!(code, Some(1002), "{bytes:x?}");
        }
        still_serves(&rmm).await;
    }

    async fn garbage_on_the_port_is_no_harm(world: World) {
        let rmm = world.deploy(&[]).await;
        for garbage in [rubbish(4096), b"GET /ws HTTP/1.1\r\n".to_vec(), b"\x16\x03\x01\x02\x00\x01".to_vec(),
            [b"GET /".to_vec(), vec![b'x'; 300_000]].concat()] {
            let mut stream = TcpStream::connect(rmm.server.address()).await.unwrap();
            let _ = stream.write_all(&garbage).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "the server holds a connection that makes no sense");
            assert!(!answer.starts_with(b"HTTP/1.1 101"));
        }
        rmm.server.anonymous().get("/ws").await.refusal(400);
        still_serves(&rmm).await;
    }
}

/// The message by which a machine asks to be let in.
fn auth(rmm: &Deployment) -> String {
    format!(
        r#"{{"type":"auth","payload":{{"api_key":"{}","hostname":"h","device_id":"f"}}}}"#,
        rmm.site.code
    )
}

/// A socket whose machine is let in.
async fn let_in(rmm: &Deployment) -> RawSocket {
    let mut socket = RawSocket::connect(rmm.server.address()).await;
    let auth = auth(rmm);
    socket.frame(true, TEXT, auth.as_bytes()).await.unwrap();
    gururmm_tests::deployment::wait_device_online(&rmm.admin, "f").await;
    socket
}

fn rubbish(length: usize) -> Vec<u8> {
    (0..length).map(|_| rand::random()).collect()
}

/// The server is there for others: an agent enrols and a tunnel opens.
async fn still_serves(rmm: &Deployment) {
    let (mut agent, id) = rmm.raw_agent().await;
    let session = rmm.open_raw(&mut agent, id).await;
    let close = serde_json::json!({"session_id": session});
    rmm.technician
        .post("/api/v1/tunnel/close", close)
        .await
        .check(200);
}
