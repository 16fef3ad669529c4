//! gururmm-server: parse, run, and one line for what went wrong.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use gururmm_server::cli::Cli;

#[actix_web::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("gururmm-server: {error:#}").replace('\n', " ");
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{line}");
            ExitCode::FAILURE
        }
    }
}
