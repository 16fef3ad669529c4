//! The terminal in front of the technician while it stands for one of a machine.

use gururmm_shared::{TerminalClosed, TerminalSize};

use super::escape::{Escapes, Typed};
use crate::client::{LinkState, Output, Terminal, TerminalInput, Viewer};
use crate::failure::Failure;
use crate::platform::{RawTerminal, Signals, typed, window_size};
use crate::say::{raw_note, raw_out};

const HELP: &str =
    "~. ends this terminal, ~~ types a tilde, ~? shows this; at the beginning of a line";

/// How a terminal was left.
pub(super) enum Left {
    /// It has ended.
    Ended(TerminalClosed),
    /// By `~.`.
    Escaped,
    /// By a signal, with this exit code.
    Signal(u8),
}

/// This terminal, while it stands for the machine's.
pub(super) struct Attached {
    pub input: TerminalInput,
    pub read_only: bool,
    pub take_size: bool,
}

impl Attached {
    pub async fn carry(
        &self,
        viewer: &Viewer,
        mut terminal: Terminal,
        signals: &mut Signals,
    ) -> Result<Left, Failure> {
        let raw = RawTerminal::enter()?;
        if let Some(size) = window_size().filter(|_| self.take_size) {
            self.input.take_size(size).await?;
        }
        let left = tokio::select! {
            printed = print(&mut terminal) => printed.map(Left::Ended),
            typed = self.type_in(raw.is_terminal()) => typed,
            code = self.heed(signals) => Ok(Left::Signal(code)),
            never = self.watch_line(viewer) => match never {},
        };
        if !self.read_only && matches!(left, Ok(Left::Escaped | Left::Signal(_))) {
            // The session may go on without this terminal.
            let closing = self.input.close();
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), closing).await;
            let _ =
                tokio::time::timeout(std::time::Duration::from_secs(2), terminal.closed()).await;
        }
        drop(raw);
        left
    }

    /// Types what is typed here; ends by `~.` only.
    async fn type_in(&self, is_terminal: bool) -> Result<Left, Failure> {
        let mut keys = typed();
        let mut escapes = Escapes::new();
        while let Some(bytes) = keys.recv().await {
            let asked = if is_terminal {
                escapes.take(&bytes)
            } else {
                vec![Typed::Send(bytes.to_vec())]
            };
            for one in asked {
                match one {
                    Typed::End => return Ok(Left::Escaped),
                    Typed::Help => raw_note(HELP),
                    Typed::Send(_) if self.read_only => {}
                    // How it ended the other half says.
                    Typed::Send(bytes) => drop(self.input.write(&bytes).await),
                }
            }
        }
        if !is_terminal && !self.read_only {
            // Ctrl-D: what was piped in has ended.
            drop(self.input.write(&[4]).await);
        }
        std::future::pending().await
    }

    async fn heed(&self, signals: &mut Signals) -> u8 {
        loop {
            match signals.end_or_resized().await {
                Some(code) => return code,
                None => self.resize(window_size()).await,
            }
        }
    }

    async fn resize(&self, size: Option<TerminalSize>) {
        if let Some(size) = size.filter(|_| !self.read_only) {
            // Where the terminal has ended the other half says so.
            drop(self.input.resize(size).await);
        }
    }

    /// Says when the line is lost and when it is back.
    async fn watch_line(&self, viewer: &Viewer) -> std::convert::Infallible {
        let mut state = viewer.state();
        let mut lost = false;
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                LinkState::Reconnecting { why } if !lost => {
                    raw_note(&format!(
                        "the connection is lost ({why}); reconnecting… ~. ends"
                    ));
                    lost = true;
                }
                LinkState::Suspended { grace_seconds } => {
                    raw_note(&format!(
                        "the machine's line is lost; waiting for it up to {grace_seconds} s… ~. ends"
                    ));
                    lost = true;
                }
                LinkState::Connected if lost => {
                    raw_note("connected again, nothing lost");
                    lost = false;
                    self.resize(window_size()).await;
                }
                _ => {}
            }
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Prints what comes until the terminal ends.
async fn print(terminal: &mut Terminal) -> Result<TerminalClosed, Failure> {
    loop {
        match terminal.read().await {
            Ok(Some(Output::Bytes(bytes))) => raw_out(&bytes)?,
            Ok(Some(Output::Screen { bytes, .. })) => {
                raw_out(b"\x1b[!p\x1b[H\x1b[2J\x1b[3J")?;
                raw_out(&bytes)?;
            }
            Ok(None) => break,
            Err(reset) => {
                let how =
                    tokio::time::timeout(std::time::Duration::from_secs(2), terminal.closed());
                return match how.await {
                    Ok(closed) => Ok(closed?),
                    Err(_) => Err(crate::client::ClientError::Lost(reset.reason).into()),
                };
            }
        }
    }
    Ok(terminal.closed().await?)
}
