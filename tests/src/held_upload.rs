//! An upload whose bytes come when the test says so, by a client that may break off at any of them.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::Api;
use crate::wait::SOON;

/// An upload on a connection of its own.
pub struct HeldUpload {
    stream: TcpStream,
}

impl HeldUpload {
    /// Sends the head of a `PUT` whose body will have `length` bytes.
    ///
    /// # Panics
    /// When the server does not listen.
    pub async fn begin(api: &Api, path: &str, length: usize) -> Self {
        let address = api.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n",
            api.token()
        );
        stream.write_all(head.as_bytes()).await.expect("connected");
        Self { stream }
    }

    /// Sends some of the body.
    ///
    /// # Panics
    /// When the server takes nothing for long.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = tokio::time::timeout(SOON * 3, self.stream.write_all(bytes)).await;
        sent.expect("the server takes it in time")
            .expect("connected");
    }

    /// Hangs up in the middle, without a word.
    pub fn cut(self) {
        drop(self.stream);
    }

    /// Reads the answer; none where the connection ended without one.
    ///
    /// # Panics
    /// When the connection stays open for long.
    pub async fn answer(mut self) -> Option<(u16, Value)> {
        let mut answer = Vec::new();
        // A reset is an end as well.
        let read = tokio::time::timeout(SOON * 3, self.stream.read_to_end(&mut answer)).await;
        let _ = read.expect("an answer or an end in time");
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    }
}
