//! How much the server grows while a viewer takes nothing of a command that would print 768 MiB.

use std::time::Duration;

use anyhow::{Result, ensure};
use gururmm_tests::processes::resident_kib;

use crate::bulk::printing;
use crate::children::one_thread;
use crate::effort::Effort;
use crate::report::{Aim, Row};
use crate::stage::Stage;
use crate::stats::Figure;

/// How long the viewer takes nothing; the server waits 30 s for it before it lets go.
const SAMPLES: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Measures it, each round with a fresh server: memory that was given back hides growth.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(async {
        let mut growth = Figure::default();
        for _ in 0..effort.rounds.min(3) {
            growth.push(round(effort).await?);
        }
        let what = format!(
            "growth of the server, {} MiB, a viewer that reads nothing",
            mib(effort)
        );
        Ok(vec![Row::new(what, "MiB", &growth).aim(Aim::AtMost(4.0))])
    })
}

fn mib(effort: Effort) -> usize {
    effort.samples(768)
}

async fn round(effort: Effort) -> Result<f64> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut viewer = stage.watch(session).await?;
    let ((), warm) = tokio::join!(stage.command(session, "true"), viewer.ended());
    ensure!(warm?.exit_code == Some(0), "the first command failed");
    let before = resident_kib(stage.server.pid());
    stage.command(session, &printing(mib(effort))).await;
    let mut most = before;
    for _ in 0..SAMPLES {
        tokio::time::sleep(PAUSE).await;
        most = most.max(resident_kib(stage.server.pid()));
    }
    drop(viewer);
    #[allow(clippy::cast_precision_loss, reason = "a few MiB")]
    let growth = (most - before) as f64 / 1024.0;
    Ok(growth)
}
