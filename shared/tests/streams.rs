//! Streams over lines that delay, repeat and break, and against peers that cheat.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

mod line;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use gururmm_shared::byte_stream::{ByteStream, Reset};
use gururmm_shared::window_budget::WindowBudget;
use gururmm_shared::{Frame, ResetCode, StreamId, StreamPosition};
use line::{Action, Line, Setting, byte_at};
use proptest::prelude::*;

const ID: StreamId = StreamId(1);

fn settings() -> impl Strategy<Value = Setting> {
    (0_u32..4, 1_u64..80, 0_u64..4, 0_u64..3).prop_map(|(scale, window, keep, growth)| {
        let window = window << (scale * 3);
        let most = window << growth;
        Setting {
            window,
            most,
            keep: if keep == 0 { 0 } else { most * keep },
            total: window * 6,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_line_does_each_side_reads_what_the_other_wrote_once_and_in_order(
        setting in settings(),
        actions in prop::collection::vec(any::<[u8; 3]>(), 0..200),
    ) {
        let mut line = Line::new(setting);
        for bytes in actions {
            line.act(Action::from_bytes(bytes));
        }
        line.finish();
    }

    #[test]
    fn frames_in_another_order_are_a_gap_and_never_wrong_bytes(
        lens in prop::collection::vec(1_usize..600, 2..20),
        swapped in any::<prop::sample::Index>(),
        distance in 1_usize..4,
    ) {
        let sender = ByteStream::new(ID, 0, 1 << 20, 0);
        let mut frames = written(&sender, &lens);
        frames.extend(sender.finish());
        let first = swapped.index(frames.len() - 1);
        let second = (first + distance).min(frames.len() - 1);
        frames.swap(first, second);

        let receiver = ByteStream::new(ID, 1 << 20, 0, 0);
        let answers: Vec<Frame> = frames.into_iter().filter_map(|it| receiver.on_frame(it)).collect();
        prop_assert_eq!(codes(&answers), [ResetCode::Gap]);
        let (read, end) = read_all(&receiver);
        prop_assert_eq!(read, lens[..first].iter().sum::<usize>());
        prop_assert_eq!(end.unwrap_err().code, ResetCode::Gap);
    }

    #[test]
    fn more_than_the_window_is_an_overrun_and_what_was_within_it_is_read(
        lens in prop::collection::vec(1_usize..600, 1..40),
        window in 0_u64..10_000,
    ) {
        let sender = ByteStream::new(ID, 0, u64::MAX, 0);
        let receiver = ByteStream::new(ID, window, 0, 0);
        let answers: Vec<Frame> = written(&sender, &lens).into_iter()
            .filter_map(|it| receiver.on_frame(it)).collect();
        let (read, end) = read_all(&receiver);
        if lens.iter().sum::<usize>() as u64 > window {
            prop_assert_eq!(codes(&answers), [ResetCode::Overrun]);
            prop_assert_eq!(end.unwrap_err().code, ResetCode::Overrun);
            prop_assert!(read as u64 <= window);
        } else {
            prop_assert!(answers.is_empty());
            prop_assert_eq!(end.unwrap(), Poll::Pending);
        }
    }

    #[test]
    fn any_frames_at_all_leave_an_end_within_its_window(
        frames in prop::collection::vec((0_u8..4, 0_u64..40, 0_usize..20, any::<bool>()), 0..60),
        window in 0_u64..30,
    ) {
        let end = ByteStream::new(ID, window, 0, 10);
        let mut used = 0;
        for (kind, number, len, far) in frames {
            let number = if far { u64::MAX - number } else { number };
            let bytes = Bytes::from(vec![0; len]);
            let _ = end.on_frame(match kind {
                0 => Frame::Data { stream: ID, offset: number, bytes },
                1 => Frame::Window { stream: ID, limit: number },
                2 => Frame::Eof { stream: ID, offset: number },
                _ => Frame::reset(ID, ResetCode::Other(9), "x"),
            });
            let _ = end.send(Bytes::from_static(b"abc"));
            prop_assert!(end.position().received - used <= window);
            if len % 2 == 0 {
                used += read_all(&end).0 as u64;
                let _ = end.consumed();
            }
        }
    }
}

/// The frames of pieces of these lengths, as side 0 writes them.
fn written(sender: &ByteStream, lens: &[usize]) -> Vec<Frame> {
    let mut offset = 0;
    lens.iter()
        .map(|len| {
            let end = offset + *len as u64;
            let bytes: Bytes = (offset..end).map(|offset| byte_at(0, offset)).collect();
            offset = end;
            sender.send(bytes).unwrap()
        })
        .collect()
}

/// Reads what is there, holds it against what side 0 writes, and tells how it ended.
fn read_all(receiver: &ByteStream) -> (usize, Result<Poll<()>, Reset>) {
    let mut read = 0_usize;
    loop {
        match receiver.poll_recv(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Some(bytes))) => {
                let right = (read..).zip(&bytes);
                let zeros = bytes.iter().all(|byte| *byte == 0);
                assert!(
                    zeros
                        || right
                            .into_iter()
                            .all(|(at, byte)| byte_at(0, at as u64) == *byte)
                );
                read += bytes.len();
            }
            Poll::Ready(Ok(None)) => return (read, Ok(Poll::Ready(()))),
            Poll::Ready(Err(reset)) => return (read, Err(reset)),
            Poll::Pending => return (read, Ok(Poll::Pending)),
        }
    }
}

fn codes(frames: &[Frame]) -> Vec<ResetCode> {
    let code = |frame: &Frame| match frame {
        Frame::Reset { code, .. } => *code,
        other => panic!("no reset: {other:?}"),
    };
    frames.iter().map(code).collect()
}

fn data(offset: u64, bytes: &'static [u8]) -> Frame {
    Frame::Data {
        stream: ID,
        offset,
        bytes: Bytes::from_static(bytes),
    }
}

fn eof(offset: u64) -> Frame {
    Frame::Eof { stream: ID, offset }
}

fn next(stream: &ByteStream) -> Poll<Result<Option<Bytes>, Reset>> {
    stream.poll_recv(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn bytes_after_the_end_break_the_protocol_and_a_repeated_end_does_not() {
    let stream = ByteStream::new(ID, 100, 0, 0);
    assert_eq!(stream.on_frame(data(0, b"ab")), None);
    assert_eq!(stream.on_frame(eof(2)), None);
    assert_eq!(stream.on_frame(eof(2)), None);
    assert_eq!(stream.on_frame(data(0, b"ab")), None, "a repeat");
    let answer = stream.on_frame(data(1, b"bc")).unwrap();
    assert_eq!(codes(&[answer]), [ResetCode::Protocol]);
    assert_eq!(
        next(&stream),
        Poll::Ready(Ok(Some(Bytes::from_static(b"ab"))))
    );
    assert_eq!(next(&stream), Poll::Ready(Ok(None)), "all was read before");
}

#[test]
fn an_end_elsewhere_than_after_the_last_byte_is_a_gap() {
    for offset in [0, 1, 3] {
        let stream = ByteStream::new(ID, 100, 0, 0);
        assert_eq!(stream.on_frame(data(0, b"ab")), None);
        assert_eq!(
            codes(&[stream.on_frame(eof(offset)).unwrap()]),
            [ResetCode::Gap]
        );
    }
}

#[test]
fn a_piece_cut_otherwise_than_before_gives_only_its_new_bytes() {
    let stream = ByteStream::new(ID, 4, 0, 0);
    assert_eq!(stream.on_frame(data(0, b"ab")), None);
    assert_eq!(stream.on_frame(data(1, b"bcd")), None);
    assert_eq!(
        next(&stream),
        Poll::Ready(Ok(Some(Bytes::from_static(b"abcd"))))
    );
    let answer = stream.on_frame(data(3, b"de")).unwrap();
    assert_eq!(codes(&[answer]), [ResetCode::Overrun]);
}

#[test]
fn a_window_that_goes_back_takes_nothing_back() {
    let stream = ByteStream::new(ID, 0, 10, 0);
    for limit in [20, 5, 0] {
        assert_eq!(stream.on_frame(Frame::Window { stream: ID, limit }), None);
    }
    assert_eq!(stream.room_now(), 20);
}

#[test]
fn a_window_of_nothing_or_without_end_neither_floods_nor_overflows() {
    let none = ByteStream::new(ID, 0, 0, 0);
    assert_eq!(none.consumed(), None);
    let one = ByteStream::new(ID, 1, 0, 0);
    assert_eq!(one.consumed(), None);
    let endless = ByteStream::new(ID, u64::MAX, 0, 0);
    assert_eq!(endless.on_frame(data(0, b"ab")), None);
    assert!(next(&endless).is_ready());
    assert_eq!(endless.consumed(), None);
}

#[test]
fn resuming_in_the_middle_of_a_kept_piece_sends_the_rest_of_it_and_the_end() {
    let stream = ByteStream::new(ID, 10, 100, 100);
    let _ = stream.send(Bytes::from_static(b"abcd"));
    let _ = stream.finish();
    let peer = |received| StreamPosition {
        stream: ID,
        received,
        limit: 100,
        sent: 0,
        first: 0,
    };
    assert_eq!(stream.resume(&peer(2)), Ok(vec![data(2, b"cd"), eof(4)]));
    assert_eq!(stream.resume(&peer(4)), Ok(vec![eof(4)]));
    assert_eq!(stream.resume(&peer(5)).unwrap_err().code, ResetCode::Gap);
    assert_eq!(stream.cut_off().unwrap().code, ResetCode::Gap);
}

#[test]
fn resuming_fails_where_either_side_no_longer_keeps_what_is_missing() {
    let stream = ByteStream::new(ID, 10, 100, 0);
    let _ = stream.send(Bytes::from_static(b"abcd"));
    let peer = StreamPosition {
        stream: ID,
        received: 3,
        limit: 100,
        sent: 0,
        first: 0,
    };
    assert_eq!(stream.resume(&peer).unwrap_err().code, ResetCode::Gap);

    let stream = ByteStream::new(ID, 10, 100, 0);
    let peer = StreamPosition {
        received: 0,
        sent: 9,
        first: 1,
        ..peer
    };
    assert_eq!(stream.resume(&peer).unwrap_err().code, ResetCode::Gap);
}

#[test]
fn an_end_that_was_forgotten_is_made_again_from_the_peers_position() {
    let agent = ByteStream::new(ID, 10, 100, 100);
    assert_eq!(agent.on_frame(data(0, b"in")), None);
    let _ = agent.send(Bytes::from_static(b"output"));
    let told = agent.position();

    let server = ByteStream::rejoin(&told, 4, 10, 0);
    for frame in agent.resume(&server.position()).unwrap() {
        assert_eq!(server.on_frame(frame), None);
    }
    assert_eq!(server.resume(&told), Ok(vec![]));
    assert_eq!(
        next(&server),
        Poll::Ready(Ok(Some(Bytes::from_static(b"ut"))))
    );
    assert_eq!(
        agent.on_frame(server.send(Bytes::from_static(b"put")).unwrap()),
        None
    );
    assert_eq!(
        next(&agent),
        Poll::Ready(Ok(Some(Bytes::from_static(b"input"))))
    );
    assert_eq!(server.room_now(), 5);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn of_two_tasks_that_wait_for_one_thing_both_are_woken() {
    let stream = ByteStream::new(ID, 10, 0, 0);
    let tasks: [Arc<Count>; 4] = Default::default();
    let [reader, other_reader, writer, other_writer] =
        tasks.each_ref().map(|task| Waker::from(Arc::clone(task)));
    for waker in [&reader, &other_reader, &reader] {
        assert!(
            stream
                .poll_recv(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    for waker in [&writer, &other_writer] {
        assert!(
            stream
                .poll_room(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    let woken = || tasks.each_ref().map(|task| task.0.load(Ordering::Relaxed));
    let _ = stream.on_frame(data(0, b"a"));
    assert_eq!(woken(), [1, 1, 0, 0]);
    let _ = stream.on_frame(Frame::Window {
        stream: ID,
        limit: 1,
    });
    assert_eq!(woken(), [1, 1, 1, 1]);
}

#[test]
fn a_broken_protocol_a_reset_and_an_own_end_wake_who_waits() {
    let waiting = |stream: &ByteStream| {
        let task = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&task));
        assert!(
            stream
                .poll_recv(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert!(
            stream
                .poll_room(&mut Context::from_waker(&waker))
                .is_pending()
        );
        task
    };
    let woken = |task: Arc<Count>| task.0.load(Ordering::Relaxed);

    let stream = ByteStream::new(ID, 10, 0, 0);
    let task = waiting(&stream);
    assert!(stream.on_frame(data(5, b"a")).is_some());
    assert_eq!(woken(task), 2);

    let stream = ByteStream::new(ID, 10, 0, 0);
    let task = waiting(&stream);
    assert!(stream.reset(ResetCode::Cancelled, "enough").is_some());
    assert_eq!(woken(task), 2);

    let stream = ByteStream::new(ID, 10, 0, 0);
    let task = waiting(&stream);
    assert!(stream.finish().is_some());
    assert_eq!(woken(task), 1);
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(
        stream.poll_room(&mut context),
        Poll::Ready(Err(_))
    ));
    assert_eq!(stream.room_now(), 0);
}

#[test]
fn a_waker_that_comes_back_at_once_finds_the_stream_free() {
    struct Reads(ByteStream, AtomicUsize);
    struct Task(Arc<Reads>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            if next(&self.0.0).is_ready() {
                self.0.1.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let reads = Arc::new(Reads(ByteStream::new(ID, 10, 0, 0), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::new(Task(Arc::clone(&reads))));
    assert!(
        reads
            .0
            .poll_recv(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let _ = reads.0.on_frame(data(0, b"a"));
    assert_eq!(reads.1.load(Ordering::Relaxed), 1);
}

#[test]
fn a_window_is_widened_only_as_far_as_the_account_lets_it() {
    let budget = WindowBudget::new(300);
    let share = budget.share(100);
    let stream = ByteStream::new(ID, share.bytes(), 0, 0).sharing(share);
    let other = budget.share(100);
    assert_eq!(stream.widen(250), None, "100 more are there, and no 150");
    let grant = |limit| Some(Frame::Window { stream: ID, limit });
    assert_eq!(stream.widen(200), grant(200));
    assert_eq!(stream.widen(300), None);
    drop(other);
    assert_eq!(stream.widen(300), grant(300));
    drop(stream);
    assert_eq!(budget.taken(), 0);
}
