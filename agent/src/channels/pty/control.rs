//! The two ends of a terminal's channel inside the agent: who gives orders, and who carries them out.

use std::sync::{Arc, OnceLock};

use gururmm_shared::byte_stream::ByteStream;
use gururmm_shared::{ChannelId, KeptTerminal, SignalName, StreamPosition, TerminalSize};
use tokio::sync::{mpsc, watch};

use super::way::{Attachment, Way};
use crate::channels::stream::Piece;

/// Orders that may wait; a terminal takes them at once.
const ORDERS: usize = 64;

/// What is wanted of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It has this size now.
    Resize(TerminalSize),
    /// Its foreground gets this signal.
    Signal(SignalName),
    /// It is to end.
    Close,
}

/// A terminal, as its own task knows it.
#[derive(Debug)]
pub struct Terminal {
    pub(super) way: Way,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) program: Arc<OnceLock<String>>,
}

/// A terminal, as the machine knows it.
#[derive(Debug)]
pub struct Control {
    channel_id: ChannelId,
    bytes: Arc<ByteStream>,
    size: TerminalSize,
    orders: mpsc::Sender<Order>,
    attach: watch::Sender<Attachment>,
    program: Arc<OnceLock<String>>,
}

impl Control {
    /// Both ends of a new terminal; where it `keeps`, it outlives its lane.
    #[must_use]
    pub fn new(
        channel_id: ChannelId,
        bytes: Arc<ByteStream>,
        size: TerminalSize,
        lane: mpsc::Sender<Piece>,
        keeps: bool,
    ) -> (Self, Terminal) {
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (attach, attached) = watch::channel(Attachment { lane, peer: None });
        let program = Arc::new(OnceLock::new());
        let terminal = Terminal {
            way: Way::new(channel_id.clone(), Arc::clone(&bytes), attached, keeps),
            orders: ordered,
            program: Arc::clone(&program),
        };
        let control = Self {
            channel_id,
            bytes,
            size: size.clamped(),
            orders,
            attach,
            program,
        };
        (control, terminal)
    }

    /// Gives an order; false where the terminal does not take it.
    pub fn order(&mut self, order: Order) -> bool {
        if let Order::Resize(size) = order {
            self.size = size;
        }
        self.orders.try_send(order).is_ok()
    }

    /// Lets it go on over a new lane, from where the server is.
    pub fn resume(&self, lane: mpsc::Sender<Piece>, peer: StreamPosition) {
        self.attach.send_replace(Attachment {
            lane,
            peer: Some(peer),
        });
    }

    /// What the server is told of it after a lost connection; none where its program was not started.
    #[must_use]
    pub fn kept(&self) -> Option<KeptTerminal> {
        Some(KeptTerminal {
            channel_id: self.channel_id.clone(),
            program: self.program.get()?.clone(),
            size: self.size,
            position: self.bytes.position(),
        })
    }
}
