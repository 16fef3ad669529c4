//! A TCP connection from a machine as its WebSocket shows it, message by message.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gururmm_shared::SessionId;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::api::Api;
use crate::wait::SOON;

/// The end of one way.
pub const EOF: &str = r#"{"type":"eof"}"#;

/// A connection.
pub struct TcpChannel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What is said on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Some bytes.
    Bytes(Bytes),
    /// No more come.
    Eof,
    /// The WebSocket was closed, with this code and reason; 0 without one.
    Closed(u16, String),
}

/// Who asks for one.
#[derive(Debug, Clone, Copy)]
pub enum Pass<'a> {
    /// With the token in a header.
    Authorization,
    /// With a ticket.
    Ticket(&'a str),
    /// Without either.
    Nothing,
}

impl TcpChannel {
    /// Connects to a port of the machine itself.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(api: &Api, session: SessionId, to: SocketAddr) -> Self {
        let target = (to.ip().to_string(), to.port());
        Self::connect(
            api,
            session,
            (&target.0, target.1),
            Pass::Authorization,
            None,
        )
        .await
        .unwrap_or_else(|(status, body)| panic!("refused with {status}: {body}"))
    }

    /// Asks for any target.
    ///
    /// # Errors
    /// The status and the body of a refusal.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn connect(
        api: &Api,
        session: SessionId,
        (host, port): (&str, u16),
        pass: Pass<'_>,
        origin: Option<&str>,
    ) -> Result<Self, (u16, Value)> {
        let base = api.base().replacen("http", "ws", 1);
        let mut query = vec![("host", host.to_owned()), ("port", port.to_string())];
        if let Pass::Ticket(ticket) = pass {
            query.push(("ticket", ticket.to_owned()));
        }
        let url = format!("{base}/api/v1/tunnel/{session}/tcp");
        let url = reqwest::Url::parse_with_params(&url, query).expect("a URL");
        let mut request = url.as_str().into_client_request().expect("a URL");
        let headers = request.headers_mut();
        if let Pass::Authorization = pass {
            let value = format!("Bearer {}", api.token());
            headers.insert("authorization", value.parse().expect("a header's text"));
        }
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().expect("a header's text"));
        }
        let connecting = tokio::time::timeout(SOON, tokio_tungstenite::connect_async(request));
        match connecting.await.expect("an answer in time") {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or_default();
                Err((response.status().as_u16(), body))
            }
            Err(error) => panic!("no answer to the upgrade: {error}"),
        }
    }

    /// Sends bytes in one message.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) {
        let sent = self.socket.send(Message::Binary(bytes.into())).await;
        sent.expect("connected");
    }

    /// Sends bytes in one message, where the server may close before it has all of them.
    pub async fn try_send(&mut self, bytes: impl Into<Bytes>) {
        // Why it closes comes with the next thing that it says.
        let _ = self.socket.send(Message::Binary(bytes.into())).await;
    }

    /// Sends a text.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send_text(&mut self, text: &str) {
        let sent = self.socket.send(Message::text(text)).await;
        sent.expect("connected");
    }

    /// Says that no more bytes come.
    pub async fn finish(&mut self) {
        self.send_text(EOF).await;
    }

    /// The next thing that is said.
    ///
    /// # Panics
    /// When nothing is said for long, or something that is none of [`Said`].
    pub async fn next(&mut self) -> Said {
        loop {
            let next = tokio::time::timeout(SOON * 2, self.socket.next()).await;
            match next.expect("something is said in time") {
                Some(Ok(Message::Binary(bytes))) => return Said::Bytes(bytes),
                Some(Ok(Message::Text(text))) => {
                    assert_eq!(text.as_str(), EOF);
                    return Said::Eof;
                }
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((0, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Said::Closed(code, reason);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Said::Closed(0, String::new()),
            }
        }
    }

    /// Reads this many bytes.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Said::Bytes(bytes) => all.extend_from_slice(&bytes),
                other => panic!("{} of {count} bytes, then {other:?}", all.len()),
            }
        }
        all
    }

    /// Reads until the machine's side has ended.
    ///
    /// # Panics
    /// When the connection is closed before.
    pub async fn read_to_eof(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Said::Bytes(bytes) => all.extend_from_slice(&bytes),
                Said::Eof => return all,
                Said::Closed(code, reason) => panic!("closed with {code}: {reason}"),
            }
        }
    }

    /// Reads until the WebSocket is closed; answers the code and the reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Said::Closed(code, reason) = self.next().await {
                return (code, reason);
            }
        }
    }

    /// Its two ways, each for a task of its own.
    pub fn split(
        self,
    ) -> (
        impl futures_util::Sink<Message, Error = Error> + Unpin + Send,
        impl futures_util::Stream<Item = Result<Message, Error>> + Unpin + Send,
    ) {
        self.socket.split()
    }
}
