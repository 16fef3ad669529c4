//! A terminal: a program on a pseudo-terminal, its bytes both ways, its size and signals, its end.
//!
//! ```text
//!   opening ──▶ running ──program ends──▶ draining ──▶ EOF ──▶ closed
//!                 │ close: SIGHUP to its session, 1 s later SIGKILL ▲
//!                 └──▶ ending ──────────────────────────────────────┘
//! ```
//!
//! Where the session outlives its connection, so do its terminals: without a lane the program runs on
//! until the window is used up, and its end waits for the next lane.

mod control;
mod end;
mod relay;
mod shell;
mod way;

use std::io;
use std::time::Duration;

use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{
    Closed, ErrorCode, Opened, OperationError, ResetCode, TerminalOptions, TunnelPayload,
};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

pub use control::{Control, Order, Terminal};
use end::End;
use way::{Attachment, Way};

use super::session::Session;
use super::streams::OpenStream;
use crate::platform::{Pty, Running};

/// Bytes of input that may be on their way here.
pub const INPUT_WINDOW: u64 = 64 * 1024;

/// Bytes of output that are kept to be sent again, where the session outlives its connection.
pub const KEPT_BYTES: u64 = 1024 * 1024;

/// The connection may be lost with the last word on its way: so long it can be told again.
const LINGER: Duration = Duration::from_secs(10);

/// Runs a terminal to its end. When the session ends before, dropping this kills all of it.
///
/// `open` holds the stream in the table until then.
pub async fn run(terminal: Terminal, open: OpenStream, options: TerminalOptions, session: Session) {
    let Terminal {
        way,
        orders,
        program,
    } = terminal;
    match start(&options, session).await {
        Ok((pty, running, name)) => {
            // Only who has asked for it can set it, and does so once.
            let _ = program.set(name.clone());
            let mut channel = Channel {
                attachments: way.attachments(),
                way,
                orders,
                running,
                end: End::default(),
            };
            // An error means that the session is over and nobody wants to hear of it.
            let _: Result<(), Reset> = channel.serve(pty, name).await;
        }
        Err(error) => {
            let closed = TunnelPayload::Closed(Closed::failed(error));
            // The same.
            let _ = way.tell(closed).await;
        }
    }
    drop(open);
}

async fn start(
    options: &TerminalOptions,
    session: Session,
) -> Result<(Pty, Running, String), OperationError> {
    let (asked, known) = (options.clone(), session.clone());
    let order = tokio::task::spawn_blocking(move || shell::order(&asked, &known))
        .await
        .map_err(|error| OperationError::new(ErrorCode::Failed, error.to_string()))??;
    let cannot = |error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => ErrorCode::NotFound,
            io::ErrorKind::PermissionDenied => ErrorCode::PermissionDenied,
            _ => ErrorCode::Failed,
        };
        OperationError::new(code, format!("the terminal cannot be opened: {error}"))
    };
    let (pty, slave) = Pty::open(options.size.clamped()).map_err(cannot)?;
    let program = order.program.clone();
    let running = session.launcher.launch_on_terminal(order, slave).await;
    Ok((pty, running.map_err(cannot)?, program))
}

struct Channel {
    way: Way,
    attachments: watch::Receiver<Attachment>,
    orders: mpsc::Receiver<Order>,
    running: Running,
    end: End,
}

impl Channel {
    async fn serve(&mut self, pty: Pty, program: String) -> Result<(), Reset> {
        let opened = Opened {
            window: INPUT_WINDOW,
            pid: self.running.pid(),
            program: Some(program),
            ..Opened::default()
        };
        self.way.tell(TunnelPayload::Opened(opened)).await?;
        self.relay(&pty).await;
        if self.end.told.is_some() || self.end.status.is_none() {
            self.running.kill_session();
        }
        self.end.finished = true;
        // Whoever still holds the other side is hung up.
        drop(pty);
        self.way.finish().await?;
        self.last_word().await
    }

    /// Carries bytes and orders until the program has ended and its output is told, or given up.
    async fn relay(&mut self, pty: &Pty) {
        let Self {
            way,
            attachments,
            orders,
            running,
            end,
        } = self;
        let (tell_exit, exited) = watch::channel(false);
        let mut output = std::pin::pin!(relay::output(pty, way, attachments, exited));
        let mut input = std::pin::pin!(relay::input(pty, way));
        let (mut output_ended, mut input_ended) = (false, false);
        while !(end.status.is_some() && output_ended) {
            tokio::select! {
                done = &mut output, if !output_ended => {
                    output_ended = true;
                    done.unwrap_or_else(|reset| end.tell(running, cut_off(&reset)));
                }
                done = &mut input, if !input_ended => {
                    input_ended = true;
                    done.unwrap_or_else(|reset| end.tell(running, cut_off(&reset)));
                }
                status = running.wait(), if end.status.is_none() => {
                    end.note_status(status);
                    tell_exit.send_replace(true);
                }
                order = orders.recv() => match order {
                    Some(Order::Resize(size)) => log(pty.resize(size)),
                    Some(Order::Signal(signal)) => log(pty.signal(signal)),
                    Some(Order::Close) => end.tell(running, closed_by_server()),
                    None => return,
                },
                () = relay::at(end.killed_at) => {
                    end.killed_at = None;
                    running.kill_session();
                }
                () = relay::at(end.given_up_at) => return,
            }
        }
    }

    /// Tells how it ended; where the connection is lost, again over the next one.
    async fn last_word(&mut self) -> Result<(), Reset> {
        let closed = TunnelPayload::Closed(self.end.closed());
        let keeps = self.way.keeps() && self.end.told.is_none();
        loop {
            let told = self.way.tell(closed.clone()).await?;
            if !keeps {
                return Ok(());
            }
            tokio::select! {
                () = heard(&self.way, told) => return Ok(()),
                changed = self.attachments.changed() => {
                    changed.map_err(|_| way::over())?;
                    let attachment = self.attachments.borrow_and_update().clone();
                    self.way.resume(attachment).await?;
                }
                () = closed_or_deserted(&mut self.orders) => return Ok(()),
            }
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if !self.end.finished {
            self.running.kill_session();
        }
    }
}

/// Waits until what was `told` has most likely been heard; for ever, where it was not.
async fn heard(way: &Way, told: bool) {
    if told {
        tokio::select! {
            () = sleep(LINGER) => return,
            () = way.lost() => {}
        }
    }
    std::future::pending().await
}

/// Waits until a terminal that has ended is closed by the server; other orders are too late for it.
async fn closed_or_deserted(orders: &mut mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if order == Order::Close {
            return;
        }
    }
}

fn cut_off(reset: &Reset) -> OperationError {
    let code = match reset.code {
        ResetCode::Cancelled => ErrorCode::Cancelled,
        ResetCode::Gone => ErrorCode::Gone,
        _ => ErrorCode::Failed,
    };
    OperationError::new(code, reset.reason.clone())
}

fn closed_by_server() -> OperationError {
    OperationError::new(ErrorCode::Cancelled, "the terminal was closed")
}

fn log(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a terminal takes no order");
    }
}
