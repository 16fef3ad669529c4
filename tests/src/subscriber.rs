//! A subscriber of the server's events.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::api::Api;
use crate::wait::SOON;

/// A subscriber's WebSocket.
pub struct Subscriber {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscriber {
    /// Subscribes, with the client's token or, as a browser on the server's own page, with its cookie, and
    /// waits for the first message.
    pub async fn open(api: &Api) -> Self {
        let origin = api.cookie().map(|_| api.base().to_owned());
        let opened = Self::connect(api, origin.as_deref()).await;
        let mut subscriber =
            opened.unwrap_or_else(|status| panic!("the stream was refused with {status}"));
        let hello = subscriber.next().await.expect("the stream says hello");
        assert_eq!(hello["type"], "hello", "{hello}");
        subscriber
    }

    /// Subscribes with any origin.
    ///
    /// # Errors
    /// The HTTP status of a refusal.
    pub async fn connect(api: &Api, origin: Option<&str>) -> Result<Self, u16> {
        let base = api.base().replacen("http", "ws", 1);
        let mut request = format!("{base}/api/events")
            .into_client_request()
            .expect("a URL");
        let headers = request.headers_mut();
        let mut put = |name: &'static str, value: &str| {
            headers.insert(name, value.parse().expect("a header's text"));
        };
        match api.cookie() {
            Some(cookie) => put("cookie", cookie),
            None => put("authorization", &format!("Bearer {}", api.token())),
        }
        if let Some(origin) = origin {
            put("origin", origin);
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
    pub async fn next(&mut self) -> Result<Value, Option<u16>> {
        self.next_within(SOON)
            .await
            .expect("the stream says something in time")
    }

    /// The next message if it comes in time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Result<Value, Option<u16>>> {
        let listen = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).expect("events are JSON"));
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

    /// Skips messages until one of this type fits.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn expect(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Ok(event) if event["type"] == kind && fits(&event) => return event,
                Ok(_) => {}
                Err(code) => panic!("waiting for {kind}, the stream ended with {code:?}"),
            }
        }
    }

    /// Everything that comes until a message of this type fits, that one included.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn until(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let event = self.next().await;
            let event = event.unwrap_or_else(|code| panic!("the stream ended with {code:?}"));
            let last = event["type"] == kind && fits(&event);
            heard.push(event);
            if last {
                return heard;
            }
        }
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
    pub async fn say(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("connected");
    }
}
