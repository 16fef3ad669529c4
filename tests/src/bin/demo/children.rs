//! The server and the agent as children that end with the demo.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gururmm_tests::binaries::binary;
use gururmm_tests::process::{die_with_parent, pid};
use nix::sys::signal::{Signal, kill};

const POLL: Duration = Duration::from_millis(50);
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A child that is to run until it is stopped.
pub struct Service {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Service {
    /// Starts a program of this workspace; it logs to a file in `directory`.
    pub fn start(name: &'static str, arguments: &[&Path], directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(binary(name));
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C goes to the demo only, which stops its children in order.
            .process_group(0);
        die_with_parent(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, log, child })
    }

    /// An error that repeats the child's last line, once it has ended.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        match log.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => bail!("{}", line.trim()),
            None => bail!("{} ended with {status}", self.name),
        }
    }

    /// Waits until the server has written where it listens.
    pub async fn wait_listening(&mut self, data: &Path) -> Result<SocketAddr> {
        let start = Instant::now();
        loop {
            self.check()?;
            let text = std::fs::read_to_string(data.join("listen.addr")).unwrap_or_default();
            if let Ok(address) = text.trim().parse() {
                return Ok(address);
            }
            self.in_time(start)?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// An error once a start takes too long.
    pub fn in_time(&self, start: Instant) -> Result<()> {
        if start.elapsed() > START_LIMIT {
            bail!(
                "{} is not ready after {} s; its log is {}",
                self.name,
                START_LIMIT.as_secs(),
                self.log.display()
            );
        }
        Ok(())
    }

    /// Stops it gracefully, by force when it takes too long.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        if self.child.try_wait()?.is_none() {
            kill(pid(self.child.id()), Signal::SIGTERM)?;
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > STOP_LIMIT {
                self.child.kill()?;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Waits until one of them ends by itself, which is an error.
pub async fn watch(services: &mut [Service]) -> Result<()> {
    loop {
        for service in services.iter_mut() {
            service.check()?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
