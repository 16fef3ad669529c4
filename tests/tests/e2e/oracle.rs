//! The oracle of commands: server and agent are killed at random points while commands flow, and in the
//! end every command that was accepted has ended once, and none has run twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::{Api, eventually, on_both_databases};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// How often the server is killed; the agent half as often. Fewer with `GURURMM_ORACLE_KILLS`.
const KILLS: usize = 200;

/// At most so long after one is up again, the next kill comes.
const LIFE: Duration = Duration::from_millis(250);

/// How long the last commands may take to end.
const SETTLED: Duration = Duration::from_secs(120);

fn kills() -> usize {
    let wanted = std::env::var("GURURMM_ORACLE_KILLS").ok();
    wanted.map_or(KILLS, |wanted| wanted.parse().expect("a number of kills"))
}

/// The seed of the pauses between kills: `GURURMM_ORACLE_SEED`, or a new one; it is told, so that it can be given again.
fn seed() -> u64 {
    let wanted = std::env::var("GURURMM_ORACLE_SEED").ok();
    let seed = wanted.map_or_else(
        || rand::rng().random(),
        |wanted| wanted.parse().expect("a number"),
    );
    println!("GURURMM_ORACLE_SEED={seed}");
    seed
}

/// Gives commands until it is told to stop; answers the ids of those that were accepted.
async fn give_commands(api: Api, path: String, line: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        // While the server is down there is no answer, or half of one: such a command may be kept or
        // not, and is counted by what the server lists in the end.
        let body = json!({"command": line});
        if let Ok(answer) = api.try_post(&path, &body).await
            && answer.status == 202
        {
            accepted.push(text(&answer.json(), "command_id").to_owned());
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    accepted
}

async fn all_commands(api: &Api) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/api/commands?limit=1000".to_owned();
    loop {
        let page = api.get(&path).await.expect(200);
        all.extend(items(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/commands?limit=1000&cursor={cursor}"),
            None => return all,
        }
    }
}

on_both_databases! {
    async fn no_command_is_lost_and_none_runs_twice(world: World) {
        let limits = [("commands.per_minute", "1000000"), ("commands.max_waiting", "1000000")];
        let mut rmm = world.deploy(&limits).await;
        let (mut agent, id) = rmm.agent().await;
        let ran = world.file("ran");
        let line = format!("echo $GURURMM_COMMAND_ID >> {}", ran.display());
        let stop = Arc::new(AtomicBool::new(false));
        let path = format!("/api/agents/{id}/command");
        let giving = tokio::spawn(give_commands(rmm.technician.clone(), path, line, Arc::clone(&stop)));
        let mut chance = StdRng::seed_from_u64(seed());
        for kill in 0..kills() {
            let pause = chance.random_range(Duration::ZERO..LIFE);
            tokio::time::sleep(pause).await;
            if kill % 2 == 0 {
                agent.kill9();
                agent.restart();
                let pause = chance.random_range(Duration::ZERO..LIFE);
                tokio::time::sleep(pause).await;
            }
            rmm.server.kill9();
            rmm.server.restart().await;
        }
        stop.store(true, Ordering::Relaxed);
        let accepted = giving.await.unwrap();

        let all = eventually("every command has ended", SETTLED, || async {
            let all = all_commands(&rmm.technician).await;
            all.iter().all(|row| row["finished_at"].is_string()).then_some(all)
        }).await;
        let text_of = std::fs::read_to_string(&ran).unwrap();
        let mut runs: HashMap<&str, usize> = HashMap::new();
        for id in text_of.lines() {
            *runs.entry(id).or_default() += 1;
        }
        let mut ends: HashMap<String, usize> = HashMap::new();
        let rows: HashMap<&str, &Value> = all.iter().map(|row| (text(row, "id"), row)).collect();
        assert_eq!(rows.len(), all.len(), "each is listed once");
        for id in &accepted {
            assert!(rows.contains_key(id.as_str()), "{id} was accepted and is lost");
        }
        for (id, count) in &runs {
            assert_eq!(*count, 1, "{id} ran twice: {}", rows[id]);
        }
        for row in &all {
            let end = format!("{} {}", text(row, "status"), row["reason"].as_str().unwrap_or(""));
            *ends.entry(end).or_default() += 1;
            if row["status"] == "completed" {
                assert_eq!(runs.get(text(row, "id")), Some(&1), "{row} has not run");
            }
        }
        let completed = ends.get("completed ").copied().unwrap_or_default();
        assert!(completed * 2 > accepted.len(), "most went well: {ends:?} of {}", accepted.len());
        println!("{} accepted, {} kept: {ends:?}", accepted.len(), all.len());
    }
}
