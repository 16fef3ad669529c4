//! TCP connections through a session: each its own WebSocket, binary messages are its bytes, the text
//! `{"type":"eof"}` is the end of one direction.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::socket::{Socket, dial};
use super::{ClientError, SessionClient};

/// Bytes read from a connection at once: a frame of bulk.
const READ_BYTES: usize = 32 * 1024;

/// Connections of one forward at the same time.
const MOST_CONNECTIONS: usize = 100;

/// Rest after a connection could not be accepted, as when files run out.
const ACCEPT_REST: Duration = Duration::from_millis(100);

const EOF: &str = r#"{"type":"eof"}"#;

/// One TCP connection from the machine to somewhere.
#[derive(Debug)]
pub struct TcpTunnel {
    socket: Socket,
}

impl TcpTunnel {
    /// Opens one.
    ///
    /// # Errors
    /// [`ClientError`]: not allowed, or the machine cannot reach it.
    pub async fn open(session: &SessionClient, host: &str, port: u16) -> Result<Self, ClientError> {
        let query: String = reqwest::Url::parse_with_params(
            "http://query/",
            [("host", host), ("port", &port.to_string())],
        )
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default();
        let path = session.path(&format!("tcp?{query}"));
        let socket = dial(session.client(), &path, true).await?;
        Ok(Self { socket })
    }

    /// The WebSocket itself.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    /// Carries bytes both ways until both directions have ended.
    ///
    /// # Errors
    /// [`ClientError`]: it broke.
    pub async fn relay(self, stream: TcpStream) -> Result<(), ClientError> {
        // Nothing worse than small packets that wait.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (mut sink, mut source) = self.socket.split();
        let both =
            async { tokio::try_join!(up(reader, &mut sink), down(&mut source, writer)).map(drop) };
        let end = both.await;
        // The other side may be gone, which is as good.
        let _ = tokio::time::timeout(Duration::from_secs(2), sink.close()).await;
        end
    }
}

async fn up(
    mut reader: OwnedReadHalf,
    sink: &mut SplitSink<Socket, Message>,
) -> Result<(), ClientError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = reader.read(&mut buffer).await.map_err(broke)?;
        let message = match count {
            0 => Message::text(EOF),
            count => Message::Binary(Bytes::copy_from_slice(&buffer[..count])),
        };
        sink.send(message).await.map_err(broke)?;
        if count == 0 {
            return Ok(());
        }
    }
}

async fn down(
    source: &mut SplitStream<Socket>,
    mut writer: OwnedWriteHalf,
) -> Result<(), ClientError> {
    while let Some(message) = source.next().await {
        match message.map_err(broke)? {
            Message::Binary(bytes) => writer.write_all(&bytes).await.map_err(broke)?,
            Message::Text(text) if is_eof(&text) => {
                writer.shutdown().await.map_err(broke)?;
                return Ok(());
            }
            Message::Close(frame) => {
                let reason = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                return Err(ClientError::Lost(crate::plain::plain(&reason)));
            }
            _ => {}
        }
    }
    Err(ClientError::Lost("the server hung up".to_owned()))
}

fn is_eof(text: &str) -> bool {
    let read: Result<Value, _> = serde_json::from_str(text);
    read.is_ok_and(|value| value["type"] == "eof")
}

fn broke(error: impl ToString) -> ClientError {
    ClientError::Lost(error.to_string())
}

/// A port of this machine whose connections go out from the agent's.
#[derive(Debug)]
pub struct TcpForward {
    session: SessionClient,
    listener: TcpListener,
    host: String,
    port: u16,
}

impl TcpForward {
    /// Listens.
    ///
    /// # Errors
    /// [`ClientError::Local`]: the port is taken, or may not be had.
    pub async fn bind(
        session: &SessionClient,
        listen: (&str, u16),
        host: &str,
        port: u16,
    ) -> Result<Self, ClientError> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            let (address, port) = listen;
            ClientError::local(format!(
                "cannot listen on {address}:{port}: {error}; choose another port, or 0 for any"
            ))
        })?;
        Ok(Self {
            session: session.clone(),
            listener,
            host: host.to_owned(),
            port,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ClientError::Local`]
    pub fn local_addr(&self) -> Result<SocketAddr, ClientError> {
        let address = self.listener.local_addr();
        address.map_err(|error| ClientError::local(error.to_string()))
    }

    /// Accepts connections until it is dropped; `told` gets what goes wrong with one of them, and none where one
    /// ended well.
    pub async fn run(self, told: impl Fn(SocketAddr, Option<ClientError>)) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(ended) = connections.join_next() => {
                    // A panic of one is none of the others'.
                    if let Ok((peer, end)) = ended {
                        told(peer, end);
                    }
                }
                accepted = self.listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                    let Ok((stream, peer)) = accepted else {
                        tokio::time::sleep(ACCEPT_REST).await;
                        continue;
                    };
                    let (session, host) = (self.session.clone(), self.host.clone());
                    let port = self.port;
                    connections.spawn(async move {
                        let carried = async {
                            TcpTunnel::open(&session, &host, port).await?.relay(stream).await
                        };
                        (peer, carried.await.err())
                    });
                }
            }
        }
    }
}
