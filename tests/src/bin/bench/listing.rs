//! A page of the list of agents where there are ten thousand.

use std::time::Instant;

use anyhow::{Result, ensure};
use gururmm_tests::api::items;

use crate::children::all_cores;
use crate::effort::Effort;
use crate::fleet::{Fleet, Identity};
use crate::report::{Aim, Row};
use crate::stage::Stage;
use crate::stats::{Latencies, Spread};

/// Agents that enrol at a time: each is a connection while it does.
const WAVE: usize = 1000;
/// Ten milliseconds.
const AIM_MICROS: f64 = 10_000.0;

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    all_cores()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::new().await?;
    let agents = effort.samples(10_000);
    let devices = Identity::new_devices(agents, &stage.site.code);
    for wave in devices.chunks(WAVE) {
        Fleet::dial(&stage.server.agents_url(), wave)
            .await?
            .hang_up()
            .await?;
    }
    let pages = [
        ("GET /api/agents (100 a page)", "/api/agents"),
        (
            "the same, sorted by -last_seen",
            "/api/agents?sort=-last_seen",
        ),
        ("the same, searched by name", "/api/agents?q=raw-agent"),
        (
            "the same, of one site, online",
            "/api/agents?status=online&limit=100",
        ),
    ];
    let count = effort.samples(500);
    let mut rows = Vec::new();
    for (what, path) in pages {
        let (mut own, mut health) = <(Spread, Spread)>::default();
        requests(&stage, path, count / 10).await;
        for _ in 0..effort.rounds {
            own.push(&requests(&stage, path, count).await);
            health.push(&requests(&stage, "/healthz", count).await);
        }
        let what = format!("{what}, {agents} agents, p99");
        rows.push(
            Row::new(what, "µs", &own.p99)
                .beside("GET /healthz", &health.p99)
                .aim(Aim::AtMost(AIM_MICROS)),
        );
    }
    let first = stage.api.get("/api/agents").await.expect(200);
    ensure!(items(&first).len() == 100, "a page is full");
    Ok(rows)
}

async fn requests(stage: &Stage, path: &str, count: usize) -> Latencies {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        stage.api.get(path).await.check(200);
        latencies.push(start.elapsed());
    }
    latencies
}
