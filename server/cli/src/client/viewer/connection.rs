//! One connection of a viewer, from its first message to its last.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use gururmm_shared::{
    Frame, StreamMessage, TerminalClosed, TerminalOpened, TunnelData, TunnelPayload, ViewerMessage,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::board::Board;
use super::link_state::LinkState;
use super::outbox::Outgoing;
use crate::client::Socket;

/// The server pings every 15 s; after this the line is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// After typing, so long until the server is asked whether it has it.
const SIGN_DELAY: Duration = Duration::from_millis(200);

/// Messages sent before a flush.
const BATCH: usize = 16;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Parting {
    /// The session is over.
    Over {
        /// Why.
        reason: String,
    },
    /// It may come back.
    Lost {
        /// Why.
        why: String,
    },
}

fn lost(why: impl ToString) -> Parting {
    Parting::Lost {
        why: why.to_string(),
    }
}

/// Carries messages until the connection ends.
pub(super) async fn carry(
    board: &Board,
    socket: Socket,
    queue: &mut mpsc::Receiver<Outgoing>,
) -> Parting {
    let (mut sink, mut source) = socket.split();
    let parting = tokio::select! {
        parting = take(board, &mut source) => parting,
        parting = send(board, &mut sink, queue) => parting,
        () = board.cut_asked() => return lost("it was cut"),
    };
    // The server may be gone, which is as good.
    let _ = tokio::time::timeout(GOODBYE, sink.close()).await;
    parting
}

async fn take(board: &Board, source: &mut SplitStream<Socket>) -> Parting {
    loop {
        let message = match tokio::time::timeout(SILENCE, source.next()).await {
            Err(_) => return lost("nothing was heard of the server"),
            Ok(None) => return lost("the server hung up"),
            Ok(Some(Err(error))) => return lost(error),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Binary(bytes) => on_binary(board, bytes),
            Message::Text(text) => match StreamMessage::decode(&text) {
                Ok(StreamMessage::SessionClosed(closed)) => {
                    let reason = closed.reason.clone();
                    board.tell(StreamMessage::SessionClosed(closed));
                    return Parting::Over { reason };
                }
                Ok(message) => {
                    board.tell(message.clone());
                    on_message(board, message).await;
                }
                // A newer server's message; made to be left out.
                Err(_) => {}
            },
            Message::Close(frame) => {
                return lost(frame.map_or_else(String::new, |frame| {
                    format!("{} ({})", frame.reason, u16::from(frame.code))
                }));
            }
            _ => {}
        }
    }
}

fn on_binary(board: &Board, bytes: Bytes) {
    let Ok(frame) = Frame::decode(bytes) else {
        return;
    };
    let Some(terminal) = board.by_stream(frame.stream()) else {
        return;
    };
    if let Some(answer) = terminal.on_frame(frame) {
        board.outbox.urgent(&terminal, answer);
    }
}

async fn on_message(board: &Board, message: StreamMessage) {
    match message {
        StreamMessage::Session(snapshot) => {
            let known: Vec<_> = snapshot
                .channels
                .into_iter()
                .map(|channel| channel.channel_id)
                .collect();
            board.keep_only(&known);
            board.set_state(LinkState::Connected);
        }
        StreamMessage::TerminalOpened(opened) => on_opened(board, opened),
        StreamMessage::TerminalScreen(screen) => {
            if let Some(terminal) = board.known_terminal(&screen.channel_id) {
                terminal.on_screen(screen);
            }
        }
        StreamMessage::TerminalClosed(closed) => on_closed(board, closed),
        StreamMessage::Suspended(suspended) => board.set_state(LinkState::Suspended {
            grace_seconds: suspended.grace_seconds,
        }),
        StreamMessage::Resumed => board.set_state(LinkState::Connected),
        StreamMessage::TunnelData(TunnelData {
            channel_id,
            data: TunnelPayload::TerminalOutput(output),
        }) => {
            let text = board.text(&channel_id);
            text.push(output);
            board.let_go_text(&channel_id);
            // Credit comes back as the socket is read, so a reader that is behind holds it up.
            text.room().await;
        }
        StreamMessage::TunnelError(error) => {
            let why = crate::plain::plain(&error.error);
            match board.known_terminal(&error.channel_id) {
                Some(terminal) => terminal.gone(&why),
                None => board.text(&error.channel_id).fail(&why),
            }
        }
        StreamMessage::OutputGap(gap) => match board.known_terminal(&gap.channel_id) {
            Some(_) => {}
            None => board.text(&gap.channel_id).gap(&gap),
        },
        StreamMessage::Pong => board.on_sign(),
        _ => {}
    }
}

fn on_opened(board: &Board, opened: TerminalOpened) {
    let terminal = match board.known_terminal(&opened.channel_id) {
        Some(terminal) => terminal,
        None => board.add_terminal(opened.clone()),
    };
    let frames = terminal.attach(&opened);
    board.outbox.attach(&terminal, frames);
    board.let_go(&terminal);
}

fn on_closed(board: &Board, closed: TerminalClosed) {
    if let Some(terminal) = board.known_terminal(&closed.channel_id) {
        terminal.close(closed);
    }
}

/// What the sending half does next.
enum Step {
    Send(Outgoing),
    Urgent,
    AskSign,
    Stop,
}

async fn send(
    board: &Board,
    sink: &mut SplitSink<Socket, Message>,
    queue: &mut mpsc::Receiver<Outgoing>,
) -> Parting {
    let mut sign_due = None;
    loop {
        if board.wants_sign() {
            sign_due.get_or_insert_with(|| Instant::now() + SIGN_DELAY);
        } else {
            sign_due = None;
        }
        let step = tokio::select! {
            biased;
            () = board.outbox.rung() => Step::Urgent,
            next = queue.recv() => next.map_or(Step::Stop, Step::Send),
            () = until(sign_due) => Step::AskSign,
        };
        if let Err(error) = step_on(board, sink, queue, step).await {
            return lost(error);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Sends what is to be sent, and all that came meanwhile, before it flushes.
async fn step_on(
    board: &Board,
    sink: &mut SplitSink<Socket, Message>,
    queue: &mut mpsc::Receiver<Outgoing>,
    step: Step,
) -> Result<(), Error> {
    let mut next = match step {
        Step::Send(outgoing) => Some(outgoing),
        Step::Urgent => None,
        Step::AskSign => {
            board.ask_sign();
            Some(Outgoing::Text(ViewerMessage::Ping.encode()))
        }
        Step::Stop => return Err(Error::ConnectionClosed),
    };
    for _ in 0..BATCH {
        // What is urgent stands before what was queued, also before what was queued first.
        while let Some(message) = board.outbox.take_urgent() {
            sink.feed(message).await?;
        }
        if let Some(message) = next.and_then(Outgoing::message) {
            sink.feed(message).await?;
        }
        next = queue.try_recv().ok();
        if next.is_none() {
            break;
        }
    }
    if let Some(message) = next.and_then(Outgoing::message) {
        sink.feed(message).await?;
    }
    sink.flush().await
}
