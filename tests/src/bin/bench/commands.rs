//! `true` through a tunnel, from the request to the last piece on a viewer's stream, beside a
//! local spawn.

use std::time::Instant;

use anyhow::{Result, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gururmm_shared::SessionId;

use crate::children::one_thread;
use crate::effort::Effort;
use crate::local;
use crate::pinning::Pinned;
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::stage::Stage;
use crate::stats::{Figure, Latencies, Spread};

const AT_ONCE: usize = 16;

/// Measures one at a time.
pub fn measure_one_at_a_time(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(one_at_a_time(effort))
}

/// Measures [`AT_ONCE`] at once.
pub fn measure_at_once(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(at_once(effort))
}

async fn one_at_a_time(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut viewer = stage.watch(session).await?;
    let pinned = Pinned::new()?;
    stage.pin(&pinned)?;
    let count = effort.samples(200);
    commands(&stage, session, &mut viewer, count / 10).await?;
    let (mut own, mut spawn, mut shell, mut commits) =
        <(Spread, Spread, Spread, Spread)>::default();
    for _ in 0..effort.rounds {
        own.push(&commands(&stage, session, &mut viewer, count).await?);
        spawn.push(&local::spawns("/bin/true", &[], count).await?);
        shell.push(&local::spawns("/bin/sh", &["-c", "true"], count).await?);
        commits.push(&local::commits(&stage.file("commits"), count)?);
    }
    let what = "`true` through a tunnel, 1 at a time,";
    Ok(vec![
        Row::new(format!("{what} p50, pinned"), "µs", &own.p50)
            .beside("spawn of /bin/true", &spawn.p50)
            .aim(Aim::RatioAtMost(1.5)),
        Row::new(format!("{what} p99, pinned"), "µs", &own.p99)
            .beside("spawn of /bin/true", &spawn.p99),
        Row::new(format!("{what} p50, pinned"), "µs", &own.p50)
            .beside("spawn of /bin/sh -c true", &shell.p50),
        Row::new(format!("{what} p50, pinned"), "µs", &own.p50)
            .beside("4 KiB and fdatasync", &commits.p50),
    ])
}

async fn commands(
    stage: &Stage,
    session: SessionId,
    viewer: &mut Socket,
    count: usize,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        // The end may come before the answer to the request.
        let ((), ended) = tokio::join!(stage.command(session, "true"), viewer.ended());
        latencies.push(start.elapsed());
        ensure!(ended?.exit_code == Some(0), "a command failed");
    }
    Ok(latencies)
}

async fn at_once(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut viewer = stage.watch(session).await?;
    let count = effort.samples(1000);
    rate(&stage, session, &mut viewer, count / 10).await?;
    let (mut own, mut spawn) = <(Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        own.push(rate(&stage, session, &mut viewer, count).await?);
        spawn.push(local::spawn_rate(count, AT_ONCE).await?);
    }
    let what = format!("`true` through a tunnel, {AT_ONCE} at once");
    Ok(vec![
        Row::new(what, "commands/s", &own)
            .beside(format!("spawn of /bin/true, {AT_ONCE} at once"), &spawn)
            .aim(Aim::RatioAtLeast(0.6)),
    ])
}

/// Keeps [`AT_ONCE`] commands running until `count` have ended; answers how many a second.
async fn rate(stage: &Stage, session: SessionId, viewer: &mut Socket, count: usize) -> Result<f64> {
    let start = Instant::now();
    let (mut begun, mut ended) = (0, 0);
    let mut requests = FuturesUnordered::new();
    while ended < count {
        while begun < count && begun - ended < AT_ONCE {
            requests.push(stage.command(session, "true"));
            begun += 1;
        }
        // Reading is not given up half-way: the requests go on beside it.
        let end = viewer.ended();
        tokio::pin!(end);
        loop {
            tokio::select! {
                output = &mut end => {
                    ensure!(output?.exit_code == Some(0), "a command failed");
                    break;
                }
                Some(()) = requests.next() => {}
            }
        }
        ended += 1;
    }
    let elapsed = start.elapsed();
    while requests.next().await.is_some() {}
    Ok(local::per_second(count, elapsed))
}
