//! How many frames of the data plane a peer may send. Bytes are bounded by their windows; this bounds frames that
//! carry few or none: one that moves nothing is let pass now and then, and small ones up to a rate.

use std::collections::HashMap;
use std::time::Instant;

use gururmm_shared::{Frame, StreamId};

use crate::message_budget::MessageBudget;

/// Bytes below which a frame is small.
const SMALL_BYTES: usize = 1024;
/// Small frames a second: a program that writes byte by byte makes fewer.
const SMALL_PER_SECOND: f64 = 50_000.0;
/// Small frames at once: a window of them may be on its way.
const SMALL_BURST: u32 = 100_000;
/// Frames that move nothing, at once: what was on its way to a stream that has ended, or comes again with a new
/// connection.
const IDLE_BURST: u32 = 65_536;
/// Frames that move nothing, a second.
const IDLE_PER_SECOND: f64 = 200.0;

/// How far the frames of a stream are.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    end: u64,
    limit: u64,
    ended: bool,
}

/// The budget of one connection.
#[derive(Debug)]
pub struct FrameBudget {
    small: MessageBudget,
    idle: MessageBudget,
    streams: HashMap<StreamId, Progress>,
}

impl FrameBudget {
    /// A full one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            small: MessageBudget::new(SMALL_PER_SECOND, SMALL_BURST, now),
            idle: MessageBudget::new(IDLE_PER_SECOND, IDLE_BURST, now),
            streams: HashMap::new(),
        }
    }

    /// A stream opens: its frames are counted as progress from here on.
    pub fn open(&mut self, stream: StreamId) {
        self.streams.insert(stream, Progress::default());
    }

    /// A stream has ended: whatever comes for it moves nothing.
    pub fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// Only these streams are open.
    pub fn retain(&mut self, is_open: impl Fn(StreamId) -> bool) {
        self.streams.retain(|stream, _| is_open(*stream));
    }

    /// Counts a frame; false where the peer sends more of them than anybody has a use for.
    pub fn take(&mut self, frame: &Frame, now: Instant) -> bool {
        let is_small = !matches!(frame, Frame::Data { bytes, .. } if bytes.len() >= SMALL_BYTES);
        if is_small && !self.small.take(now) {
            return false;
        }
        self.moves(frame) || self.idle.take(now)
    }

    fn moves(&mut self, frame: &Frame) -> bool {
        let Some(progress) = self.streams.get_mut(&frame.stream()) else {
            return false;
        };
        match frame {
            Frame::Data { offset, bytes, .. } => {
                let end = offset.saturating_add(bytes.len() as u64);
                let moves = end > progress.end && !progress.ended;
                progress.end = progress.end.max(end);
                moves
            }
            Frame::Window { limit, .. } => {
                let moves = *limit > progress.limit;
                progress.limit = progress.limit.max(*limit);
                moves
            }
            Frame::Eof { .. } => !std::mem::replace(&mut progress.ended, true),
            Frame::Reset { .. } => self.streams.remove(&frame.stream()).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gururmm_shared::ResetCode;

    use super::*;

    const ID: StreamId = StreamId(1);

    fn data(offset: u64, length: usize) -> Frame {
        Frame::Data {
            stream: ID,
            offset,
            bytes: Bytes::from(vec![0; length]),
        }
    }

    /// How many of them are taken at one moment.
    fn taken(budget: &mut FrameBudget, now: Instant, frames: impl Iterator<Item = Frame>) -> usize {
        frames.take_while(|frame| budget.take(frame, now)).count()
    }

    #[test]
    fn whole_pieces_that_go_on_are_never_too_many() {
        let now = Instant::now();
        let mut budget = FrameBudget::new(now);
        budget.open(ID);
        let frames = (0..200_000_u64).map(|number| data(number * 1024, 1024));
        assert_eq!(taken(&mut budget, now, frames), 200_000);
    }

    #[test]
    fn a_frame_that_comes_again_and_again_is_too_many_at_last_whatever_its_kind() {
        let now = Instant::now();
        let window = Frame::Window {
            stream: ID,
            limit: 10,
        };
        let eof = Frame::Eof {
            stream: ID,
            offset: 4096,
        };
        let reset = Frame::reset(ID, ResetCode::Failed, "again");
        for frame in [data(0, 4096), window, eof, reset] {
            let mut budget = FrameBudget::new(now);
            budget.open(ID);
            let taken = taken(
                &mut budget,
                now,
                std::iter::repeat_n(frame.clone(), 200_000),
            );
            let most = IDLE_BURST as usize + 1;
            assert_eq!(taken, most, "{frame:?}");
        }
    }

    #[test]
    fn single_bytes_are_taken_up_to_their_rate_even_where_they_go_on() {
        let now = Instant::now();
        let mut budget = FrameBudget::new(now);
        budget.open(ID);
        let bytes = |from: u64| (from..from + 500_000).map(|offset| data(offset, 1));
        assert_eq!(taken(&mut budget, now, bytes(0)), SMALL_BURST as usize);
        let later = now + std::time::Duration::from_secs(1);
        let more = taken(&mut budget, later, bytes(u64::from(SMALL_BURST)));
        assert_eq!(more, 50_000);
    }

    #[test]
    fn frames_of_a_stream_that_has_ended_are_counted_and_a_window_of_them_is_no_fault() {
        let now = Instant::now();
        let mut budget = FrameBudget::new(now);
        budget.open(ID);
        assert!(budget.take(&data(0, 2048), now));
        budget.close(ID);
        let late = (1..3000_u64).map(|number| data(number * 100, 100));
        assert_eq!(taken(&mut budget, now, late), 2999);
        let flood = (0..200_000_u64).map(|number| data(number * 2048, 2048));
        assert!(taken(&mut budget, now, flood) < 70_000);
    }
}
