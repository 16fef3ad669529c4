//! Samples from agents to rows: a hundred agents report as fast as they can.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::answering::Answering;
use crate::children::all_cores;
use crate::effort::Effort;
use crate::local;
use crate::report::{Aim, Row};
use crate::stage::Stage;
use crate::stats::Figure;

const AGENTS: usize = 100;
/// Of one round; fewer than wait at most in the server, which drops the oldest beyond that.
const SAMPLES: usize = 40_000;
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    all_cores()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::new().await?;
    let answering = Answering::dial(&stage, AGENTS).await?;
    let each = effort.samples(SAMPLES) / AGENTS;
    rate(&stage, &answering, each / 10).await?;
    let (mut own, mut inserts) = <(Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        own.push(rate(&stage, &answering, each).await?);
        let rows = each * AGENTS;
        let elapsed = local::inserts(&stage.file("inserts.db"), rows)?;
        inserts.push(local::per_second(rows, elapsed));
    }
    let what = format!("samples from {AGENTS} agents to rows");
    Ok(vec![
        Row::new(what, "rows/s", &own)
            .beside(
                "the same rows into a bare SQLite file, 1,000 a commit",
                &inserts,
            )
            .aim(Aim::AtLeast(20_000.0)),
    ])
}

async fn rate(stage: &Stage, answering: &Answering, each: usize) -> Result<f64> {
    let count = each * AGENTS;
    let until = rows(stage).await + i64::try_from(count)?;
    let start = Instant::now();
    answering.report(each)?;
    let all = async {
        while rows(stage).await < until {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .context("samples were lost")?;
    Ok(local::per_second(count, start.elapsed()))
}

async fn rows(stage: &Stage) -> i64 {
    // Its ids are given in turn and none is deleted here: the largest is cheaper to find than a count.
    let query = "SELECT CAST(coalesce(max(id), 0) AS TEXT) AS value FROM metrics";
    stage.database.count(query).await
}
