//! An agent of the tests' own: a WebSocket client that says what it is told to, right or wrong,
//! and light enough that thousands of them fit into one process.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{
    AgentMessage, Auth, AuthAck, ChannelId, ErrorReply, OsInfo, OutputWindow, ServerMessage,
    SessionId, Terminal, TerminalOutput, TunnelData, TunnelPayload, TunnelReady,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::wait::SOON;

/// What came from the server.
#[derive(Debug, Clone)]
pub enum Heard {
    /// A message of the protocol.
    Message(ServerMessage),
    /// Text that is no message of the protocol.
    Text(String),
    /// The connection ended, with a close code and reason where the server gave one.
    Closed(Option<(u16, String)>),
}

/// A connection to `/ws`.
pub struct RawAgent {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The id of the device that it says it is.
    pub device_id: String,
}

impl RawAgent {
    /// Connects, and says nothing yet.
    pub async fn connect(url: &str) -> Self {
        Self::try_connect(url).await.expect("the server accepts")
    }

    /// Connects, where the server may not be there.
    ///
    /// # Errors
    /// When there is no WebSocket at the URL.
    pub async fn try_connect(url: &str) -> anyhow::Result<Self> {
        let (socket, _) =
            tokio_tungstenite::connect_async_with_config(url, Some(config()), true).await?;
        Ok(Self::new(socket))
    }

    /// Connects from another address of the loopback network.
    pub async fn connect_from(address: IpAddr, server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        let stream = socket.connect(server).await.expect("it listens");
        let stream = MaybeTlsStream::Plain(stream);
        let url = format!("ws://{server}/ws");
        let (socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(config()))
            .await
            .expect("the server accepts");
        Self::new(socket)
    }

    fn new(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self {
            socket,
            device_id: format!("raw-device-{}", uuid::Uuid::new_v4()),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &AgentMessage) {
        self.send_text(&message.encode()).await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) {
        self.try_send(Message::text(text)).await.expect("connected");
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn try_send(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(self.socket.send(message).await?)
    }

    /// What comes next; pings of the WebSocket are answered on the way.
    ///
    /// # Panics
    /// When nothing comes for long.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(SOON)
            .await
            .expect("the server says something in time")
    }

    /// What comes next, if it comes in time.
    pub async fn hear_within(&mut self, limit: Duration) -> Option<Heard> {
        let listen = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return ServerMessage::decode(&text)
                            .map_or_else(|_| Heard::Text(text.to_string()), Heard::Message);
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let said = frame.map(|f| (u16::from(f.code), f.reason.to_string()));
                        return Heard::Closed(said);
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Heard::Closed(None),
                }
            }
        };
        let heard = tokio::time::timeout(limit, listen).await.ok()?;
        if let Heard::Closed(Some(_)) = heard {
            // Polling on lets the library answer the close.
            let rest = async { while let Some(Ok(_)) = self.socket.next().await {} };
            let _ = tokio::time::timeout(SOON, rest).await;
        }
        Some(heard)
    }

    /// Skips what comes until `pick` takes something.
    ///
    /// # Panics
    /// When the connection ends before, or nothing fitting comes in time.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&ServerMessage) -> Option<T>,
    ) -> T {
        loop {
            match self.hear().await {
                Heard::Message(message) => {
                    if let Some(found) = pick(&message) {
                        return found;
                    }
                }
                Heard::Text(text) => panic!("waiting for {what}, got no message: {text}"),
                Heard::Closed(said) => panic!("waiting for {what}, closed with {said:?}"),
            }
        }
    }

    /// Skips what comes until the connection ends; answers the close code and reason.
    ///
    /// # Panics
    /// When it ends without a close frame, or not in time.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            if let Heard::Closed(said) = self.hear().await {
                return said.expect("the server says why it closes");
            }
        }
    }

    /// Skips what comes until the connection ends; answers the close code, where one came.
    pub async fn closed_with(&mut self) -> Option<u16> {
        loop {
            if let Heard::Closed(said) = self.hear().await {
                return said.map(|(code, _)| code);
            }
        }
    }

    /// Waits for an `error` message.
    pub async fn expect_error(&mut self) -> ErrorReply {
        self.expect("error", |message| match message {
            ServerMessage::Error(error) => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// An `auth` of this protocol for this device.
    #[must_use]
    pub fn auth(&self, key: &str) -> Auth {
        Auth {
            api_key: key.to_owned(),
            hostname: "raw-agent".to_owned(),
            os_info: Some(OsInfo::Parts {
                family: "linux".to_owned(),
                name: "Test OS".to_owned(),
                version: "1".to_owned(),
                arch: "x86_64".to_owned(),
            }),
            version: Some("0.1.0".to_owned()),
            device_id: Some(self.device_id.clone()),
            protocol: Some(gururmm_shared::PROTOCOL),
            capabilities: vec![gururmm_shared::CAPABILITY_OUTPUT_WINDOW.to_owned()],
            ..Auth::default()
        }
    }

    /// Authenticates and waits for the answer.
    pub async fn authenticate(&mut self, auth: Auth) -> AuthAck {
        self.send(&AgentMessage::Auth(auth)).await;
        self.expect("auth_ack", |message| match message {
            ServerMessage::AuthAck(ack) => Some(ack.clone()),
            _ => None,
        })
        .await
    }

    /// Authenticates as the device with a site's code or a key.
    pub async fn enrol(&mut self, key: &str) -> AuthAck {
        let auth = self.auth(key);
        self.authenticate(auth).await
    }

    /// Authenticates in vain: answers the error's code, the close code having been `close`.
    pub async fn refused(&mut self, auth: Auth, close: u16) -> String {
        self.send(&AgentMessage::Auth(auth)).await;
        let error = self.expect_error().await;
        let (code, reason) = self.expect_close().await;
        assert_eq!(code, close, "{reason}");
        error.code
    }

    /// Waits for `tunnel_open`.
    pub async fn tunnel_open(&mut self) -> SessionId {
        self.expect("tunnel_open", |message| match message {
            ServerMessage::TunnelOpen(open) => Some(open.session_id),
            _ => None,
        })
        .await
    }

    /// Waits for `tunnel_close`.
    pub async fn tunnel_close(&mut self) -> SessionId {
        self.expect("tunnel_close", |message| match message {
            ServerMessage::TunnelClose(close) => Some(close.session_id),
            _ => None,
        })
        .await
    }

    /// Says that the machine is in tunnel mode.
    pub async fn ready(&mut self, session_id: SessionId) {
        self.send(&AgentMessage::TunnelReady(TunnelReady {
            session_id,
            consent: None,
        }))
        .await;
    }

    /// Waits for a command in a tunnel.
    pub async fn terminal(&mut self) -> (ChannelId, Terminal) {
        self.expect("a terminal command", |message| match message {
            ServerMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Terminal(terminal),
            }) => Some((channel_id.clone(), terminal.clone())),
            _ => None,
        })
        .await
    }

    /// Waits for more window for a channel.
    pub async fn window(&mut self, channel: &ChannelId) -> OutputWindow {
        self.expect("window", |message| match message {
            ServerMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Window(window),
            }) if channel_id == channel => Some(*window),
            _ => None,
        })
        .await
    }

    /// Sends a piece of output.
    pub async fn output(&mut self, channel_id: &ChannelId, output: TerminalOutput) {
        self.send(&AgentMessage::TunnelData(TunnelData {
            channel_id: channel_id.clone(),
            data: TunnelPayload::TerminalOutput(output),
        }))
        .await;
    }

    /// Closes the connection, saying so.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
}
