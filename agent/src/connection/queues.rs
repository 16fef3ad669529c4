//! What waits for the socket, and which of it comes next: control, then the interactive lane, then the
//! bulk lane, which is let in now and then so that a flood in a terminal does not stop a transfer.

use gururmm_shared::AgentMessage;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::outbox::{LaneEnds, Outgoing};
use crate::channels::stream::Piece;

/// Interactive pieces in a row after which a waiting bulk piece has its turn.
const IN_A_ROW: u32 = 8;

/// Nobody can send anything any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deserted;

/// All that may wait for one socket.
#[derive(Debug)]
pub struct Queues {
    control: mpsc::Receiver<Outgoing>,
    interactive: Option<mpsc::Receiver<Piece>>,
    bulk: Option<mpsc::Receiver<Piece>>,
    in_a_row: u32,
}

impl Queues {
    /// A connection's queues; the lanes come through `control`.
    pub fn new(control: mpsc::Receiver<Outgoing>) -> Self {
        Self {
            control,
            interactive: None,
            bulk: None,
            in_a_row: 0,
        }
    }

    /// What is to be sent now, if something waits.
    ///
    /// # Errors
    /// [`Deserted`].
    pub fn next_now(&mut self) -> Result<Option<Message>, Deserted> {
        loop {
            match self.control.try_recv() {
                Ok(outgoing) => {
                    if let Some(message) = self.take(outgoing) {
                        return Ok(Some(message));
                    }
                }
                Err(TryRecvError::Disconnected) => return Err(Deserted),
                Err(TryRecvError::Empty) => break,
            }
        }
        if self.in_a_row >= IN_A_ROW {
            self.in_a_row = 0;
            if let Some(piece) = piece_now(&mut self.bulk) {
                return Ok(Some(encode(piece)));
            }
        }
        if let Some(piece) = piece_now(&mut self.interactive) {
            self.in_a_row += 1;
            return Ok(Some(encode(piece)));
        }
        self.in_a_row = 0;
        Ok(piece_now(&mut self.bulk).map(encode))
    }

    /// Waits for what is to be sent next. Cancel safe.
    ///
    /// # Errors
    /// [`Deserted`].
    pub async fn next(&mut self) -> Result<Message, Deserted> {
        loop {
            tokio::select! {
                biased;
                outgoing = self.control.recv() => {
                    if let Some(message) = self.take(outgoing.ok_or(Deserted)?) {
                        return Ok(message);
                    }
                }
                piece = piece(&mut self.interactive) => return Ok(encode(piece)),
                piece = piece(&mut self.bulk) => return Ok(encode(piece)),
            }
        }
    }

    fn take(&mut self, outgoing: Outgoing) -> Option<Message> {
        match outgoing {
            Outgoing::Message(message) => Some(text(&message)),
            Outgoing::Frame(frame) => Some(Message::binary(frame.encode())),
            Outgoing::OpenLanes(LaneEnds { interactive, bulk }) => {
                self.interactive = Some(interactive);
                self.bulk = Some(bulk);
                None
            }
            Outgoing::CloseLanes => {
                self.interactive = None;
                self.bulk = None;
                None
            }
            Outgoing::Ping(number) => Some(Message::Ping(number.to_be_bytes().to_vec().into())),
            Outgoing::Close { code, reason } => Some(Message::Close(Some(CloseFrame {
                code: code.into(),
                reason: reason.into(),
            }))),
        }
    }
}

fn piece_now(lane: &mut Option<mpsc::Receiver<Piece>>) -> Option<Piece> {
    match lane.as_mut()?.try_recv() {
        Ok(piece) => Some(piece),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => {
            *lane = None;
            None
        }
    }
}

/// The next piece of a lane; for ever, where there is none.
async fn piece(lane: &mut Option<mpsc::Receiver<Piece>>) -> Piece {
    if let Some(pieces) = lane {
        if let Some(piece) = pieces.recv().await {
            return piece;
        }
        *lane = None;
    }
    std::future::pending().await
}

fn encode(piece: Piece) -> Message {
    match piece {
        Piece::Message(message) => text(&message),
        Piece::Frame(frame) => Message::binary(frame.encode()),
    }
}

fn text(message: &AgentMessage) -> Message {
    Message::text(message.encode())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gururmm_shared::{Frame, StreamId};

    use super::*;
    use crate::connection::Outbox;

    fn piece(stream: u32) -> Piece {
        Piece::Frame(Frame::Data {
            stream: StreamId(stream),
            offset: 0,
            bytes: Bytes::from_static(b"x"),
        })
    }

    fn stream_of(message: Option<Message>) -> u32 {
        let Some(Message::Binary(bytes)) = message else {
            panic!("no frame: {message:?}")
        };
        Frame::decode(bytes).unwrap().stream().0
    }

    #[tokio::test]
    async fn control_comes_first_then_the_keyboard_and_bulk_has_a_turn_in_a_flood() {
        let (outbox, control) = Outbox::new();
        let mut queues = Queues::new(control);
        let lanes = outbox.open_lanes().await.unwrap();
        lanes.bulk.send(piece(2)).await.unwrap();
        lanes.bulk.send(piece(2)).await.unwrap();
        let mut order = Vec::new();
        for _ in 0..12 {
            lanes.interactive.send(piece(1)).await.unwrap();
            order.push(stream_of(queues.next_now().unwrap()));
        }
        assert_eq!(order, [1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]);
        assert!(outbox.send(AgentMessage::Heartbeat).await);
        assert!(queues.next_now().unwrap().unwrap().is_text());
        for expected in [1, 2] {
            assert_eq!(stream_of(queues.next_now().unwrap()), expected);
        }
        assert_eq!(queues.next_now(), Ok(None));
        drop(outbox);
        assert_eq!(queues.next_now(), Err(Deserted));
    }

    #[tokio::test]
    async fn closed_lanes_are_dropped_with_what_waits_in_them() {
        let (outbox, control) = Outbox::new();
        let mut queues = Queues::new(control);
        let lanes = outbox.open_lanes().await.unwrap();
        lanes.interactive.send(piece(1)).await.unwrap();
        outbox.close_lanes().await;
        assert_eq!(queues.next_now(), Ok(None));
        assert!(lanes.interactive.send(piece(1)).await.is_err());
    }
}
