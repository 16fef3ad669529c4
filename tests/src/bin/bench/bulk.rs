//! Bytes a second of a command's output, beside a local pipe and beside the bare relay.

use std::time::Instant;

use anyhow::{Result, ensure};
use fastwebsockets::OpCode;
use gururmm_shared::SessionId;

use crate::children::{Child, one_thread, start};
use crate::effort::Effort;
use crate::local::{mib_per_second, read_output};
use crate::relay::VIEWER;
use crate::relay_agent::{BYTES, RUN};
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::stage::Stage;
use crate::stats::Figure;

/// A command that prints so many MiB.
pub fn printing(mib: usize) -> String {
    format!("head -c {mib}M /dev/zero | tr '\\0' x")
}

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut viewer = stage.watch(session).await?;
    let relay = Child::listening("--relay").await?;
    let _agent = start(&["--relay-agent", &relay.address.to_string()])?;
    let mut bare = Socket::join(relay.address, VIEWER).await?;
    let mib = effort.samples(256);
    let (command, bytes) = (printing(mib), (mib << 20) as u64);
    let (mut own, mut pipe, mut relayed, mut frames) =
        <(Figure, Figure, Figure, Figure)>::default();
    for _ in 0..effort.rounds {
        own.push(through_tunnel(&stage, session, &mut viewer, &command, bytes).await?);
        let start = Instant::now();
        ensure!(read_output(&command).await? == bytes, "a pipe lost bytes");
        pipe.push(mib_per_second(bytes, start.elapsed()));
        relayed.push(through_relay(&mut bare, &format!("{RUN}{command}"), bytes).await?);
        frames.push(through_relay(&mut bare, &format!("{BYTES}{bytes}"), bytes).await?);
    }
    let what = format!("output of a command, {mib} MiB, one viewer");
    let row = || Row::new(what.clone(), "MiB/s", &own);
    Ok(vec![
        row()
            .beside("the same through a bare fastwebsockets relay", &relayed)
            .aim(Aim::RatioAtLeast(0.8)),
        row().beside("32 KiB frames from memory through that relay", &frames),
        row().beside("the same through a local pipe", &pipe),
    ])
}

async fn through_tunnel(
    stage: &Stage,
    session: SessionId,
    viewer: &mut Socket,
    command: &str,
    bytes: u64,
) -> Result<f64> {
    let start = Instant::now();
    let ((), last) = tokio::join!(stage.command(session, command), viewer.ended());
    let elapsed = start.elapsed();
    let last = last?;
    ensure!(
        last.exit_code == Some(0) && last.offset == Some(bytes),
        "the command ended with {:?} at {:?}",
        last.exit_code,
        last.offset
    );
    Ok(mib_per_second(bytes, elapsed))
}

async fn through_relay(viewer: &mut Socket, request: &str, bytes: u64) -> Result<f64> {
    let start = Instant::now();
    viewer.say(request).await?;
    let mut total = 0;
    loop {
        let frame = viewer.next().await?;
        if frame.opcode == OpCode::Text {
            break;
        }
        total += frame.payload.len() as u64;
    }
    ensure!(total == bytes, "the relay lost bytes");
    Ok(mib_per_second(bytes, start.elapsed()))
}
