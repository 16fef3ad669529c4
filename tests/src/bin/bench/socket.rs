//! A light WebSocket client, the same one for the product's streams and for the bare relay.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fastwebsockets::{Frame, OpCode, Role, WebSocket, WebSocketError};
use gururmm_shared::{StreamMessage, TerminalOutput, TunnelPayload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::pty::Pty;
use crate::relay_agent::END;

/// Pieces of output that are longer are counted, not decoded: a channel's last piece has no text.
const DECODED_BYTES: usize = 1024;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client's side of a WebSocket.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens a WebSocket of an HTTP server.
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self> {
        Self::open_as(address, path, None).await
    }

    /// Opens a WebSocket with a token.
    pub async fn open_as(address: SocketAddr, path: &str, token: Option<&str>) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let authorization = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head belongs to the WebSocket.
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 101"),
            "no WebSocket: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(Self(WebSocket::after_handshake(stream, Role::Client)))
    }

    /// Joins a bare relay, which needs no handshake but a byte that says who this is.
    pub async fn join(relay: SocketAddr, who: u8) -> Result<Self> {
        let mut stream = TcpStream::connect(relay).await?;
        stream.set_nodelay(true)?;
        stream.write_u8(who).await?;
        Ok(Self(WebSocket::after_handshake(stream, Role::Client)))
    }

    /// Joins a terminal's bytes to binary frames, both ways, until the program ends; then says
    /// [`END`] and waits for the other side to go.
    pub async fn relay(self, pty: &Pty) -> Result<()> {
        let (mut reader, mut writer) = self.0.split(tokio::io::split);
        let input = async {
            loop {
                let frame = reader
                    .read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) })
                    .await?;
                match frame.opcode {
                    OpCode::Binary => pty.write_all(&frame.payload).await?,
                    OpCode::Close => return Ok(()),
                    _ => {}
                }
            }
        };
        let output = async {
            let mut buffer = vec![0; 32 * 1024];
            loop {
                let count = pty.read(&mut buffer).await?;
                if count == 0 {
                    let end = Frame::text(END.as_bytes().into());
                    writer.write_frame(end).await?;
                    return std::future::pending::<Result<()>>().await;
                }
                let frame = Frame::binary(buffer[..count].into());
                writer.write_frame(frame).await?;
            }
        };
        tokio::select! {
            result = input => result,
            result = output => result,
        }
    }

    /// Sends a text frame.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        let frame = Frame::text(text.as_bytes().to_vec().into());
        self.0.write_frame(frame).await?;
        Ok(())
    }

    /// Sends a binary frame.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0
            .write_frame(Frame::binary(bytes.to_vec().into()))
            .await?;
        Ok(())
    }

    /// The next frame; none when the other side is gone.
    pub async fn hear(&mut self) -> Result<Option<Frame<'static>>> {
        match self.0.read_frame().await {
            Ok(frame) if frame.opcode == OpCode::Close => Ok(None),
            Ok(frame) => Ok(Some(frame)),
            Err(fastwebsockets::WebSocketError::UnexpectedEOF) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame, where there must be one.
    pub async fn next(&mut self) -> Result<Frame<'static>> {
        let frame = timeout(PATIENCE, self.hear())
            .await
            .context("nothing comes")??;
        frame.context("the other side has closed")
    }

    /// Reads a session's stream to the last piece of a channel, any channel.
    pub async fn ended(&mut self) -> Result<TerminalOutput> {
        loop {
            let frame = self.next().await?;
            if frame.payload.len() > DECODED_BYTES {
                continue;
            }
            match StreamMessage::decode(std::str::from_utf8(&frame.payload)?)? {
                StreamMessage::TunnelData(data) => {
                    if let TunnelPayload::TerminalOutput(output) = data.data
                        && output.is_last()
                    {
                        return Ok(output);
                    }
                }
                StreamMessage::TunnelError(error) => bail!("a channel failed: {}", error.error),
                StreamMessage::SessionClosed(closed) => bail!("closed: {}", closed.reason),
                _ => {}
            }
        }
    }
}
