//! What the machine does by itself: spawning programs, reading a pipe, committing to its disk.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::stats::Latencies;

/// Runs a program once, to its end.
pub async fn spawn(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    ensure!(status.success(), "{program} failed");
    Ok(())
}

/// Runs a program `count` times, one at a time.
pub async fn spawns(program: &str, arguments: &[&str], count: usize) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        spawn(program, arguments).await?;
        latencies.push(start.elapsed());
    }
    Ok(latencies)
}

/// Runs /bin/true `count` times, `at_once` at a time; answers how many a second.
pub async fn spawn_rate(count: usize, at_once: usize) -> Result<f64> {
    let start = Instant::now();
    let mut running = FuturesUnordered::new();
    for _ in 0..count {
        if running.len() == at_once
            && let Some(ended) = running.next().await
        {
            let ended: Result<()> = ended;
            ended?;
        }
        running.push(spawn("/bin/true", &[]));
    }
    while let Some(ended) = running.next().await {
        ended?;
    }
    Ok(per_second(count, start.elapsed()))
}

/// Writes a page to a file and waits until the disk has it, `count` times.
pub fn commits(file: &Path, count: usize) -> Result<Latencies> {
    let mut file = std::fs::File::create(file)?;
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        latencies.push(start.elapsed());
    }
    Ok(latencies)
}

/// Inserts `count` rows like those of samples into a fresh SQLite file, 1,000 a commit; answers how
/// long that took.
pub fn inserts(file: &Path, count: usize) -> Result<Duration> {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let url = file.to_str().context("the path is text")?;
    let mut connection = SqliteConnection::establish(url)?;
    connection.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE samples (id INTEGER PRIMARY KEY, agent BLOB NOT NULL, at INTEGER NOT NULL,
             cpu REAL, mu INTEGER, mt INTEGER, du INTEGER, dt INTEGER, rx INTEGER, tx INTEGER, up INTEGER);
         CREATE INDEX samples_by_agent ON samples (agent, at);",
    )?;
    let insert = "INSERT INTO samples (agent, at, cpu, mu, mt, du, dt, rx, tx, up)
        VALUES (randomblob(16), 1763718612123456, 12.5, 6442450944, 17179869184, 128849018880,
            536870912000, 123456, 65432, 1234567)";
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let rows = left.min(1000);
        connection.immediate_transaction(|connection| {
            (0..rows).try_for_each(|_| connection.batch_execute(insert))
        })?;
        left -= rows;
    }
    Ok(start.elapsed())
}

/// Reads what a command prints through a pipe, to its end; answers how many bytes that were.
pub async fn read_output(command: &str) -> Result<u64> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut pipe = child.stdout.take().expect("piped");
    let mut buffer = vec![0; 32 * 1024];
    let mut total = 0;
    loop {
        match pipe.read(&mut buffer).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    child.wait().await?;
    Ok(total)
}

/// How many a second.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// MiB a second.
#[allow(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub fn mib_per_second(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / f64::from(1 << 20) / elapsed.as_secs_f64()
}
