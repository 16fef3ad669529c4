//! The commands, one file each, and the arguments that all of them take.

mod agents;
mod attached;
mod completions;
mod context;
mod copy;
mod escape;
mod forward;
mod forward_spec;
mod log_in;
mod place;
mod run;
mod sessions;
mod shell;
mod transfer;
mod tunnel;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::context::Context;
use crate::failure::Failure;
use crate::say::Say;

/// Works on machines through a GuruRMM server.
#[derive(Debug, Parser)]
#[command(name = "gururmm", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// The server, as <https://rmm.example.com>; the one that was logged in to last.
    #[arg(long, global = true, env = "GURURMM_SERVER", value_name = "URL")]
    server: Option<String>,
    /// A file with certificates of authorities that are trusted, too.
    #[arg(long, global = true, env = "GURURMM_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Write results as JSON, one document a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; shell and run: the remote command's own; 1 refused or failed; 2 wrong arguments; 255 trouble with the connection.
GURURMM_TOKEN holds a token or an API key (grmu_…) instead of a log-in.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in and keep the token.
    Login(log_in::LogIn),
    /// Forget the token.
    Logout(log_in::LogOut),
    /// Show who is logged in.
    Whoami,
    /// List agents.
    Agents(agents::Agents),
    /// List your open sessions, or close one.
    Sessions(sessions::Sessions),
    /// Open a terminal on an agent's machine; ~. at the beginning of a line ends it.
    Shell(shell::Shell),
    /// Run a command on an agent's machine.
    Run(run::Run),
    /// Copy files from or to an agent's machine (AGENT:/path).
    Cp(copy::Copy),
    /// Make ports, as an agent's machine sees them, ports of this machine.
    Forward(forward::Forward),
    /// Print completions for a shell.
    Completions(completions::Completions),
}

impl Cli {
    /// Does what was asked for; answers the exit code.
    pub async fn run(self) -> u8 {
        let say = Say::new(self.json);
        match self.carry_out(say).await {
            Ok(code) => code,
            Err(failure) => {
                say.failure(&failure);
                failure.exit
            }
        }
    }

    async fn carry_out(self, say: Say) -> Result<u8, Failure> {
        let command = match self.command {
            Command::Completions(completions) => return completions.run().map(|()| 0),
            command => command,
        };
        let context = Context::new(self.server, self.ca_file.as_deref(), say)?;
        match command {
            Command::Completions(_) => Ok(0),
            Command::Login(command) => command.run(context).await.map(|()| 0),
            Command::Logout(command) => command.run(context).await.map(|()| 0),
            Command::Whoami => log_in::who_am_i(&context).await.map(|()| 0),
            Command::Agents(command) => command.run(&context).await.map(|()| 0),
            Command::Sessions(command) => command.run(&context).await.map(|()| 0),
            Command::Shell(command) => command.run(&context).await.map_err(Failure::like_ssh),
            Command::Run(command) => command.run(&context).await.map_err(Failure::like_ssh),
            Command::Cp(command) => command.run(&context).await,
            Command::Forward(command) => command.run(&context).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_contradict_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_remote_command() {
        let cli = Cli::try_parse_from(["gururmm", "run", "web", "--", "ls", "--json"]).unwrap();
        assert!(!cli.json);
        assert!(matches!(cli.command, Command::Run(run) if run.line() == "ls --json"));
    }
}
