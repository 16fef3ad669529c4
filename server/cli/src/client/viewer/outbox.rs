//! What is on its way to the server: a bounded queue, and what goes before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gururmm_shared::{Frame, ViewerMessage};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Message;

use super::terminal_channel::TerminalChannel;
use crate::client::ClientError;

/// Messages in the queue; a writer waits for the next.
const QUEUE: usize = 64;

/// A message on its way.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Of a terminal; dropped while it is not attached, because attaching sends it again.
    Frame(Arc<TerminalChannel>, Frame),
    /// Anything else.
    Text(String),
}

impl Outgoing {
    /// The WebSocket message, where it is to be sent.
    pub fn message(self) -> Option<Message> {
        match self {
            Self::Frame(terminal, frame) if terminal.is_attached() => {
                let frame = terminal.feed(frame)?;
                Some(Message::Binary(frame.encode()))
            }
            Self::Frame(..) => None,
            Self::Text(text) => Some(Message::text(text)),
        }
    }
}

/// The senders' end.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    order: Mutex<()>,
    urgent: Mutex<VecDeque<Message>>,
    bell: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    pub fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let outbox = Self {
            queue,
            order: Mutex::new(()),
            urgent: Mutex::new(VecDeque::new()),
            bell: Notify::new(),
        };
        (outbox, receiver)
    }

    /// Puts a terminal's frame before the queue, as windows and answers to broken frames. Dropped while it is
    /// not attached, because attaching tells the window again.
    pub fn urgent(&self, terminal: &TerminalChannel, frame: Frame) {
        let mut urgent = lock(&self.urgent);
        if terminal.is_attached() {
            urgent.push_back(Message::Binary(frame.encode()));
            self.bell.notify_one();
        }
    }

    /// Attaches a terminal: these frames go first, then whatever it has.
    pub fn attach(&self, terminal: &TerminalChannel, frames: Vec<Frame>) {
        let mut urgent = lock(&self.urgent);
        let messages = frames.into_iter().map(|frame| frame.encode());
        urgent.extend(messages.map(Message::Binary));
        terminal.attached();
        self.bell.notify_one();
    }

    pub fn take_urgent(&self) -> Option<Message> {
        lock(&self.urgent).pop_front()
    }

    pub fn forget_urgent(&self) {
        lock(&self.urgent).clear();
    }

    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    pub async fn say(&self, message: &ViewerMessage) -> Result<(), ClientError> {
        let text = Outgoing::Text(message.encode());
        self.queue.send(text).await.map_err(|_| gone())
    }

    /// Sends a frame that a terminal makes at the moment when it is queued, so that frames stand in the
    /// order of their offsets however many tasks write.
    pub async fn frame<T>(
        &self,
        terminal: &Arc<TerminalChannel>,
        make: impl FnOnce(&TerminalChannel) -> (T, Option<Frame>) + Send,
    ) -> Result<T, ClientError> {
        let permit = self.queue.reserve().await.map_err(|_| gone())?;
        let _order = lock(&self.order);
        let (answer, frame) = make(terminal);
        if let Some(frame) = frame {
            permit.send(Outgoing::Frame(terminal.clone(), frame));
        }
        Ok(answer)
    }
}

fn gone() -> ClientError {
    ClientError::SessionEnded("the viewer was closed".to_owned())
}
