//! The task of updates: makes one at a time, ends a trial when the server is reached, and tells the server what has become
//! of each update, over lost connections and restarts.

use std::time::Duration;

use gururmm_shared::{AgentMessage, Update, UpdateResult};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::attempt::Attempt;
use super::failure::Failure;
use super::record::MOST_RESULTS;
use super::rehearsal::fail_point;
use crate::connection::Outbox;

/// Nothing acknowledges a result: one whose connection held for so long has arrived.
const ARRIVED: Duration = Duration::from_secs(5);

/// What the updater is told.
#[derive(Debug)]
pub enum Input {
    /// The server has acknowledged this agent.
    Connected(Outbox),
    /// The connection is lost.
    Disconnected,
    /// Install this.
    Ordered(Box<Update>),
}

/// The updater.
pub struct Updater {
    make: Attempt,
    restart: watch::Sender<bool>,
    outbox: Option<Outbox>,
    attempts: JoinSet<Result<(), Failure>>,
    version: Option<(String, AbortHandle)>,
    sent: usize,
    arrived: Option<Instant>,
    is_clear: bool,
}

impl Updater {
    /// An updater that makes `restart` true when the agent has to be started again.
    #[must_use]
    pub fn new(make: Attempt, restart: watch::Sender<bool>) -> Self {
        Self {
            make,
            restart,
            outbox: None,
            attempts: JoinSet::new(),
            version: None,
            sent: 0,
            arrived: None,
            is_clear: false,
        }
    }

    /// Serves until all senders of `inputs` are gone; an update that is not yet in place is given up then.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Connected(outbox)) => self.connected(outbox).await,
                    Some(Input::Disconnected) => {
                        self.outbox = None;
                        self.arrived = None;
                    }
                    Some(Input::Ordered(order)) => self.ordered(*order).await,
                    None => break,
                },
                Some(ended) = self.attempts.join_next() => {
                    let ended = ended.unwrap_or_else(|error| {
                        Err(Failure::new("install_failed", error.to_string()))
                    });
                    self.ended(ended).await;
                }
                () = at(self.arrived) => self.forget_sent().await,
            }
        }
        self.attempts.shutdown().await;
    }

    async fn connected(&mut self, outbox: Outbox) {
        self.outbox = Some(outbox);
        self.sent = 0;
        if self.make.trial.record().on_trial.is_some() {
            fail_point("acknowledged");
        }
        match self
            .make
            .trial
            .change(|record| record.on_acknowledged())
            .await
        {
            Ok(true) => {
                fail_point("confirmed");
                let version = super::own_version();
                tracing::info!(version, "the new version has reached the server and stays");
            }
            Ok(false) => {}
            // In memory the trial has ended; on the disk it ends with the next connection.
            Err(error) => tracing::error!(%error, "the end of an update's trial cannot be written"),
        }
        self.clear();
        self.tell().await;
    }

    /// Removes what updates have left, once: this program has shown that it reaches the server.
    fn clear(&mut self) {
        if self.is_clear || self.version.is_some() || self.make.trial.record().on_trial.is_some() {
            return;
        }
        match self.make.trial.program().clear() {
            Ok(()) => self.is_clear = true,
            Err(error) => tracing::warn!(%error, "the previous program cannot be removed yet"),
        }
    }

    async fn ordered(&mut self, order: Update) {
        if *self.restart.borrow() {
            tracing::debug!(version = order.version, "an update comes too late");
            return;
        }
        let version = order.version.chars().take(64).collect::<String>();
        if !self.make.settings.enabled {
            let reason = "updates are switched off on this machine (update.enabled)";
            return self
                .failed(&version, Failure::new("disabled", reason))
                .await;
        }
        match &self.version {
            Some((running, _)) if *running == version => {
                tracing::debug!(version, "a repeated update is under way already");
            }
            Some((running, _)) => {
                let reason = format!("the update to {running} is still under way; try it again");
                self.failed(&version, Failure::new("busy", reason)).await;
            }
            None => {
                self.supersede(&version).await;
                let task = self.attempts.spawn(self.make.clone().make(order));
                self.version = Some((version, task));
            }
        }
    }

    /// Forgets what became of earlier updates to this version: told again, it would be taken for the new one's end.
    async fn supersede(&mut self, version: &str) {
        let of_it = |result: &UpdateResult| result.version.as_deref() == Some(version);
        let results = self.make.trial.record().results;
        self.sent -= results
            .iter()
            .take(self.sent)
            .filter(|result| of_it(result))
            .count();
        let version = version.to_owned();
        let forgotten = self.make.trial.change(move |record| {
            let other = |result: &UpdateResult| result.version.as_ref() != Some(&version);
            record.results.retain(other);
        });
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "the result of an earlier update may be told again");
        }
    }

    async fn ended(&mut self, ended: Result<(), Failure>) {
        let Some((version, _)) = self.version.take() else {
            return;
        };
        match ended {
            Ok(()) => {
                tracing::info!(
                    version,
                    "the new version is in place; the agent starts again"
                );
                self.restart.send_replace(true);
            }
            Err(failure) => {
                // Before anything is written: it may be what fills the disk.
                self.is_clear = false;
                if let Err(error) = self.make.trial.program().clear() {
                    tracing::warn!(%error, "what was fetched cannot be removed");
                }
                self.failed(&version, failure).await;
            }
        }
    }

    async fn failed(&mut self, version: &str, failure: Failure) {
        tracing::warn!(version, code = failure.code, reason = %failure, "the update is not made; this version runs on");
        if self.make.trial.record().results.len() >= MOST_RESULTS {
            self.sent = self.sent.saturating_sub(1);
        }
        let (version, under_way) = (version.to_owned(), self.version.is_some());
        let kept = self.make.trial.change(move |record| {
            if under_way {
                record.add_result(failure.result(&version));
            } else {
                record.fail(&version, &failure);
            }
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the result of an update is not written");
        }
        self.tell().await;
    }

    async fn tell(&mut self) {
        let Some(outbox) = &self.outbox else {
            return;
        };
        let results = self.make.trial.record().results;
        for result in results.iter().skip(self.sent) {
            if !outbox
                .send(AgentMessage::UpdateResult(result.clone()))
                .await
            {
                return;
            }
            self.sent += 1;
            self.arrived = Some(Instant::now() + ARRIVED);
        }
    }

    async fn forget_sent(&mut self) {
        self.arrived = None;
        let sent = std::mem::take(&mut self.sent);
        let forgotten = self.make.trial.change(move |record| {
            let count = sent.min(record.results.len());
            record.results.drain(..count);
        });
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "results of updates will be told again");
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
