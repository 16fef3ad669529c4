//! An HTTP request written by hand, by a client that is slow or hangs up.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::Api;
use crate::wait::SOON;

/// A request on a connection of its own.
pub struct HeldRequest {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl HeldRequest {
    /// Sends a whole request and waits for nothing.
    pub async fn send(api: &Api, method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let mut request = Self::connect(api).await;
        let head = head(api, method, path, body.len(), "");
        request.write(format!("{head}{body}").as_bytes()).await;
        request
    }

    /// Sends the head and half of the body, and waits until the server has asked for the body.
    pub async fn begin(api: &Api, method: &str, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let mut request = Self::connect(api).await;
        let head = head(api, method, path, body.len(), "Expect: 100-continue\r\n");
        request.write(head.as_bytes()).await;
        let asked = request.read_head().await;
        assert!(asked.starts_with("HTTP/1.1 100"), "{asked}");
        let (first, rest) = body.as_bytes().split_at(body.len() / 2);
        request.write(first).await;
        request.rest = rest.to_vec();
        request
    }

    /// Sends the rest of the body; answers the status and the body of the answer.
    pub async fn finish(mut self) -> (u16, Value) {
        let rest = std::mem::take(&mut self.rest);
        self.write(&rest).await;
        let head = self.read_head().await;
        let status = head.split(' ').nth(1).expect("a status line");
        let status = status.parse().expect("a status is a number");
        let mut body = Vec::new();
        within(self.stream.read_to_end(&mut body)).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Ends the connection, and waits until the server has let go of it too.
    pub async fn hang_up(mut self) {
        self.stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = within(self.stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty(), "it was answered in time: {answer}");
    }

    async fn connect(api: &Api) -> Self {
        let address = api.base().trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.stream.read_u8()).await.expect("an answer"));
        }
        String::from_utf8_lossy(&head).into_owned()
    }
}

fn head(api: &Api, method: &str, path: &str, length: usize, more: &str) -> String {
    let host = api.base().trim_start_matches("http://");
    let token = api.token();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\
         Connection: close\r\n\r\n"
    )
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit: Duration = SOON;
    tokio::time::timeout(limit, work)
        .await
        .expect("the server goes on in time")
}
