//! `make run`: a server and an agent on this machine, a tunnel between them, and one command
//! through it; then it stays up until Ctrl-C. A second run goes on with the data it finds.

mod children;
mod credentials;
mod job;

use std::fs::DirBuilder;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use gururmm_tests::api::Api;
use tokio::signal::unix::{Signal, SignalKind, signal};

use children::Service;
use credentials::Credentials;

/// Where everything is.
struct Place {
    data: PathBuf,
    demo: PathBuf,
    listen: String,
}

// One thread: the children are told to die with the thread that started them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("make run: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut stop = Stop::new()?;
    let place = Place::from_environment()?;
    let mut services = Vec::new();
    let result = tokio::select! {
        result = work(&place, &mut services) => result,
        () = stop.wait() => {
            println!("\nStopping …");
            Ok(())
        }
    };
    // The agent first, so that it can say goodbye.
    while let Some(mut service) = services.pop() {
        service.stop().await?;
    }
    result
}

async fn work(place: &Place, services: &mut Vec<Service>) -> Result<()> {
    let credentials = Credentials::load_or_make(&place.demo)?;
    services.push(start_server(place)?);
    let address = services[0].wait_listening(&place.data).await?;
    let api = Api::new(&format!("http://{address}"));
    job::wait_ready(&api, &mut services[0]).await?;
    println!("The server runs at {}", api.base());

    let api = job::log_in(&api, &credentials, &place.data).await?;
    let site = job::site(&api).await?;
    println!("Client \"{}\", site \"{}\"", job::CLIENT, job::SITE);

    let url = format!("ws://{address}/ws");
    services.push(start_agent(place, &url, &site.code)?);
    let (agent, hostname) = job::wait_online(&api, &site, services).await?;
    println!("The agent on {hostname} is online");

    let (session, printed) = job::run_command(&api, agent, "uname -a").await?;
    println!("A tunnel is open; `uname -a` through it says:\n\n    {printed}\n");
    job::close(&api, session).await?;

    println!("Address   {}", api.base());
    println!("Log-in    {}", credentials.email);
    println!("Password  {}", credentials.password);
    println!("Ctrl-C stops it; logs are in {}", place.demo.display());
    children::watch(services).await
}

impl Place {
    fn from_environment() -> Result<Self> {
        let variable = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
        let data = PathBuf::from(variable("GURURMM_DATA_DIR", "data"));
        let listen = variable("GURURMM_LISTEN", "127.0.0.1:3001");
        if let Err(error) = TcpListener::bind(&listen) {
            bail!(
                "cannot listen on {listen} ({error}); stop what uses it or set GURURMM_LISTEN to \
                 another address"
            );
        }
        let demo = data.join("demo");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&demo)
            .with_context(|| format!("cannot make the directory {}", demo.display()))?;
        let data = data.canonicalize()?;
        let demo = data.join("demo");
        Ok(Self { data, demo, listen })
    }
}

fn start_server(place: &Place) -> Result<Service> {
    let arguments = [
        Path::new("serve"),
        Path::new("--data-dir"),
        &place.data,
        Path::new("--listen"),
        Path::new(&place.listen),
    ];
    // A file of an earlier run would tell an old address.
    let _ = std::fs::remove_file(place.data.join("listen.addr"));
    Service::start("gururmm-server", &arguments, &place.demo)
}

fn start_agent(place: &Place, url: &str, code: &str) -> Result<Service> {
    let config = place.demo.join("agent.toml");
    let state = place.demo.join("agent");
    let text = format!(
        "[server]\nurl = {url:?}\napi_key = {code:?}\nreconnect_seconds = 1\n\n\
         [agent]\nstate_dir = {:?}\n\n[metrics]\ninterval_seconds = 10\n",
        state.display().to_string()
    );
    credentials::write_private(&config, &text)?;
    let arguments = [Path::new("run"), Path::new("--config"), &config];
    Service::start("gururmm-agent", &arguments, &place.demo)
}

/// The signals that end a program at a terminal or under a service manager.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
