//! A viewer of a session's stream.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{
    ChannelId, EndReason, OutputGap, SessionClosed, SessionId, SessionSnapshot, StreamMessage,
    TerminalOutput, TunnelData, TunnelPayload, ViewerMessage,
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::api::{Api, text};
use crate::wait::SOON;

/// A viewer's WebSocket.
pub struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// All that a channel printed, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// Why it ended, where not by itself.
    pub reason: Option<EndReason>,
    /// How many pieces with text it came in.
    pub pieces: usize,
    /// What was no longer kept.
    pub gap: Option<OutputGap>,
}

impl Viewer {
    /// Gets a ticket and opens the stream.
    pub async fn open(api: &Api, session: SessionId) -> Self {
        Self::open_from(api, session, None).await
    }

    /// Opens the stream from an offset.
    pub async fn open_from(api: &Api, session: SessionId, from: Option<u64>) -> Self {
        let ticket = ticket(api, session).await;
        let from = from.map_or_else(String::new, |from| format!("&from={from}"));
        let query = format!("ticket={ticket}{from}");
        Self::connect(api, session, &query, None)
            .await
            .unwrap_or_else(|status| panic!("the stream was refused with {status}"))
    }

    /// Opens the stream with any query and origin.
    ///
    /// # Errors
    /// The HTTP status of a refusal.
    pub async fn connect(
        api: &Api,
        session: SessionId,
        query: &str,
        origin: Option<&str>,
    ) -> Result<Self, u16> {
        let base = api.base().replacen("http", "ws", 1);
        let url = format!("{base}/api/v1/tunnel/{session}/stream?{query}");
        let mut request = url.into_client_request().expect("a URL");
        if let Some(origin) = origin {
            let value = origin.parse().expect("a header's text");
            request.headers_mut().insert("origin", value);
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no answer to the upgrade: {error}"),
        }
    }

    /// The next message; `Err` with the close code when the stream has ended.
    ///
    /// # Errors
    /// The close code.
    ///
    /// # Panics
    /// When nothing comes for long.
    pub async fn next(&mut self) -> Result<StreamMessage, Option<u16>> {
        self.next_within(SOON)
            .await
            .expect("the stream says something in time")
    }

    /// The next message if it comes in time.
    pub async fn next_within(
        &mut self,
        limit: Duration,
    ) -> Option<Result<StreamMessage, Option<u16>>> {
        let listen = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message = StreamMessage::decode(&text);
                        return Ok(message.unwrap_or_else(|error| panic!("{error}: {text}")));
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(frame.map(|frame| u16::from(frame.code)));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(None),
                }
            }
        };
        tokio::time::timeout(limit, listen).await.ok()
    }

    /// Skips messages until `pick` takes one.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&StreamMessage) -> Option<T>,
    ) -> T {
        loop {
            match self.next().await {
                Ok(message) => {
                    if let Some(found) = pick(&message) {
                        return found;
                    }
                }
                Err(code) => panic!("waiting for {what}, the stream ended with {code:?}"),
            }
        }
    }

    /// Waits for `session`, the first message.
    pub async fn session(&mut self) -> SessionSnapshot {
        self.expect("session", |message| match message {
            StreamMessage::Session(snapshot) => Some(snapshot.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the next piece of output of a channel.
    pub async fn piece(&mut self, channel: &str) -> TerminalOutput {
        self.expect("output", |message| match message {
            StreamMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::TerminalOutput(output),
            }) if channel_id.as_str() == channel => Some(output.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the error of a channel.
    pub async fn error(&mut self, channel: &str) -> String {
        self.expect("tunnel_error", |message| match message {
            StreamMessage::TunnelError(error) if error.channel_id.as_str() == channel => {
                Some(error.error.clone())
            }
            _ => None,
        })
        .await
    }

    /// Reads a channel to its end.
    pub async fn output(&mut self, channel: &str) -> Output {
        let mut all = Output::default();
        self.expect("the end of the channel", |message| {
            match message {
                StreamMessage::OutputGap(gap) if gap.channel_id.as_str() == channel => {
                    all.gap = Some(gap.clone());
                }
                StreamMessage::TunnelError(error) if error.channel_id.as_str() == channel => {
                    panic!("the channel failed: {}", error.error);
                }
                StreamMessage::TunnelData(TunnelData {
                    channel_id,
                    data: TunnelPayload::TerminalOutput(output),
                }) if channel_id.as_str() == channel => {
                    all.pieces += usize::from(!output.is_empty());
                    all.stdout += &output.stdout;
                    all.stderr += &output.stderr;
                    all.exit_code = output.exit_code;
                    all.reason = output.reason;
                    return output.is_last().then_some(());
                }
                _ => {}
            }
            None
        })
        .await;
        all
    }

    /// Reads to `session_closed` and the close after it; answers both.
    pub async fn closed(&mut self) -> (SessionClosed, Option<u16>) {
        let last = self
            .expect("session_closed", |message| match message {
                StreamMessage::SessionClosed(closed) => Some(closed.clone()),
                _ => None,
            })
            .await;
        (last, self.close_code().await)
    }

    /// Reads to the end of the stream; answers the close code.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Says something.
    pub async fn send(&mut self, message: &ViewerMessage) {
        self.send_text(&message.encode()).await;
    }

    /// Says something about a channel.
    pub async fn send_data(&mut self, channel: &str, data: TunnelPayload) {
        let channel_id = ChannelId::try_from(channel.to_owned()).expect("a channel's name");
        self.send(&ViewerMessage::TunnelData(TunnelData { channel_id, data }))
            .await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("connected");
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn try_send(&mut self, message: Message) -> anyhow::Result<()> {
        Ok(self.socket.send(message).await?)
    }

    /// Closes the stream, saying so.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }
}

/// Gets a ticket for a stream.
pub async fn ticket(api: &Api, session: SessionId) -> String {
    let path = format!("/api/v1/tunnel/{session}/ticket");
    let answer = api.post(&path, json!({})).await.expect(201);
    text(&answer, "ticket").to_owned()
}
