//! A command as the viewer holds it: the pieces of its output that were not read yet, each once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gururmm_shared::{OutputGap, TerminalOutput};
use tokio::sync::Notify;

/// Bytes of text that wait for their reader before the connection does.
const WAITING_BYTES: u64 = 256 * 1024;

/// What a reader gets.
#[derive(Debug)]
pub(super) enum Piece {
    /// Output.
    Output(TerminalOutput),
    /// So many bytes are lost.
    Gap(u64),
    /// It failed.
    Failed(String),
}

/// One command.
#[derive(Debug, Default)]
pub(super) struct TextChannel {
    inner: Mutex<Inner>,
    came: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: VecDeque<Piece>,
    waiting: u64,
    received: u64,
    claimed: bool,
    ended: bool,
}

impl TextChannel {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under the lock can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn claim(&self) {
        self.lock().claimed = true;
    }

    /// Drops what came, if nobody has taken this command.
    pub fn let_go(&self) {
        let mut inner = self.lock();
        if !inner.claimed {
            inner.pieces.clear();
            inner.waiting = 0;
            self.taken.notify_one();
        }
    }

    /// The next byte of text.
    pub fn received(&self) -> u64 {
        self.lock().received
    }

    /// Output goes on here at first.
    pub fn begin_at(&self, offset: u64) {
        let mut inner = self.lock();
        inner.received = inner.received.max(offset);
    }

    /// Takes a piece; what was there before is left out.
    pub fn push(&self, output: TerminalOutput) {
        let mut inner = self.lock();
        if inner.ended {
            return;
        }
        let offset = output.offset.unwrap_or(inner.received);
        let end = offset + output.len();
        if end < inner.received
            || (end == inner.received && !output.is_last() && !output.is_empty())
        {
            return;
        }
        if offset > inner.received {
            let lost = offset - inner.received;
            inner.pieces.push_back(Piece::Gap(lost));
        }
        let output = without(output, inner.received.saturating_sub(offset));
        inner.received = end;
        inner.waiting += output.len();
        inner.ended = output.is_last();
        inner.pieces.push_back(Piece::Output(output));
        self.came.notify_one();
    }

    /// What is no longer kept will not come.
    pub fn gap(&self, gap: &OutputGap) {
        let mut inner = self.lock();
        if gap.to > inner.received {
            let lost = gap.to - inner.received.max(gap.from);
            inner.received = gap.to;
            inner.pieces.push_back(Piece::Gap(lost));
            self.came.notify_one();
        }
    }

    /// It failed, or nothing more will come.
    pub fn fail(&self, why: &str) {
        let mut inner = self.lock();
        if !inner.ended {
            inner.ended = true;
            inner.pieces.push_back(Piece::Failed(why.to_owned()));
            self.came.notify_one();
        }
    }

    pub async fn next(&self) -> Piece {
        loop {
            let came = self.came.notified();
            {
                let mut inner = self.lock();
                if let Some(piece) = inner.pieces.pop_front() {
                    if let Piece::Output(output) = &piece {
                        inner.waiting = inner.waiting.saturating_sub(output.len());
                    }
                    self.taken.notify_one();
                    return piece;
                }
            }
            came.await;
        }
    }

    /// Waits until its reader has room for more.
    pub async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            if self.lock().waiting < WAITING_BYTES {
                return;
            }
            taken.await;
        }
    }
}

/// A piece without its first bytes, which were there before; standard output counts first.
fn without(mut output: TerminalOutput, bytes: u64) -> TerminalOutput {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let of_stdout = bytes.min(output.stdout.len());
    let of_stderr = (bytes - of_stdout).min(output.stderr.len());
    output.stdout = cut(&output.stdout, of_stdout);
    output.stderr = cut(&output.stderr, of_stderr);
    output
}

fn cut(text: &str, bytes: usize) -> String {
    text[text.ceil_char_boundary(bytes)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, text: &str) -> TerminalOutput {
        TerminalOutput {
            stdout: text.to_owned(),
            offset: Some(offset),
            ..TerminalOutput::default()
        }
    }

    async fn text(channel: &TextChannel) -> String {
        match channel.next().await {
            Piece::Output(output) => output.stdout,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn repeated_output_comes_once() {
        let channel = TextChannel::default();
        channel.push(piece(0, "abc"));
        channel.push(piece(0, "abc"));
        channel.push(piece(1, "bcde"));
        assert_eq!(text(&channel).await, "abc");
        assert_eq!(text(&channel).await, "de");
        assert_eq!(channel.received(), 5);
    }

    #[tokio::test]
    async fn the_end_is_told_once_and_nothing_after_it() {
        let channel = TextChannel::default();
        let last = TerminalOutput {
            exit_code: Some(3),
            ..piece(0, "")
        };
        channel.push(last.clone());
        channel.push(last);
        channel.fail("gone");
        assert!(
            matches!(channel.next().await, Piece::Output(output) if output.exit_code == Some(3))
        );
        assert!(channel.lock().pieces.is_empty());
    }

    #[tokio::test]
    async fn a_gap_is_told() {
        let channel = TextChannel::default();
        channel.push(piece(0, "abc"));
        channel.push(piece(10, "x"));
        assert_eq!(text(&channel).await, "abc");
        assert!(matches!(channel.next().await, Piece::Gap(7)));
        assert_eq!(text(&channel).await, "x");
    }
}
