//! `gururmm`: parse, run, one line for what went wrong.

use std::process::ExitCode;

use clap::Parser;
use gururmm_cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli.run());
            // What still blocks, as a read of the keyboard, ends with the process.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(_) => ExitCode::from(255),
    }
}
