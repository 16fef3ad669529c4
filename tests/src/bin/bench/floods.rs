//! Bytes a second of what a program prints to its terminal: one, and twenty at once.

use std::time::Instant;

use anyhow::{Result, ensure};
use fastwebsockets::OpCode;

use crate::children::{Child, all_cores, start};
use crate::effort::Effort;
use crate::local::mib_per_second;
use crate::plane::TerminalViewer;
use crate::pty::Pty;
use crate::relay::VIEWER;
use crate::relay_agent::PTY;
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::ssh::Ssh;
use crate::stage::Stage;
use crate::stats::Figure;

const AT_ONCE: usize = 20;

fn printing(mib: usize) -> String {
    format!("stty raw -echo; head -c {mib}M /dev/zero | tr '\\0' x")
}

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    all_cores()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let mib = effort.samples(100);
    let bytes = (mib << 20) as u64;
    let ssh = Ssh::start().await?;
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let command = printing(mib);
    let (mut own, mut local, mut relayed, mut peer, mut many) =
        <(Figure, Figure, Figure, Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        let start = Instant::now();
        let viewer = stage.terminal(session, &command).await?;
        drain(viewer, bytes).await?;
        own.push(mib_per_second(bytes, start.elapsed()));
        local.push(locally(&command, bytes).await?);
        relayed.push(through_relay(&command, bytes).await?);
        let took = ssh.read(&["-tt"], &command, bytes).await?;
        peer.push(mib_per_second(bytes, took));
        let start = Instant::now();
        let mut viewer = stage.watch_terminals(session).await?;
        for _ in 0..AT_ONCE {
            let part = printing(mib / AT_ONCE);
            stage.start_terminal(session, &part).await?;
            viewer.wait_for_one_more();
        }
        let total = ((mib / AT_ONCE * AT_ONCE) << 20) as u64;
        let read = viewer.drain().await?;
        ensure!(read == total, "terminals lost bytes: {read} of {total}");
        many.push(mib_per_second(total, start.elapsed()));
    }
    let what = format!("output of a terminal, {mib} MiB");
    let row = || Row::new(what.clone(), "MiB/s", &own);
    Ok(vec![
        row()
            .beside("bare fastwebsockets relay with a terminal", &relayed)
            .aim(Aim::RatioAtLeast(1.0)),
        row().beside("ssh -tt", &peer),
        row().beside("local terminal", &local),
        Row::new("the same by 20 terminals at once", "MiB/s", &many).beside("one terminal", &own),
    ])
}

async fn drain(mut viewer: TerminalViewer, bytes: u64) -> Result<()> {
    let mut total = 0;
    while let Some(piece) = viewer.read().await? {
        total += piece.len() as u64;
    }
    ensure!(total == bytes, "a terminal lost bytes: {total} of {bytes}");
    Ok(())
}

async fn locally(command: &str, bytes: u64) -> Result<f64> {
    let start = Instant::now();
    let pty = Pty::start(command)?;
    let mut buffer = vec![0; 32 * 1024];
    let mut total = 0;
    loop {
        match pty.read(&mut buffer).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    ensure!(total == bytes, "a local terminal lost bytes");
    Ok(mib_per_second(bytes, start.elapsed()))
}

async fn through_relay(command: &str, bytes: u64) -> Result<f64> {
    let relay = Child::listening("--relay").await?;
    let _agent = start(&["--relay-agent", &relay.address.to_string()])?;
    let mut viewer = Socket::join(relay.address, VIEWER).await?;
    let start = Instant::now();
    viewer.say(&format!("{PTY}{command}")).await?;
    let mut total = 0;
    loop {
        let frame = viewer.next().await?;
        if frame.opcode == OpCode::Text {
            break;
        }
        total += frame.payload.len() as u64;
    }
    ensure!(total == bytes, "the relay lost bytes: {total} of {bytes}");
    Ok(mib_per_second(bytes, start.elapsed()))
}
