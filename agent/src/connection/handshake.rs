//! The first exchange of every connection: `auth`, and what the server answers.

use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{AgentMessage, Auth, AuthAck, ServerMessage};
use tokio_tungstenite::tungstenite::Message;

use super::parting::Parting;
use super::{Socket, inbound};

/// Sends `auth` and waits for `auth_ack`; the caller limits the time.
///
/// # Errors
/// How the attempt ended, where it did.
pub async fn authenticate(socket: &mut Socket, auth: Auth) -> Result<AuthAck, Parting> {
    let auth = AgentMessage::Auth(auth).encode();
    socket
        .send(Message::text(auth))
        .await
        .map_err(|error| Parting::Lost(error.to_string()))?;
    while let Some(message) = socket.next().await {
        match message.map_err(|error| Parting::Lost(error.to_string()))? {
            Message::Text(text) => match inbound::decode(&text) {
                Ok(ServerMessage::AuthAck(ack)) => return Ok(ack),
                Ok(ServerMessage::Error(error)) => return Err(Parting::from_auth_error(&error)),
                Ok(other) => tracing::debug!(kind = other.kind(), "ignored before auth_ack"),
                Err(error) => tracing::debug!(%error, "ignored before auth_ack"),
            },
            Message::Close(frame) => return Err(Parting::from_close(frame)),
            _ => {}
        }
    }
    Err(Parting::Lost("closed before auth_ack".to_owned()))
}
