//! Runs a command beside a private PostgreSQL cluster: `with-postgres COMMAND [ARGUMENT…]`.
//!
//! The command finds the cluster in `GURURMM_TEST_POSTGRES_URL`; the cluster is gone after it.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use gururmm_tests::cluster::{Cluster, URL_VARIABLE};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-postgres: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments
        .next()
        .context("usage: with-postgres COMMAND [ARGUMENT…]")?;
    let cluster = Cluster::given().map_or_else(Cluster::start, Ok)?;
    let status = Command::new(&program)
        .args(arguments)
        .env(URL_VARIABLE, cluster.url())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}
