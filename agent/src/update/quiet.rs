//! Whether anybody works on this machine just now: an update waits for them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::commands::dispatcher;
use crate::machine;

/// Between looks.
const LOOKS: Duration = Duration::from_millis(500);

/// Who knows whether commands run or a tunnel is open.
#[derive(Debug, Clone)]
pub struct Quiet {
    machine: mpsc::Sender<machine::Input>,
    commands: mpsc::Sender<dispatcher::Input>,
}

impl Quiet {
    /// Asks these two.
    #[must_use]
    pub fn new(
        machine: mpsc::Sender<machine::Input>,
        commands: mpsc::Sender<dispatcher::Input>,
    ) -> Self {
        Self { machine, commands }
    }

    /// Waits until no command runs and no tunnel is open; false when that takes longer than `limit`.
    pub async fn wait(&self, limit: Duration) -> bool {
        if self.is_now().await {
            return true;
        }
        tracing::info!("the update waits until no command runs and no tunnel is open");
        let quiet = async {
            while !self.is_now().await {
                sleep(LOOKS).await;
            }
        };
        timeout(limit, quiet).await.is_ok()
    }

    /// A task that is gone has nothing that runs.
    async fn is_now(&self) -> bool {
        let (answer, occupied) = oneshot::channel();
        if self
            .machine
            .send(machine::Input::Occupied(answer))
            .await
            .is_ok()
            && occupied.await.unwrap_or_default()
        {
            return false;
        }
        let (answer, running) = oneshot::channel();
        let asked = self.commands.send(dispatcher::Input::Running(answer)).await;
        asked.is_err() || running.await.unwrap_or_default() == 0
    }
}
