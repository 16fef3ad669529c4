//! The viewer against a small server: what is typed and printed over connections that break.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{
    AgentId, ChannelId, CommandId, Frame, SessionClosed, SessionId, SessionSnapshot, StreamId,
    StreamMessage, TerminalClosed, TerminalOpened, TerminalScreen, TerminalSize,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::*;
use crate::client::{Client, Trust};

const STREAM: StreamId = StreamId(7);
const SOON: Duration = Duration::from_secs(10);

/// A viewer's connection as the server sees it.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    query: String,
}

/// A server that answers every POST with a ticket and hands over every WebSocket.
struct Server {
    viewer: ViewerOptions,
    session: SessionClient,
    peers: mpsc::Receiver<Peer>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, peers) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        let client = Client::new(address.parse().unwrap(), Trust::new(None).unwrap()).unwrap();
        Self {
            viewer: ViewerOptions {
                watch: Watch::All,
                ..ViewerOptions::default()
            },
            session: SessionClient::of(&client.with_token("token"), SessionId::generate()),
            peers,
        }
    }

    async fn peer(&mut self) -> Peer {
        let coming = tokio::time::timeout(SOON, self.peers.recv());
        coming.await.expect("a connection in time").unwrap()
    }

    /// A viewer with its terminal on its first connection.
    async fn begin(&mut self) -> (Viewer, Terminal, Peer) {
        let opening = Viewer::open(&self.session, self.viewer.clone());
        let (viewer, peer) = tokio::join!(opening, self.peers.recv());
        let (viewer, mut peer) = (viewer.unwrap(), peer.unwrap());
        peer.open_terminal(0, 0).await;
        let terminal = viewer.attach(&channel()).await.unwrap();
        (viewer, terminal, peer)
    }
}

async fn serve(mut stream: TcpStream, peers: mpsc::Sender<Peer>) {
    let mut first = [0; 4];
    stream.peek(&mut first).await.unwrap();
    if first.starts_with(b"POST") {
        let mut request = vec![0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        let body = r#"{"ticket":"t","expires_at":"2030-01-01T00:00:00Z"}"#;
        let answer = format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        return;
    }
    let query = Arc::new(std::sync::Mutex::new(String::new()));
    let seen = query.clone();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let look = move |request: &Request, response: Response| {
        *seen.lock().unwrap() = request.uri().query().unwrap_or_default().to_owned();
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look)
        .await
        .unwrap();
    let query = query.lock().unwrap().clone();
    let _ = peers.send(Peer { socket, query }).await;
}

fn channel() -> ChannelId {
    ChannelId::terminal(3)
}

impl Peer {
    async fn say(&mut self, message: StreamMessage) {
        let text = Message::text(message.encode());
        self.socket.send(text).await.unwrap();
    }

    async fn open_terminal(&mut self, offset: u64, input_received: u64) {
        let opened = TerminalOpened {
            channel_id: channel(),
            stream: STREAM,
            command_id: CommandId::generate(),
            program: "sh".to_owned(),
            size: TerminalSize::default(),
            holder: None,
            offset,
            input_received,
        };
        self.say(StreamMessage::TerminalOpened(opened)).await;
    }

    async fn show_screen(&mut self, offset: u64) {
        let screen = TerminalScreen {
            channel_id: channel(),
            stream: STREAM,
            offset,
            size: TerminalSize::default(),
            screen: "aGk=".to_owned(),
        };
        self.say(StreamMessage::TerminalScreen(screen)).await;
    }

    async fn print(&mut self, offset: u64, bytes: &'static [u8]) {
        let frame = Frame::Data {
            stream: STREAM,
            offset,
            bytes: bytes.into(),
        };
        let message = Message::Binary(frame.encode());
        self.socket.send(message).await.unwrap();
    }

    /// The next bytes that are typed, at their offset; windows are passed over, pings answered.
    async fn typed(&mut self) -> (u64, Vec<u8>) {
        loop {
            let next = tokio::time::timeout(SOON, self.socket.next());
            match next.await.expect("something in time").unwrap().unwrap() {
                Message::Binary(bytes) => {
                    if let Frame::Data { offset, bytes, .. } = Frame::decode(bytes).unwrap() {
                        return (offset, bytes.to_vec());
                    }
                }
                Message::Text(text) if text.contains("ping") => self.say(StreamMessage::Pong).await,
                _ => {}
            }
        }
    }

    /// Waits for a window that reaches beyond `limit`.
    async fn window_beyond(&mut self, limit: u64) -> u64 {
        loop {
            let next = tokio::time::timeout(SOON, self.socket.next());
            if let Message::Binary(bytes) = next.await.expect("a window in time").unwrap().unwrap()
                && let Frame::Window { limit: granted, .. } = Frame::decode(bytes).unwrap()
                && granted > limit
            {
                return granted;
            }
        }
    }
}

async fn read(terminal: &mut Terminal, count: usize) -> Vec<u8> {
    let reading = terminal.read_until(|all| all.len() >= count);
    let read = tokio::time::timeout(SOON, reading);
    read.await.expect("output in time").unwrap()
}

#[tokio::test]
async fn output_goes_on_over_a_lost_connection_with_no_byte_twice() {
    let mut server = Server::start().await;
    let (_viewer, mut terminal, mut peer) = server.begin().await;
    assert!(
        peer.query.starts_with("ticket=t&protocol=2&viewer="),
        "{}",
        peer.query
    );
    let first_query = peer.query.clone();
    peer.print(0, b"one").await;
    assert_eq!(read(&mut terminal, 3).await, b"one");
    drop(peer);
    let mut peer = server.peer().await;
    assert_eq!(peer.query, format!("{first_query}&from.terminal-3=3"));
    peer.open_terminal(3, 0).await;
    peer.print(0, b"one").await;
    peer.print(3, b"two").await;
    assert_eq!(read(&mut terminal, 3).await, b"two");
}

#[tokio::test]
async fn what_was_typed_and_did_not_arrive_is_sent_again() {
    let mut server = Server::start().await;
    let (viewer, terminal, mut peer) = server.begin().await;
    let input = terminal.input();
    input.write(b"abc").await.unwrap();
    assert_eq!(peer.typed().await, (0, b"abc".to_vec()));
    input.write(b"def").await.unwrap();
    assert_eq!(peer.typed().await, (3, b"def".to_vec()));
    drop(peer);
    let mut state = viewer.state();
    state
        .wait_for(|state| matches!(state, LinkState::Reconnecting { .. }))
        .await
        .unwrap();
    input.write(b"ghi").await.unwrap();
    let mut peer = server.peer().await;
    // The server had read only the first four bytes from its socket.
    peer.open_terminal(0, 4).await;
    let mut all = Vec::new();
    while all.len() < 5 {
        let (offset, bytes) = peer.typed().await;
        assert_eq!(offset, 4 + all.len() as u64);
        all.extend(bytes);
    }
    assert_eq!(all, b"efghi");
}

#[tokio::test]
async fn a_server_that_forgot_the_viewer_does_not_get_old_input_again() {
    let mut server = Server::start().await;
    let (_viewer, terminal, mut peer) = server.begin().await;
    let input = terminal.input();
    input.write(b"rm x\r").await.unwrap();
    assert_eq!(peer.typed().await, (0, b"rm x\r".to_vec()));
    // The question for a sign comes after it; with the answer the input is surely there.
    let asked = tokio::time::timeout(SOON, peer.socket.next());
    let asked = asked.await.unwrap().unwrap().unwrap();
    assert!(asked.to_text().unwrap().contains("ping"), "{asked:?}");
    peer.say(StreamMessage::Pong).await;
    peer.print(0, b"$").await;
    let mut terminal = terminal;
    assert_eq!(read(&mut terminal, 1).await, b"$");
    drop(peer);
    let mut peer = server.peer().await;
    peer.open_terminal(1, 0).await;
    input.write(b"y").await.unwrap();
    assert_eq!(peer.typed().await, (0, b"y".to_vec()));
}

#[tokio::test]
async fn credit_comes_back_only_when_what_was_read_has_been_used() {
    let mut server = Server::start().await;
    let (_viewer, mut terminal, mut peer) = server.begin().await;
    let granted = peer.window_beyond(0).await;
    let piece: &'static [u8] = &[b'x'; 32 * 1024];
    let pieces = granted / piece.len() as u64;
    for number in 0..pieces {
        peer.print(number * piece.len() as u64, piece).await;
    }
    let all = usize::try_from(granted).unwrap();
    assert_eq!(read(&mut terminal, all).await.len(), all);
    let further = tokio::spawn(async move { terminal.read().await });
    assert!(peer.window_beyond(granted).await > granted);
    further.abort();
}

#[tokio::test]
async fn a_viewer_that_comes_late_counts_as_the_server_does() {
    let mut server = Server::start().await;
    let opening = Viewer::open(&server.session, server.viewer.clone());
    let (viewer, peer) = tokio::join!(opening, server.peers.recv());
    let (viewer, mut peer) = (viewer.unwrap(), peer.unwrap());
    peer.open_terminal(5000, 0).await;
    let mut terminal = viewer.attach(&channel()).await.unwrap();
    assert_eq!(peer.window_beyond(0).await, 5000 + 256 * 1024);
    peer.print(5000, b"late").await;
    assert_eq!(read(&mut terminal, 4).await, b"late");
}

#[tokio::test]
async fn a_terminal_ends_after_its_last_byte() {
    let mut server = Server::start().await;
    let (_viewer, mut terminal, mut peer) = server.begin().await;
    peer.print(0, b"bye").await;
    let closed = TerminalClosed {
        channel_id: channel(),
        exit_code: Some(7),
        reason: None,
        error: None,
    };
    peer.say(StreamMessage::TerminalClosed(closed)).await;
    assert_eq!(read(&mut terminal, 3).await, b"bye");
    assert_eq!(terminal.read().await, Ok(None));
    assert_eq!(terminal.closed().await.unwrap().exit_code, Some(7));
}

#[tokio::test]
async fn the_end_of_the_session_ends_every_reader() {
    let mut server = Server::start().await;
    let (viewer, mut terminal, mut peer) = server.begin().await;
    let closed = SessionClosed {
        status: "closed".to_owned(),
        reason: "idle".to_owned(),
    };
    peer.say(StreamMessage::SessionClosed(closed)).await;
    assert!(terminal.read().await.is_err());
    let error = terminal.closed().await.unwrap_err();
    assert_eq!(error, ClientError::SessionEnded("idle".to_owned()));
    assert!(viewer.state().borrow().is_over());
}

#[tokio::test]
async fn a_terminal_that_is_gone_after_a_restart_ends() {
    let mut server = Server::start().await;
    let (_viewer, mut terminal, peer) = server.begin().await;
    drop(peer);
    let mut peer = server.peer().await;
    let snapshot = SessionSnapshot {
        session_id: server.session.id(),
        agent_id: AgentId::generate(),
        status: "ready".to_owned(),
        opened_at: chrono::DateTime::UNIX_EPOCH,
        channels: Vec::new(),
        viewer: Some(1),
        read_only: false,
        consent: None,
    };
    peer.say(StreamMessage::Session(snapshot)).await;
    assert!(terminal.read().await.is_err());
    assert!(terminal.closed().await.is_err());
}

#[tokio::test]
async fn a_terminal_that_nobody_here_reads_is_let_go() {
    let mut server = Server::start().await;
    let opening = Viewer::open(&server.session, ViewerOptions::default());
    let (viewer, peer) = tokio::join!(opening, server.peers.recv());
    let (_viewer, mut peer) = (viewer.unwrap(), peer.unwrap());
    peer.open_terminal(0, 0).await;
    loop {
        let next = tokio::time::timeout(SOON, peer.socket.next());
        if let Message::Binary(bytes) = next.await.expect("a reset").unwrap().unwrap()
            && let Frame::Reset { stream, .. } = Frame::decode(bytes).unwrap()
        {
            assert_eq!(stream, STREAM);
            return;
        }
    }
}

#[tokio::test]
async fn where_output_is_no_longer_kept_the_screen_stands_for_it() {
    let mut server = Server::start().await;
    let (_viewer, mut terminal, mut peer) = server.begin().await;
    peer.print(0, b"old").await;
    assert_eq!(read(&mut terminal, 3).await, b"old");
    // A later screen after a gap, and one that repeats what this viewer has seen, as after a restart.
    for (offset, after) in [(100, &b"new"[..]), (50, &b"again"[..])] {
        drop(peer);
        peer = server.peer().await;
        peer.open_terminal(offset, 0).await;
        peer.show_screen(offset).await;
        peer.print(offset, after).await;
        let screen = terminal.read().await.unwrap().unwrap();
        assert!(matches!(screen, Output::Screen { .. }), "{screen:?}");
        assert_eq!(read(&mut terminal, after.len()).await, after);
    }
}
