//! A real server process on a port of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::api::Api;
use crate::binaries::binary;
use crate::database::Database;
use crate::process::Process;
use crate::wait::{SOON, eventually};

/// How long the server may take to stop.
pub const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A server process with its data directory.
pub struct TestServer {
    process: Process,
    environment: BTreeMap<String, String>,
    data_dir: PathBuf,
    address: SocketAddr,
    encrypts: bool,
}

impl TestServer {
    /// Starts one on a free port and waits until it is ready.
    pub async fn start(data_dir: &Path, database: &Database, settings: &[(&str, &str)]) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(free, data_dir, database, settings).await
    }

    /// Starts one on this port and waits until it is ready.
    pub async fn start_at(
        listen: SocketAddr,
        data_dir: &Path,
        database: &Database,
        settings: &[(&str, &str)],
    ) -> Self {
        let environment = environment(data_dir, database, settings);
        let _ = std::fs::remove_file(data_dir.join("listen.addr"));
        let mut process = spawn(&environment, data_dir, &listen.to_string());
        let address_file = data_dir.join("listen.addr");
        let address = eventually("the server writes its address", SOON, || {
            let ended = process.exit();
            assert!(ended.is_none(), "the server ended with {ended:?}");
            let text = std::fs::read_to_string(&address_file);
            async move { text.ok()?.trim().parse::<SocketAddr>().ok() }
        })
        .await;
        let mode = environment.get(&variable("tls.mode"));
        let encrypts = mode.is_some_and(|mode| mode != "proxy");
        let mut server = Self {
            process,
            environment,
            data_dir: data_dir.to_owned(),
            address,
            encrypts,
        };
        server.wait_ready().await;
        server
    }

    /// Starts one on a socket that is handed over as a service manager does it.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_on(
        socket: &std::net::TcpListener,
        data_dir: &Path,
        database: &Database,
        settings: &[(&str, &str)],
    ) -> Self {
        let environment = environment(data_dir, database, settings);
        // The number of its own process is part of the message, so a shell says it.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve";
        let mut command = Command::new("sh");
        prepare(&mut command, &environment, data_dir);
        command.args(["-c", script]).arg(binary("gururmm-server"));
        let input = socket.try_clone().unwrap();
        let input = std::os::fd::OwnedFd::from(input);
        let process = Process::start_with_input("gururmm-server", command, input.into());
        let mut server = Self {
            process,
            environment,
            data_dir: data_dir.to_owned(),
            address: socket.local_addr().unwrap(),
            encrypts: false,
        };
        server.wait_ready().await;
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root of its HTTP API, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.encrypts { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where agents connect.
    #[must_use]
    pub fn agents_url(&self) -> String {
        let scheme = if self.encrypts { "wss" } else { "ws" };
        format!("{scheme}://{}/ws", self.address)
    }

    /// A client that is not logged in.
    #[must_use]
    pub fn anonymous(&self) -> Api {
        Api::new(&self.url())
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The one-time token for the first administrator.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn setup_token(&self) -> String {
        let text = std::fs::read_to_string(self.data_dir.join("setup-token"))
            .expect("a server without users has a set-up token");
        text.trim().to_owned()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.exit().is_none()
    }

    /// Kills it with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Asks it with SIGHUP to read files anew.
    pub fn hang_up(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Asks it to stop with SIGTERM, as a service manager does.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Stops it gracefully; it must end in time and with exit code 0.
    pub async fn stop(&mut self) {
        self.terminate();
        self.wait_stopped().await;
    }

    /// Waits for the end that [`Self::terminate`] asked for.
    pub async fn wait_stopped(&mut self) {
        let status = self.process.wait(STOP_LIMIT).await;
        assert_eq!(
            status.code(),
            Some(0),
            "a graceful stop ends with 0, not {status:?}"
        );
    }

    /// Starts it again, after a stop or a kill, on the same data and the same port.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.environment, &self.data_dir, &self.address.to_string());
        self.wait_ready().await;
    }

    async fn wait_ready(&mut self) {
        let api = self.anonymous();
        let process = &mut self.process;
        eventually("the server is ready", SOON, || {
            let ended = process.exit();
            assert!(ended.is_none(), "the server ended with {ended:?}");
            let api = &api;
            async move {
                let answer = api.try_get("/readyz").await.ok()?;
                (answer.status == 200).then_some(())
            }
        })
        .await;
    }
}

/// Runs the server's program to its end, for its other subcommands; one that does not end is
/// killed.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run_server(
    data_dir: &Path,
    database: &Database,
    settings: &[(&str, &str)],
    arguments: &[&str],
    input: &str,
) -> Output {
    use std::io::Write;
    let mut command = base(&environment(data_dir, database, settings), data_dir);
    command
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    crate::process::die_with_parent(&mut command);
    let mut child = command.spawn().unwrap();
    // A program that fails early closes its input; that is no fault of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let id = crate::process::pid(child.id());
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(SOON) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = nix::sys::signal::kill(id, Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    guard.join().unwrap();
    output
}

/// The variable of a setting: `tunnel.max_viewers` becomes `GURURMM_TUNNEL__MAX_VIEWERS`.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("GURURMM_{}", key.replace('.', "__").to_uppercase())
}

fn environment(
    data_dir: &Path,
    database: &Database,
    settings: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    all.insert(variable("data_dir"), data_dir.display().to_string());
    if let Some(url) = database.url() {
        all.insert(variable("database.url"), url.to_owned());
        all.insert(variable("database.max_connections"), "5".to_owned());
    }
    // Tests ask in quick succession; what they ask about this limit they set.
    let many = "10000000".to_owned();
    all.insert(variable("limits.requests_per_minute"), many);
    for (key, value) in settings {
        let is_variable = |c: char| c.is_ascii_uppercase() || c == '_';
        let name = if key.starts_with("GURURMM_") || key.chars().all(is_variable) {
            (*key).to_owned()
        } else {
            variable(key)
        };
        all.insert(name, (*value).to_owned());
    }
    all.retain(|_, value| !value.is_empty());
    all
}

fn base(environment: &BTreeMap<String, String>, data_dir: &Path) -> Command {
    let mut command = Command::new(binary("gururmm-server"));
    prepare(&mut command, environment, data_dir);
    command
}

fn prepare(command: &mut Command, environment: &BTreeMap<String, String>, data_dir: &Path) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(environment)
        .current_dir(
            data_dir
                .parent()
                .expect("a test's data lies in its directory"),
        );
}

fn spawn(environment: &BTreeMap<String, String>, data_dir: &Path, listen: &str) -> Process {
    let mut command = base(environment, data_dir);
    command.args(["serve", "--listen", listen]);
    Process::start("gururmm-server", command)
}
