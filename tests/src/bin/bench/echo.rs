//! 64 bytes from a viewer to the agent and back, beside the bare relay.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::children::{Child, one_thread, start};
use crate::effort::Effort;
use crate::pinning::Pinned;
use crate::relay::VIEWER;
use crate::report::{Aim, Row};
use crate::socket::Socket;
use crate::stage::Stage;
use crate::stats::{Latencies, Spread};

const DATA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Measures it.
pub fn measure(effort: Effort) -> Result<Vec<Row>> {
    one_thread()?.block_on(run(effort))
}

async fn run(effort: Effort) -> Result<Vec<Row>> {
    let stage = Stage::with_agent().await?;
    let session = stage.open().await?;
    let mut viewer = stage.watch(session).await?;
    let relay = Child::listening("--relay").await?;
    let agent = start(&["--relay-agent", &relay.address.to_string()])?;
    let mut bare = Socket::join(relay.address, VIEWER).await?;
    let pinned = Pinned::new()?;
    stage.pin(&pinned)?;
    pinned.add(relay.process.pid())?;
    pinned.add(agent.pid())?;
    let probe = format!(
        r#"{{"type":"tunnel_data","payload":{{"channel_id":"probe","data":{{"type":"probe","payload":{{"data":"{DATA}"}}}}}}}}"#
    );
    let count = effort.samples(2000);
    round_trips(&mut viewer, &probe, "probe_reply", count / 4).await?;
    round_trips(&mut bare, DATA, DATA, count / 4).await?;
    let (mut own, mut floor) = <(Spread, Spread)>::default();
    for _ in 0..effort.rounds {
        own.push(&round_trips(&mut viewer, &probe, "probe_reply", count).await?);
        floor.push(&round_trips(&mut bare, DATA, DATA, count).await?);
    }
    let name = "bare fastwebsockets relay";
    Ok(vec![
        Row::new("64-byte round trip p50, pinned", "µs", &own.p50)
            .beside(name, &floor.p50)
            .aim(Aim::RatioAtMost(1.3)),
        Row::new("64-byte round trip p99, pinned", "µs", &own.p99).beside(name, &floor.p99),
    ])
}

/// One at a time; other messages of a stream are skipped.
async fn round_trips(
    socket: &mut Socket,
    text: &str,
    mark: &str,
    count: usize,
) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..count {
        let start = Instant::now();
        socket.say(text).await?;
        loop {
            let frame = socket.next().await?;
            let reply = std::str::from_utf8(&frame.payload)?;
            if reply.contains(mark) {
                latencies.push(start.elapsed());
                ensure!(reply.contains(DATA), "not what was sent: {reply}");
                break;
            }
        }
    }
    Ok(latencies)
}
