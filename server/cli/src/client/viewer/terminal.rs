//! A terminal for whoever reads and types.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gururmm_shared::byte_stream::Reset;
use gururmm_shared::{
    ChannelId, ResetCode, Signal, SignalName, TakeSize, TerminalClosed, TerminalSize, TunnelData,
    TunnelPayload, ViewerMessage,
};

use super::board::Board;
use super::terminal_channel::TerminalChannel;
use crate::client::ClientError;

/// What a terminal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes that it printed.
    Bytes(Bytes),
    /// What it shows, to be drawn on an empty terminal.
    Screen {
        /// What draws it.
        bytes: Bytes,
        /// For this size.
        size: TerminalSize,
    },
}

/// A terminal; what it prints is read in order, each byte once.
#[derive(Debug)]
pub struct Terminal {
    input: TerminalInput,
    read: u64,
    rest: Bytes,
}

/// What is typed into a terminal.
#[derive(Debug, Clone)]
pub struct TerminalInput {
    channel: Arc<TerminalChannel>,
    board: Arc<Board>,
}

impl Terminal {
    pub(super) fn new(channel: Arc<TerminalChannel>, board: Arc<Board>) -> Self {
        Self {
            input: TerminalInput { channel, board },
            read: 0,
            rest: Bytes::new(),
        }
    }

    /// Its channel.
    #[must_use]
    pub fn id(&self) -> &ChannelId {
        self.input.channel.channel_id()
    }

    /// What it runs.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.input.channel.opened().program
    }

    /// The size it had when this viewer met it.
    #[must_use]
    pub fn size(&self) -> TerminalSize {
        self.input.channel.opened().size
    }

    /// Where to type.
    #[must_use]
    pub fn input(&self) -> TerminalInput {
        self.input.clone()
    }

    /// The next output; none after the last. Asking for it says that what was read before has been used, which
    /// lets more come.
    ///
    /// # Errors
    /// [`Reset`]: the terminal is cut off. What came before is read first.
    pub async fn read(&mut self) -> Result<Option<Output>, Reset> {
        if self.rest.is_empty() {
            self.consumed();
        }
        loop {
            let next_screen = match self.input.channel.screen_at(self.read) {
                Ok(screen) => {
                    let bytes = STANDARD.decode(&screen.screen).unwrap_or_default();
                    return Ok(Some(Output::Screen {
                        bytes: bytes.into(),
                        size: screen.size,
                    }));
                }
                Err(next) => next,
            };
            if self.rest.is_empty() {
                tokio::select! {
                    biased;
                    bytes = self.input.channel.stream().recv() => match bytes? {
                        Some(bytes) => self.rest = bytes,
                        None => return Ok(None),
                    },
                    () = self.input.channel.screen_came() => {}
                }
                // While it waited, a screen may have come that goes before these bytes.
                continue;
            }
            let before = next_screen
                .and_then(|at| usize::try_from(at.saturating_sub(self.read)).ok())
                .unwrap_or(usize::MAX)
                .min(self.rest.len());
            let bytes = self.rest.split_to(before);
            self.read += bytes.len() as u64;
            return Ok(Some(Output::Bytes(bytes)));
        }
    }

    fn consumed(&self) {
        if let Some(window) = self.input.channel.consumed() {
            let outbox = &self.input.board.outbox;
            outbox.urgent(&self.input.channel, window);
        }
    }

    /// Reads until `done` says so of all the bytes so far; the answer is all of them.
    ///
    /// # Errors
    /// [`Reset`]: it ended before.
    pub async fn read_until(
        &mut self,
        mut done: impl FnMut(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Reset> {
        let mut all = Vec::new();
        while !done(&all) {
            match self.read().await? {
                Some(Output::Bytes(bytes) | Output::Screen { bytes, .. }) => {
                    all.extend_from_slice(&bytes);
                }
                None => {
                    return Err(Reset {
                        code: ResetCode::Gone,
                        reason: format!("it ended after {:?}", String::from_utf8_lossy(&all)),
                    });
                }
            }
        }
        Ok(all)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`ClientError`]: it was cut off, and how it ended nobody says.
    pub async fn closed(&self) -> Result<TerminalClosed, ClientError> {
        let mut closed = self.input.channel.closed();
        let mut state = self.input.board.state();
        loop {
            if let Some(closed) = closed.borrow_and_update().clone() {
                return Ok(closed);
            }
            if let Some(error) = state.borrow_and_update().error() {
                return Err(error);
            }
            if let Some(reset) = self
                .input
                .channel
                .cut_off()
                .filter(|reset| reset.code == ResetCode::Gone)
            {
                return Err(ClientError::Lost(reset.reason));
            }
            // Both senders live as long as this terminal.
            tokio::select! {
                _ = closed.changed() => {}
                _ = state.changed() => {}
            }
        }
    }
}

impl TerminalInput {
    /// Types; waits while the program takes nothing.
    ///
    /// # Errors
    /// [`ClientError`]: the terminal has ended.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            let ended = |reset: Reset| ClientError::Lost(reset.reason);
            self.channel.stream().room().await.map_err(ended)?;
            let piece = rest.clone();
            let taken = self.board.outbox.frame(&self.channel, |channel| {
                let stream = channel.stream();
                let room = stream.room_now().min(piece.len());
                (room, stream.send(piece.slice(..room)))
            });
            let taken = taken.await?;
            rest = rest.slice(taken..);
        }
        Ok(())
    }

    /// Says its new size; counts if this viewer holds it.
    ///
    /// # Errors
    /// [`ClientError`]: the viewer is closed.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), ClientError> {
        self.say(TunnelPayload::Resize(size.clamped())).await
    }

    /// Holds its size from now on.
    ///
    /// # Errors
    /// [`ClientError`]: the viewer is closed.
    pub async fn take_size(&self, size: TerminalSize) -> Result<(), ClientError> {
        let taking = TakeSize {
            channel_id: self.channel.channel_id().clone(),
            size: size.clamped(),
        };
        self.board
            .outbox
            .say(&ViewerMessage::TakeSize(taking))
            .await
    }

    /// Sends a signal to the program in its foreground.
    ///
    /// # Errors
    /// [`ClientError`]: the viewer is closed.
    pub async fn signal(&self, signal: SignalName) -> Result<(), ClientError> {
        self.say(TunnelPayload::Signal(Signal { signal })).await
    }

    /// Ends it and all that it started.
    ///
    /// # Errors
    /// [`ClientError`]: the viewer is closed.
    pub async fn close(&self) -> Result<(), ClientError> {
        self.say(TunnelPayload::Close).await
    }

    async fn say(&self, data: TunnelPayload) -> Result<(), ClientError> {
        let channel_id = self.channel.channel_id().clone();
        let message = ViewerMessage::TunnelData(TunnelData { channel_id, data });
        self.board.outbox.say(&message).await
    }
}
