//! The way out: a queue for control, and a session's two lanes, which control overtakes.

use gururmm_shared::{AgentMessage, Frame, close_code};
use tokio::sync::mpsc;

use crate::channels::stream::Piece;

/// Control messages that may wait for the socket.
const CONTROL_MESSAGES: usize = 64;

/// Pieces that may wait for the socket in each lane, at most 32 KiB each; the rest waits in its window.
const LANE_PIECES: usize = 8;

/// What the writer is given.
#[derive(Debug)]
pub enum Outgoing {
    /// Send this before any output.
    Message(Box<AgentMessage>),
    /// Send this frame before any output.
    Frame(Frame),
    /// From now on, send what comes here whenever no control waits.
    OpenLanes(LaneEnds),
    /// Drop the lanes with what waits in them: their session is over.
    CloseLanes,
    /// Send a ping with this number: its pong shows that all before it was read.
    Ping(u64),
    /// Send a close frame.
    Close {
        /// With this code.
        code: u16,
        /// And this reason.
        reason: &'static str,
    },
}

/// A session's ways to the socket.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// For who waits at a keyboard: terminals, commands, answers.
    pub interactive: mpsc::Sender<Piece>,
    /// For files, archives and TCP.
    pub bulk: mpsc::Sender<Piece>,
}

/// What the writer takes from.
#[derive(Debug)]
pub struct LaneEnds {
    /// Of [`Lanes::interactive`].
    pub interactive: mpsc::Receiver<Piece>,
    /// Of [`Lanes::bulk`].
    pub bulk: mpsc::Receiver<Piece>,
}

impl Lanes {
    /// Two lanes and their ends.
    #[must_use]
    pub fn new() -> (Self, LaneEnds) {
        let (interactive, from_interactive) = mpsc::channel(LANE_PIECES);
        let (bulk, from_bulk) = mpsc::channel(LANE_PIECES);
        let ends = LaneEnds {
            interactive: from_interactive,
            bulk: from_bulk,
        };
        (Self { interactive, bulk }, ends)
    }
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

    /// Queues a frame; false when the connection is gone.
    pub async fn send_frame(&self, frame: Frame) -> bool {
        self.control.send(Outgoing::Frame(frame)).await.is_ok()
    }

    /// Queues a ping with a number; false when the connection is gone.
    pub async fn send_ping(&self, number: u64) -> bool {
        self.control.send(Outgoing::Ping(number)).await.is_ok()
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

    /// Opens the lanes of a session; none when the connection is gone.
    pub async fn open_lanes(&self) -> Option<Lanes> {
        let (lanes, ends) = Lanes::new();
        self.control.send(Outgoing::OpenLanes(ends)).await.ok()?;
        Some(lanes)
    }

    /// Drops the lanes with what waits in them.
    pub async fn close_lanes(&self) {
        // A connection that is gone has no lanes.
        let _ = self.control.send(Outgoing::CloseLanes).await;
    }

    /// Says good-bye once what is queued was sent.
    pub async fn goodbye(&self) {
        self.close(close_code::GOING_AWAY, "the agent is being stopped")
            .await;
    }

    /// Sends a close frame once what is queued was sent.
    pub async fn close(&self, code: u16, reason: &'static str) {
        // A connection that is gone needs no closing.
        let _ = self.control.send(Outgoing::Close { code, reason }).await;
    }
}
