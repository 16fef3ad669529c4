//! A client's WebSocket on one side, an agent's end of a stream on the other.

use std::sync::{Arc, Mutex};

use actix::prelude::*;
use actix_web::{App, HttpServer, web};
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{ChannelId, Closed, Feature, Frame, StreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::actors::connection_messages::ToConnection;
use crate::actors::pipe::{Direction, NewPipe};
use crate::actors::stream_messages::LetGo;

const STREAM: StreamId = StreamId(7);

/// An agent's connection and a session that pass on what they hear.
struct Ear {
    frames: mpsc::Sender<Frame>,
    let_go: mpsc::Sender<&'static str>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<ToConnection> for Ear {
    type Result = ();

    fn handle(&mut self, message: ToConnection, _: &mut Self::Context) {
        if let ToConnection::Frame(bytes) = message {
            self.frames.try_send(Frame::decode(bytes).unwrap()).unwrap();
        }
    }
}

impl Handler<LetGo> for Ear {
    type Result = ();

    fn handle(&mut self, message: LetGo, _: &mut Self::Context) {
        self.let_go.try_send(message.outcome).unwrap();
    }
}

struct Bench {
    client: Client,
    stream: Arc<ByteStream>,
    closed: watch::Sender<Option<Closed>>,
    frames: mpsc::Receiver<Frame>,
    let_go: mpsc::Receiver<&'static str>,
}

struct Client {
    socket: TcpStream,
    buffer: BytesMut,
}

impl Client {
    async fn connect(port: u16) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = BytesMut::new();
        let end = loop {
            let at = buffer.windows(4).position(|window| window == b"\r\n\r\n");
            match at {
                Some(at) => break at + 4,
                None => assert!(socket.read_buf(&mut buffer).await.unwrap() > 0),
            }
        };
        let head = buffer.split_to(end);
        assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
        Self { socket, buffer }
    }

    async fn send(&mut self, opcode: OpCode, body: &[u8]) {
        let mut frame = BytesMut::new();
        Parser::write_message(&mut frame, body, opcode, true, true);
        self.socket.write_all(&frame).await.unwrap();
    }

    async fn next(&mut self) -> (OpCode, Bytes) {
        loop {
            let parsed = Parser::parse(&mut self.buffer, false, MAX_FRAME_BYTES);
            if let Some((_, opcode, body)) = parsed.unwrap() {
                return (opcode, body.map(BytesMut::freeze).unwrap_or_default());
            }
            let read = self.socket.read_buf(&mut self.buffer);
            let read = timeout(Duration::from_secs(10), read).await.unwrap();
            assert!(
                read.unwrap() > 0,
                "the connection ended without a close frame"
            );
        }
    }

    async fn close_code(&mut self) -> u16 {
        let (opcode, body) = self.next().await;
        assert_eq!(opcode, OpCode::Close, "{body:?}");
        u16::from_be_bytes([body[0], body[1]])
    }
}

async fn bench(send_limit: u64) -> Bench {
    let (frames, heard) = mpsc::channel(64);
    let (let_go, ends) = mpsc::channel(8);
    let ear = Ear { frames, let_go }.start();
    let stream = Arc::new(ByteStream::new(STREAM, 1 << 20, send_limit, 0));
    let (closed, last_word) = watch::channel(None);
    let pipe = Pipe::new(NewPipe {
        channel_id: ChannelId::of(Feature::Tcp, 1),
        direction: Direction::Both,
        stream: Arc::clone(&stream),
        connection: ear.clone().recipient(),
        closed: last_word,
        session: ear.recipient(),
        lane: None,
    });
    let pipe = web::Data::new(Mutex::new(Some(pipe)));
    let app = move || {
        let handler =
            async |request: HttpRequest, payload: Payload, pipe: web::Data<Mutex<Option<Pipe>>>| {
                let pipe = pipe.lock().unwrap().take().unwrap();
                start(&request, payload, pipe)
            };
        App::new()
            .app_data(pipe.clone())
            .route("/", web::get().to(handler))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let port = server.addrs()[0].port();
    actix_web::rt::spawn(server.run());
    Bench {
        client: Client::connect(port).await,
        stream,
        closed,
        frames: heard,
        let_go: ends,
    }
}

fn data(offset: u64, bytes: &'static [u8]) -> Frame {
    Frame::Data {
        stream: STREAM,
        offset,
        bytes: Bytes::from_static(bytes),
    }
}

async fn heard(frames: &mut mpsc::Receiver<Frame>) -> Frame {
    let next = timeout(Duration::from_secs(10), frames.recv());
    next.await.unwrap().unwrap()
}

#[actix::test]
async fn bytes_go_both_ways_each_way_ends_by_itself_and_the_end_is_1000() {
    let mut bench = bench(1024).await;
    bench.client.send(OpCode::Binary, b"hello").await;
    assert_eq!(heard(&mut bench.frames).await, data(0, b"hello"));
    bench.client.send(OpCode::Text, EOF.as_bytes()).await;
    let eof = heard(&mut bench.frames).await;
    assert!(matches!(eof, Frame::Eof { offset: 5, .. }), "{eof:?}");
    assert_eq!(bench.stream.on_frame(data(0, b"world")), None);
    let (opcode, body) = bench.client.next().await;
    assert_eq!((opcode, body.as_ref()), (OpCode::Binary, &b"world"[..]));
    let end = Frame::Eof {
        stream: STREAM,
        offset: 5,
    };
    assert_eq!(bench.stream.on_frame(end), None);
    let (opcode, body) = bench.client.next().await;
    assert_eq!((opcode, body.as_ref()), (OpCode::Text, EOF.as_bytes()));
    bench.closed.send_replace(Some(Closed::default()));
    assert_eq!(bench.client.close_code().await, close_code::NORMAL);
}

#[actix::test]
async fn while_the_agents_window_is_closed_the_other_way_and_pings_go_on() {
    let mut bench = bench(0).await;
    bench
        .client
        .send(OpCode::Binary, b"nobody takes this yet")
        .await;
    assert_eq!(bench.stream.on_frame(data(0, b"down")), None);
    let (opcode, body) = bench.client.next().await;
    assert_eq!((opcode, body.as_ref()), (OpCode::Binary, &b"down"[..]));
    assert!(bench.frames.try_recv().is_err(), "there is no window");
    let window = Frame::Window {
        stream: STREAM,
        limit: 1024,
    };
    assert_eq!(bench.stream.on_frame(window), None);
    assert!(matches!(heard(&mut bench.frames).await, Frame::Data { .. }));
    bench.client.send(OpCode::Ping, b"p").await;
    let (opcode, body) = bench.client.next().await;
    assert_eq!((opcode, body.as_ref()), (OpCode::Pong, &b"p"[..]));
}

#[actix::test]
async fn a_connection_that_breaks_is_closed_with_its_reason() {
    let mut bench = bench(1024).await;
    let error = OperationError::new(ErrorCode::Failed, "connection reset by peer");
    bench.closed.send_replace(Some(Closed::failed(error)));
    let _ = bench.stream.reset(ResetCode::Failed, "closed");
    let (opcode, body) = bench.client.next().await;
    assert_eq!(opcode, OpCode::Close);
    assert_eq!(body[..2], close_code::INTERNAL_ERROR.to_be_bytes());
    assert_eq!(&body[2..], b"connection reset by peer");
}

#[actix::test]
async fn a_client_that_goes_cuts_the_stream_off() {
    for polite in [true, false] {
        let mut bench = bench(0).await;
        if polite {
            bench
                .client
                .send(OpCode::Close, &1000_u16.to_be_bytes())
                .await;
            assert_eq!(bench.client.close_code().await, close_code::NORMAL);
        } else {
            drop(bench.client);
        }
        let next = timeout(Duration::from_secs(10), bench.let_go.recv());
        assert_eq!(next.await.unwrap(), Some("cancelled"), "polite: {polite}");
        assert!(matches!(
            heard(&mut bench.frames).await,
            Frame::Reset { .. }
        ));
    }
}

#[actix::test]
async fn other_texts_and_messages_that_are_too_large_are_refused() {
    let mut talker = bench(1024).await;
    talker.client.send(OpCode::Text, b"hello").await;
    assert_eq!(talker.client.close_code().await, close_code::UNSUPPORTED);
    let mut giant = bench(1024).await;
    giant
        .client
        .send(OpCode::Binary, &vec![0; MAX_FRAME_BYTES + 1])
        .await;
    assert_eq!(giant.client.close_code().await, close_code::TOO_LARGE);
}
