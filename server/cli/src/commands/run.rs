//! `gururmm run`.

use std::time::Duration;

use gururmm_shared::{CommandType, EndReason, SessionId, TerminalOutput};
use serde_json::json;

use super::context::Context;
use super::tunnel::Tunnel;
use crate::client::{NewCommand, RunningCommand, Viewer};
use crate::failure::{CONNECTION, Failure};
use crate::platform::Signals;
use crate::say::{Say, raw_out, remote_err};

/// How long a command that was cancelled may take to end.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Its host name, id, or the beginning of either.
    agent: String,
    /// How long it may run, in seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// What runs it; the machine's shell if it is missing.
    #[arg(long = "type", value_name = "TYPE")]
    interpreter: Option<Interpreter>,
    /// Use this session.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    /// The command; its words are joined by blanks.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Interpreter {
    Shell,
    Powershell,
    Python,
    Script,
}

impl Run {
    /// The command line.
    pub fn line(&self) -> String {
        self.command.join(" ")
    }

    pub async fn run(self, context: &Context) -> Result<u8, Failure> {
        let mut signals = Signals::listen()?;
        let tunnel = Tunnel::open(context, &self.agent, self.session).await?;
        let ended = self.in_tunnel(&tunnel, context.say, &mut signals).await;
        tunnel.close().await;
        ended
    }

    async fn in_tunnel(
        &self,
        tunnel: &Tunnel,
        say: Say,
        signals: &mut Signals,
    ) -> Result<u8, Failure> {
        let asked = NewCommand {
            command: self.line(),
            command_type: self.interpreter.map(|one| match one {
                Interpreter::Shell => CommandType::Shell,
                Interpreter::Powershell => CommandType::Powershell,
                Interpreter::Python => CommandType::Python,
                Interpreter::Script => CommandType::Script,
            }),
            timeout_seconds: self.timeout,
        };
        let started = async {
            let options = tunnel.viewer_options().await?;
            let viewer = Viewer::open(tunnel.session(), options).await?;
            let command = viewer.run(&asked).await?;
            Ok::<_, Failure>((viewer, command))
        };
        let (_viewer, mut command) = tokio::select! {
            started = started => started?,
            code = signals.end() => return Ok(code),
        };
        tokio::select! {
            ended = follow(&mut command, say) => ended,
            code = signals.end() => {
                cancel(&mut command, say).await;
                Ok(code)
            }
        }
    }
}

/// Says what it prints until it ends.
async fn follow(command: &mut RunningCommand, say: Say) -> Result<u8, Failure> {
    loop {
        let output = command.next().await?;
        tell(command, &output, say)?;
        if output.is_last() {
            return Ok(exit_code(&output, say));
        }
    }
}

fn tell(command: &RunningCommand, output: &TerminalOutput, say: Say) -> Result<(), Failure> {
    if !say.is_json() {
        if !output.stderr.is_empty() {
            remote_err(&output.stderr);
        }
        return if output.stdout.is_empty() {
            Ok(())
        } else {
            raw_out(output.stdout.as_bytes())
        };
    }
    if !output.is_empty() {
        say.result(
            "",
            &json!({"stdout": output.stdout, "stderr": output.stderr}),
        )?;
    }
    if output.is_last() {
        let value = json!({
            "command_id": command.command_id(), "exit_code": output.exit_code, "reason": output.reason,
        });
        say.result("", &value)?;
    }
    Ok(())
}

/// The command's own, or 255 where the machine cannot say it.
fn exit_code(output: &TerminalOutput, say: Say) -> u8 {
    match output.reason {
        Some(EndReason::TimedOut) => {
            say.note("the command ran longer than it may; --timeout gives it more")
        }
        Some(EndReason::Cancelled) => say.note("the command was ended"),
        Some(EndReason::Interrupted) => say.note("the agent ended while the command ran"),
        Some(EndReason::Refused) => say.note("the agent did not start the command"),
        Some(EndReason::Signalled) | None => {}
    }
    output.exit_code.map_or(CONNECTION, low_byte)
}

/// An exit code as a process can have it.
pub(super) fn low_byte(code: i32) -> u8 {
    // Windows has more than a byte; what would look like success must not.
    match u8::try_from(code & 0xff) {
        Ok(0) if code != 0 => 1,
        Ok(byte) => byte,
        Err(_) => CONNECTION,
    }
}

async fn cancel(command: &mut RunningCommand, say: Say) {
    // Where the server is gone the session's end ends the command.
    if command.cancel().await.is_ok() {
        let _ = tokio::time::timeout(CANCEL_PATIENCE, follow(command, say)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::low_byte;

    #[test]
    fn no_failure_looks_like_success() {
        assert_eq!(low_byte(0), 0);
        assert_eq!(low_byte(3), 3);
        assert_eq!(low_byte(256), 1);
        assert_eq!(low_byte(-1), 255);
        assert_eq!(low_byte(-1_073_741_510), 0x3a);
    }
}
