//! A channel for something with one answer.

use std::time::Duration;

use gururmm_shared::{
    AgentMessage, ChannelId, ErrorCode, Operation, OperationError, Reply, TunnelData, TunnelPayload,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::operations;
use super::session::Session;
use super::stream::Piece;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries a request out and answers it; becoming true, `cancelled` ends the waiting.
pub async fn run(
    session: Session,
    channel: ChannelId,
    operation: Operation,
    mut cancelled: watch::Receiver<bool>,
) {
    let performed = timeout(PATIENCE, operations::perform(operation, &session.rules));
    let reply = tokio::select! {
        performed = performed => performed.unwrap_or_else(|_| {
            failed(ErrorCode::TimedOut, "it has taken too long; it may still come to its end")
        }),
        _ = cancelled.wait_for(|cancelled| *cancelled) => {
            failed(ErrorCode::Cancelled, "it was cancelled; what was begun may come to its end")
        }
    };
    let message = answer(channel, reply);
    // If the session is over nobody waits for the answer.
    let _ = session
        .lanes
        .interactive
        .send(Piece::Message(Box::new(message)))
        .await;
}

/// The answer to a request.
#[must_use]
pub fn answer(channel_id: ChannelId, reply: Reply) -> AgentMessage {
    AgentMessage::TunnelData(TunnelData {
        channel_id,
        data: TunnelPayload::Reply(Box::new(reply)),
    })
}

fn failed(code: ErrorCode, message: &str) -> Reply {
    Reply::Failed {
        error: OperationError::new(code, message),
    }
}
