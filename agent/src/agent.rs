//! The whole agent: makes its tasks from a configuration and runs them until it is stopped.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::channels::streams::Streams;
use crate::commands::dispatcher;
use crate::commands::warden::Warden;
use crate::config::Config;
use crate::connection::{Keeper, LaneDialer, Peers};
use crate::consent::Asker;
use crate::device::Device;
use crate::identity::{IdentityError, IdentityStore};
use crate::machine::{Machine, Surroundings};
use crate::settings::SettingsStore;
use crate::update::{Attempt, Quiet, Trial, Updater};

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
/// the commands outside. `trial` is how this start stands with updates; `restart` becomes true when the agent has
/// to be started again.
///
/// # Errors
/// [`StartError`]; once started, nothing ends the agent but its stop.
pub async fn run(
    config: Config,
    guard_program: PathBuf,
    (trial, restart): (Trial, watch::Sender<bool>),
    stopping: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let store = IdentityStore::new(config.state_dir());
    let mut identity = store.load_or_create()?;
    let device = Device::probe(&config, &store, &mut identity)?;
    if config.watchdog.enabled && !config.watchdog.services.is_empty() {
        let services = config.watchdog.services.len();
        tracing::info!(
            services,
            "services are configured but not watched by this version yet"
        );
    }
    let settings = Arc::new(config.commands.clone());
    let (machine, machine_inputs) = mpsc::channel(QUEUE);
    let (commands, command_inputs) = mpsc::channel(QUEUE);
    let (updates, update_inputs) = mpsc::channel(QUEUE);
    let live = SettingsStore::new(&config);
    let (told, rules) = (live.subscribe(), live.subscribe());
    let streams = Streams::default();
    let (tunnel_open, is_open) = watch::channel(false);
    let quiet = Quiet::new(machine.clone(), commands.clone());
    let peers = Peers::new(machine, commands, updates, live, streams.clone(), is_open);
    let state_dir = config.state_dir().to_owned();
    let asker = Asker::new(config.consent.program.clone());
    let dialer = LaneDialer::new(&config.server).map_err(StartError::Server)?;
    let previous_version = trial.previous_version();
    let attempt = Attempt {
        trial,
        settings: config.update.clone(),
        dialer: dialer.clone(),
        quiet,
    };
    let updater = Updater::new(attempt, restart);
    let ways = (peers, dialer.clone());
    let keeper = Keeper::new(config, store, identity, device, ways).map_err(StartError::Server)?;
    let keeper = keeper.after(previous_version);
    let warden = Warden::new(guard_program.clone());
    let surroundings = Surroundings {
        guard_program,
        dialer,
        asker,
        tunnel_open,
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
    let updater = tokio::spawn(updater.run(update_inputs));
    keeper.run(stopping).await;
    // The keeper is gone and with it the senders: the tasks end, each after its processes have.
    for ended in [updater.await, machine.await, dispatcher.await] {
        if let Err(error) = ended {
            tracing::error!(%error, "a task has failed");
        }
    }
    Ok(())
}
