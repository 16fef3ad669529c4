//! The agent's command line: reads the configuration, starts logging and runs the agent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use gururmm_agent::config::Config;
#[cfg(feature = "service")]
use gururmm_agent::platform::own_service;
use gururmm_agent::platform::{self, Remains, Stops};
use gururmm_agent::status::Status;
use gururmm_agent::{agent, doctor, telemetry};
use tokio::sync::watch;

/// A stop that takes longer is cut off; the guards then finish what is left.
const STOP_LIMIT: Duration = Duration::from_millis(4500);

#[derive(Parser)]
#[command(name = "gururmm-agent", version, about = "The GuruRMM agent")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Connects to the server and serves until it is stopped
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Looks at the configuration
    #[command(subcommand)]
    Config(ConfigTask),
    /// The agent as a service of this machine
    #[cfg(feature = "service")]
    #[command(subcommand)]
    Service(ServiceTask),
    /// Tells whether the agent runs and is connected; ends with 1 where it is not
    Status(Look),
    /// Looks for what stands between the agent and its server; ends with 1 where something does
    Doctor(Look),
    /// Starts programs for the agent, and ends them once it is gone
    #[command(hide = true)]
    Guard {
        /// What ended programs left running stays
        #[arg(long)]
        remains_stay: bool,
    },
}

#[derive(Args)]
struct Look {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = platform::CONFIG_FILE)]
    config: PathBuf,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ConfigTask {
    /// Tells whether the configuration file can be used
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[cfg(feature = "service")]
#[derive(Subcommand)]
enum ServiceTask {
    /// Installs the service, starts it, and lets it start with the machine
    Install {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Ends the service and removes it; configuration and identity stay
    Uninstall,
    /// Starts the service
    Start,
    /// Ends the service
    Stop,
    /// Tells how the service is: running, stopped, not installed
    Status,
    /// What the service manager of Windows starts
    #[command(hide = true)]
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run { config } => run(&config, Stops::listen, false),
        Task::Status(look) => return ended(status(&look)),
        Task::Doctor(look) => return ended(doctor(&look)),
        #[cfg(feature = "service")]
        Task::Service(task) => service(task),
        Task::Config(ConfigTask::Check { config }) => check(&config),
        Task::Guard { remains_stay: true } => platform::guard_main(Remains::Stay),
        Task::Guard { .. } => platform::guard_main(Remains::End),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a look: whether all is well.
fn ended(look: Result<bool, String>) -> ExitCode {
    match look {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn status(look: &Look) -> Result<bool, String> {
    let status = Status::look(&look.config)?;
    if look.json {
        report(&json(&status)?);
    } else {
        report(&status.to_string());
    }
    Ok(status.connected)
}

fn doctor(look: &Look) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let found = runtime.block_on(doctor::examine(&look.config));
    // What hangs is not waited for.
    runtime.shutdown_background();
    if look.json {
        report(&json(&found)?);
    } else {
        for finding in &found.findings {
            report(&finding.to_string());
        }
    }
    Ok(found.healthy)
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

fn check(path: &Path) -> Result<(), String> {
    let config = Config::load(path).map_err(|error| error.to_string())?;
    report(&format!(
        "{} is usable; the server is {}",
        path.display(),
        config.server.url
    ));
    Ok(())
}

#[cfg(feature = "service")]
fn service(task: ServiceTask) -> Result<(), String> {
    match task {
        ServiceTask::Install { config } => {
            let config = std::path::absolute(&config)
                .map_err(|error| format!("{} cannot be used: {error}", config.display()))?;
            // What does not start now would not start with the machine either.
            Config::load(&config).map_err(|error| error.to_string())?;
            own_service::install(&config)
        }
        ServiceTask::Uninstall => own_service::uninstall(),
        ServiceTask::Start => own_service::start(),
        ServiceTask::Stop => own_service::stop(),
        ServiceTask::Status => {
            report(&own_service::status()?);
            Ok(())
        }
        ServiceTask::Run { config } => {
            own_service::serve(move |stops| run(&config, move || Ok(stops), true))
        }
    }
}

fn run(
    path: &Path,
    stops: impl FnOnce() -> std::io::Result<Stops> + Send + 'static,
    by_manager: bool,
) -> Result<(), String> {
    let config = Config::load_or_last_good(path).map_err(|error| error.to_string())?;
    // Nobody sees what a service of Windows writes to its standard error.
    let log = by_manager.then(|| config.state_dir().join("agent.log"));
    telemetry::start(&config.log, log.as_deref())?;
    if let Some(problem) = &config.problem {
        tracing::error!(
            problem,
            "the configuration cannot be used: the agent runs with the last good one until it is mended and the agent started again"
        );
    }
    // Two threads, however many cores there are: to start a process blocks its thread for most of a
    // millisecond, and the other one keeps the socket and running commands going meanwhile.
    // What may block for longer (metrics, the sweep, the identity file) runs on threads that go away
    // again.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    // On a worker, so that the tasks it talks to need no third thread to be woken.
    let agent = runtime.spawn(run_until_stopped(config, stops));
    let result = runtime
        .block_on(agent)
        .map_err(|error| format!("the agent has failed: {error}"));
    runtime.shutdown_timeout(Duration::from_millis(100));
    result?
}

async fn run_until_stopped(
    config: Config,
    stops: impl FnOnce() -> std::io::Result<Stops>,
) -> Result<(), String> {
    let mut stops = stops().map_err(|error| format!("signals cannot be received: {error}"))?;
    let program = platform::own_program()
        .map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    let stopped = async {
        stops.asked().await;
        tracing::info!("the agent is being stopped");
        // An error means that the agent has ended by itself.
        let _ = stop.send(true);
        tokio::time::sleep(STOP_LIMIT).await;
        tracing::warn!("the agent did not stop in time");
    };
    tokio::select! {
        ended = agent::run(config, program, stopping) => {
            ended.map_err(|error| error.to_string())
        }
        () = stopped => Ok(()),
    }
}

#[allow(
    clippy::print_stderr,
    reason = "the command line's one line about what is wrong"
)]
fn complain(error: &str) {
    eprintln!("gururmm-agent: {error}");
}

#[allow(clippy::print_stdout, reason = "the answer of the command line")]
fn report(line: &str) {
    println!("{line}");
}
