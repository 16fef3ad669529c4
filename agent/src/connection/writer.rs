//! The writing half: control first, then the lane's output, one message at a time.

use std::time::Duration;

use futures_util::{Sink, SinkExt};
use gururmm_shared::{AgentMessage, close_code};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outbox::Outgoing;
use super::parting::Parting;

/// A message that the socket does not take for so long means that the connection is dead.
const STALLED: Duration = Duration::from_secs(45);

/// Writes until the connection is lost or every outbox is gone.
pub async fn write(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    mut control: mpsc::Receiver<Outgoing>,
) -> Parting {
    let mut lane: Option<mpsc::Receiver<AgentMessage>> = None;
    loop {
        let message = tokio::select! {
            biased;
            outgoing = control.recv() => match outgoing {
                Some(Outgoing::Message(message)) => text(&message),
                Some(Outgoing::OpenLane(opened)) => {
                    lane = Some(opened);
                    continue;
                }
                Some(Outgoing::CloseLane) => {
                    lane = None;
                    continue;
                }
                Some(Outgoing::Goodbye) => goodbye(),
                None => return Parting::Lost("nobody uses the connection any more".to_owned()),
            },
            piece = next(&mut lane) => text(&piece),
        };
        match timeout(STALLED, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Parting::Lost(error.to_string()),
            Err(_) => return Parting::Lost("the server takes no data".to_owned()),
        }
    }
}

/// The next piece of the lane; for ever, where there is none.
async fn next(lane: &mut Option<mpsc::Receiver<AgentMessage>>) -> AgentMessage {
    if let Some(pieces) = lane {
        if let Some(piece) = pieces.recv().await {
            return piece;
        }
        *lane = None;
    }
    std::future::pending().await
}

fn text(message: &AgentMessage) -> Message {
    Message::text(message.encode())
}

fn goodbye() -> Message {
    Message::Close(Some(CloseFrame {
        code: close_code::GOING_AWAY.into(),
        reason: "the agent is being stopped".into(),
    }))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;
    use crate::connection::Outbox;

    /// A socket that takes messages only as fast as the test asks for them.
    struct Slow(mpsc::Sender<Message>);

    impl Sink<Message> for Slow {
        type Error = Error;

        fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
            if self.0.capacity() > 0 {
                return Poll::Ready(Ok(()));
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, item: Message) -> Result<(), Error> {
            self.0.try_send(item).map_err(|_| Error::ConnectionClosed)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }
    }

    fn piece() -> AgentMessage {
        AgentMessage::TunnelReady(gururmm_shared::TunnelReady {
            session_id: gururmm_shared::SessionId::generate(),
        })
    }

    #[tokio::test]
    async fn control_overtakes_output_and_a_closed_lane_is_dropped() {
        let (outbox, control) = Outbox::new();
        let (taken, mut socket) = mpsc::channel(1);
        let lane = outbox.open_lane().await.unwrap();
        lane.send(piece()).await.unwrap();
        lane.send(piece()).await.unwrap();
        lane.send(piece()).await.unwrap();
        let writer = tokio::spawn(write(Slow(taken), control));
        // The first piece is in the socket and the second waits for it.
        while lane.capacity() < lane.max_capacity() - 1 {
            tokio::task::yield_now().await;
        }
        outbox.close_lane().await;
        assert!(outbox.send(AgentMessage::Heartbeat).await);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let message = socket.recv().await.unwrap();
            kinds.push(message.into_text().unwrap().contains("heartbeat"));
        }
        assert_eq!(kinds, [false, false, true]);
        writer.abort();
    }
}
