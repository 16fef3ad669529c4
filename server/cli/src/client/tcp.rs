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
use tokio::sync::oneshot;
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
        let (sent_all, all_sent) = oneshot::channel();
        let upwards = async {
            up(reader, &mut sink).await?;
            // Nobody waits for it where the other half has failed.
            let _ = sent_all.send(());
            Ok(())
        };
        let end = tokio::try_join!(upwards, down(&mut source, writer, all_sent)).map(drop);
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

/// Reads until both directions have ended: a socket that is not read answers no ping.
async fn down(
    source: &mut SplitStream<Socket>,
    mut writer: OwnedWriteHalf,
    mut all_sent: oneshot::Receiver<()>,
) -> Result<(), ClientError> {
    let mut ended = false;
    loop {
        let message = tokio::select! {
            biased;
            message = source.next() => message,
            _ = &mut all_sent, if ended => return Ok(()),
        };
        match message.transpose().map_err(broke)? {
            Some(Message::Binary(bytes)) => writer.write_all(&bytes).await.map_err(broke)?,
            Some(Message::Text(text)) if is_eof(&text) => {
                // Where the program here has hung up nothing is left to be told.
                let _ = writer.shutdown().await;
                ended = true;
            }
            Some(Message::Close(_)) | None if ended => return Ok(()),
            Some(Message::Close(frame)) => {
                let reason = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                return Err(ClientError::Lost(crate::plain::plain(&reason)));
            }
            None => return Err(ClientError::Lost("the server hung up".to_owned())),
            Some(_) => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, Trust};
    use gururmm_shared::SessionId;

    #[tokio::test]
    async fn each_direction_of_a_forwarded_connection_ends_by_itself() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        let client = Client::new(address.parse().unwrap(), Trust::new(None).unwrap()).unwrap();
        let session = SessionClient::of(&client.with_token("t"), SessionId::generate());
        let forward = TcpForward::bind(&session, ("127.0.0.1", 0), "db", 5432)
            .await
            .unwrap();
        let mut local = TcpStream::connect(forward.local_addr().unwrap())
            .await
            .unwrap();
        tokio::spawn(forward.run(|_, _| ()));
        let (stream, _) = server.accept().await.unwrap();
        let mut peer = tokio_tungstenite::accept_async(stream).await.unwrap();
        local.write_all(b"question").await.unwrap();
        local.shutdown().await.unwrap();
        let first = peer.next().await.unwrap().unwrap();
        assert_eq!(first, Message::Binary(Bytes::from_static(b"question")));
        let second = peer.next().await.unwrap().unwrap();
        assert_eq!(second, Message::text(EOF));
        let answer = Message::Binary(Bytes::from_static(b"answer"));
        peer.send(answer).await.unwrap();
        peer.send(Message::text(EOF)).await.unwrap();
        let mut all = Vec::new();
        local.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"answer");
    }
}
