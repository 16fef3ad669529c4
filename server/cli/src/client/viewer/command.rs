//! A command that runs, for whoever reads its output.

use std::sync::Arc;

use gururmm_shared::{
    ChannelId, CommandId, TerminalOutput, TunnelData, TunnelPayload, ViewerMessage,
};

use super::board::Board;
use super::text_channel::{Piece, TextChannel};
use crate::client::{ClientError, StartedCommand};

/// A command that was started.
#[derive(Debug)]
pub struct RunningCommand {
    started: StartedCommand,
    channel: Arc<TextChannel>,
    board: Arc<Board>,
}

impl RunningCommand {
    pub(super) fn new(
        started: StartedCommand,
        channel: Arc<TextChannel>,
        board: Arc<Board>,
    ) -> Self {
        Self {
            started,
            channel,
            board,
        }
    }

    /// Its channel.
    #[must_use]
    pub fn id(&self) -> &ChannelId {
        &self.started.channel_id
    }

    /// Its id in the audit.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.started.command_id
    }

    /// The next piece of output; the last one says how it ended ([`TerminalOutput::is_last`]), and nothing
    /// comes after it.
    ///
    /// # Errors
    /// [`ClientError`]: it failed, output is lost, or the session is over.
    pub async fn next(&mut self) -> Result<TerminalOutput, ClientError> {
        match self.channel.next().await {
            Piece::Output(output) => Ok(output),
            Piece::Gap(bytes) => Err(ClientError::Lost(format!(
                "{bytes} bytes of output are no longer kept by the server"
            ))),
            Piece::Failed(why) => {
                let over = self.board.state().borrow().error();
                Err(over.unwrap_or(ClientError::Local(why)))
            }
        }
    }

    /// Ends it and all that it started; its last piece still comes.
    ///
    /// # Errors
    /// [`ClientError`]: the viewer is closed.
    pub async fn cancel(&self) -> Result<(), ClientError> {
        let message = ViewerMessage::TunnelData(TunnelData {
            channel_id: self.started.channel_id.clone(),
            data: TunnelPayload::Close,
        });
        self.board.outbox.say(&message).await
    }
}
