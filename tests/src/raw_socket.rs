//! A WebSocket written byte by byte, for what no library would send (RFC 6455 section 5.2).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::SOON;

/// Opcode of a continuation frame.
pub const CONTINUATION: u8 = 0x0;
/// Opcode of a text frame.
pub const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
/// Opcode of a ping.
pub const PING: u8 = 0x9;
/// Opcode of a pong.
pub const PONG: u8 = 0xa;

/// A connection that has been upgraded to a WebSocket.
pub struct RawSocket {
    stream: TcpStream,
}

impl RawSocket {
    /// Connects to `/ws` and upgrades.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer to the upgrade"));
        }
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self { stream }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the server has closed.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Writes a frame whose header tells the truth.
    ///
    /// # Errors
    /// When the server has closed.
    pub async fn frame(&mut self, last: bool, opcode: u8, body: &[u8]) -> std::io::Result<()> {
        let mut bytes = header(last, opcode, body.len() as u64);
        bytes.extend_from_slice(body);
        self.write(&bytes).await
    }

    /// Reads until the server's close frame; answers its code, `None` where the connection ended
    /// without one.
    ///
    /// # Panics
    /// When the connection stays open for long.
    pub async fn close_code(&mut self) -> Option<u16> {
        self.close_code_within(SOON).await
    }

    /// The same with a limit of time.
    ///
    /// # Panics
    /// When the connection stays open for longer.
    pub async fn close_code_within(&mut self, limit: Duration) -> Option<u16> {
        tokio::time::timeout(limit, async {
            loop {
                let (opcode, body) = self.read_frame().await.ok()?;
                if opcode == CLOSE {
                    return Some(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
                }
            }
        })
        .await
        .expect("the server closes the connection in time")
    }

    async fn read_frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let opcode = self.stream.read_u8().await? & 0x0f;
        let length = match self.stream.read_u8().await? & 0x7f {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut body = vec![0; usize::try_from(length).expect("the server sends small frames")];
        self.stream.read_exact(&mut body).await?;
        Ok((opcode, body))
    }
}

/// The header of a masked frame that claims a body of `length` bytes. The mask is zero, which
/// leaves the body as it is.
#[must_use]
pub fn header(last: bool, opcode: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![if last { 0x80 | opcode } else { opcode }];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => bytes.push(0x80 | short),
        (_, Ok(middle)) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}
