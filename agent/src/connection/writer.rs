//! The writing half: what waits is put into the socket's buffer while there is more, and flushed when
//! there is not. What comes next is chosen when the socket can take it, so nothing stands in the way of
//! a keystroke that comes while the socket is busy.

use std::future::poll_fn;
use std::time::Duration;

use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outbox::Outgoing;
use super::parting::Parting;
use super::queues::{Deserted, Queues};

/// A message that the socket does not take for so long means that the connection is dead.
const STALLED: Duration = Duration::from_secs(45);

/// Writes until the connection is lost or every outbox is gone.
pub async fn write(
    mut sink: impl Sink<Message, Error = Error> + Unpin,
    control: mpsc::Receiver<Outgoing>,
) -> Parting {
    let mut queues = Queues::new(control);
    if let Err(parting) = in_time(ready(&mut sink)).await {
        return parting;
    }
    loop {
        if let Err(parting) = write_one(&mut sink, &mut queues).await {
            return parting;
        }
    }
}

async fn write_one(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    queues: &mut Queues,
) -> Result<(), Parting> {
    let message = match queues.next_now().map_err(deserted)? {
        Some(message) => message,
        None => {
            in_time(sink.flush()).await?;
            queues.next().await.map_err(deserted)?
        }
    };
    sink.start_send_unpin(message).map_err(lost)?;
    in_time(ready(sink)).await
}

/// Waits until the socket can take another message.
async fn ready(sink: &mut (impl Sink<Message, Error = Error> + Unpin)) -> Result<(), Error> {
    poll_fn(|context| sink.poll_ready_unpin(context)).await
}

async fn in_time(written: impl Future<Output = Result<(), Error>>) -> Result<(), Parting> {
    match timeout(STALLED, written).await {
        Ok(written) => written.map_err(lost),
        Err(_) => Err(Parting::Lost("the server takes no data".to_owned())),
    }
}

fn lost(error: Error) -> Parting {
    Parting::Lost(error.to_string())
}

fn deserted(_: Deserted) -> Parting {
    Parting::Lost("nobody uses the connection any more".to_owned())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use gururmm_shared::AgentMessage;

    use super::*;
    use crate::channels::stream::Piece;
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

    fn piece() -> Piece {
        Piece::Message(Box::new(AgentMessage::TunnelReady(
            gururmm_shared::TunnelReady {
                session_id: gururmm_shared::SessionId::generate(),
                consent: None,
            },
        )))
    }

    #[tokio::test]
    async fn control_overtakes_output_and_closed_lanes_are_dropped() {
        let (outbox, control) = Outbox::new();
        let (taken, mut socket) = mpsc::channel(1);
        let lanes = outbox.open_lanes().await.unwrap();
        let lane = &lanes.interactive;
        lane.send(piece()).await.unwrap();
        lane.send(piece()).await.unwrap();
        lane.send(piece()).await.unwrap();
        let writer = tokio::spawn(write(Slow(taken), control));
        // The first piece is in the socket, and the second is chosen only when there is room.
        while lane.capacity() < lane.max_capacity() - 2 {
            tokio::task::yield_now().await;
        }
        outbox.close_lanes().await;
        assert!(outbox.send(AgentMessage::Heartbeat).await);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let message = socket.recv().await.unwrap();
            kinds.push(message.into_text().unwrap().contains("heartbeat"));
        }
        assert_eq!(kinds, [false, true]);
        writer.abort();
    }
}
