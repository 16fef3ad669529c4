//! Viewers that come and go, and what they ask of the agent.

use std::time::Duration;

use futures_util::future::join_all;
use gururmm_shared::{ChannelId, Probe, ServerMessage, TunnelData, TunnelPayload};
use gururmm_tests::viewer::ticket;
use gururmm_tests::{RawAgent, Viewer, eventually, on_both_databases};

const VIEWERS: usize = 16;

on_both_databases! {
    async fn viewers_that_leave_at_once_leave_nothing_behind(world: World) {
        // So long that none is let go for taking nothing.
        let rmm = world.deploy(&[("tunnel.viewer_stall_seconds", "600")]).await;
        let (_agent, id) = rmm.agent().await;
        let session = rmm.open(id).await;
        // What is kept goes to each of them at once, so that they leave in the middle of it.
        rmm.run(session, "seq 1 300000").await;
        for _ in 0..3 {
            let leaving = (0..VIEWERS).map(|_| async {
                let query = format!("ticket={}", ticket(&rmm.technician, session).await);
                drop(Viewer::connect(&rmm.technician, session, &query, None).await);
            });
            join_all(leaving).await;
        }
        // Their places are free.
        eventually("every viewer is let in", Duration::from_secs(15), || async {
            let coming = (0..VIEWERS).map(|_| async {
                let mut viewer = rmm.view(session).await;
                viewer.next().await.is_ok().then_some(viewer)
            });
            join_all(coming).await.into_iter().collect::<Option<Vec<_>>>()
        })
        .await;
        // Nor does a command wait for them.
        let output = rmm.run(session, "seq 1 300000").await;
        assert_eq!((output.exit_code, output.gap), (Some(0), None));
    }

    async fn a_channel_that_viewers_close_many_times_is_closed_at_the_agent_once(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id) = rmm.raw_agent().await;
        let session = rmm.open_raw(&mut agent, id).await;
        let mut viewers = [rmm.view(session).await, rmm.view(session).await];
        rmm.command(session, "sleep 60").await;
        let (first, _) = agent.terminal().await;
        rmm.command(session, "sleep 61").await;
        let (second, _) = agent.terminal().await;
        let mut closed = Vec::new();
        for viewer in &mut viewers {
            viewer.session().await;
            for _ in 0..20 {
                viewer.send_data(first.as_str(), TunnelPayload::Close).await;
            }
            // What it says comes in order: after the probe, all of it has come.
            let probe = TunnelPayload::Probe(Probe { data: "after".to_owned() });
            viewer.send_data(first.as_str(), probe).await;
            closed.extend(closed_before_probe(&mut agent).await);
        }
        assert_eq!(closed, [first]);
        // Each channel has a close of its own.
        viewers[0].send_data(second.as_str(), TunnelPayload::Close).await;
        let close = agent.expect("close", closed_channel).await;
        assert_eq!(close, second);
    }
}

fn closed_channel(message: &ServerMessage) -> Option<ChannelId> {
    match message {
        ServerMessage::TunnelData(TunnelData {
            channel_id,
            data: TunnelPayload::Close,
        }) => Some(channel_id.clone()),
        _ => None,
    }
}

/// The channels that the agent is told to close before it gets a probe.
async fn closed_before_probe(agent: &mut RawAgent) -> Vec<ChannelId> {
    let mut closed = Vec::new();
    agent
        .expect("probe", |message| {
            closed.extend(closed_channel(message));
            match message {
                ServerMessage::TunnelData(data) => {
                    matches!(data.data, TunnelPayload::Probe(_)).then_some(())
                }
                _ => None,
            }
        })
        .await;
    closed
}
