//! Whole channels with real commands, seen from the session's lane.

use std::time::Duration;

use gururmm_shared::{
    AgentMessage, CommandType, SessionId, TerminalOutput, TunnelData, TunnelPayload, TunnelRules,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::channels::stream::Piece;
use crate::connection::{LaneEnds, Lanes};
use crate::platform::Launcher;

struct Running {
    orders: watch::Sender<Orders>,
    pieces: mpsc::Receiver<Piece>,
    task: JoinHandle<()>,
}

fn terminal(command: &str, window: Option<u64>) -> Terminal {
    Terminal {
        command: command.to_owned(),
        command_type: None,
        command_id: None,
        session_id: None,
        timeout_seconds: None,
        window,
    }
}

fn session() -> (Session, mpsc::Receiver<Piece>) {
    let (lanes, LaneEnds { interactive, .. }) = Lanes::new();
    let session = Session {
        id: SessionId::generate(),
        mark: "test".into(),
        launcher: Launcher::Agent,
        rules: Arc::new(TunnelRules::default()),
        lanes,
        dialer: None,
    };
    (session, interactive)
}

fn message(piece: Option<Piece>) -> AgentMessage {
    match piece {
        Some(Piece::Message(message)) => *message,
        other => panic!("no message: {other:?}"),
    }
}

fn start_channel(terminal: Terminal) -> Running {
    let (session, pieces) = session();
    let (orders, ordered) = watch::channel(Orders::first(&terminal));
    let settings = Arc::new(CommandSettings::default());
    let task = tokio::spawn(run(
        session,
        ChannelId::terminal(1),
        terminal,
        ordered,
        (settings, CommandLists::default()),
    ));
    Running {
        orders,
        pieces,
        task,
    }
}

impl Running {
    async fn piece(&mut self) -> TerminalOutput {
        match message(self.pieces.recv().await) {
            AgentMessage::TunnelData(TunnelData {
                data: TunnelPayload::TerminalOutput(output),
                ..
            }) => output,
            other => panic!("no output: {other:?}"),
        }
    }

    async fn rest(&mut self) -> (String, TerminalOutput) {
        let mut text = String::new();
        loop {
            let piece = self.piece().await;
            text += &piece.stdout;
            if piece.is_last() {
                return (text, piece);
            }
        }
    }
}

#[tokio::test]
async fn two_echos_with_a_pause_come_in_two_pieces_and_then_the_end() {
    let mut channel = start_channel(terminal("echo one; sleep 0.2; echo two >&2", None));
    let first = channel.piece().await;
    assert_eq!(
        (first.stdout.as_str(), first.offset, first.exit_code),
        ("one\n", Some(0), None)
    );
    let second = channel.piece().await;
    assert_eq!((second.stderr.as_str(), second.offset), ("two\n", Some(4)));
    let last = channel.piece().await;
    assert!(last.is_empty());
    assert_eq!(
        (last.exit_code, last.offset, last.reason),
        (Some(0), Some(8), None)
    );
    channel.task.await.unwrap();
}

#[tokio::test]
async fn a_used_up_window_blocks_the_program_until_it_is_raised() {
    let mut channel = start_channel(terminal("printf 01234567890123", Some(4)));
    assert_eq!(channel.piece().await.stdout, "0123");
    assert!(channel.pieces.try_recv().is_err());
    channel.orders.send_modify(|orders| orders.limit = 12);
    let mut sent = 4;
    while sent < 12 {
        let piece = channel.piece().await;
        assert_eq!((piece.offset, piece.exit_code), (Some(sent), None));
        sent += piece.len();
    }
    assert_eq!(sent, 12);
    channel.orders.send_modify(|orders| orders.limit = 100);
    let (_, last) = channel.rest().await;
    assert_eq!((last.exit_code, last.offset), (Some(0), Some(14)));
}

#[tokio::test]
async fn a_program_without_an_end_writes_no_more_than_window_and_pipe_hold() {
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("written");
    let line = format!(
        "i=0; while :; do printf '%01024d' 0 || exit; i=$((i+1)); echo $i > {}; done",
        counter.display()
    );
    let mut channel = start_channel(terminal(&line, Some(4096)));
    let mut received = 0;
    while received < 4096 {
        received += channel.piece().await.len();
    }
    let written = || {
        std::fs::read_to_string(&counter)
            .unwrap_or_default()
            .trim()
            .parse()
            .unwrap_or(0_u64)
    };
    let mut before = u64::MAX;
    while before != written() {
        before = written();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(before < 200, "{before} KiB were written");
    channel.orders.send_modify(|orders| orders.cancel = true);
    let (text, last) = channel.rest().await;
    assert_eq!(text, "", "nothing beyond the window");
    assert_eq!(last.reason, Some(EndReason::Cancelled));
    assert_eq!(last.offset, Some(4096));
}

#[tokio::test]
async fn a_time_out_ends_a_channel_whose_window_is_used_up() {
    let mut order = terminal("yes", Some(10));
    order.timeout_seconds = Some(1);
    let mut channel = start_channel(order);
    let (_, last) = channel.rest().await;
    assert_eq!(
        (last.exit_code, last.reason),
        (Some(124), Some(EndReason::TimedOut))
    );
}

#[tokio::test]
async fn output_left_by_a_program_that_ended_waits_for_the_window_or_a_cancel() {
    let mut channel = start_channel(terminal("printf 012345", Some(3)));
    assert_eq!(channel.piece().await.stdout, "012");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(channel.pieces.try_recv().is_err());
    channel.orders.send_modify(|orders| orders.cancel = true);
    let (text, last) = channel.rest().await;
    assert_eq!(
        (text.as_str(), last.reason),
        ("", Some(EndReason::Cancelled))
    );
}

#[tokio::test]
async fn a_large_output_is_whole_and_in_pieces_that_hold_nobody_up() {
    let mut channel = start_channel(terminal("seq 1 100000", None));
    let mut text = String::new();
    loop {
        let piece = channel.piece().await;
        assert!(piece.len() <= gururmm_shared::flow::PIECE_BYTES as u64);
        assert_eq!(piece.offset, Some(text.len() as u64));
        text += &piece.stdout;
        if piece.is_last() {
            break;
        }
    }
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(
        text == expected,
        "{} bytes instead of {}",
        text.len(),
        expected.len()
    );
}

#[tokio::test]
async fn a_command_that_cannot_start_is_an_error_of_its_channel() {
    let mut order = terminal("Get-Date", None);
    order.command_type = Some(CommandType::Powershell);
    let (session, mut pieces) = session();
    let (_orders, ordered) = watch::channel(Orders::first(&order));
    let settings = CommandSettings {
        powershell: "/nowhere/pwsh".to_owned(),
        ..CommandSettings::default()
    };
    run(
        session,
        ChannelId::terminal(1),
        order,
        ordered,
        (Arc::new(settings), CommandLists::default()),
    )
    .await;
    let AgentMessage::TunnelError(error) = message(pieces.recv().await) else {
        panic!("no error")
    };
    assert!(
        error.error.starts_with("Failed to execute command: "),
        "{}",
        error.error
    );
}

#[tokio::test]
async fn a_session_that_is_over_ends_its_commands() {
    let mut channel = start_channel(terminal("echo here; exec sleep 1000", None));
    assert_eq!(channel.piece().await.stdout, "here\n");
    drop(channel.orders);
    tokio::time::timeout(Duration::from_secs(10), channel.task)
        .await
        .unwrap()
        .unwrap();
}
