//! A terminal channel: one command, its output under flow control, its end.

use std::sync::Arc;

use gururmm_shared::{ChannelId, EndReason, Terminal};
use tokio::sync::watch;

use super::outlet::{Outlet, SessionOver};
use super::session::Session;
use crate::commands::executor::Execution;
use crate::commands::interpreter::{CLAUDE_TASK_REFUSAL, Invocation};
use crate::commands::job::{Ending, Job, Progress};
use crate::commands::lists::CommandLists;
use crate::config::CommandSettings;
use crate::platform::SESSION_MARK;

/// What the server wants of a running channel; only the latest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Output may be sent up to this offset.
    pub limit: u64,
    /// The command is to end.
    pub cancel: bool,
}

impl Orders {
    /// The orders that `terminal` begins with.
    #[must_use]
    pub fn first(terminal: &Terminal) -> Self {
        Self {
            limit: terminal.window.unwrap_or(u64::MAX),
            cancel: false,
        }
    }
}

/// Runs a command to its end, if the lists let it. When the session ends before, dropping this kills the command.
pub async fn run(
    session: Session,
    channel: ChannelId,
    terminal: Terminal,
    orders: watch::Receiver<Orders>,
    (settings, lists): (Arc<CommandSettings>, CommandLists),
) {
    let limit = orders.borrow().limit;
    let outlet = Outlet::new(channel, session.lanes.interactive.clone(), limit);
    // If the session is over nobody wants to hear of this command any more.
    let _: Result<(), SessionOver> = match start(&session, &terminal, &settings, &lists).await {
        Ok(execution) => {
            Channel {
                execution,
                outlet,
                orders,
            }
            .relay()
            .await
        }
        Err(error) => outlet.fail(error).await,
    };
}

async fn start(
    session: &Session,
    terminal: &Terminal,
    settings: &CommandSettings,
    lists: &CommandLists,
) -> Result<Execution, String> {
    let kind = terminal.command_type.clone().unwrap_or_default();
    lists.check(kind.name(), &terminal.command)?;
    let invocation =
        Invocation::new(&kind, &terminal.command, settings).ok_or(CLAUDE_TASK_REFUSAL)?;
    let mut environment = vec![
        ("GURURMM_SESSION_ID".to_owned(), session.id.to_string()),
        (SESSION_MARK.to_owned(), session.mark.to_string()),
    ];
    environment.extend(
        terminal
            .command_id
            .map(|id| ("GURURMM_COMMAND_ID".to_owned(), id.to_string())),
    );
    let job = Job {
        invocation,
        environment,
        directory: None,
        timeout: settings.timeout(terminal.timeout_seconds),
    };
    Execution::start(job, &session.launcher)
        .await
        .map_err(|error| format!("Failed to execute command: {error}"))
}

struct Channel {
    execution: Execution,
    outlet: Outlet,
    orders: watch::Receiver<Orders>,
}

impl Channel {
    async fn relay(mut self) -> Result<(), SessionOver> {
        let mut ending = self.relay_output().await?;
        self.outlet.hurry();
        while self.outlet.has_text() {
            if self.outlet.can_send() {
                self.outlet.send().await?;
            } else if ending.reason.is_some() {
                break;
            } else if self.take_orders().await?.cancel {
                // It ended by itself, but what it printed is not told to its end.
                ending.reason = Some(EndReason::Cancelled);
            }
        }
        self.outlet.finish(ending).await
    }

    async fn relay_output(&mut self) -> Result<Ending, SessionOver> {
        loop {
            tokio::select! {
                progress = self.execution.next(self.outlet.wants_more()) => match progress {
                    Progress::Output(stream, text) => self.outlet.push(stream, text),
                    Progress::Ended(ending) => return Ok(ending),
                },
                sent = self.outlet.send(), if self.outlet.can_send() => sent?,
                changed = self.orders.changed() => {
                    changed.map_err(|_| SessionOver)?;
                    if self.apply_orders().cancel {
                        self.execution.cancel();
                    }
                }
            }
        }
    }

    async fn take_orders(&mut self) -> Result<Orders, SessionOver> {
        self.orders.changed().await.map_err(|_| SessionOver)?;
        Ok(self.apply_orders())
    }

    fn apply_orders(&mut self) -> Orders {
        let orders = *self.orders.borrow_and_update();
        self.outlet.grant(orders.limit);
        orders
    }
}

#[cfg(test)]
#[cfg(unix)]
#[path = "terminal_tests.rs"]
mod tests;
