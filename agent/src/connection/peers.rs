//! The tasks beside the connection that get what the server says.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::outbox::Outbox;
use crate::backlog::Backlog;
use crate::channels::streams::Streams;
use crate::commands::dispatcher;
use crate::machine;
use crate::settings::SettingsStore;

/// The tasks that outlive connections.
#[derive(Debug, Clone)]
pub struct Peers {
    machine: mpsc::Sender<machine::Input>,
    commands: mpsc::Sender<dispatcher::Input>,
    settings: SettingsStore,
    streams: Streams,
    backlog: Backlog,
    again: Arc<Notify>,
}

impl Peers {
    /// Names the tasks.
    #[must_use]
    pub fn new(
        machine: mpsc::Sender<machine::Input>,
        commands: mpsc::Sender<dispatcher::Input>,
        settings: SettingsStore,
        streams: Streams,
        backlog: Backlog,
    ) -> Self {
        Self {
            machine,
            commands,
            settings,
            streams,
            backlog,
            again: Arc::default(),
        }
    }

    /// Notified when the server had no room for an inventory.
    pub fn inventory_again(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    /// The settings that the server may change.
    pub fn settings(&self) -> &SettingsStore {
        &self.settings
    }

    /// What waits to be told.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// The streams of open channels.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Tells the machine something.
    pub async fn machine(&self, input: machine::Input) {
        if self.machine.send(input).await.is_err() {
            tracing::error!("the machine's task is gone");
        }
    }

    /// Tells the dispatcher of commands something.
    pub async fn command(&self, input: dispatcher::Input) {
        if self.commands.send(input).await.is_err() {
            tracing::error!("the dispatcher's task is gone");
        }
    }

    /// Tells all that there is a connection, and whether its server acknowledges results.
    pub async fn connected(&self, outbox: &Outbox, acknowledges: bool) {
        self.settings.reset();
        self.machine(machine::Input::Connected(outbox.clone()))
            .await;
        let outbox = outbox.clone();
        self.command(dispatcher::Input::Connected {
            outbox,
            acknowledges,
        })
        .await;
    }

    /// Tells all that the connection is lost.
    pub async fn disconnected(&self) {
        self.machine(machine::Input::Disconnected).await;
        self.command(dispatcher::Input::Disconnected).await;
    }
}
