//! What viewers get, how the agent is held back, and what is forgotten.

use gururmm_shared::{TunnelData, TunnelPayload};

use super::super::viewers::VIEWER_CREDIT_BYTES;
use super::*;

const REPLAY: u64 = 1000;
const WINDOW: u64 = 400;
const PIECE: u64 = gururmm_shared::flow::PIECE_BYTES as u64;

fn channels(flow_controlled: bool) -> (Channels, ChannelId) {
    let mut channels = Channels::new(REPLAY, WINDOW);
    let id = ChannelId::terminal(1);
    start(&mut channels, &id, flow_controlled);
    (channels, id)
}

fn start(channels: &mut Channels, id: &ChannelId, flow_controlled: bool) -> Outgoing {
    channels.start(NewChannel {
        channel_id: id.clone(),
        command_id: CommandId::generate(),
        audit_id: AuditId::generate(),
        command: "true".into(),
        flow_controlled,
    })
}

fn text(length: usize) -> TerminalOutput {
    TerminalOutput {
        stdout: "x".repeat(length),
        ..TerminalOutput::default()
    }
}

fn end(exit_code: i32) -> TerminalOutput {
    TerminalOutput {
        exit_code: Some(exit_code),
        ..TerminalOutput::default()
    }
}

/// Text per viewer, and whether it was told the end.
fn seen(outgoing: &Outgoing, viewer: ViewerNumber) -> (u64, bool) {
    let mut bytes = 0;
    let mut ended = false;
    for delivery in outgoing.deliveries.iter().filter(|d| d.viewer == viewer) {
        if let StreamMessage::TunnelData(TunnelData {
            data: TunnelPayload::TerminalOutput(output),
            ..
        }) = &delivery.message
        {
            bytes += output.len();
            ended |= output.is_last();
        }
    }
    (bytes, ended)
}

#[test]
fn a_late_viewer_gets_what_is_kept_and_the_end() {
    let (mut channels, id) = channels(true);
    channels.output(&id, text(300)).unwrap();
    let (_, ended) = channels.output(&id, end(3)).unwrap();
    assert_eq!(
        ended.map(|e| (e.outcome, e.exit_code)),
        Some(("failed", Some(3)))
    );
    assert_eq!(seen(&channels.attach(1, 0, 0), 1), (300, true));
    assert_eq!(seen(&channels.attach(2, 250, 0), 2), (50, true));
}

#[test]
fn two_viewers_see_the_same() {
    let (mut channels, id) = channels(true);
    channels.attach(1, 0, 0);
    channels.attach(2, 0, 0);
    let (outgoing, _) = channels.output(&id, text(10)).unwrap();
    assert_eq!(seen(&outgoing, 1), (10, false));
    assert_eq!(seen(&outgoing, 2), (10, false));
}

#[test]
fn with_nobody_watching_the_agent_is_never_held_back() {
    let (mut channels, id) = channels(true);
    for _ in 0..500 {
        let (outgoing, _) = channels.output(&id, text(200)).unwrap();
        assert_eq!(outgoing.grants.len(), 1);
    }
    let summary = &channels.summaries()[0];
    assert_eq!(summary.next_offset, 100_000);
    let kept = summary.next_offset - summary.first_offset;
    // What is kept is kept in whole pieces.
    assert!((REPLAY..=REPLAY + PIECE).contains(&kept), "{kept}");
}

#[test]
fn more_than_the_window_is_refused() {
    let (mut channels, id) = channels(true);
    assert!(matches!(
        channels.output(&id, text(401)),
        Err(OutputError::Flow(FlowError::Overrun { .. }))
    ));
}

#[test]
fn a_viewer_that_takes_nothing_holds_the_agent_back_and_loses_nothing() {
    let mut channels = Channels::new(REPLAY, VIEWER_CREDIT_BYTES * 2);
    let id = ChannelId::terminal(1);
    start(&mut channels, &id, true);
    channels.attach(1, 0, 0);
    let mut granted = VIEWER_CREDIT_BYTES * 2;
    let mut sent = 0;
    let mut taken = 0;
    while sent + 1024 <= granted {
        let (outgoing, _) = channels.output(&id, text(1024)).unwrap();
        sent += 1024;
        taken += seen(&outgoing, 1).0;
        granted = outgoing
            .grants
            .iter()
            .map(|g| g.limit)
            .fold(granted, u64::max);
    }
    assert!(taken <= VIEWER_CREDIT_BYTES + 1024, "{taken}");
    assert!(sent <= VIEWER_CREDIT_BYTES * 4, "{sent}");
    while taken < sent {
        let outgoing = channels.consumed(1, VIEWER_CREDIT_BYTES);
        assert!(
            !outgoing
                .deliveries
                .iter()
                .any(|d| matches!(d.message, StreamMessage::OutputGap(_)))
        );
        taken += seen(&outgoing, 1).0;
        granted = outgoing
            .grants
            .iter()
            .map(|g| g.limit)
            .fold(granted, u64::max);
    }
    assert!(granted > sent);
}

#[test]
fn a_viewer_that_leaves_frees_the_agent() {
    let mut channels = Channels::new(REPLAY, VIEWER_CREDIT_BYTES);
    let id = ChannelId::terminal(1);
    start(&mut channels, &id, true);
    channels.attach(1, 0, 0);
    channels
        .output(&id, text(usize::try_from(VIEWER_CREDIT_BYTES).unwrap()))
        .unwrap();
    let granted: Vec<_> = channels.detach(1).grants;
    assert!(granted.len() <= 1);
    let (outgoing, _) = channels.output(&id, text(1024)).unwrap();
    assert!(outgoing.deliveries.is_empty());
}

#[test]
fn an_agent_without_windows_costs_a_slow_viewer_a_gap_and_the_server_no_memory() {
    let (mut channels, id) = channels(false);
    channels.attach(1, 0, 0);
    let mut seen_bytes = 0;
    for _ in 0..2000 {
        let (outgoing, _) = channels.output(&id, text(500)).unwrap();
        seen_bytes += seen(&outgoing, 1).0;
    }
    let summary = &channels.summaries()[0];
    assert!(summary.next_offset - summary.first_offset <= REPLAY + WINDOW + PIECE);
    let outgoing = channels.consumed(1, u64::MAX);
    let gap = outgoing.deliveries.iter().find_map(|d| match &d.message {
        StreamMessage::OutputGap(gap) => Some(gap.clone()),
        _ => None,
    });
    let gap = gap.unwrap();
    assert_eq!(gap.from, seen_bytes);
    assert_eq!(gap.to, summary.first_offset);
}

#[test]
fn a_channel_is_ended_once() {
    let (mut channels, id) = channels(true);
    channels.output(&id, end(0)).unwrap();
    assert_eq!(
        channels.output(&id, end(0)),
        Err(OutputError::UnknownChannel)
    );
    assert!(channels.fail(&id, "late".into()).is_none());
    assert_eq!(channels.running(), 0);
}

#[test]
fn an_error_ends_its_channel_only_and_its_viewers_are_told() {
    let (mut channels, id) = channels(true);
    let other = ChannelId::terminal(2);
    start(&mut channels, &other, true);
    channels.attach(1, 0, 0);
    let (outgoing, ended) = channels.fail(&id, "permission denied".into()).unwrap();
    assert_eq!(ended.outcome, "failed");
    assert!(
        matches!(&outgoing.deliveries[0].message, StreamMessage::TunnelError(e) if e.channel_id == id)
    );
    assert_eq!(channels.running(), 1);
    assert_eq!(channels.cancel(&id), Cancelled::NotRunning);
    assert_eq!(channels.cancel(&other), Cancelled::Now);
}

#[test]
fn ended_channels_are_forgotten_oldest_first() {
    let mut channels = Channels::new(REPLAY, WINDOW);
    for number in 0..(REMEMBERED_CHANNELS as u64 + 10) {
        let id = ChannelId::terminal(number);
        start(&mut channels, &id, true);
        if number > 0 {
            channels.output(&id, end(0)).unwrap();
        }
    }
    let ids: Vec<_> = channels
        .summaries()
        .into_iter()
        .map(|s| s.channel_id)
        .collect();
    assert_eq!(ids.len(), REMEMBERED_CHANNELS);
    assert!(
        ids.contains(&ChannelId::terminal(0)),
        "a running channel is never forgotten"
    );
    assert!(!ids.contains(&ChannelId::terminal(1)));
}

#[test]
fn the_end_of_the_session_settles_what_runs() {
    let (mut channels, _) = channels(true);
    channels.attach(1, 0, 0);
    let (outgoing, ended) = channels.end_all("lost");
    assert_eq!(
        ended.iter().map(|e| e.outcome).collect::<Vec<_>>(),
        ["lost"]
    );
    assert_eq!(outgoing.deliveries.len(), 1);
    assert_eq!(channels.running(), 0);
}

#[test]
fn a_command_is_cancelled_once_and_only_while_it_runs() {
    let (mut channels, id) = channels(true);
    assert_eq!(channels.cancel(&id), Cancelled::Now);
    assert_eq!(channels.cancel(&id), Cancelled::Before);
    channels.output(&id, end(0)).unwrap();
    assert_eq!(channels.cancel(&id), Cancelled::NotRunning);
    assert_eq!(
        channels.cancel(&ChannelId::terminal(9)),
        Cancelled::NotRunning
    );
}
