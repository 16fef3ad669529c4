//! TCP connections from a machine, as the WebSocket shows them.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use gururmm_tests::cluster::free_port;
use gururmm_tests::files::{noise, sha256};
use gururmm_tests::tcp_channel::{EOF, Pass, Said};
use gururmm_tests::viewer::ticket;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Machine, PreparedAgent, Surroundings, TcpChannel, on_both_databases};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;

on_both_databases! {
    async fn what_goes_in_comes_back_and_each_way_ends_by_itself(world: World) {
        let machine = Machine::start(&world).await;
        let (to, service) = serve(|mut peer| async move {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.unwrap();
            peer.write_all(b"you said: ").await.unwrap();
            peer.write_all(&all).await.unwrap();
        }).await;
        let mut channel = open(&machine, to).await;
        channel.send(&b"ques"[..]).await;
        channel.send(&b"tion"[..]).await;
        channel.finish().await;
        assert_eq!(channel.read_to_eof().await, b"you said: question");
        assert_eq!(channel.closed().await.0, 1000);
        service.await.unwrap();
        let row = machine.act(&format!("connect to {to}")).await;
        assert_eq!((&row["action"], &row["outcome"]), (&json!("tcp"), &json!("completed")), "{row}");
    }

    async fn a_service_that_has_said_all_still_listens(world: World) {
        let machine = Machine::start(&world).await;
        let (to, service) = serve(|mut peer| async move {
            peer.write_all(b"banner").await.unwrap();
            peer.shutdown().await.unwrap();
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.unwrap();
            all
        }).await;
        let mut channel = open(&machine, to).await;
        assert_eq!(channel.read_to_eof().await, b"banner");
        let bytes = noise(300_000);
        for piece in bytes.chunks(30_000) {
            channel.send(piece.to_vec()).await;
        }
        channel.finish().await;
        assert_eq!(channel.closed().await.0, 1000);
        assert!(service.await.unwrap() == bytes);
    }

    async fn both_ways_carry_much_at_once(world: World) {
        let machine = Machine::start(&world).await;
        let (down, up) = (noise(16 << 20), noise(16 << 20));
        let (to, service) = serve({
            let down = down.clone();
            |peer| async move {
                let (mut reader, mut writer) = peer.into_split();
                let mut all = Vec::new();
                let write = async {
                    writer.write_all(&down).await.unwrap();
                    writer.shutdown().await.unwrap();
                };
                tokio::join!(write, async { reader.read_to_end(&mut all).await.unwrap() });
                sha256(&all)
            }
        }).await;
        let (mut sink, mut source) = open(&machine, to).await.split();
        let sent = sha256(&up);
        let sending = tokio::spawn(async move {
            for piece in up.chunks(64 * 1024) {
                sink.send(Message::Binary(piece.to_vec().into())).await.unwrap();
            }
            sink.send(Message::text(EOF)).await.unwrap();
            sink
        });
        let mut got = Vec::new();
        let read = async {
            while let Some(Ok(message)) = source.next().await {
                match message {
                    Message::Binary(bytes) => got.extend_from_slice(&bytes),
                    Message::Text(text) => assert_eq!(text.as_str(), EOF),
                    Message::Close(frame) => return frame.map(|frame| u16::from(frame.code)),
                    _ => {}
                }
            }
            None
        };
        let code = tokio::time::timeout(SOON * 6, read).await.expect("it ends in time");
        assert_eq!(code, Some(1000));
        drop(sending.await.unwrap());
        assert_eq!(sha256(&got), sha256(&down));
        assert_eq!(service.await.unwrap(), sent);
    }

    async fn twenty_connections_stand_at_once_and_do_not_mix(world: World) {
        let machine = Machine::start(&world).await;
        let to = serve_echo().await;
        let mut channels = Vec::new();
        for _ in 0..20 {
            channels.push(open(&machine, to).await);
        }
        let mut talks = JoinSet::new();
        for mut channel in channels {
            talks.spawn(async move {
                for _ in 0..10 {
                    let bytes = noise(10_000);
                    channel.send(bytes.clone()).await;
                    assert!(channel.read(bytes.len()).await == bytes);
                }
                channel.finish().await;
                assert_eq!(channel.closed().await.0, 1000);
            });
        }
        while let Some(done) = talks.join_next().await {
            done.unwrap();
        }
    }

    async fn only_the_machine_itself_is_reached_without_a_policy(world: World) {
        let machine = Machine::start(&world).await;
        for host in ["10.0.0.1", "192.0.2.7", "example.com", "169.254.169.254", "0.0.0.0", "::", "fe80::1", "localhost.example.com",
            "127.0.0.1.example.com", "2130706433", "0x7f000001"] {
            let answer = ask(&machine, host, 80).await.err().unwrap_or_default();
            assert_eq!((answer.0, &answer.1["code"]), (403, &json!("feature_not_allowed")), "{host}: {}", answer.1);
        }
        for (host, port) in [("", 80), ("a b", 80), ("user@127.0.0.1", 80), ("127.0.0.1", 0)] {
            let answer = ask(&machine, host, port).await.err().unwrap_or_default();
            assert_eq!((answer.0, &answer.1["code"]), (400, &json!("invalid_field")), "{host:?}");
        }
        let rows = machine.rmm.audit(machine.session).await;
        let refused: Vec<_> = rows.iter().filter(|row| row["action"] == "refused").collect();
        assert_eq!(refused.len(), 11, "{rows:?}");
        assert_eq!(refused[0]["detail"], "connect to 10.0.0.1:80");
        let to = serve_echo().await;
        for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
            let Ok(mut channel) = ask(&machine, host, to.port()).await else {
                panic!("{host} was refused");
            };
            channel.send(&b"through"[..]).await;
            assert_eq!(channel.read(7).await, b"through");
        }
    }

    async fn a_list_of_targets_allows_these_and_no_others(world: World) {
        let (to, _service) = serve(echo).await;
        let port = to.port();
        let machine = Machine::with_policy(&world, |_| json!({"tcp_targets": [to.to_string(), "10.0.0.5:3389"]})).await;
        let mut channel = open(&machine, to).await;
        channel.send(&b"through"[..]).await;
        assert_eq!(channel.read(7).await, b"through");
        for (host, port) in [("127.0.0.1", port ^ 1), ("localhost", port), ("10.0.0.5", 3388), ("127.0.0.2", port)] {
            let answer = ask(&machine, host, port).await.err().unwrap_or_default();
            assert_eq!((answer.0, &answer.1["code"]), (403, &json!("feature_not_allowed")), "{host}:{port}");
        }
    }

    async fn a_name_of_the_machine_itself_that_resolves_elsewhere_is_not_reached(world: World) {
        let hosts = world.file("hosts");
        std::fs::write(&hosts, "192.0.2.7 localhost\n").unwrap();
        let rmm = world.deploy(&[]).await;
        let (_agent, id) = PreparedAgent::start(&rmm, Surroundings::Hosts(&hosts)).await;
        let session = rmm.open(id).await;
        let asked = TcpChannel::connect(&rmm.technician, session, ("localhost", 80), Pass::Authorization, None).await;
        let answer = asked.err().unwrap_or_default();
        assert_eq!((answer.0, &answer.1["code"]), (403, &json!("not_allowed")), "{}", answer.1);
    }

    async fn a_connection_that_nobody_takes_is_said_so(world: World) {
        let machine = Machine::start(&world).await;
        let port = free_port().unwrap();
        let answer = ask(&machine, "127.0.0.1", port).await.err().unwrap_or_default();
        assert_eq!((answer.0, &answer.1["code"]), (502, &json!("unreachable")), "{}", answer.1);
        let row = machine.act(&format!("connect to 127.0.0.1:{port}")).await;
        assert_eq!(row["outcome"], "unreachable", "{row}");
    }

    async fn the_end_of_the_session_ends_its_connections(world: World) {
        let machine = Machine::start(&world).await;
        let (to, service) = serve(|mut peer| async move {
            let mut all = Vec::new();
            // A reset is an end as well.
            let _ = peer.read_to_end(&mut all).await;
        }).await;
        let mut channel = open(&machine, to).await;
        let body = json!({"session_id": machine.session});
        machine.rmm.technician.post("/api/v1/tunnel/close", body).await.check(200);
        assert_eq!(channel.closed().await.0, 1001);
        let ended = tokio::time::timeout(SOON, service).await;
        ended.expect("the service sees the end in time").unwrap();
        let row = machine.act(&format!("connect to {to}")).await;
        assert_eq!(row["outcome"], "cancelled", "{row}");
        let answer = ask(&machine, "127.0.0.1", to.port()).await.err().unwrap_or_default();
        assert_eq!((answer.0, &answer.1["code"]), (409, &json!("session_closed")));
    }

    async fn a_service_that_breaks_off_and_a_client_that_does_end_the_other_side(world: World) {
        let machine = Machine::start(&world).await;
        let (to, _service) = serve(|peer| async move {
            // It is reset where it is closed with something unread.
            peer.peek(&mut [0]).await.unwrap();
            peer.set_zero_linger().unwrap();
        }).await;
        let mut channel = open(&machine, to).await;
        channel.send(&b"x"[..]).await;
        let (code, reason) = channel.closed().await;
        assert_eq!(code, 1011, "{reason}");
        assert!(!reason.is_empty());
        let (to, service) = serve(|mut peer| async move {
            let mut all = Vec::new();
            let _ = peer.read_to_end(&mut all).await;
        }).await;
        drop(open(&machine, to).await);
        let ended = tokio::time::timeout(SOON, service).await;
        ended.expect("the service sees the end in time").unwrap();
    }

    async fn a_connection_needs_a_ticket_or_a_log_in_and_no_foreign_page(world: World) {
        let machine = Machine::start(&world).await;
        let to = serve_echo().await;
        let technician = &machine.rmm.technician;
        let with = |pass, origin| {
            TcpChannel::connect(technician, machine.session, ("127.0.0.1", to.port()), pass, origin)
        };
        let pass = ticket(technician, machine.session).await;
        let Ok(mut channel) = with(Pass::Ticket(&pass), Some(technician.base())).await else {
            panic!("a ticket opens it");
        };
        channel.send(&b"by ticket"[..]).await;
        assert_eq!(channel.read(9).await, b"by ticket");
        let refused = |answer: Result<TcpChannel, (u16, Value)>| answer.err().unwrap_or_default().0;
        assert_eq!(refused(with(Pass::Ticket(&pass), None).await), 401, "a ticket opens one connection");
        assert_eq!(refused(with(Pass::Ticket("nonsense"), None).await), 401);
        assert_eq!(refused(with(Pass::Nothing, None).await), 401);
        let pass = ticket(technician, machine.session).await;
        for origin in ["https://evil.example", "null"] {
            assert_eq!(refused(with(Pass::Ticket(&pass), Some(origin)).await), 403, "{origin}");
            assert_eq!(refused(with(Pass::Authorization, Some(origin)).await), 403, "{origin}");
        }
        assert!(with(Pass::Ticket(&pass), None).await.is_ok(), "what was refused has not used the ticket up");
        let (_, other) = machine.rmm.add_user("second@example.com", "technician").await;
        let asked = TcpChannel::connect(&other, machine.session, ("127.0.0.1", to.port()), Pass::Authorization, None).await;
        assert!([403, 404].contains(&refused(asked)), "somebody else's session");
        let path = format!("/api/v1/tunnel/{}/tcp?host=127.0.0.1&port={}", machine.session, to.port());
        technician.get(&path).await.refusal(400);
    }

    async fn a_text_that_is_no_end_and_a_message_that_is_too_large_are_closed_with_their_codes(world: World) {
        let machine = Machine::start(&world).await;
        let to = serve_echo().await;
        let mut channel = open(&machine, to).await;
        channel.send_text("hello").await;
        assert_eq!(channel.closed().await.0, 1003);
        let mut channel = open(&machine, to).await;
        channel.try_send(vec![0; 1 << 20]).await;
        // The server may close before all of it is sent, and the code be lost with the rest.
        let (code, _) = channel.closed().await;
        assert!([1009, 0].contains(&code), "{code}");
        let mut channel = open(&machine, to).await;
        channel.send(vec![7; 64 * 1024]).await;
        assert_eq!(channel.read(64 * 1024).await, vec![7; 64 * 1024], "as much as may be in one");
        let mut channel = open(&machine, to).await;
        channel.send(vec![7; 64 * 1024 + 100]).await;
        assert_eq!(channel.closed().await.0, 1009);
    }

    async fn what_comes_after_the_end_is_dropped(world: World) {
        let machine = Machine::start(&world).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut channel = open(&machine, listener.local_addr().unwrap()).await;
        channel.finish().await;
        channel.send(&b"after the end"[..]).await;
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        tokio::time::timeout(SOON, peer.read_to_end(&mut got)).await.expect("an end").unwrap();
        assert!(got.is_empty(), "{} bytes", got.len());
        drop(peer);
        assert_eq!(channel.next().await, Said::Eof);
    }
}

async fn open(machine: &Machine, to: SocketAddr) -> TcpChannel {
    TcpChannel::open(&machine.rmm.technician, machine.session, to).await
}

async fn ask(machine: &Machine, host: &str, port: u16) -> Result<TcpChannel, (u16, Value)> {
    let technician = &machine.rmm.technician;
    TcpChannel::connect(
        technician,
        machine.session,
        (host, port),
        Pass::Authorization,
        None,
    )
    .await
}

/// A service of the machine that takes one connection.
async fn serve<T, F>(
    carry: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let service = tokio::spawn(async move {
        let (peer, _) = listener.accept().await.unwrap();
        carry(peer).await
    });
    (to, service)
}

/// A service that says again what it hears, to as many as come.
async fn serve_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            tokio::spawn(echo(peer));
        }
    });
    to
}

async fn echo(peer: TcpStream) {
    let (mut reader, mut writer) = peer.into_split();
    // A peer that breaks off has had enough.
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}
