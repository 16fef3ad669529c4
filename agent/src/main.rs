//! The agent's command line: reads the configuration, starts logging and runs the agent.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use gururmm_agent::config::Config;
#[cfg(feature = "service")]
use gururmm_agent::platform::own_service;
use gururmm_agent::platform::{self, Remains, Stops};
use gururmm_agent::setup::{Done, Setup};
use gururmm_agent::status::Status;
use gururmm_agent::update::{self, Trial};
use gururmm_agent::{agent, doctor, telemetry};
use tokio::sync::watch;

/// A stop that takes longer is cut off; the guards then finish what is left.
const STOP_LIMIT: Duration = Duration::from_millis(4500);

#[derive(Parser)]
#[command(name = "gururmm-agent", version = update::own_version(), about = "The GuruRMM agent")]
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
    /// Writes the first configuration; one that is there stays
    Setup(SetupTask),
    /// The agent as a service of this machine
    #[cfg(feature = "service")]
    #[command(subcommand)]
    Service(ServiceTask),
    /// Tells the version, where this program could serve on this machine; an update runs it before it installs it
    #[command(hide = true)]
    SelfTest {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Gives a new program the name of one that runs, for an agent that may end meanwhile
    #[command(hide = true)]
    PutProgram {
        /// The new program
        entering: PathBuf,
        /// The name, and the program that has it
        program: PathBuf,
        /// Where that one goes
        away: PathBuf,
    },
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
struct SetupTask {
    /// The configuration file to write
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The server, as https://rmm.example.com
    #[arg(long, value_name = "URL")]
    server: String,
    /// A registration token, a site's key or a site code
    #[arg(long, required_unless_present = "token_stdin")]
    token: Option<String>,
    /// Read the token from standard input: arguments can be read by everybody on the machine
    #[arg(long, conflicts_with = "token")]
    token_stdin: bool,
    /// Where the agent keeps its identity
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// A private authority's certificates (PEM), copied beside the configuration
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The HTTP proxy that leads to the server
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Replace a configuration that is there
    #[arg(long)]
    replace: bool,
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
    Uninstall {
        /// Remove configuration, identity and state as well
        #[arg(long)]
        purge: bool,
        /// The configuration file, for --purge
        #[arg(long, value_name = "FILE", default_value = platform::CONFIG_FILE)]
        config: PathBuf,
    },
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
        Task::Run { config } => run(&config, false, Stops::listen),
        Task::Status(look) => return ended(status(&look)),
        Task::Doctor(look) => return ended(doctor(&look)),
        #[cfg(feature = "service")]
        Task::Service(task) => service(task),
        Task::Config(ConfigTask::Check { config }) => check(&config),
        Task::Setup(task) => set_up(task),
        Task::SelfTest { config } => update::perform_self_test(&config).map(report),
        Task::PutProgram {
            entering,
            program,
            away,
        } => platform::finish_put(&entering, &program, &away).map_err(|error| error.to_string()),
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

fn set_up(task: SetupTask) -> Result<(), String> {
    let token = match task.token {
        Some(token) => token,
        None => token_of(std::io::stdin())?,
    };
    let setup = Setup {
        server: task.server,
        token,
        state_dir: task.state_dir,
        ca_file: task.ca_file,
        proxy: task.proxy,
    };
    let path = task.config.display();
    match setup.write(&task.config, task.replace)? {
        Done::Written => report(&format!("{path} is written")),
        Done::Kept => report(&format!("{path} is there already and stays as it is")),
    }
    Ok(())
}

fn token_of(input: impl std::io::Read) -> Result<String, String> {
    let mut token = String::new();
    input
        .take(1024)
        .read_to_string(&mut token)
        .map_err(|error| format!("the token cannot be read: {error}"))?;
    Ok(token)
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
        ServiceTask::Uninstall {
            purge: false,
            config: _,
        } => own_service::uninstall(),
        ServiceTask::Uninstall {
            purge: true,
            config,
        } => {
            // What is left over is removed whether there was a service or not.
            let uninstalled = own_service::uninstall();
            gururmm_agent::removal::purge(&config)?;
            uninstalled
        }
        ServiceTask::Start => own_service::start(),
        ServiceTask::Stop => own_service::stop(),
        ServiceTask::Status => {
            report(&own_service::status()?);
            Ok(())
        }
        ServiceTask::Run { config } => {
            own_service::serve(move |stops| run(&config, true, move || Ok(stops)))
        }
    }
}

/// Why the agent has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Somebody has stopped it.
    Stopped,
    /// Another program has its name, and is to be started.
    Updated,
}

fn run(
    path: &Path,
    as_service: bool,
    stops: impl FnOnce() -> std::io::Result<Stops> + Send + 'static,
) -> Result<(), String> {
    // Before anything that a new version could fail at.
    let trial = Trial::begin(path, as_service)?;
    update::rehearsal::fault();
    let config = Config::load_or_last_good(path).map_err(|error| error.to_string())?;
    // Nobody sees what a service of Windows writes to its standard error.
    let log = as_service.then(|| config.state_dir().join("agent.log"));
    telemetry::start(&config.log, log.as_deref())?;
    if let Some(problem) = &config.problem {
        tracing::error!(
            problem,
            "the configuration cannot be used: the agent runs with the last good one until it is mended and the agent started again"
        );
    }
    trial.tell();
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
    let agent = runtime.spawn(run_until_stopped(config, trial.clone(), stops));
    let result = runtime
        .block_on(agent)
        .map_err(|error| format!("the agent has failed: {error}"));
    runtime.shutdown_timeout(Duration::from_millis(100));
    match result?? {
        End::Stopped => Ok(()),
        End::Updated => trial.restart(),
    }
}

async fn run_until_stopped(
    config: Config,
    trial: Trial,
    stops: impl FnOnce() -> std::io::Result<Stops>,
) -> Result<End, String> {
    let mut stops = stops().map_err(|error| format!("signals cannot be received: {error}"))?;
    let program = platform::own_program()
        .map_err(|error| format!("the agent's own program cannot be found: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    let (restart, mut restarting) = watch::channel(false);
    let agent = agent::run(config, program, (trial, restart), stopping);
    let mut agent = Box::pin(agent);
    let mut end = tokio::select! {
        ended = &mut agent => return ended.map(|()| End::Stopped).map_err(|error| error.to_string()),
        () = stops.asked() => End::Stopped,
        Ok(_) = restarting.wait_for(|restart| *restart) => End::Updated,
    };
    tracing::info!("the agent is being stopped");
    // An error means that the agent has ended by itself.
    let _ = stop.send(true);
    let late = tokio::time::sleep(STOP_LIMIT);
    tokio::pin!(late);
    loop {
        tokio::select! {
            ended = &mut agent => return ended.map(|()| end).map_err(|error| error.to_string()),
            () = stops.asked(), if end == End::Updated => end = End::Stopped,
            () = &mut late => break,
        }
    }
    tracing::warn!("the agent did not stop in time");
    Ok(end)
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
