//! The input of one terminal: what several viewers write, merged in the order in which it came and sent
//! within the agent's window; each viewer's own window opens as the agent takes what it wrote.
//!
//! ```text
//!   viewer ──DATA──▶ its window ─▶ waiting ──agent's window──▶ agent
//!          ◀─────── WINDOW ──────── sent ───▶ kept, where a lost connection is outlived
//! ```

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gururmm_shared::flow::{FlowError, PIECE_BYTES, ReceiveWindow, Received, SendWindow};
use gururmm_shared::{Frame, StreamId, UserId};
use uuid::Uuid;

use super::byte_replay::ByteReplay;
use super::viewers::ViewerNumber;

/// Bytes of input that a viewer may have on the way.
pub const INPUT_WINDOW_BYTES: u64 = 64 * 1024;

/// Bytes that may wait for an agent from viewers that are gone.
const LEFT_BEHIND_BYTES: usize = 256 * 1024;

/// A name that a viewer chose for itself, to be known by when it comes back; another user's of the same
/// name is another viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewerKey {
    /// Whose it is.
    pub user_id: UserId,
    /// What it chose.
    pub id: Uuid,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// A viewer that may come back.
    Known(ViewerKey),
    /// One that is forgotten when it goes.
    Once(ViewerNumber),
}

struct Written {
    window: ReceiveWindow,
    received: u64,
    passed: u64,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            window: ReceiveWindow::new(INPUT_WINDOW_BYTES),
            received: 0,
            passed: 0,
        }
    }
}

/// What a step asks for.
#[derive(Debug, Default, PartialEq)]
pub struct Passed {
    /// To the agent, in order.
    pub frames: Vec<Frame>,
    /// How far these may write now.
    pub limits: Vec<(Writer, u64)>,
}

/// All input of one terminal.
pub struct TerminalInput {
    stream: StreamId,
    sending: SendWindow,
    held: bool,
    waiting: VecDeque<(Writer, Vec<u8>)>,
    writers: BTreeMap<Writer, Written>,
    kept: ByteReplay,
    keep_bytes: u64,
}

impl TerminalInput {
    /// Nothing written yet; the agent takes `limit` bytes at first, and the last `keep_bytes` of what was sent
    /// are kept.
    #[must_use]
    pub fn new(stream: StreamId, limit: u64, keep_bytes: u64) -> Self {
        Self {
            stream,
            sending: SendWindow::new(limit),
            held: false,
            waiting: VecDeque::new(),
            writers: BTreeMap::new(),
            kept: ByteReplay::default(),
            keep_bytes,
        }
    }

    /// One that goes on after a restart: the agent has `received` bytes and takes those before `limit`.
    #[must_use]
    pub fn going_on(stream: StreamId, received: u64, limit: u64, keep_bytes: u64) -> Self {
        let mut input = Self::new(stream, limit, keep_bytes);
        input.sending.send(received);
        input.kept = ByteReplay::starting_at(received);
        input
    }

    /// Bytes taken from a viewer, and up to which offset it may write.
    #[must_use]
    pub fn position(&self, writer: Writer) -> (u64, u64) {
        self.writers
            .get(&writer)
            .map_or((0, INPUT_WINDOW_BYTES), |written| {
                (written.received, written.window.limit())
            })
    }

    /// Takes bytes of a viewer's.
    ///
    /// # Errors
    /// [`FlowError`]: bytes between are missing, or it wrote more than it may.
    pub fn write(
        &mut self,
        writer: Writer,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<Passed, FlowError> {
        let written = self.writers.entry(writer).or_default();
        if written.window.receive(offset, bytes.len() as u64)? == Received::Repeat {
            return Ok(Passed::default());
        }
        written.received += bytes.len() as u64;
        // Nothing is before it and it fits: it goes as it came.
        if self.waiting.is_empty() && bytes.len() <= self.room() {
            let mut passed = Passed::default();
            self.send(writer, bytes.clone(), &mut passed);
            return Ok(passed);
        }
        match self.waiting.back_mut() {
            Some((last, waiting)) if *last == writer => waiting.extend_from_slice(bytes),
            _ => self.waiting.push_back((writer, bytes.to_vec())),
        }
        Ok(self.pass())
    }

    /// Takes how far the agent takes bytes now.
    pub fn raise(&mut self, limit: u64) -> Passed {
        if self.sending.raise(limit) {
            self.pass()
        } else {
            Passed::default()
        }
    }

    /// Sends nothing until [`TerminalInput::resume`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Goes on over a new connection to an agent that has `received` bytes and takes those before `limit`.
    /// None where what it needs is no longer kept.
    pub fn resume(&mut self, received: u64, limit: u64) -> Option<Passed> {
        let sent = self.sending.offset();
        if received > sent || received < self.kept.first() {
            return None;
        }
        let mut passed = Passed::default();
        let mut offset = received;
        while offset < sent {
            let bytes = Bytes::from(self.kept.parts(offset, PIECE_BYTES).concat());
            // What was sent was kept, so there is some.
            let length = bytes.len().max(1) as u64;
            passed.frames.push(Frame::Data {
                stream: self.stream,
                offset,
                bytes,
            });
            offset += length;
        }
        self.held = false;
        self.sending.raise(limit);
        let later = self.pass();
        passed.frames.extend(later.frames);
        passed.limits.extend(later.limits);
        Some(passed)
    }

    /// Bytes sent, and the first that can be sent again.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        (self.sending.offset(), self.kept.first())
    }

    /// Forgets who will not come back. What it wrote goes to the agent still, as long as that is not much.
    pub fn forget(&mut self, writer: Writer) {
        self.writers.remove(&writer);
        let gone = |(of, _): &&(Writer, Vec<u8>)| !self.writers.contains_key(of);
        let left: usize = self
            .waiting
            .iter()
            .filter(gone)
            .map(|(_, bytes)| bytes.len())
            .sum();
        if left > LEFT_BEHIND_BYTES {
            self.waiting.retain(|(of, _)| *of != writer);
        }
    }

    /// Drops what waits: there is nobody any more who would take it.
    pub fn end(&mut self) {
        self.waiting = VecDeque::new();
        self.kept = ByteReplay::starting_at(self.sending.offset());
        self.held = true;
    }

    fn room(&self) -> usize {
        if self.held {
            return 0;
        }
        usize::try_from(self.sending.available())
            .unwrap_or(usize::MAX)
            .min(PIECE_BYTES)
    }

    fn pass(&mut self) -> Passed {
        let mut passed = Passed::default();
        while let room @ 1.. = self.room()
            && let Some((writer, mut bytes)) = self.waiting.pop_front()
        {
            if bytes.len() > room {
                let later = bytes.split_off(room);
                self.waiting.push_front((writer, later));
            }
            self.send(writer, bytes.into(), &mut passed);
        }
        passed
    }

    fn send(&mut self, writer: Writer, bytes: Bytes, passed: &mut Passed) {
        let length = bytes.len() as u64;
        let offset = self.sending.offset();
        self.sending.send(length);
        if self.keep_bytes > 0 {
            self.kept.push(&bytes);
            let sent = self.sending.offset();
            self.kept
                .forget_before(sent.saturating_sub(self.keep_bytes));
        } else {
            self.kept = ByteReplay::starting_at(self.sending.offset());
        }
        passed.frames.push(Frame::Data {
            stream: self.stream,
            offset,
            bytes,
        });
        if let Some(written) = self.writers.get_mut(&writer) {
            written.passed += length;
            if let Some(limit) = written.window.consume(written.passed) {
                passed.limits.push((writer, limit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(7);
    const ONE: Writer = Writer::Once(1);
    const TWO: Writer = Writer::Once(2);

    fn text(passed: &Passed) -> String {
        let mut all = Vec::new();
        for frame in &passed.frames {
            if let Frame::Data { bytes, .. } = frame {
                all.extend_from_slice(bytes);
            }
        }
        String::from_utf8(all).unwrap()
    }

    fn write(input: &mut TerminalInput, writer: Writer, offset: u64, text: &'static str) -> Passed {
        let bytes = Bytes::from_static(text.as_bytes());
        input.write(writer, offset, &bytes).unwrap()
    }

    #[test]
    fn a_keystroke_goes_at_once() {
        let mut input = TerminalInput::new(STREAM, 100, 0);
        assert_eq!(text(&write(&mut input, ONE, 0, "a")), "a");
        assert_eq!(text(&write(&mut input, TWO, 0, "b")), "b");
        let third = write(&mut input, ONE, 1, "c");
        let expected = Frame::Data {
            stream: STREAM,
            offset: 2,
            bytes: Bytes::from_static(b"c"),
        };
        assert_eq!(third.frames, [expected]);
    }

    #[test]
    fn what_the_agent_does_not_take_waits_in_the_order_in_which_it_came() {
        let mut input = TerminalInput::new(STREAM, 3, 0);
        assert_eq!(text(&write(&mut input, ONE, 0, "ab")), "ab");
        assert_eq!(text(&write(&mut input, TWO, 0, "XY")), "X");
        assert_eq!(text(&write(&mut input, ONE, 2, "cd")), "");
        assert_eq!(text(&write(&mut input, TWO, 2, "Z")), "");
        assert_eq!(text(&input.raise(5)), "Yc");
        assert_eq!(text(&input.raise(4)), "");
        assert_eq!(text(&input.raise(50)), "dZ");
    }

    #[test]
    fn a_viewer_writes_no_more_than_its_window_until_the_agent_takes_it() {
        let mut input = TerminalInput::new(STREAM, 0, 0);
        let half = Bytes::from(vec![b'x'; 32 * 1024]);
        let half_length = half.len() as u64;
        for piece in 0..2 {
            let passed = input.write(ONE, piece * half_length, &half).unwrap();
            assert_eq!(passed, Passed::default());
        }
        let more = input.write(ONE, INPUT_WINDOW_BYTES, &Bytes::from_static(b"x"));
        assert!(matches!(more, Err(FlowError::Overrun { .. })));
        let passed = input.raise(half_length);
        assert_eq!(passed.limits, [(ONE, INPUT_WINDOW_BYTES + half_length)]);
        assert_eq!(
            input.position(ONE),
            (INPUT_WINDOW_BYTES, INPUT_WINDOW_BYTES + half_length)
        );
    }

    #[test]
    fn a_piece_that_comes_twice_is_written_once_and_a_gap_is_an_error() {
        let mut input = TerminalInput::new(STREAM, 100, 0);
        write(&mut input, ONE, 0, "abc");
        assert_eq!(write(&mut input, ONE, 0, "abc"), Passed::default());
        let gap = input.write(ONE, 4, &Bytes::from_static(b"x"));
        assert!(matches!(gap, Err(FlowError::Gap { .. })));
    }

    #[test]
    fn every_loss_of_the_connection_gives_the_agent_each_byte_once() {
        let typed: Vec<u8> = (0..200_u8).collect();
        for lost_at in [0_usize, 1, 50, 199, 200] {
            for agent_has in [0, lost_at / 2, lost_at] {
                let mut input = TerminalInput::new(STREAM, 1000, 4096);
                let mut agent: Vec<u8> = Vec::new();
                for (offset, byte) in typed.iter().enumerate() {
                    if offset == lost_at {
                        input.hold();
                    }
                    let passed = input
                        .write(ONE, offset as u64, &Bytes::from(vec![*byte]))
                        .unwrap();
                    for frame in passed.frames {
                        if let Frame::Data { bytes, .. } = frame {
                            agent.extend_from_slice(&bytes);
                        }
                    }
                }
                input.hold();
                agent.truncate(agent_has);
                let passed = input.resume(agent_has as u64, 1000).unwrap();
                for frame in passed.frames {
                    if let Frame::Data { bytes, offset, .. } = frame {
                        assert_eq!(offset, agent.len() as u64);
                        agent.extend_from_slice(&bytes);
                    }
                }
                assert_eq!(agent, typed, "lost at {lost_at}, agent has {agent_has}");
            }
        }
    }

    #[test]
    fn an_agent_that_is_further_or_too_far_behind_cannot_go_on() {
        let mut input = TerminalInput::new(STREAM, 1000, 0);
        write(&mut input, ONE, 0, "abc");
        input.hold();
        assert_eq!(input.resume(4, 1000), None);
        assert_eq!(input.resume(2, 1000), None);
        assert!(input.resume(3, 1000).is_some());
    }

    #[test]
    fn one_who_comes_back_writes_on_where_it_was() {
        let key = Writer::Known(ViewerKey {
            user_id: UserId::generate(),
            id: Uuid::nil(),
        });
        let mut input = TerminalInput::new(STREAM, 100, 0);
        write(&mut input, key, 0, "abc");
        assert_eq!(input.position(key).0, 3);
        assert_eq!(text(&write(&mut input, key, 3, "d")), "d");
        input.forget(key);
        assert_eq!(input.position(key), (0, INPUT_WINDOW_BYTES));
    }
}
