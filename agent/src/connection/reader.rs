//! The reading half: decodes and hands every message to the task whose business it is, and every frame
//! to its stream, past all queues.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use gururmm_shared::{AgentMessage, DecodeError, Frame, FrameError, ServerMessage, close_code};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::inbound;
use super::outbox::Outbox;
use super::parting::Parting;
use super::peers::Peers;
use crate::commands::dispatcher;
use crate::machine;
use crate::state::Event;

/// For the answer to the server's close frame to go out, or for the server's to ours.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The reader of one connection.
pub struct Reader<'a> {
    /// Who gets what is read.
    pub peers: &'a Peers,
    /// The way out, for answers that need nobody else.
    pub outbox: &'a Outbox,
    /// A connection on which nothing came for so long is dead.
    pub idle_timeout: Duration,
}

impl Reader<'_> {
    /// Reads until the connection is lost or closed.
    pub async fn read(
        &self,
        mut stream: impl Stream<Item = Result<Message, Error>> + Unpin,
    ) -> Parting {
        loop {
            let message = match timeout(self.idle_timeout, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Parting::Lost(error.to_string()),
                Ok(None) => return Parting::Lost("the connection has ended".to_owned()),
                Err(_) => return Parting::Lost("nothing came from the server".to_owned()),
            };
            match message {
                Message::Text(text) => {
                    let taken = timeout(self.idle_timeout, self.on_text(&text)).await;
                    if taken.is_err() {
                        return Parting::Lost("the agent cannot keep up".to_owned());
                    }
                }
                Message::Close(frame) => {
                    // Polling on sends the answer; whether it arrives changes nothing.
                    let _ = timeout(LAST_WORDS, stream.next()).await;
                    return Parting::from_close(frame);
                }
                Message::Binary(bytes) => match self.on_binary(bytes).await {
                    Ok(()) => {}
                    Err(reason) => {
                        self.outbox.close(close_code::TOO_LARGE, reason).await;
                        let _ = timeout(LAST_WORDS, async {
                            while let Some(Ok(_)) = stream.next().await {}
                        })
                        .await;
                        return Parting::Lost(reason.to_owned());
                    }
                },
                Message::Pong(payload) => {
                    if let Ok(number) = payload.as_ref().try_into() {
                        self.peers.backlog().confirm(u64::from_be_bytes(number));
                    }
                }
                Message::Ping(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Hands a frame to its stream; an error ends the connection.
    async fn on_binary(&self, bytes: Bytes) -> Result<(), &'static str> {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error @ FrameError::TooLong(_)) => {
                tracing::warn!(%error, "the server broke the protocol");
                return Err("a frame is too long");
            }
            Err(error) => {
                tracing::warn!(%error, "a frame is ignored");
                return Ok(());
            }
        };
        if let Some(answer) = self.peers.streams().take(frame) {
            let sent = timeout(self.idle_timeout, self.outbox.send_frame(answer)).await;
            // A connection that is gone is noticed by whoever reads or writes next.
            let _ = sent.map_err(|_| "the agent cannot keep up")?;
        }
        Ok(())
    }

    async fn on_text(&self, text: &str) {
        match inbound::decode(text) {
            Ok(message) => self.on_message(message).await,
            Err(error @ DecodeError::UnknownType(_)) => tracing::debug!(%error, "ignored"),
            Err(error) => tracing::warn!(%error, "ignored"),
        }
    }

    async fn on_message(&self, message: ServerMessage) {
        match message {
            ServerMessage::Ping => {
                // Where there is no room, enough else is on its way to show that the agent lives.
                let _ = self.outbox.try_send(AgentMessage::Heartbeat);
            }
            ServerMessage::TunnelOpen(open) => self.tunnel(Event::Open(open)).await,
            ServerMessage::TunnelResume(resume) => self.tunnel(Event::Resume(resume)).await,
            ServerMessage::TunnelClose(close) => self.tunnel(Event::Close(close)).await,
            ServerMessage::TunnelData(data) => self.tunnel(Event::Data(data)).await,
            ServerMessage::Command(command) => {
                self.peers.command(dispatcher::Input::Run(command)).await;
            }
            ServerMessage::Ack(ack) => {
                if let Some(id) = ack.id {
                    self.peers
                        .command(dispatcher::Input::Acknowledged(id))
                        .await;
                }
            }
            ServerMessage::CommandCancel(cancel) => {
                self.peers
                    .command(dispatcher::Input::Cancel(cancel.id))
                    .await;
            }
            ServerMessage::ConfigUpdate(update) => self.peers.settings().take(&update),
            ServerMessage::Update(_) => {
                tracing::warn!(
                    kind = message.kind(),
                    "this version of the agent does not support it yet"
                );
            }
            ServerMessage::Error(error) => {
                if error.code == "inventory_busy" {
                    self.peers.inventory_again().notify_one();
                }
                tracing::warn!(
                    code = error.code,
                    message = error.message,
                    "the server refused something"
                );
            }
            ServerMessage::AuthAck(_) => tracing::debug!("a repeated auth_ack is ignored"),
        }
    }

    async fn tunnel(&self, event: Event) {
        self.peers.machine(machine::Input::Event(event)).await;
    }
}
