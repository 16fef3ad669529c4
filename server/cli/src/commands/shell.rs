//! `gururmm shell`.

use gururmm_shared::{ChannelId, SessionId, TerminalClosed};
use serde_json::json;

use super::attached::{Attached, Left};
use super::context::Context;
use super::run::low_byte;
use super::tunnel::Tunnel;
use crate::client::{NewTerminal, SessionClient, Viewer, ViewerOptions, Watch};
use crate::failure::{CONNECTION, Failure};
use crate::platform::{Signals, window_size};

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
                let left = self.in_tunnel(&tunnel, &mut signals).await;
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

    async fn in_tunnel(&self, tunnel: &Tunnel, signals: &mut Signals) -> Result<Left, Failure> {
        let mut options = tunnel.viewer_options().await?;
        if let Some(channel) = self.channel()? {
            options.watch = Watch::Only(channel);
        }
        self.at_terminal(tunnel.session(), options, signals).await
    }

    /// The terminal to go on with.
    fn channel(&self) -> Result<Option<ChannelId>, Failure> {
        let channel = self.attach.clone().map(ChannelId::try_from).transpose();
        channel.map_err(|error| Failure::usage(error.to_string()))
    }

    async fn at_terminal(
        &self,
        session: &SessionClient,
        options: ViewerOptions,
        signals: &mut Signals,
    ) -> Result<Left, Failure> {
        let viewer = Viewer::open(session, options).await?;
        let channel = self.channel()?;
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
