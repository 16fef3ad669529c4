//! A viewer of a session's stream: it opens terminals and commands, takes what they print, sends what is typed, and
//! comes back by itself when the connection is lost, with no byte lost or doubled.
//!
//! ```text
//!   Terminal::read ◀── ByteStream ◀─┐                 ┌─ socket: one connection after the other
//!   RunningCommand::next ◀─ queue ◀─┼── Board ── link ┤
//!   TerminalInput::write ──▶ outbox ┘                 └─ back-off, tickets
//! ```

mod board;
mod command;
mod connection;
mod link;
mod link_state;
mod outbox;
mod terminal;
mod terminal_channel;
#[cfg(test)]
mod tests;
mod text_channel;
mod typed;

use std::sync::Arc;
use std::time::Duration;

use gururmm_shared::{ChannelId, StreamMessage};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::board::Board;
pub use self::command::RunningCommand;
use self::link::Link;
pub use self::link_state::LinkState;
pub use self::terminal::{Output, Terminal, TerminalInput};
use super::{ClientError, NewCommand, NewTerminal, SessionClient};

/// How long a channel that the server has started may take to be seen on the stream.
const SEEN_PATIENCE: Duration = Duration::from_secs(30);

/// What a viewer takes of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Watch {
    /// What it starts itself; the rest is let go, so that it holds up nobody else's.
    #[default]
    Own,
    /// This channel, beside what it starts itself.
    Only(ChannelId),
    /// Every channel; each has to be read.
    All,
}

/// How a viewer watches.
#[derive(Debug, Clone)]
pub struct ViewerOptions {
    /// What it takes.
    pub watch: Watch,
    /// Whether it only watches.
    pub read_only: bool,
    /// How long it tries to come back.
    pub patience: Duration,
    /// Where known channels begin, so that nothing old is sent.
    pub from: Vec<(ChannelId, u64)>,
}

impl Default for ViewerOptions {
    fn default() -> Self {
        Self {
            watch: Watch::Own,
            read_only: false,
            patience: Duration::from_secs(300),
            from: Vec::new(),
        }
    }
}

/// A viewer; dropping it ends its connection and all that reads from it.
#[derive(Debug)]
pub struct Viewer {
    session: SessionClient,
    board: Arc<Board>,
    link: JoinHandle<()>,
}

impl Viewer {
    /// Opens the stream of a session.
    ///
    /// # Errors
    /// [`ClientError`]: the first connection did not come about.
    pub async fn open(
        session: &SessionClient,
        options: ViewerOptions,
    ) -> Result<Self, ClientError> {
        let (board, queue) = Board::new(options.watch.clone());
        let board = Arc::new(board);
        let link = Link::new(
            session.clone(),
            board.clone(),
            queue,
            options,
            Uuid::new_v4(),
        );
        let socket = link.dial().await?;
        Ok(Self {
            session: session.clone(),
            board,
            link: tokio::spawn(link.run(socket)),
        })
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> &SessionClient {
        &self.session
    }

    /// Opens a terminal.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn terminal(&self, terminal: &NewTerminal) -> Result<Terminal, ClientError> {
        let _expecting = self.board.expect();
        let started = self.session.terminal(terminal).await?;
        self.attach(&started.channel_id).await
    }

    /// Takes a terminal that is there already.
    ///
    /// # Errors
    /// [`ClientError`]: it does not show up on the stream.
    pub async fn attach(&self, channel: &ChannelId) -> Result<Terminal, ClientError> {
        let _expecting = self.board.expect();
        let seen = tokio::time::timeout(SEEN_PATIENCE, self.board.terminal(channel));
        let terminal = seen.await.unwrap_or_else(|_| Err(not_seen(channel)))?;
        Ok(Terminal::new(terminal, self.board.clone()))
    }

    /// Waits for the first terminal that runs in the session and takes it.
    ///
    /// # Errors
    /// [`ClientError`]: there is none.
    pub async fn any_terminal(&self) -> Result<Terminal, ClientError> {
        let found = tokio::time::timeout(SEEN_PATIENCE, self.board.any_terminal());
        let none = || ClientError::local("no terminal runs in this session");
        let terminal = found.await.unwrap_or_else(|_| Err(none()))?;
        Ok(Terminal::new(terminal, self.board.clone()))
    }

    /// Runs a command.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn run(&self, command: &NewCommand) -> Result<RunningCommand, ClientError> {
        let _expecting = self.board.expect();
        let started = self.session.command(command).await?;
        let channel = self.board.text(&started.channel_id);
        channel.claim();
        Ok(RunningCommand::new(started, channel, self.board.clone()))
    }

    /// How the connection is.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.board.state()
    }

    /// Every message as it comes; who is slow misses some.
    #[must_use]
    pub fn messages(&self) -> broadcast::Receiver<StreamMessage> {
        self.board.messages()
    }

    /// Drops the connection as a bad line would; it comes back by itself.
    pub fn cut(&self) {
        self.board.cut();
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.link.abort();
        self.board.end("the viewer was closed");
    }
}

fn not_seen(channel: &ChannelId) -> ClientError {
    ClientError::Unexpected(format!("{channel} does not show up on the stream"))
}
