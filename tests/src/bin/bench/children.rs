//! The baselines' processes: this program again, in another part.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use gururmm_tests::process::Process;
use gururmm_tests::wait::eventually;

/// What a part that listens says first, before its address.
pub const LISTENING: &str = "listening on ";

/// A part that listens.
pub struct Child {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Child {
    /// Starts one and waits for its address.
    pub async fn listening(part: &str) -> Result<Self> {
        let process = start(&[part])?;
        let address = eventually("a baseline listens", Duration::from_secs(10), || {
            let log = process.log();
            async move {
                log.lines()
                    .find_map(|line| line.strip_prefix(LISTENING)?.parse().ok())
            }
        })
        .await;
        Ok(Self { process, address })
    }
}

/// Starts a part with its arguments.
pub fn start(arguments: &[&str]) -> Result<Process> {
    let own = std::env::current_exe().context("a running program has a path")?;
    let mut command = Command::new(own);
    command.args(arguments);
    Ok(Process::start("a baseline", command))
}

/// A runtime whose tasks all run on the calling thread.
pub fn one_thread() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// A runtime with a thread for each core.
pub fn all_cores() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}
