//! What a running command has written so far, told to who may be watching. Lossy on purpose: it is
//! sent only where there is a connection with room, it never holds up the command, and nothing waits
//! for it but the text that is kept for the result anyway.

use std::time::Duration;

use gururmm_shared::{AgentMessage, CommandId, CommandOutput};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::job::Stream;
use super::kept::Kept;
use crate::connection::Outbox;

/// Between two messages about a command.
const PERIOD: Duration = Duration::from_secs(1);

/// Messages a second about all commands together: a server takes 50 of all kinds.
const MESSAGES_A_SECOND: usize = 32;

/// How the output of one command is told.
#[derive(Debug)]
pub struct Live {
    id: CommandId,
    /// The connection, where there is one whose server wants to hear of output.
    outbox: watch::Receiver<Option<Outbox>>,
    period: Duration,
    next: Instant,
    stdout_bytes: usize,
    stderr_bytes: usize,
}

impl Live {
    /// Nothing told yet about a command, of which `max_running` may run at once.
    #[must_use]
    pub fn new(id: CommandId, outbox: watch::Receiver<Option<Outbox>>, max_running: usize) -> Self {
        let shared = u32::try_from(max_running.div_ceil(MESSAGES_A_SECOND)).unwrap_or(u32::MAX);
        let period = PERIOD.saturating_mul(shared.max(1));
        Self {
            id,
            outbox,
            period,
            next: Instant::now() + period,
            stdout_bytes: 0,
            stderr_bytes: 0,
        }
    }

    /// Waits until something may be told. Cancel safe.
    pub async fn due(&self) {
        sleep_until(self.next).await;
    }

    /// Tells what is new, at most [`CommandOutput::MAX_BYTES`] of it.
    pub fn tell(&mut self, kept: &Kept) {
        self.next = Instant::now() + self.period;
        let stdout = piece(
            kept.text(Stream::Stdout),
            self.stdout_bytes,
            CommandOutput::MAX_BYTES,
        );
        let room = CommandOutput::MAX_BYTES - stdout.len();
        let stderr = piece(kept.text(Stream::Stderr), self.stderr_bytes, room);
        if stdout.is_empty() && stderr.is_empty() {
            return;
        }
        let output = CommandOutput {
            id: self.id,
            stdout_offset: self.stdout_bytes as u64,
            stdout: stdout.to_owned(),
            stderr_offset: self.stderr_bytes as u64,
            stderr: stderr.to_owned(),
        };
        let (stdout_bytes, stderr_bytes) = (stdout.len(), stderr.len());
        let outbox = self.outbox.borrow();
        let sent = outbox
            .as_ref()
            .is_some_and(|outbox| outbox.try_send_aside(AgentMessage::CommandOutput(output)));
        if sent {
            self.stdout_bytes += stdout_bytes;
            self.stderr_bytes += stderr_bytes;
        }
    }
}

/// The text from `offset` on, at most `max_bytes` of whole characters.
fn piece(text: &str, offset: usize, max_bytes: usize) -> &str {
    let rest = text.get(offset..).unwrap_or_default();
    &rest[..rest.floor_char_boundary(max_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Outgoing;

    #[tokio::test]
    async fn pieces_join_to_what_is_kept_and_wait_while_there_is_no_connection() {
        let (connect, connected) = watch::channel(None);
        let mut live = Live::new(CommandId::generate(), connected, 1);
        let mut kept = Kept::new(1 << 20);
        let text = "é".repeat(CommandOutput::MAX_BYTES);
        kept.push(Stream::Stdout, &text);
        kept.push(Stream::Stderr, "e");
        live.tell(&kept);
        let (outbox, mut outgoing) = Outbox::new();
        connect.send_replace(Some(outbox));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for _ in 0..3 {
            live.tell(&kept);
            let Some(Outgoing::Message(message)) = outgoing.recv().await else {
                panic!("nothing")
            };
            let AgentMessage::CommandOutput(output) = *message else {
                panic!("{message:?}")
            };
            assert_eq!(output.stdout_offset, stdout.len() as u64);
            assert_eq!(output.stderr_offset, stderr.len() as u64);
            assert!(output.stdout.len() + output.stderr.len() <= CommandOutput::MAX_BYTES);
            stdout += &output.stdout;
            stderr += &output.stderr;
            if stdout.len() == text.len() && stderr == "e" {
                break;
            }
        }
        assert_eq!((stdout.as_str(), stderr.as_str()), (text.as_str(), "e"));
        live.tell(&kept);
        assert!(outgoing.try_recv().is_err(), "nothing is new");
    }

    #[tokio::test]
    async fn a_connection_that_is_busy_is_left_alone() {
        let (outbox, mut outgoing) = Outbox::new();
        let (_connect, connected) = watch::channel(Some(outbox.clone()));
        let mut live = Live::new(CommandId::generate(), connected, 1);
        let mut kept = Kept::new(1000);
        kept.push(Stream::Stdout, "x");
        let mut queued = 0;
        while outbox.try_send_aside(AgentMessage::Heartbeat) {
            queued += 1;
        }
        live.tell(&kept);
        for _ in 0..queued {
            outgoing.recv().await.unwrap();
        }
        assert!(outgoing.try_recv().is_err());
        live.tell(&kept);
        assert!(outgoing.try_recv().is_ok(), "it was not lost");
    }
}
