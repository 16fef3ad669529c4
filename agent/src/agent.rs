//! The whole agent: makes its tasks from a configuration and runs them until it is stopped.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};

use crate::backlog::Backlog;
use crate::channels::streams::Streams;
use crate::commands::dispatcher;
use crate::commands::warden::Warden;
use crate::config::Config;
use crate::connection::{Keeper, LaneDialer, Peers};
use crate::consent::Asker;
use crate::device::Device;
use crate::identity::{IdentityError, IdentityStore};
use crate::link::{Link, LinkState};
use crate::machine::{Machine, Surroundings};
use crate::pulse::Pulse;
use crate::recorder::Recorder;
use crate::settings::SettingsStore;
use crate::watchdog::Watchdog;

/// Inputs that may wait for a task.
const QUEUE: usize = 64;

/// Why the agent cannot start; one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The server's address or certificates cannot be used.
    #[error("{0}")]
    Server(String),
}

/// Runs the agent until `stopping` becomes true.
///
/// `guard_program` is this agent's own program, started as `guard` beside every tunnel session and for
/// the commands outside.
///
/// # Errors
/// [`StartError`]; once started, nothing ends the agent but its stop.
pub async fn run(
    config: Config,
    guard_program: PathBuf,
    stopping: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let store = IdentityStore::new(config.state_dir());
    let mut identity = store.load_or_create()?;
    let device = Device::probe(&config, &store, &mut identity)?;
    let settings = Arc::new(config.commands.clone());
    let (machine, machine_inputs) = mpsc::channel(QUEUE);
    let (commands, command_inputs) = mpsc::channel(QUEUE);
    let live = SettingsStore::new(&config);
    let (told, rules) = (live.subscribe(), live.subscribe());
    let streams = Streams::default();
    let backlog = Backlog::default();
    let link = Link::default();
    let sample = Arc::new(Notify::new());
    let watchdog = Watchdog::new(live.subscribe(), backlog.clone());
    let recorder = Recorder::new(live.subscribe(), backlog.clone(), Arc::clone(&sample));
    let pulse = Pulse::new(&config, link.subscribe(), backlog.clone(), commands.clone());
    let kept = keep_config(Arc::clone(&config), link.subscribe());
    let peers = Peers::new(machine, commands, live, streams.clone(), backlog);
    let state_dir = config.state_dir().to_owned();
    let asker = Asker::new(config.consent.program.clone());
    let dialer = LaneDialer::new(&config.server).map_err(StartError::Server)?;
    let ways = (peers, dialer.clone());
    let news = (link, sample);
    let keeper =
        Keeper::new(config, store, identity, device, ways, news).map_err(StartError::Server)?;
    let warden = Warden::new(guard_program.clone());
    let surroundings = Surroundings {
        guard_program,
        dialer,
        asker,
    };
    let machine = Machine::new(Arc::clone(&settings), told, streams, surroundings);
    let machine = tokio::spawn(machine.run(machine_inputs));
    let dispatcher = tokio::spawn(dispatcher::run(
        settings,
        rules,
        state_dir,
        warden,
        command_inputs,
    ));
    let mut beside = JoinSet::new();
    beside.spawn(watchdog.run());
    beside.spawn(recorder.run());
    beside.spawn(kept);
    let pulse = tokio::spawn(pulse.run(stopping.clone()));
    keeper.run(stopping).await;
    beside.shutdown().await;
    // The keeper is gone and with it the senders: the others end, each after its processes have.
    for ended in [pulse.await, machine.await, dispatcher.await] {
        if let Err(error) = ended {
            tracing::error!(%error, "a task has failed");
        }
    }
    Ok(())
}

/// Keeps the configuration as the last good one, once there was a connection with it.
async fn keep_config(config: Arc<Config>, mut link: watch::Receiver<LinkState>) {
    let connected = link.wait_for(|link| link.connected_since.is_some());
    if connected.await.map(drop).is_err() {
        return;
    }
    match spawn_blocking(move || config.keep_as_last_good()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the configuration cannot be kept as the last good one")
        }
        Err(error) => tracing::error!(%error, "the configuration cannot be kept"),
    }
}
