//! Writes the heartbeat file, at its interval and when the connection changes, and tells the service manager that the
//! agent lives. It runs beside the rest on the same threads: where these hang, so does it, and that is seen.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use sysinfo::System;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::backlog::Backlog;
use crate::commands::dispatcher;
use crate::config::Config;
use crate::heartbeat_file::Heartbeat;
use crate::link::LinkState;
use crate::platform::{self, own_service};

/// The longest time between two.
const LONGEST: u64 = 30;
/// How long the dispatcher may take to say what is unfinished.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the disk may take.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// Writes the file.
#[derive(Debug)]
pub struct Pulse {
    folder: PathBuf,
    server: String,
    config_problem: Option<String>,
    period: Duration,
    link: watch::Receiver<LinkState>,
    backlog: Backlog,
    commands: mpsc::Sender<dispatcher::Input>,
    writing: Option<JoinHandle<io::Result<()>>>,
    is_failing: bool,
}

impl Pulse {
    /// A pulse that has not beaten yet.
    #[must_use]
    pub fn new(
        config: &Config,
        link: watch::Receiver<LinkState>,
        backlog: Backlog,
        commands: mpsc::Sender<dispatcher::Input>,
    ) -> Self {
        Self {
            folder: config.state_dir().to_owned(),
            server: config.server.url.clone(),
            config_problem: config.problem.clone(),
            period: Duration::from_secs(config.agent.heartbeat_seconds.min(LONGEST)),
            link,
            backlog,
            commands,
            writing: None,
            is_failing: false,
        }
    }

    /// Beats until `stopping` becomes true, and a last time then.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut beats = interval(self.period);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        own_service::tell_started();
        loop {
            tokio::select! {
                _ = beats.tick() => {}
                Ok(()) = self.link.changed() => {}
                () = until_true(&mut stopping) => return self.beat(true).await,
            }
            own_service::tell_alive();
            self.beat(false).await;
        }
    }

    async fn beat(&mut self, stopped: bool) {
        let unfinished_commands = if stopped {
            None
        } else {
            self.unfinished().await
        };
        let waiting = self.backlog.waiting();
        let mut link = self.link.borrow_and_update().clone();
        if stopped {
            link.connected_since = None;
        }
        let beat = Heartbeat {
            time: Utc::now(),
            uptime_seconds: System::uptime().unwrap_or_default(),
            boot_id: platform::boot_id(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: self.server.clone(),
            stopped,
            link,
            waiting_samples: waiting.samples,
            waiting_events: waiting.events,
            dropped: waiting.dropped,
            unfinished_commands,
            config_problem: self.config_problem.clone(),
        };
        match self.write(beat).await {
            Ok(()) => self.is_failing = false,
            // A full disk or a missing folder is no reason to end, and is said once.
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                let folder = self.folder.display();
                tracing::warn!(%folder, error, "the heartbeat file cannot be written: is the disk full, or the folder gone?");
            }
            Err(_) => {}
        }
    }

    /// A disk that hangs holds one thread up, and neither this task nor another thread.
    async fn write(&mut self, beat: Heartbeat) -> Result<(), String> {
        if self
            .writing
            .as_ref()
            .is_some_and(|write| !write.is_finished())
        {
            return Err("the disk has not answered yet".to_owned());
        }
        let folder = self.folder.clone();
        let writing = self
            .writing
            .insert(spawn_blocking(move || beat.write(&folder)));
        match timeout(DISK_PATIENCE, writing).await {
            Ok(written) => {
                self.writing = None;
                let written = written.map_err(|error| error.to_string())?;
                written.map_err(|error| error.to_string())
            }
            Err(_) => Err(format!(
                "the disk did not answer within {} s",
                DISK_PATIENCE.as_secs()
            )),
        }
    }

    async fn unfinished(&self) -> Option<usize> {
        let (answer, told) = oneshot::channel();
        let asked = async {
            let input = dispatcher::Input::InFlight(answer);
            self.commands.send(input).await.ok()?;
            Some(told.await.ok()?.len())
        };
        timeout(PATIENCE, asked).await.ok()?
    }
}

async fn until_true(stopping: &mut watch::Receiver<bool>) {
    // An error means that nobody can stop the agent any more, so it stops by itself.
    let _ = stopping.wait_for(|stop| *stop).await;
}
