//! What runs in a channel, as the machine reaches it.

use std::sync::Arc;

use gururmm_shared::{
    AgentMessage, ChannelId, Closed, ErrorCode, OperationError, Reply, TunnelData, TunnelError,
    TunnelPayload,
};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::channels::pty::{Control, Order};
use crate::channels::request;
use crate::channels::terminal::Orders;

/// A channel's task and how it is given orders.
#[derive(Debug)]
pub struct Running {
    task: AbortHandle,
    kind: Kind,
}

/// By which means it is given orders.
#[derive(Debug)]
pub enum Kind {
    /// A command whose output goes as text.
    Command(watch::Sender<Orders>),
    /// A pseudo-terminal.
    Terminal(Control),
    /// A file, an archive, a TCP connection.
    Transfer {
        /// True cancels it.
        cancel: watch::Sender<bool>,
        /// Notified when the server reads its lane.
        joined: Arc<Notify>,
    },
    /// Something with one answer; true cancels it.
    Request(watch::Sender<bool>),
}

impl Running {
    /// A task with its means.
    pub fn new(task: AbortHandle, kind: Kind) -> Self {
        Self { task, kind }
    }

    /// Lets a command send up to this offset.
    pub fn grant(&self, limit: u64) {
        if let Kind::Command(orders) = &self.kind {
            orders.send_modify(|orders| orders.limit = orders.limit.max(limit));
        }
    }

    /// Gives a terminal an order.
    pub fn order(&mut self, order: Order) {
        if let Kind::Terminal(control) = &mut self.kind
            && !control.order(order)
        {
            tracing::debug!(?order, "a terminal has ended, or takes no orders");
        }
    }

    /// Asks it to end.
    pub fn cancel(&mut self) {
        match &mut self.kind {
            Kind::Command(orders) => orders.send_modify(|orders| orders.cancel = true),
            Kind::Transfer { cancel, .. } | Kind::Request(cancel) => {
                cancel.send_replace(true);
            }
            Kind::Terminal(control) => {
                if !control.order(Order::Close) {
                    self.task.abort();
                }
            }
        }
    }

    /// The server reads its lane.
    pub fn lane_joined(&self) {
        if let Kind::Transfer { joined, .. } = &self.kind {
            joined.notify_one();
        }
    }

    /// Ends it without a word.
    pub fn drop_now(&self) {
        self.task.abort();
    }

    /// The terminal, where it is one.
    pub fn terminal(&self) -> Option<&Control> {
        match &self.kind {
            Kind::Terminal(control) => Some(control),
            _ => None,
        }
    }

    /// What the server is told where the task could not tell it itself.
    pub fn failure(&self, channel_id: ChannelId) -> AgentMessage {
        const REASON: &str = "the channel has failed";
        let error = OperationError::new(ErrorCode::Failed, REASON);
        match &self.kind {
            Kind::Command(_) => AgentMessage::TunnelError(TunnelError {
                channel_id,
                error: REASON.to_owned(),
            }),
            Kind::Request(_) => request::answer(channel_id, Reply::Failed { error }),
            Kind::Terminal(_) | Kind::Transfer { .. } => AgentMessage::TunnelData(TunnelData {
                channel_id,
                data: TunnelPayload::Closed(Closed::failed(error)),
            }),
        }
    }
}
