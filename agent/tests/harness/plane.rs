//! The server's side of the data plane: channels with a stream of bytes, over one connection or over
//! several, one after the other.

#![allow(clippy::panic, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::flow::PIECE_BYTES;
use gururmm_shared::{Frame, ResetCode, StreamId, StreamPosition};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::{Connection, Stage, soon, tunnel_open};

/// What the server keeps of a stream to send it again.
const KEPT_BYTES: u64 = 1024 * 1024;

/// A channel as the server sees it.
pub struct Channel {
    /// Its stream.
    pub bytes: ByteStream,
    /// All that came and was consumed.
    pub output: Vec<u8>,
    /// Whether the agent has said its last word in the stream.
    pub ended: bool,
    /// The payload of `opened`.
    pub opened: Option<Value>,
    /// The payload of `closed`.
    pub closed: Option<Value>,
    /// What came is consumed at once; else it stays where it is, and the window with it.
    pub consumes: bool,
}

impl Channel {
    /// The output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    fn drain(&mut self) -> Option<Frame> {
        if !self.consumes {
            return None;
        }
        while let Some(Ok(received)) = self.bytes.recv().now_or_never() {
            match received {
                Some(bytes) => self.output.extend_from_slice(&bytes),
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        self.bytes.consumed()
    }
}

/// A session and its channels.
pub struct Plane {
    /// The connection that it goes over now.
    pub server: Connection,
    /// Its session.
    pub session: String,
    /// By name.
    pub channels: BTreeMap<String, Channel>,
    /// Answers to requests, by name.
    pub replies: BTreeMap<String, Value>,
}

impl Plane {
    /// The channels of a session that is open.
    pub fn new(server: Connection, session: String) -> Self {
        Self {
            server,
            session,
            channels: BTreeMap::new(),
            replies: BTreeMap::new(),
        }
    }

    /// Asks for a channel; its stream has the same number.
    pub async fn ask(&mut self, number: u32, window: u64, kind: Value) -> String {
        let name = format!("terminal-{number}");
        let session = self.session.clone();
        let open = json!({"kind": kind, "session_id": session, "stream": number, "window": window});
        self.channels.insert(
            name.clone(),
            Channel {
                // The agent's window comes with its `opened`.
                bytes: ByteStream::new(StreamId(number), window, 0, KEPT_BYTES),
                output: Vec::new(),
                ended: false,
                opened: None,
                closed: None,
                consumes: true,
            },
        );
        self.tell(&name, json!({"type": "open", "payload": open}))
            .await;
        name
    }

    /// Opens a channel and waits until it is open.
    pub async fn open(&mut self, number: u32, window: u64, kind: Value) -> String {
        let name = self.ask(number, window, kind).await;
        self.until(&name, |channel| {
            assert_eq!(channel.closed, None);
            channel.opened.is_some()
        })
        .await;
        name
    }

    /// Opens a terminal that runs a shell's command line.
    pub async fn shell(&mut self, number: u32, line: &str) -> String {
        self.open(number, 256 * 1024, terminal(line)).await
    }

    /// Sends a payload in a channel.
    pub async fn tell(&mut self, name: &str, data: Value) {
        let message = json!({"type": "tunnel_data", "payload": {"channel_id": name, "data": data}});
        self.server.send(message).await;
    }

    /// Sends bytes in a channel, as its window allows.
    pub async fn send(&mut self, name: &str, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.until(name, |channel| channel.bytes.room_now() > 0)
                .await;
            let channel = &self.channels[name];
            let count = channel.bytes.room_now().min(bytes.len()).min(PIECE_BYTES);
            let (piece, rest) = bytes.split_at(count);
            let frame = channel.bytes.send(Bytes::copy_from_slice(piece)).unwrap();
            bytes = rest;
            self.server.send_frame(frame.encode()).await;
        }
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self, name: &str) {
        let frame = self.channels[name].bytes.finish().unwrap();
        self.server.send_frame(frame.encode()).await;
    }

    /// Takes what the agent says until something is so in a channel.
    pub async fn until(&mut self, name: &str, mut so: impl FnMut(&Channel) -> bool) {
        while !so(&self.channels[name]) {
            self.step().await;
        }
    }

    /// Waits for the end of a channel and tells what was said of it.
    pub async fn closed(&mut self, name: &str) -> Value {
        self.until(name, |channel| channel.closed.is_some()).await;
        self.channels[name].closed.clone().unwrap()
    }

    /// Waits until the output holds a text.
    pub async fn until_shown(&mut self, name: &str, text: &str) {
        self.until(name, |channel| channel.text().contains(text))
            .await;
    }

    /// Lets a channel consume what came, or not.
    pub async fn consume(&mut self, name: &str, consumes: bool) {
        let channel = self.channels.get_mut(name).unwrap();
        channel.consumes = consumes;
        if let Some(window) = channel.drain() {
            self.server.send_frame(window.encode()).await;
        }
    }

    /// Takes what the agent says for so long, and says nothing itself but what its WebSocket answers.
    pub async fn idle_for(&mut self, period: Duration) {
        let until = Instant::now() + period;
        while let Ok(()) = timeout_at(until, self.step()).await {}
    }

    /// Takes one thing that the agent says.
    pub async fn step(&mut self) {
        match self.server.receive_any().await {
            Message::Text(text) => {
                let mut message: Value = serde_json::from_str(&text).unwrap();
                match message["type"].as_str().unwrap() {
                    "tunnel_data" => self.on_data(message["payload"].take()),
                    "tunnel_error" | "tunnel_closed" => panic!("{message}"),
                    _ => {}
                }
            }
            Message::Binary(bytes) => self.on_frame(Frame::decode(bytes).unwrap()).await,
            _ => {}
        }
    }

    fn on_data(&mut self, mut payload: Value) {
        let name = payload["channel_id"].as_str().unwrap().to_owned();
        let kind = payload["data"]["type"].as_str().unwrap().to_owned();
        let said = payload["data"]["payload"].take();
        if kind == "reply" {
            self.replies.insert(name, said);
            return;
        }
        let channel = self.channels.get_mut(&name).unwrap();
        match kind.as_str() {
            "opened" => {
                let limit = said["window"].as_u64().unwrap();
                let stream = channel.bytes.id();
                assert_eq!(
                    channel.bytes.on_frame(Frame::Window { stream, limit }),
                    None
                );
                channel.opened = Some(said);
            }
            "closed" => {
                assert_eq!(channel.closed, None, "said twice");
                channel.closed = Some(said);
            }
            other => panic!("{other} {said}"),
        }
    }

    async fn on_frame(&mut self, frame: Frame) {
        let stream = frame.stream();
        let channel = self
            .channels
            .values_mut()
            .find(|channel| channel.bytes.id() == stream)
            .unwrap();
        assert!(
            channel.closed.is_none() || matches!(frame, Frame::Window { .. }),
            "{frame:?} after the last word"
        );
        assert_eq!(channel.bytes.on_frame(frame), None);
        if let Some(window) = channel.drain() {
            self.server.send_frame(window.encode()).await;
        }
    }

    /// Goes on over another connection: with what the agent has kept, and with these channels.
    pub async fn resume(&mut self, server: Connection, kept: &Value, names: &[&str]) {
        self.server = server;
        let mine: Vec<StreamPosition> = names
            .iter()
            .map(|name| self.channels[*name].bytes.position())
            .collect();
        self.server
            .send(json!({"type": "tunnel_resume", "payload": {
                "session_id": self.session, "streams": mine}}))
            .await;
        for name in names {
            let channel = &self.channels[*name];
            let told = kept["terminals"].as_array().unwrap();
            let told = told
                .iter()
                .find(|terminal| terminal["channel_id"] == *name)
                .unwrap();
            let position: StreamPosition = serde_json::from_value(told.clone()).unwrap();
            assert_eq!(position.stream, channel.bytes.id());
            for frame in channel.bytes.resume(&position).unwrap() {
                self.server.send_frame(frame.encode()).await;
            }
        }
    }
}

/// An agent with an open session.
pub async fn plane() -> (Stage, Plane) {
    plane_with(json!({})).await
}

/// The same, with more fields of `tunnel_open`.
pub async fn plane_with(fields: Value) -> (Stage, Plane) {
    let stage = Stage::start().await;
    let plane = plane_on(&stage, fields).await;
    (stage, plane)
}

/// The same, with an agent that runs already.
pub async fn plane_on(stage: &Stage, fields: Value) -> Plane {
    let mut server = stage.accept_and_acknowledge().await;
    let session = uuid::Uuid::new_v4().to_string();
    let mut open = tunnel_open(&session);
    let payload = open["payload"].as_object_mut().unwrap();
    payload.extend(fields.as_object().unwrap().clone());
    server.send(open).await;
    server.expect("tunnel_ready").await;
    Plane::new(server, session)
}

/// Starts what is hard to get rid of, from a terminal.
pub fn escapers(stage: &Stage) -> String {
    format!(
        "set -m; sleep 1000 & echo $! >> {pids}; \
         setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >> {pids}; while :; do sleep 1; done' & \
         (env -i setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' </dev/null >/dev/null 2>&1 &); \
         echo $$ >> {pids}; wait",
        pids = stage.file("pids").display()
    )
}

/// The payload that ends a channel.
pub fn close() -> Value {
    json!({"type": "close"})
}

/// The kind of a terminal that runs a shell's command line.
pub fn terminal(line: &str) -> Value {
    json!({"kind": "terminal", "shell": "sh", "arguments": ["-c", line],
           "size": {"cols": 80, "rows": 24}})
}

/// The payload of a signal.
pub fn signal(name: &str) -> Value {
    json!({"type": "signal", "payload": {"signal": name}})
}

/// The payload of a resize.
pub fn resize(cols: u16, rows: u16) -> Value {
    json!({"type": "resize", "payload": {"cols": cols, "rows": rows}})
}

impl Connection {
    /// Sends a frame of the data plane.
    pub async fn send_frame(&mut self, bytes: Bytes) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// Receives whatever comes next.
    pub async fn receive_any(&mut self) -> Message {
        soon(self.socket.next())
            .await
            .expect("still connected")
            .unwrap()
    }

    /// Cuts the connection: what is on its way is lost.
    pub fn cut(&mut self) {
        let socket = socket2::SockRef::from(self.socket.get_ref());
        // A reset instead of an end: nothing more is delivered.
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        socket.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for a RESET of a stream.
    pub async fn reset_of(&mut self, number: u32) -> ResetCode {
        loop {
            if let Message::Binary(bytes) = self.receive_any().await
                && let Frame::Reset { stream, code, .. } = Frame::decode(bytes).unwrap()
                && stream == StreamId(number)
            {
                return code;
            }
        }
    }
}
