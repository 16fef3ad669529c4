//! The output of one channel on its way out: cut into pieces, within the window that was granted.

use std::time::Duration;

use gururmm_shared::flow::{PIECE_BYTES, SendWindow};
use gururmm_shared::{
    AgentMessage, ChannelId, TerminalOutput, TunnelData, TunnelError, TunnelPayload,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::stream::Piece;
use crate::commands::job::{Ending, Stream};

/// Small pieces follow each other no faster than this: what is printed meanwhile travels together.
///
/// A first piece, a full one and the last ones are not held back.
const GAP: Duration = Duration::from_millis(4);

/// The session is over: nobody takes output any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOver;

/// The sender's side of a terminal channel.
#[derive(Debug)]
pub struct Outlet {
    channel_id: ChannelId,
    lane: mpsc::Sender<Piece>,
    window: SendWindow,
    stdout: String,
    stderr: String,
    not_before: Option<Instant>,
}

impl Outlet {
    /// An outlet that may send up to `limit` into the session's `lane`.
    pub fn new(channel_id: ChannelId, lane: mpsc::Sender<Piece>, limit: u64) -> Self {
        Self {
            channel_id,
            lane,
            window: SendWindow::new(limit),
            stdout: String::new(),
            stderr: String::new(),
            not_before: None,
        }
    }

    /// Takes a new limit of the window.
    pub fn grant(&mut self, limit: u64) {
        self.window.raise(limit);
    }

    /// Takes text to be sent.
    pub fn push(&mut self, stream: Stream, text: String) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if pending.is_empty() {
            *pending = text;
        } else {
            pending.push_str(&text);
        }
    }

    /// Whether text waits.
    pub fn has_text(&self) -> bool {
        self.pending() > 0
    }

    /// Whether more text is wanted: the window is not used up by what waits.
    pub fn wants_more(&self) -> bool {
        self.pending() < PIECE_BYTES && self.window.available() > self.pending() as u64
    }

    /// Whether a piece of what waits fits into the window.
    pub fn can_send(&self) -> bool {
        let room = self.window.available();
        let fits = |text: &String| {
            text.chars()
                .next()
                .is_some_and(|first| first.len_utf8() as u64 <= room)
        };
        fits(&self.stdout) || fits(&self.stderr)
    }

    /// Lets the pieces that still wait go without a gap.
    pub fn hurry(&mut self) {
        self.not_before = None;
    }

    /// Sends one piece, when it is time and the lane has room. Cancel safe.
    pub async fn send(&mut self) -> Result<(), SessionOver> {
        if let Some(moment) = self.not_before
            && self.pending() < PIECE_BYTES
        {
            sleep_until(moment).await;
        }
        let lane = self.lane.clone();
        let permit = lane.reserve().await.map_err(|_| SessionOver)?;
        let piece = self.cut();
        self.not_before = Some(Instant::now() + GAP);
        permit.send(self.message(TunnelPayload::TerminalOutput(piece)));
        Ok(())
    }

    /// Sends the last piece; it has no text and needs no window.
    pub async fn finish(self, ending: Ending) -> Result<(), SessionOver> {
        let last = TerminalOutput {
            exit_code: Some(ending.exit_code),
            reason: ending.reason,
            offset: Some(self.window.offset()),
            ..TerminalOutput::default()
        };
        let message = self.message(TunnelPayload::TerminalOutput(last));
        self.lane.send(message).await.map_err(|_| SessionOver)
    }

    /// Ends the channel with an error.
    pub async fn fail(self, error: String) -> Result<(), SessionOver> {
        let failure = TunnelError {
            channel_id: self.channel_id,
            error,
        };
        self.lane
            .send(Piece::Message(Box::new(AgentMessage::TunnelError(failure))))
            .await
            .map_err(|_| SessionOver)
    }

    fn pending(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    fn cut(&mut self) -> TerminalOutput {
        let room = usize::try_from(self.window.available())
            .unwrap_or(usize::MAX)
            .min(PIECE_BYTES);
        let stdout = take_prefix(&mut self.stdout, room);
        let stderr = take_prefix(&mut self.stderr, room - stdout.len());
        let piece = TerminalOutput {
            stdout,
            stderr,
            offset: Some(self.window.offset()),
            ..TerminalOutput::default()
        };
        self.window.send(piece.len());
        piece
    }

    fn message(&self, data: TunnelPayload) -> Piece {
        Piece::Message(Box::new(AgentMessage::TunnelData(TunnelData {
            channel_id: self.channel_id.clone(),
            data,
        })))
    }
}

/// Takes at most `max_bytes` from the front of `text`, whole characters only.
fn take_prefix(text: &mut String, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return std::mem::take(text);
    }
    let rest = text.split_off(text.floor_char_boundary(max_bytes));
    std::mem::replace(text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet(limit: u64) -> (Outlet, mpsc::Receiver<Piece>) {
        let (lane, received) = mpsc::channel(64);
        (Outlet::new(ChannelId::terminal(1), lane, limit), received)
    }

    fn output(piece: Piece) -> TerminalOutput {
        let Piece::Message(message) = piece else {
            panic!("a frame")
        };
        match *message {
            AgentMessage::TunnelData(TunnelData {
                data: TunnelPayload::TerminalOutput(output),
                ..
            }) => output,
            other => panic!("no output: {other:?}"),
        }
    }

    #[tokio::test]
    async fn pieces_are_within_the_window_and_cut_between_characters() {
        let (mut outlet, mut received) = outlet(4);
        outlet.push(Stream::Stdout, "aé漢".to_owned());
        outlet.send().await.unwrap();
        let first = output(received.recv().await.unwrap());
        assert_eq!((first.stdout.as_str(), first.offset), ("aé", Some(0)));
        assert!(
            !outlet.can_send(),
            "one byte of room is not enough for three"
        );
        outlet.grant(6);
        assert!(outlet.can_send());
        outlet.send().await.unwrap();
        let second = output(received.recv().await.unwrap());
        assert_eq!((second.stdout.as_str(), second.offset), ("漢", Some(3)));
        assert!(!outlet.has_text());
    }

    #[tokio::test]
    async fn a_long_text_goes_in_pieces_of_the_right_size_with_running_offsets() {
        let (mut outlet, mut received) = outlet(u64::MAX);
        outlet.push(Stream::Stdout, "x".repeat(2 * PIECE_BYTES + 1));
        outlet.push(Stream::Stderr, "e".to_owned());
        assert!(!outlet.wants_more());
        while outlet.has_text() {
            outlet.send().await.unwrap();
        }
        let mut expected_offset = 0;
        for bytes in [PIECE_BYTES, PIECE_BYTES, 2] {
            let piece = output(received.recv().await.unwrap());
            assert_eq!(piece.offset, Some(expected_offset));
            assert_eq!(piece.len(), bytes as u64);
            expected_offset += piece.len();
        }
    }

    #[tokio::test]
    async fn the_last_piece_needs_no_window() {
        let (outlet, mut received) = outlet(0);
        let ending = Ending {
            exit_code: 3,
            reason: None,
            duration: Duration::ZERO,
        };
        outlet.finish(ending).await.unwrap();
        let last = output(received.recv().await.unwrap());
        assert_eq!(
            (last.exit_code, last.offset, last.is_empty()),
            (Some(3), Some(0), true)
        );
    }
}
