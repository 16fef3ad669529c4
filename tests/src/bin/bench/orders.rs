//! Commands outside of tunnels, from the request to the stored result: with one real agent, and with
//! a hundred simulated ones that answer at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gururmm_shared::AgentId;
use gururmm_tests::Database;
use gururmm_tests::api::text;
use serde_json::json;

use crate::answering::Answering;
use crate::children::all_cores;
use crate::effort::Effort;
use crate::local;
use crate::report::Row;
use crate::stage::Stage;
use crate::stats::Figure;

const AT_ONCE: usize = 16;
const AGENTS: usize = 100;
/// How often it is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures both.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    let runtime = all_cores()?;
    let mut rows = runtime.block_on(one_agent(effort))?;
    rows.extend(runtime.block_on(many_agents(effort))?);
    Ok(rows)
}

async fn one_agent(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::with_agent().await?;
    let agent = [stage.agent_id()?];
    let count = effort.samples(500);
    rate(&stage, &agent, count / 10).await?;
    let (mut own, mut spawn) = <(Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        own.push(rate(&stage, &agent, count).await?);
        spawn.push(local::spawn_rate(count, AT_ONCE).await?);
    }
    let what = format!("`true` as a command outside tunnels, 1 agent, {AT_ONCE} requests at once");
    Ok(vec![Row::new(what, "commands/s", &own).beside(
        format!("spawn of /bin/true, {AT_ONCE} at once"),
        &spawn,
    )])
}

async fn many_agents(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::new().await?;
    let answering = Answering::dial(&stage, AGENTS).await?;
    let count = effort.samples(2000);
    rate(&stage, &answering.agents, count / 10).await?;
    let (mut single, mut jobs, mut commits) = <(Figure, Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        single.push(rate(&stage, &answering.agents, count).await?);
        jobs.push(job_rate(&stage, count / AGENTS).await?);
        let start = Instant::now();
        local::commits(&stage.file("commits"), count)?;
        commits.push(local::per_second(count, start.elapsed()));
    }
    let disk = "4 KiB and fdatasync, one after the other";
    let what = format!("commands to {AGENTS} simulated agents, {AT_ONCE} requests at once");
    Ok(vec![
        Row::new(what, "commands/s", &single).beside(disk, &commits),
        Row::new(
            format!("the same as jobs of {AGENTS} agents, one job after the other"),
            "commands/s",
            &jobs,
        )
        .beside(disk, &commits),
    ])
}

/// Gives `count` commands, by turns to each agent, [`AT_ONCE`] requests at a time; answers how many a
/// second had their result in the database.
async fn rate(stage: &Stage, agents: &[AgentId], count: usize) -> Result<f64> {
    let before = ended(stage).await;
    let start = Instant::now();
    let mut requests = FuturesUnordered::new();
    for agent in agents.iter().cycle().take(count) {
        if requests.len() == AT_ONCE {
            requests.next().await;
        }
        requests.push(async move {
            let path = format!("/api/agents/{agent}/command");
            let body = json!({"command": "true"});
            stage.api.post(&path, body).await.check(202);
        });
    }
    while requests.next().await.is_some() {}
    wait_ended(stage, before + i64::try_from(count)?).await?;
    Ok(local::per_second(count, start.elapsed()))
}

async fn job_rate(stage: &Stage, count: usize) -> Result<f64> {
    let before = ended(stage).await;
    let start = Instant::now();
    for number in 0..count.max(1) {
        let body =
            json!({"name": "bench", "command": "true", "filter": {"site_id": stage.site.id}});
        let job = stage.api.post("/api/jobs", body).await.expect(201);
        ensure!(
            !text(&job, "id").is_empty() && job["total"] == AGENTS,
            "{job}"
        );
        let all = i64::try_from((number + 1) * AGENTS)?;
        wait_ended(stage, before + all).await?;
    }
    Ok(local::per_second(count.max(1) * AGENTS, start.elapsed()))
}

async fn ended(stage: &Stage) -> i64 {
    let database: &Database = &stage.database;
    let query =
        "SELECT CAST(count(*) AS TEXT) AS value FROM commands WHERE finished_at IS NOT NULL";
    database.count(query).await
}

async fn wait_ended(stage: &Stage, count: i64) -> Result<()> {
    let all = async {
        while ended(stage).await < count {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .context("commands did not end in time")
}
