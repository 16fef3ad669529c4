//! The benchmark: the real server and the real agent beside baselines of the same run.
//!
//! Every figure has its baseline measured in turn with it, round by round, so that what else the
//! machine does touches both. Prints one markdown table. Nothing here is asserted: a benchmark
//! informs, it does not fail.

mod agents;
mod answering;
mod bare;
mod bulk;
mod children;
mod commands;
mod echo;
mod effort;
mod fleet;
mod floods;
mod ingest;
mod keystrokes;
mod listing;
mod local;
mod machine;
mod opens;
mod orders;
mod pinning;
mod plane;
mod pty;
mod relay;
mod relay_agent;
mod report;
mod slow_viewer;
mod socket;
mod ssh;
mod stage;
mod stats;
mod transfers;

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

use effort::Effort;
use report::Row;

type Measurement = fn(Effort) -> Result<Vec<Row>>;

/// Every measurement with its name, in the order of the table.
const MEASUREMENTS: [(&str, Measurement); 13] = [
    ("opens", opens::measure),
    ("commands", commands::measure_one_at_a_time),
    ("commands-at-once", commands::measure_at_once),
    ("echo", echo::measure),
    ("keystrokes", keystrokes::measure),
    ("floods", floods::measure),
    ("transfers", transfers::measure),
    ("bulk", bulk::measure),
    ("slow-viewer", slow_viewer::measure),
    ("orders", orders::measure),
    ("ingest", ingest::measure),
    ("listing", listing::measure),
    ("agents", agents::measure),
];

const USAGE: &str = "usage: bench [--quick] [--only NAME]…";

enum Task {
    Measure { only: Vec<String>, effort: Effort },
    Bare,
    Relay,
    RelayAgent(SocketAddr),
}

fn main() -> Result<()> {
    match task(std::env::args().skip(1))? {
        Task::Measure { only, effort } => measure(&only, effort),
        Task::Bare => bare::serve(),
        Task::Relay => relay::serve(),
        Task::RelayAgent(address) => relay_agent::serve(address),
    }
}

fn task(mut arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut only = Vec::new();
    let mut effort = Effort::FULL;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => effort = Effort::QUICK,
            "--only" => only.push(arguments.next().context(USAGE)?),
            // The parts that the benchmark starts of itself.
            "--bare" => return Ok(Task::Bare),
            "--relay" => return Ok(Task::Relay),
            "--relay-agent" => {
                let address = arguments.next().context(USAGE)?;
                return Ok(Task::RelayAgent(address.parse()?));
            }
            _ => bail!(USAGE),
        }
    }
    for name in &only {
        if !MEASUREMENTS.iter().any(|(known, _)| known == name) {
            let known = MEASUREMENTS.map(|(known, _)| known).join(", ");
            bail!("there is no measurement {name:?}; there are {known}");
        }
    }
    Ok(Task::Measure { only, effort })
}

fn measure(only: &[String], effort: Effort) -> Result<()> {
    machine::raise_open_files()?;
    println!("{}", machine::describe()?);
    println!("{}", report::HEAD);
    for (name, run) in MEASUREMENTS {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            for row in run(effort).with_context(|| format!("measuring {name}"))? {
                println!("{}", row.show());
            }
        }
    }
    println!("\n{}", report::FOOT);
    println!("Load at the end: {}.", machine::load()?);
    Ok(())
}
