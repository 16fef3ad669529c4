//! How long a tunnel takes to open, and a tunnel with a terminal, beside the smallest HTTP answer, a
//! commit, and OpenSSH.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::children::one_thread;
use crate::effort::Effort;
use crate::local;
use crate::pinning::Pinned;
use crate::report::{Aim, Row};
use crate::ssh::Ssh;
use crate::stage::Stage;
use crate::stats::{Latencies, Spread};

/// A tenth of what the peer needs to open a terminal, 90 ms, in microseconds.
const AIM_MICROS: f64 = 9000.0;

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let ssh = Ssh::start().await?;
    let stage = Stage::with_agent().await?;
    let pinned = Pinned::new()?;
    stage.pin(&pinned)?;
    let count = effort.samples(100);
    let (mut opens, mut closes, mut health, mut commits) =
        <(Spread, Spread, Spread, Spread)>::default();
    let (mut terminals, mut connects) = <(Spread, Spread)>::default();
    opens_and_closes(&stage, count / 10).await?;
    for _ in 0..effort.rounds {
        let (opened, closed) = opens_and_closes(&stage, count).await?;
        opens.push(&opened);
        closes.push(&closed);
        terminals.push(&opens_with_terminal(&stage, count / 2).await?);
        connects.push(&ssh.runs("true", count / 10).await?);
        health.push(&healthz(&stage, count).await);
        commits.push(&local::commits(&stage.file("commits"), count)?);
    }
    Ok(vec![
        Row::new("tunnel open p50, pinned", "µs", &opens.p50)
            .beside("GET /healthz", &health.p50)
            .aim(Aim::AtMost(AIM_MICROS)),
        Row::new("tunnel open p99, pinned", "µs", &opens.p99).beside("GET /healthz", &health.p99),
        Row::new("tunnel open p50, pinned", "µs", &opens.p50)
            .beside("4 KiB and fdatasync", &commits.p50),
        Row::new(
            "tunnel and terminal open, to its first byte, p50, pinned",
            "µs",
            &terminals.p50,
        )
        .beside("ssh, connect and run true", &connects.p50)
        .aim(Aim::RatioAtMost(0.04)),
        Row::new("tunnel close p50, pinned", "µs", &closes.p50)
            .beside("4 KiB and fdatasync", &commits.p50),
    ])
}

async fn opens_and_closes(stage: &Stage, count: usize) -> Result<(Latencies, Latencies)> {
    let (mut opens, mut closes) = <(Latencies, Latencies)>::default();
    for _ in 0..count {
        let start = Instant::now();
        let session = stage.open().await?;
        opens.push(start.elapsed());
        let start = Instant::now();
        stage.close(session).await;
        closes.push(start.elapsed());
    }
    Ok((opens, closes))
}

/// From nothing to the first byte that a program prints to its terminal.
async fn opens_with_terminal(stage: &Stage, count: usize) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        let session = stage.open().await?;
        let mut terminal = stage.terminal(session, "echo ready; exec cat").await?;
        ensure!(terminal.read().await?.is_some(), "nothing was printed");
        latencies.push(start.elapsed());
        stage.close(session).await;
    }
    Ok(latencies)
}

async fn healthz(stage: &Stage, count: usize) -> Latencies {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        stage.api.get("/healthz").await.check(200);
        latencies.push(start.elapsed());
    }
    latencies
}
