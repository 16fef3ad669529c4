//! An agent of the tests' own that has terminals: each says who it is, and writes what is typed. It is light enough
//! that many of them fit into one process.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{
    AgentId, AgentMessage, Auth, CAPABILITY_DATA_PLANE, CAPABILITY_TERMINAL, ChannelId, Closed,
    Frame, OpenChannel, Opened, ServerMessage, StreamId, TunnelClosed, TunnelData, TunnelPayload,
    TunnelReady,
};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A running echo agent; dropping it drops its connection.
pub struct EchoAgent {
    /// Its id.
    pub id: AgentId,
    task: JoinHandle<()>,
}

impl EchoAgent {
    /// Connects one and enrols it with a site's code.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn start(url: &str, code: &str) -> Self {
        let (mut socket, _) = tokio_tungstenite::connect_async(url)
            .await
            .expect("the server accepts");
        let auth = AgentMessage::Auth(Auth {
            api_key: code.to_owned(),
            hostname: "echo-agent".to_owned(),
            version: Some("0.1.0".to_owned()),
            device_id: Some(format!("echo-device-{}", uuid::Uuid::new_v4())),
            protocol: Some(gururmm_shared::PROTOCOL),
            capabilities: [CAPABILITY_DATA_PLANE, CAPABILITY_TERMINAL]
                .map(str::to_owned)
                .to_vec(),
            ..Auth::default()
        });
        let sent = socket.send(Message::text(auth.encode())).await;
        sent.expect("connected");
        let id = loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(ServerMessage::AuthAck(ack)) = ServerMessage::decode(&text) {
                        break ack.agent_id.expect("auth_ack tells the agent's id");
                    }
                }
                Some(Ok(_)) => {}
                other => panic!("not enrolled: {other:?}"),
            }
        };
        let served = Served {
            socket,
            name: id.to_string(),
            terminals: BTreeMap::new(),
        };
        let task = tokio::spawn(served.serve());
        Self { id, task }
    }
}

impl Drop for EchoAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Echo {
    channel: ChannelId,
    stream: ByteStream,
    waiting: VecDeque<Bytes>,
}

struct Served {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    name: String,
    terminals: BTreeMap<StreamId, Echo>,
}

impl Echo {
    /// Takes a frame and writes what there is to write, as far as it may.
    fn step(&mut self, frame: Option<Frame>) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        frames.extend(frame.and_then(|frame| self.stream.on_frame(frame)));
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(Some(bytes))) = self.stream.poll_recv(&mut context) {
            self.waiting.push_back(bytes);
        }
        while let room @ 1.. = self.stream.room_now()
            && let Some(mut bytes) = self.waiting.pop_front()
        {
            if bytes.len() > room {
                self.waiting.push_front(bytes.split_off(room));
            }
            frames.extend(self.stream.send(bytes));
        }
        if self.waiting.is_empty() {
            frames.extend(self.stream.consumed());
        }
        frames
    }
}

impl Served {
    async fn serve(mut self) {
        while let Some(Ok(item)) = self.socket.next().await {
            let said = match item {
                Message::Text(text) => match ServerMessage::decode(&text) {
                    Ok(message) => self.on_message(message).await,
                    Err(_) => Ok(()),
                },
                Message::Binary(bytes) => self.on_frame(bytes).await,
                _ => Ok(()),
            };
            if said.is_err() {
                return;
            }
        }
    }

    async fn on_message(&mut self, message: ServerMessage) -> anyhow::Result<()> {
        match message {
            ServerMessage::TunnelOpen(open) => {
                let session_id = open.session_id;
                self.say(AgentMessage::TunnelReady(TunnelReady {
                    session_id,
                    consent: None,
                }))
                .await
            }
            ServerMessage::TunnelClose(close) => {
                self.terminals.clear();
                self.say(AgentMessage::TunnelClosed(TunnelClosed {
                    session_id: close.session_id,
                    reason: String::new(),
                    consent: None,
                }))
                .await
            }
            ServerMessage::TunnelData(data) => match data.data {
                TunnelPayload::Open(open) => self.open(data.channel_id, &open).await,
                TunnelPayload::Close => self.close(data.channel_id).await,
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    async fn open(&mut self, channel: ChannelId, open: &OpenChannel) -> anyhow::Result<()> {
        let stream = ByteStream::new(open.stream, INITIAL_WINDOW_BYTES, open.window, 0);
        let opened = Opened {
            window: INITIAL_WINDOW_BYTES,
            program: Some("echo".to_owned()),
            ..Opened::default()
        };
        self.say_of(&channel, TunnelPayload::Opened(opened)).await?;
        let echo = Echo {
            channel,
            stream,
            waiting: [Bytes::from(format!("{}\n", self.name))].into(),
        };
        self.terminals.insert(open.stream, echo);
        self.echo(open.stream, None).await
    }

    async fn close(&mut self, channel: ChannelId) -> anyhow::Result<()> {
        let found = self.terminals.iter().find(|(_, it)| it.channel == channel);
        let Some(stream) = found.map(|(stream, _)| *stream) else {
            return Ok(());
        };
        if let Some(eof) = self
            .terminals
            .remove(&stream)
            .and_then(|echo| echo.stream.finish())
        {
            self.send(eof).await?;
        }
        let closed = Closed {
            exit_code: Some(0),
            ..Closed::default()
        };
        self.say_of(&channel, TunnelPayload::Closed(closed)).await
    }

    async fn on_frame(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        let frame = Frame::decode(bytes)?;
        self.echo(frame.stream(), Some(frame)).await
    }

    async fn echo(&mut self, stream: StreamId, frame: Option<Frame>) -> anyhow::Result<()> {
        let Some(echo) = self.terminals.get_mut(&stream) else {
            return Ok(());
        };
        for frame in echo.step(frame) {
            self.send(frame).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: Frame) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::Binary(frame.encode())).await?)
    }

    async fn say(&mut self, message: AgentMessage) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(message.encode())).await?)
    }

    async fn say_of(&mut self, channel: &ChannelId, data: TunnelPayload) -> anyhow::Result<()> {
        let channel_id = channel.clone();
        self.say(AgentMessage::TunnelData(TunnelData { channel_id, data }))
            .await
    }
}
