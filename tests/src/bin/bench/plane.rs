//! A light viewer of a terminal over the data plane, on the same socket as the bare relay's.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use fastwebsockets::OpCode;
use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{Frame, SessionId, StreamId, StreamMessage};
use gururmm_tests::viewer::ticket;
use serde_json::json;

use crate::socket::Socket;
use crate::stage::Stage;

/// A viewer that looks at one terminal.
pub struct TerminalViewer {
    socket: Socket,
    stream: StreamId,
    sent: u64,
    received: u64,
    granted: u64,
}

impl Stage {
    /// Starts `/bin/sh -c command` under a terminal and watches it.
    pub async fn terminal(&self, session: SessionId, command: &str) -> Result<TerminalViewer> {
        let mut socket = self.watch_plane(session).await?;
        let stream = self.start_terminal(session, command).await?;
        loop {
            let frame = socket.next().await?;
            if frame.opcode == OpCode::Text
                && let StreamMessage::TerminalOpened(opened) =
                    StreamMessage::decode(std::str::from_utf8(&frame.payload)?)?
                && opened.stream == stream
            {
                return Ok(TerminalViewer {
                    socket,
                    stream,
                    sent: 0,
                    received: opened.offset,
                    granted: opened.offset + INITIAL_WINDOW_BYTES,
                });
            }
        }
    }

    /// Starts `/bin/sh -c command` under a terminal.
    pub async fn start_terminal(&self, session: SessionId, command: &str) -> Result<StreamId> {
        let body = json!({"shell": "sh", "arguments": ["-c", command], "cols": 80, "rows": 24});
        let path = format!("/api/v1/tunnel/{session}/terminal");
        let opened = self.api.post(&path, body).await.expect(201);
        let stream = opened["stream"].as_u64().context("a stream")?;
        Ok(StreamId(u32::try_from(stream)?))
    }

    /// Opens a session's stream with the data plane.
    pub async fn watch_plane(&self, session: SessionId) -> Result<Socket> {
        let ticket = ticket(&self.api, session).await;
        let path = format!("/api/v1/tunnel/{session}/stream?ticket={ticket}&protocol=2");
        Socket::open(self.server.address(), &path).await
    }
}

impl TerminalViewer {
    /// Types.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let frame = Frame::Data {
            stream: self.stream,
            offset: self.sent,
            bytes: Bytes::copy_from_slice(bytes),
        };
        self.sent += bytes.len() as u64;
        self.socket.send(&frame.encode()).await
    }

    /// Reads what comes next, and gives credit for it; none after the last byte.
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = self.socket.next().await?;
            if frame.opcode == OpCode::Text {
                let text = std::str::from_utf8(&frame.payload)?;
                if let StreamMessage::TerminalClosed(_) | StreamMessage::SessionClosed(_) =
                    StreamMessage::decode(text)?
                {
                    return Ok(None);
                }
                continue;
            }
            match Frame::decode(Bytes::from(Vec::from(frame.payload)))? {
                Frame::Data {
                    stream,
                    offset,
                    bytes,
                } if stream == self.stream => {
                    anyhow::ensure!(offset == self.received, "a gap at {offset}");
                    self.received += bytes.len() as u64;
                    self.grant().await?;
                    return Ok(Some(bytes));
                }
                Frame::Eof { stream, .. } if stream == self.stream => return Ok(None),
                Frame::Reset { reason, .. } => bail!("the terminal was cut off: {reason}"),
                _ => {}
            }
        }
    }

    async fn grant(&mut self) -> Result<()> {
        let limit = self.received + INITIAL_WINDOW_BYTES;
        if limit - self.granted < INITIAL_WINDOW_BYTES / 2 {
            return Ok(());
        }
        self.granted = limit;
        let window = Frame::Window {
            stream: self.stream,
            limit,
        };
        self.socket.send(&window.encode()).await
    }
}
