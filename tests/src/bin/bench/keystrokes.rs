//! A keystroke and its echo through a terminal that runs `cat` in raw mode, beside the bare relay with a
//! terminal at its end and beside OpenSSH; as fast as they come, one every 5 ms, and while a file is
//! downloaded.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;

use crate::children::{Child, one_thread, start};
use crate::effort::Effort;
use crate::pinning::Pinned;
use crate::plane::TerminalViewer;
use crate::relay::VIEWER;
use crate::relay_agent::PTY;
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::ssh::{Ssh, Terminal};
use crate::stage::Stage;
use crate::stats::{Latencies, Spread};
use crate::transfers::big_file;

/// What runs in every terminal.
const ECHO: &str = "stty raw -echo; echo ready; exec cat";
const READY: &[u8] = b"ready";

/// Something that gives a keystroke back.
trait Keys {
    async fn write(&mut self, bytes: &[u8]) -> Result<()>;
    async fn read(&mut self) -> Result<Vec<u8>>;
}

impl Keys for TerminalViewer {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        TerminalViewer::write(self, bytes).await
    }
    async fn read(&mut self) -> Result<Vec<u8>> {
        let bytes = TerminalViewer::read(self).await?;
        Ok(bytes.context("the terminal has ended")?.to_vec())
    }
}

impl Keys for Socket {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(bytes).await
    }
    async fn read(&mut self) -> Result<Vec<u8>> {
        Ok(self.next().await?.payload.to_vec())
    }
}

impl Keys for Terminal {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Terminal::write(self, bytes).await
    }
    async fn read(&mut self) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        let count = Terminal::read(self, &mut buffer).await?;
        ensure!(count > 0, "the terminal has ended");
        buffer.truncate(count);
        Ok(buffer)
    }
}

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let ssh = Ssh::start().await?;
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let relay = Child::listening("--relay").await?;
    let agent = start(&["--relay-agent", &relay.address.to_string()])?;
    let pinned = Pinned::new()?;
    stage.pin(&pinned)?;
    for process in [relay.process.pid(), agent.pid(), ssh.pid()] {
        pinned.add(process)?;
    }
    // What starts from here on inherits the CPU: the sessions' guard, the shells, the ssh client.
    let mut own = stage.terminal(session, ECHO).await?;
    let mut bare = Socket::join(relay.address, VIEWER).await?;
    bare.say(&format!("{PTY}{ECHO}")).await?;
    let mut peer = ssh.terminal(ECHO)?;
    ready(&mut own).await?;
    ready(&mut bare).await?;
    ready(&mut peer).await?;
    let count = effort.samples(2000);
    let mut rows = Vec::new();
    for (how, pause) in [
        ("", None),
        (", one every 5 ms", Some(Duration::from_millis(5))),
    ] {
        let count = if pause.is_some() { count / 4 } else { count };
        let (mut ours, mut floor, mut theirs) = <(Spread, Spread, Spread)>::default();
        for _ in 0..effort.rounds {
            ours.push(&keystrokes(&mut own, count, pause).await?);
            floor.push(&keystrokes(&mut bare, count, pause).await?);
            theirs.push(&keystrokes(&mut peer, count, pause).await?);
        }
        let what = format!("keystroke through a terminal{how}, pinned");
        let relayed = "bare fastwebsockets relay with a terminal";
        rows.extend([
            Row::new(format!("{what}, p50"), "µs", &ours.p50)
                .beside(relayed, &floor.p50)
                .aim(Aim::RatioAtMost(1.1)),
            Row::new(format!("{what}, p50"), "µs", &ours.p50)
                .beside("ssh -tt", &theirs.p50)
                .aim(Aim::RatioAtMost(1.0)),
            Row::new(format!("{what}, p99"), "µs", &ours.p99).beside(relayed, &floor.p99),
            Row::new(format!("{what}, p99"), "µs", &ours.p99).beside("ssh -tt", &theirs.p99),
        ]);
    }
    drop(pinned);
    rows.push(beside_a_transfer(effort).await?);
    Ok(rows)
}

/// Not pinned: a transfer that goes on would take the one CPU.
async fn beside_a_transfer(effort: Effort) -> Result<Row> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut own = stage.terminal(session, ECHO).await?;
    ready(&mut own).await?;
    let file = big_file(&stage.file("big"), 512 << 20)?;
    let (mut idle, mut beside) = <(Spread, Spread)>::default();
    let pause = Some(Duration::from_millis(2));
    for _ in 0..effort.rounds {
        idle.push(&keystrokes(&mut own, effort.samples(500), pause).await?);
        let mut body = stage.download(session, &file).await?;
        let reading = tokio::spawn(async move {
            while let Some(chunk) = body.next().await {
                chunk?;
            }
            anyhow::Ok(())
        });
        let mut latencies = Latencies::default();
        while !reading.is_finished() {
            latencies.extend(&keystrokes(&mut own, 5, pause).await?);
        }
        reading.await??;
        beside.push(&latencies);
    }
    Ok(Row::new(
        "keystroke beside a download of 512 MiB, p99",
        "µs",
        &beside.p99,
    )
    .beside("without a transfer", &idle.p99)
    .aim(Aim::RatioAtMost(5.0)))
}

async fn ready(keys: &mut impl Keys) -> Result<()> {
    let mut seen = Vec::new();
    while !seen.windows(READY.len()).any(|part| part == READY) {
        seen.extend(keys.read().await?);
    }
    // The line's end may come by itself.
    if !seen.ends_with(b"\n") {
        keys.read().await?;
    }
    Ok(())
}

async fn keystrokes(
    keys: &mut impl Keys,
    count: usize,
    pause: Option<Duration>,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for index in 0..count {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let key = [b'a' + u8::try_from(index % 26)?];
        let start = Instant::now();
        keys.write(&key).await?;
        let echo = keys.read().await?;
        latencies.push(start.elapsed());
        ensure!(echo == key, "{echo:?} came back for {key:?}");
    }
    Ok(latencies)
}
