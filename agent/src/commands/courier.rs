//! The way of results to the server: sent at once where there is a connection, and again one by one,
//! with a pause between them, until they are acknowledged.

use std::collections::VecDeque;

use gururmm_shared::{AgentMessage, CommandId, CommandResult};
use tokio::sync::watch;

use crate::connection::Outbox;

#[derive(Debug)]
struct Connection {
    outbox: Outbox,
    acknowledges: bool,
}

/// The courier.
#[derive(Debug)]
pub struct Courier {
    connection: Option<Connection>,
    /// The connection again, for those who tell output, where the server wants to hear of it.
    listener: watch::Sender<Option<Outbox>>,
    /// Results to be sent again, on the connection that there is.
    again: VecDeque<CommandId>,
}

impl Courier {
    /// A courier without a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            connection: None,
            listener: watch::Sender::new(None),
            again: VecDeque::new(),
        }
    }

    /// There is a connection, whose server acknowledges results or never does.
    pub fn connected(&mut self, outbox: Outbox, acknowledges: bool) {
        self.listener
            .send_replace(acknowledges.then(|| outbox.clone()));
        self.connection = Some(Connection {
            outbox,
            acknowledges,
        });
    }

    /// The connection is lost.
    pub fn disconnected(&mut self) {
        self.listener.send_replace(None);
        self.connection = None;
        self.again.clear();
    }

    /// Who may be told of output.
    #[must_use]
    pub fn listener(&self) -> watch::Receiver<Option<Outbox>> {
        self.listener.subscribe()
    }

    /// Sends a result; tells whether it counts as acknowledged: its server never says so.
    pub async fn send(&self, result: &CommandResult) -> bool {
        let Some(connection) = &self.connection else {
            return false;
        };
        let message = AgentMessage::CommandResult(result.clone());
        connection.outbox.send(message).await && !connection.acknowledges
    }

    /// Takes these results to be sent again, in place of those from before.
    pub fn queue(&mut self, waiting: impl Iterator<Item = CommandId>) {
        if self.connection.is_some() {
            self.again = waiting.collect();
        }
    }

    /// Whether a result is to be sent again.
    #[must_use]
    pub fn has_queued(&self) -> bool {
        !self.again.is_empty()
    }

    /// The next result to be sent again.
    pub fn next(&mut self) -> Option<CommandId> {
        self.again.pop_front()
    }
}

impl Default for Courier {
    fn default() -> Self {
        Self::new()
    }
}
