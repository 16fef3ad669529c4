//! Thousands of agents: what an idle one costs the server in memory, and how fast all are back
//! after the server was killed.

use std::time::Duration;

use anyhow::{Result, ensure};
use gururmm_tests::processes::resident_kib;

use crate::children::{Child, all_cores};
use crate::effort::Effort;
use crate::fleet::{Fleet, Identity};
use crate::local::per_second;
use crate::machine;
use crate::report::{Aim, Row};
use crate::stage::Stage;
use crate::stats::Figure;

/// Files that a process needs beside its connections.
const OTHER_FILES: usize = 200;
/// How long the server may come to rest before its memory is read.
const REST: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Figures {
    rate: Figure,
    memory: Figure,
}

/// Measures both.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    let count = effort.samples(5000);
    let files = usize::try_from(machine::open_files()?)?;
    ensure!(
        files >= count + OTHER_FILES,
        "{count} agents need more than the {files} files that a process may open: raise `ulimit -Hn`"
    );
    all_cores()?.block_on(run(effort.rounds.min(3), count))
}

async fn run(rounds: usize, count: usize) -> Result<Vec<Row>> {
    let mut stage = Stage::new().await?;
    let url = stage.server.agents_url();
    let devices = Identity::new_devices(count, &stage.site.code);
    let enrolled = Fleet::dial(&url, &devices).await?;
    let mut enrolments = Figure::default();
    enrolments.push(per_second(count, enrolled.elapsed));
    let identities = enrolled.identities.clone();
    enrolled.hang_up().await?;
    // The first use of a key is written down, once in an agent's life.
    let (mut first, mut own, mut floor) = <(Figures, Figures, Figures)>::default();
    storm(&mut stage, &identities, &mut first).await?;
    for _ in 0..rounds {
        storm(&mut stage, &identities, &mut own).await?;
        bare_storm(&identities, &mut floor).await?;
    }
    let name = "bare tungstenite accept and ack";
    Ok(vec![
        Row::new(
            format!("memory of an idle agent, {count} of them"),
            "KiB",
            &own.memory,
        )
        .beside(name, &floor.memory)
        .aim(Aim::AtMost(8.0)),
        Row::new(
            format!("agents back after kill -9, {count} of them"),
            "agents/s",
            &own.rate,
        )
        .beside(name, &floor.rate)
        .aim(Aim::RatioAtLeast(0.7)),
        Row::new(
            "the same on the first use of their keys",
            "agents/s",
            &first.rate,
        ),
        Row::new("enrolments with a site's code", "agents/s", &enrolments),
    ])
}

async fn storm(stage: &mut Stage, identities: &[Identity], figures: &mut Figures) -> Result<()> {
    stage.server.kill9();
    stage.server.restart().await;
    let pid = stage.server.pid();
    come_back(&stage.server.agents_url(), pid, identities, figures).await
}

async fn bare_storm(identities: &[Identity], figures: &mut Figures) -> Result<()> {
    let child = Child::listening("--bare").await?;
    let url = format!("ws://{}/ws", child.address);
    come_back(&url, child.process.pid(), identities, figures).await
}

async fn come_back(
    url: &str,
    server: u32,
    identities: &[Identity],
    figures: &mut Figures,
) -> Result<()> {
    tokio::time::sleep(REST).await;
    let before = resident_kib(server);
    let mut fleet = Fleet::dial(url, identities).await?;
    figures
        .rate
        .push(per_second(identities.len(), fleet.elapsed));
    tokio::time::sleep(REST).await;
    let grown = resident_kib(server).saturating_sub(before);
    let connected = fleet.connected();
    ensure!(
        connected == identities.len(),
        "only {connected} agents are still there"
    );
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    figures.memory.push(grown as f64 / connected as f64);
    fleet.hang_up().await
}
