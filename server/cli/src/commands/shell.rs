//! `gururmm shell`.

use gururmm_shared::{ChannelId, SessionId, TerminalClosed, TerminalSize};
use serde_json::json;

use super::context::Context;
use super::escape::{Escapes, Typed};
use super::run::low_byte;
use super::tunnel::Tunnel;
use crate::client::{
    LinkState, NewTerminal, Output, SessionClient, Terminal, TerminalInput, Viewer, ViewerOptions,
    Watch,
};
use crate::failure::{CONNECTION, Failure};
use crate::platform::{RawTerminal, Signals, typed, window_size};
use crate::say::{raw_note, raw_out};

const HELP: &str =
    "~. ends this terminal, ~~ types a tilde, ~? shows this; at the beginning of a line";

/// Arguments of `shell`.
#[derive(Debug, clap::Args)]
pub(super) struct Shell {
    /// Its host name, id, or the beginning of either.
    #[arg(required_unless_present = "read_only")]
    agent: Option<String>,
    /// What to run: sh, bash, cmd, powershell or a path.
    #[arg(long)]
    shell: Option<String>,
    /// Where it starts.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<String>,
    /// Use this session.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    /// Go on with this terminal of the session, as terminal-3.
    #[arg(long, value_name = "TERMINAL")]
    attach: Option<String>,
    /// Only watch a terminal of this session.
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["agent", "shell", "directory", "session"])]
    read_only: Option<SessionId>,
}

/// How a terminal was left.
enum Left {
    /// It has ended.
    Ended(TerminalClosed),
    /// By `~.`.
    Escaped,
    /// By a signal, with this exit code.
    Signal(u8),
}

impl Shell {
    pub async fn run(self, context: &Context) -> Result<u8, Failure> {
        let mut signals = Signals::listen()?;
        let left = match (&self.agent, self.read_only) {
            (_, Some(id)) => {
                let session = SessionClient::of(&context.client()?, id);
                let options = ViewerOptions {
                    watch: Watch::All,
                    read_only: true,
                    ..ViewerOptions::default()
                };
                self.at_terminal(&session, options, &mut signals).await
            }
            (Some(agent), None) => {
                let tunnel = Tunnel::open(context, agent, self.session).await?;
                let left = match tunnel.viewer_options().await {
                    Ok(options) => {
                        self.at_terminal(tunnel.session(), options, &mut signals)
                            .await
                    }
                    Err(failure) => Err(failure),
                };
                tunnel.close().await;
                left
            }
            (None, None) => Err(Failure::usage("which agent?")),
        };
        let (code, why) = match left? {
            Left::Escaped => (0, None),
            Left::Signal(code) => (code, None),
            Left::Ended(closed) => ended(&closed),
        };
        if let Some(why) = why {
            context.say.note(&why);
        }
        if context.say.is_json() {
            context.say.result("", &json!({"exit_code": code}))?;
        }
        Ok(code)
    }

    async fn at_terminal(
        &self,
        session: &SessionClient,
        options: ViewerOptions,
        signals: &mut Signals,
    ) -> Result<Left, Failure> {
        let viewer = Viewer::open(session, options).await?;
        let channel = self.attach.clone().map(ChannelId::try_from).transpose();
        let channel = channel.map_err(|error| Failure::usage(error.to_string()))?;
        let opening = async {
            match (channel, self.read_only) {
                (Some(channel), _) => viewer.attach(&channel).await,
                (None, Some(_)) => viewer.any_terminal().await,
                (None, None) => viewer.terminal(&self.wanted()).await,
            }
        };
        let terminal = tokio::select! {
            terminal = opening => terminal?,
            code = signals.end() => return Ok(Left::Signal(code)),
        };
        let attached = Attached {
            input: terminal.input(),
            read_only: self.read_only.is_some(),
            take_size: self.attach.is_some() && self.read_only.is_none(),
        };
        attached.carry(&viewer, terminal, signals).await
    }

    fn wanted(&self) -> NewTerminal {
        NewTerminal {
            shell: self.shell.clone(),
            working_directory: self.directory.clone(),
            size: window_size().unwrap_or_default(),
            term: std::env::var("TERM").ok().filter(|term| !term.is_empty()),
            ..NewTerminal::default()
        }
    }
}

/// The exit code of a terminal, and what there is to say about its end.
fn ended(closed: &TerminalClosed) -> (u8, Option<String>) {
    match (&closed.error, closed.exit_code) {
        (Some(error), _) => (CONNECTION, Some(error.message.clone())),
        (None, Some(code)) => (low_byte(code), None),
        (None, None) => (CONNECTION, Some("the terminal was ended".to_owned())),
    }
}

/// This terminal, while it stands for the machine's.
struct Attached {
    input: TerminalInput,
    read_only: bool,
    take_size: bool,
}

impl Attached {
    async fn carry(
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
