//! A light viewer of a terminal over the data plane, on the same socket as the bare relay's.

use std::collections::HashMap;

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

    /// Watches all terminals of a session.
    pub async fn watch_terminals(&self, session: SessionId) -> Result<SessionViewer> {
        Ok(SessionViewer {
            socket: self.watch_plane(session).await?,
            terminals: HashMap::new(),
            ended: 0,
            watched: 0,
            total: 0,
        })
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

/// A viewer of all terminals of a session, which it only reads.
pub struct SessionViewer {
    socket: Socket,
    /// Of each terminal that has not ended: what came and what was granted.
    terminals: HashMap<StreamId, Progress>,
    ended: usize,
    watched: usize,
    total: u64,
}

#[derive(Default)]
struct Progress {
    received: u64,
    granted: u64,
}

impl Progress {
    /// The limit to grant after so many bytes more, once half a window has been used up.
    fn take(&mut self, bytes: usize) -> Option<u64> {
        self.received += bytes as u64;
        let limit = self.received + INITIAL_WINDOW_BYTES;
        let due = limit - self.granted.max(INITIAL_WINDOW_BYTES) >= INITIAL_WINDOW_BYTES / 2;
        due.then(|| {
            self.granted = limit;
            limit
        })
    }
}

impl SessionViewer {
    /// Counts a terminal to those that are waited for.
    pub fn wait_for_one_more(&mut self) {
        self.watched += 1;
    }

    /// Reads until every terminal has ended; the answer is how many bytes came.
    pub async fn drain(mut self) -> Result<u64> {
        while self.ended < self.watched {
            let frame = self.socket.next().await?;
            if frame.opcode == OpCode::Text {
                continue;
            }
            match Frame::decode(Bytes::from(Vec::from(frame.payload)))? {
                Frame::Data { stream, bytes, .. } => {
                    self.total += bytes.len() as u64;
                    let limit = self.terminals.entry(stream).or_default().take(bytes.len());
                    if let Some(limit) = limit {
                        let window = Frame::Window { stream, limit };
                        self.socket.send(&window.encode()).await?;
                    }
                }
                Frame::Eof { .. } => self.ended += 1,
                Frame::Reset { reason, .. } => bail!("a terminal was cut off: {reason}"),
                Frame::Window { .. } => {}
            }
        }
        Ok(self.total)
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
