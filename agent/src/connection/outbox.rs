//! The way out: a queue for control, and a lane for a session's output that control overtakes.

use gururmm_shared::AgentMessage;
use tokio::sync::mpsc;

/// Control messages that may wait for the socket.
const CONTROL_MESSAGES: usize = 64;

/// Pieces of output that may wait for the socket, at most 32 KiB each; the rest waits in its window.
const LANE_PIECES: usize = 8;

/// What the writer is given.
#[derive(Debug)]
pub enum Outgoing {
    /// Send this before any output.
    Message(Box<AgentMessage>),
    /// From now on, send what comes here whenever no control waits.
    OpenLane(mpsc::Receiver<AgentMessage>),
    /// Drop the lane with what waits in it: its session is over.
    CloseLane,
    /// Say good-bye (close 1001).
    Goodbye,
}

/// The sender's side of one connection's writer.
#[derive(Debug, Clone)]
pub struct Outbox {
    control: mpsc::Sender<Outgoing>,
}

impl Outbox {
    /// An outbox and what its writer takes from.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (control, outgoing) = mpsc::channel(CONTROL_MESSAGES);
        (Self { control }, outgoing)
    }

    /// Queues a message; false when the connection is gone.
    pub async fn send(&self, message: AgentMessage) -> bool {
        self.control
            .send(Outgoing::Message(Box::new(message)))
            .await
            .is_ok()
    }

    /// Queues a message if there is room at once.
    pub fn try_send(&self, message: AgentMessage) -> bool {
        self.control
            .try_send(Outgoing::Message(Box::new(message)))
            .is_ok()
    }

    /// Queues a message that may as well get lost, if the queue is not even half full: it is not to
    /// be in the way of anything else.
    pub fn try_send_aside(&self, message: AgentMessage) -> bool {
        self.control.capacity() > CONTROL_MESSAGES / 2 && self.try_send(message)
    }

    /// Opens the lane of a session; none when the connection is gone.
    pub async fn open_lane(&self) -> Option<mpsc::Sender<AgentMessage>> {
        let (lane, pieces) = mpsc::channel(LANE_PIECES);
        self.control.send(Outgoing::OpenLane(pieces)).await.ok()?;
        Some(lane)
    }

    /// Drops the lane with what waits in it.
    pub async fn close_lane(&self) {
        // A connection that is gone has no lane.
        let _ = self.control.send(Outgoing::CloseLane).await;
    }

    /// Says good-bye once what is queued was sent.
    pub async fn goodbye(&self) {
        // A connection that is gone needs no good-bye.
        let _ = self.control.send(Outgoing::Goodbye).await;
    }
}
